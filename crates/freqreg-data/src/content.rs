//! Files that are known by their content: nothing enters that is not byte for byte what was published.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// What a file must be, uncompressed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pin {
    /// Its published name, without `.gz`.
    pub(crate) file: &'static str,
    /// Its length.
    pub(crate) bytes: u64,
    /// Its SHA-256 in hex.
    pub(crate) sha256: &'static str,
}

impl Pin {
    /// Reads the content and checks it. `place` is the path or address for errors. At most one byte more than the
    /// published length is taken from the reader, however much it could give.
    pub(crate) fn read(&self, place: &str, reader: impl Read) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        let read = reader.take(self.bytes + 1).read_to_end(&mut content);
        read.map_err(|cause| Error::Io {
            file: place.to_owned(),
            cause,
        })?;
        self.check(place, &content)?;
        Ok(content)
    }

    /// As [`read`](Self::read), from gzip.
    pub(crate) fn read_gz(&self, place: &str, reader: impl Read) -> Result<Vec<u8>> {
        self.read(place, GzDecoder::new(reader))
    }

    /// Reads the file in `folder`, plain or, where that is not there, as `.gz`.
    pub(crate) fn read_in(&self, folder: &Path) -> Result<Vec<u8>> {
        let plain = folder.join(self.file);
        if let Some(file) = open(&plain)? {
            return self.read(&plain.display().to_string(), file);
        }
        let gz = folder.join(format!("{}.gz", self.file));
        match open(&gz)? {
            Some(file) => self.read_gz(&gz.display().to_string(), io::BufReader::new(file)),
            None => Err(Error::Missing {
                file: plain.display().to_string(),
            }),
        }
    }

    fn check(&self, place: &str, content: &[u8]) -> Result<()> {
        let found_bytes = content.len() as u64;
        if found_bytes > self.bytes {
            return Err(Error::TooLong {
                file: place.to_owned(),
                expected_bytes: self.bytes,
            });
        }
        let found = sha256_hex(content);
        if found == self.sha256 {
            return Ok(());
        }
        Err(Error::Content {
            file: place.to_owned(),
            expected: self.sha256.to_owned(),
            found,
            expected_bytes: self.bytes,
            found_bytes,
        })
    }
}

/// Opens a file; `None` where there is none.
fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::Io {
            file: path.display().to_string(),
            cause,
        }),
    }
}

fn sha256_hex(content: &[u8]) -> String {
    Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
