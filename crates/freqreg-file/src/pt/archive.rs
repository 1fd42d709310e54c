//! The archive around a state dict: `<folder>/data.pkl`, `<folder>/byteorder`, and the storages `<folder>/data/<key>`.

use std::io::{Read, Seek};

use super::PtFault;
use super::zip::{Entry, LOCAL, Zip, damaged};
use crate::{Error, Result};

/// How the older form begins: protocol 2, then the long integer that names the form.
const LEGACY: [u8; 4] = [0x80, 0x02, 0x8a, 0x0a];

/// The longest name of a byte order, with room for unknown ones.
const BYTE_ORDER: u64 = 16;

/// An open archive, of which no more than the table of entries is in memory.
pub(super) struct Archive<R> {
    zip: Zip<R>,
    /// The folder all entries are in, with its slash.
    folder: String,
}

impl<R: Read + Seek> Archive<R> {
    /// Finds the folder of the state dict and checks its byte order.
    pub(super) fn open(mut reader: R) -> Result<Self> {
        let mut found = Vec::new();
        let mut head = reader.by_ref().take(LOCAL.len() as u64);
        head.read_to_end(&mut found).map_err(damaged)?;
        if found == LEGACY {
            return Err(PtFault::Legacy.into());
        }
        if found != LOCAL {
            return Err(PtFault::NotZip { found }.into());
        }
        let zip = Zip::open(reader)?;
        let folder = folder(&zip)?;
        let mut archive = Self { zip, folder };
        archive.check_byte_order()?;
        Ok(archive)
    }

    /// The program that describes the tensors.
    pub(super) fn pickle(&mut self, limit: usize) -> Result<Vec<u8>> {
        let (name, entry) = self.find("data.pkl")?;
        let limit = limit as u64;
        if entry.size > limit {
            return Err(Error::Limit {
                what: "bytes of data.pkl",
                limit,
                got: entry.size,
            });
        }
        Ok(self.zip.read(&name, entry)?)
    }

    /// The bytes of a storage, which must be as many as expected.
    pub(super) fn storage(&mut self, key: &str, expected: u64) -> Result<Vec<u8>> {
        let (name, entry) = self.find(&format!("data/{key}"))?;
        if entry.size != expected {
            let got = entry.size;
            return Err(PtFault::Size {
                name,
                expected,
                got,
            }
            .into());
        }
        Ok(self.zip.read(&name, entry)?)
    }

    /// Archives of older versions of PyTorch say nothing and are little-endian, as nearly all machines are.
    fn check_byte_order(&mut self) -> Result<()> {
        let Ok((name, entry)) = self.find("byteorder") else {
            return Ok(());
        };
        if entry.size > BYTE_ORDER {
            let (expected, got) = ("little".len() as u64, entry.size);
            return Err(PtFault::Size {
                name,
                expected,
                got,
            }
            .into());
        }
        let found = self.zip.read(&name, entry)?;
        if found != b"little" {
            let found = String::from_utf8_lossy(&found).into_owned();
            return Err(PtFault::ByteOrder { found }.into());
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Result<(String, Entry)> {
        let name = format!("{}{name}", self.folder);
        match self.zip.find(&name) {
            Some(entry) => Ok((name, entry)),
            None => Err(PtFault::Missing { name }.into()),
        }
    }
}

/// The folder of the one `data.pkl`, which is named after the file at its saving.
fn folder<R: Read + Seek>(zip: &Zip<R>) -> Result<String> {
    let mut folders = zip.names().filter_map(|name| {
        let folder = std::str::from_utf8(name).ok()?.strip_suffix("data.pkl")?;
        (folder.find('/') == folder.len().checked_sub(1)).then_some(folder)
    });
    match (folders.next(), folders.next()) {
        (Some(folder), None) => Ok(folder.to_owned()),
        (Some(_), Some(_)) => Err(PtFault::Twice { what: "a data.pkl" }.into()),
        (None, _) => {
            let name = "*/data.pkl".to_owned();
            Err(PtFault::Missing { name }.into())
        }
    }
}
