//! The zip archive around a state dict: `<folder>/data.pkl`, `<folder>/byteorder` and the storages `<folder>/data/<key>`.

use std::io::{self, Read, Seek, SeekFrom};

use flate2::read::DeflateDecoder;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::PtFault;
use crate::{Error, Result};

/// How every local entry of a zip archive begins.
const ZIP_MAGIC: [u8; 4] = *b"PK\x03\x04";

/// How the older form begins: protocol 2, then the long integer that names the form.
const LEGACY_MAGIC: [u8; 4] = [0x80, 0x02, 0x8a, 0x0a];

/// An open archive, of which no more than the table of entries is in memory.
pub(super) struct Archive<R> {
    zip: ZipArchive<R>,
    /// The folder all entries are in, with its slash.
    folder: String,
    /// Bytes of the whole file: what an entry may claim without having shown it.
    length: u64,
}

impl<R: Read + Seek> Archive<R> {
    /// Finds the folder of the state dict and checks its byte order.
    pub(super) fn open(mut reader: R) -> Result<Self> {
        let mut found = Vec::new();
        reader
            .by_ref()
            .take(4)
            .read_to_end(&mut found)
            .map_err(damaged)?;
        if found == LEGACY_MAGIC {
            return Err(PtFault::Legacy.into());
        }
        if found != ZIP_MAGIC {
            return Err(PtFault::NotZip { found }.into());
        }
        let length = reader.seek(SeekFrom::End(0)).map_err(damaged)?;
        let zip = ZipArchive::new(reader).map_err(damaged)?;
        if zip.has_duplicate_names() {
            return Err(PtFault::Twice { what: "a name" }.into());
        }
        let folder = folder(&zip)?;
        let mut archive = Self {
            zip,
            folder,
            length,
        };
        archive.check_byte_order()?;
        Ok(archive)
    }

    /// The program that describes the tensors.
    pub(super) fn pickle(&mut self, limit: usize) -> Result<Vec<u8>> {
        let name = format!("{}data.pkl", self.folder);
        let got = self.size(&name)?;
        let limit = limit as u64;
        if got > limit {
            let what = "bytes of data.pkl";
            return Err(Error::Limit { what, limit, got });
        }
        self.entry(&name)
    }

    /// The bytes of a storage, which must be as many as expected.
    pub(super) fn storage(&mut self, key: &str, expected: u64) -> Result<Vec<u8>> {
        let name = format!("{}data/{key}", self.folder);
        let got = self.size(&name)?;
        if got != expected {
            return Err(PtFault::Size {
                name,
                expected,
                got,
            }
            .into());
        }
        self.entry(&name)
    }

    /// Archives of PyTorch before 2.0 say nothing and are little-endian, as nearly all machines are.
    fn check_byte_order(&mut self) -> Result<()> {
        let name = format!("{}byteorder", self.folder);
        if self.zip.index_for_name_raw(name.as_bytes()).is_none() {
            return Ok(());
        }
        let got = self.size(&name)?;
        if got > 16 {
            let expected = "little".len() as u64;
            return Err(PtFault::Size {
                name,
                expected,
                got,
            }
            .into());
        }
        let found = self.entry(&name)?;
        if found != b"little" {
            let found = String::from_utf8_lossy(&found).into_owned();
            return Err(PtFault::ByteOrder { found }.into());
        }
        Ok(())
    }

    /// The length that the table of entries gives.
    fn size(&mut self, name: &str) -> Result<u64> {
        let entry = self.zip.by_name_raw(name.as_bytes());
        Ok(entry
            .map_err(|error| missing_or_damaged(error, name))?
            .size())
    }

    /// The content of an entry, found to have the length and the checksum in the table. The caller has found that
    /// length acceptable.
    fn entry(&mut self, name: &str) -> Result<Vec<u8>> {
        let named = || name.to_owned();
        let mut entry = self
            .zip
            .by_name_raw(name.as_bytes())
            .map_err(|error| missing_or_damaged(error, name))?;
        let (expected, checksum, method) = (entry.size(), entry.crc32(), entry.compression());
        if entry.encrypted() {
            let how = "encrypted".to_owned();
            return Err(PtFault::Packed { name: named(), how }.into());
        }

        // One byte more than expected is enough to see that there are too many.
        let most = expected.saturating_add(1);
        let mut bytes = Vec::with_capacity(most.min(self.length) as usize);
        match method {
            CompressionMethod::STORE => entry.take(most).read_to_end(&mut bytes),
            CompressionMethod::DEFLATE => DeflateDecoder::new(&mut entry)
                .take(most)
                .read_to_end(&mut bytes),
            method => {
                let how = format!("compressed by {method}");
                return Err(PtFault::Packed { name: named(), how }.into());
            }
        }
        .map_err(damaged)?;

        let got = bytes.len() as u64;
        if got != expected {
            return Err(PtFault::Size {
                name: named(),
                expected,
                got,
            }
            .into());
        }
        let got = crc32fast::hash(&bytes);
        if got != checksum {
            return Err(PtFault::Checksum {
                name: named(),
                expected: checksum,
                got,
            }
            .into());
        }
        Ok(bytes)
    }
}

/// The folder of the one `data.pkl`, which is named after the file at its saving.
fn folder<R: Read + Seek>(zip: &ZipArchive<R>) -> Result<String> {
    let mut folders = zip.file_names_raw().filter_map(|name| {
        let folder = std::str::from_utf8(name).ok()?.strip_suffix("data.pkl")?;
        (folder.find('/') == folder.len().checked_sub(1)).then_some(folder)
    });
    match (folders.next(), folders.next()) {
        (Some(folder), None) => Ok(folder.to_owned()),
        (Some(_), Some(_)) => Err(PtFault::Twice { what: "a data.pkl" }.into()),
        (None, _) => Err(PtFault::Missing {
            name: "*/data.pkl".to_owned(),
        }
        .into()),
    }
}

fn missing_or_damaged(error: ZipError, name: &str) -> Error {
    match error {
        ZipError::FileNotFound => PtFault::Missing {
            name: name.to_owned(),
        }
        .into(),
        error => damaged(error),
    }
}

fn damaged(cause: impl Into<io::Error>) -> Error {
    let cause = cause.into().to_string();
    PtFault::Zip { cause }.into()
}
