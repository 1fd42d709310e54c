//! Files that are known by their content: nothing enters that is not byte for byte what was published.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// What a file must be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pin {
    /// Its name, where it is published as `.gz` without that.
    pub(crate) file: &'static str,
    /// Whether it is published as `.gz`: the length and hash are those of the content. Else they are those of the file
    /// as it is.
    pub(crate) gz: bool,
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

    /// As [`read`](Self::read) or [`read_gz`](Self::read_gz), from a file in the form in which it is published.
    pub(crate) fn read_published(&self, place: &str, reader: impl Read) -> Result<Vec<u8>> {
        match self.gz {
            true => self.read_gz(place, reader),
            false => self.read(place, reader),
        }
    }

    /// The name in which the file is published.
    pub(crate) fn published(&self) -> String {
        format!("{}{}", self.file, if self.gz { ".gz" } else { "" })
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const HELLO: Pin = Pin {
        file: "hello",
        gz: true,
        bytes: 5,
        sha256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    };

    fn gz(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_file_is_found_plain_or_compressed() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            HELLO.read_in(folder.path()),
            Err(Error::Missing { .. })
        ));
        fs::write(folder.path().join("hello.gz"), gz(b"hello")).unwrap();
        assert_eq!(HELLO.read_in(folder.path()).unwrap(), b"hello");
        // The plain file goes first, also where it is wrong.
        fs::write(folder.path().join("hello"), b"hullo").unwrap();
        assert!(matches!(
            HELLO.read_in(folder.path()),
            Err(Error::Content { .. })
        ));
    }

    #[test]
    fn another_content_is_an_error_with_both_hashes() {
        match HELLO.read("here", &b"hallo"[..]) {
            Err(Error::Content {
                file,
                expected,
                found,
                expected_bytes: 5,
                found_bytes: 5,
            }) => {
                assert_eq!((file.as_str(), expected.as_str()), ("here", HELLO.sha256));
                assert_eq!(
                    found,
                    "d3751d33f9cd5049c4af2b462735457e4d3baf130bcbb87f389e349fbaeb20b9"
                );
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            HELLO.read("here", &b""[..]),
            Err(Error::Content { found_bytes: 0, .. })
        ));
    }

    #[test]
    fn gzip_cut_short_anywhere_is_an_error() {
        let whole = gz(b"hello");
        assert_eq!(HELLO.read_gz("here", whole.as_slice()).unwrap(), b"hello");
        for length in 0..whole.len() {
            assert!(
                HELLO.read_gz("here", &whole[..length]).is_err(),
                "{length} of {} bytes",
                whole.len()
            );
        }
    }

    #[test]
    fn what_is_not_gzip_is_an_error() {
        assert!(matches!(
            HELLO.read_gz("here", &b"hello"[..]),
            Err(Error::Io { .. })
        ));
    }

    /// A reader without end that counts what is taken from it.
    struct Endless<'a>(&'a mut u64);

    impl Read for Endless<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(0);
            *self.0 += buffer.len() as u64;
            Ok(buffer.len())
        }
    }

    #[test]
    fn an_endless_file_is_left_after_the_expected_length() {
        let mut taken = 0;
        assert!(matches!(
            HELLO.read("here", Endless(&mut taken)),
            Err(Error::TooLong {
                expected_bytes: 5,
                ..
            })
        ));
        assert_eq!(taken, 6);
    }

    #[test]
    fn a_gzip_bomb_is_left_after_the_expected_length() {
        let bomb = gz(&vec![0; 100_000_000]);
        let mut rest = bomb.as_slice();
        assert!(matches!(
            HELLO.read_gz("here", &mut rest),
            Err(Error::TooLong {
                expected_bytes: 5,
                ..
            })
        ));
        assert!(
            rest.len() > bomb.len() / 2,
            "{} of {} bytes were left",
            rest.len(),
            bomb.len()
        );
    }
}
