//! Fashion-MNIST as a Debian package, installed or downloaded.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::content::Pin;
use crate::{Error, Result, command};

const PACKAGE: &str = "dataset-fashion-mnist";

/// Where the package puts its files, from the root of a file system.
const FOLDER: &str = "usr/share/datasets/fashion-mnist";

/// Reads the wanted files, one of each pin, in their order, where the package is installed.
pub(crate) fn read_installed(pins: &[Pin]) -> Result<Vec<Vec<u8>>> {
    let folder = Path::new("/").join(FOLDER);
    pins.iter().map(|pin| pin.read_in(&folder)).collect()
}

/// Downloads the package into a temporary folder and reads the wanted files, one of each pin, in their order. Nothing
/// is installed, and nothing of the package is run.
pub(crate) fn fetch(pins: &[Pin], deadline: Instant) -> Result<Vec<Vec<u8>>> {
    let temporary = tempfile::tempdir().map_err(|cause| Error::Io {
        file: "a temporary folder".to_owned(),
        cause,
    })?;
    let folder = temporary.path();
    let download = || {
        command::run(
            apt_get(&["download", PACKAGE]).current_dir(folder),
            deadline,
        )
    };
    if let Err(first) = download() {
        // A machine that never fetched its lists of packages knows none. Fetching them takes privileges: where that
        // fails, the first failure says more.
        command::run(&mut apt_get(&["update"]), deadline).map_err(|_| first)?;
        download()?;
    }
    let package = package_in(folder)?;
    command::run(
        Command::new("dpkg-deb").arg("-x").arg(&package).arg(folder),
        deadline,
    )?;
    pins.iter()
        .map(|pin| pin.read_in(&folder.join(FOLDER)))
        .collect()
}

fn apt_get(words: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.arg("-qq").args(words);
    command
}

/// The one `.deb` in the folder, whose name holds a version not known here.
fn package_in(folder: &Path) -> Result<PathBuf> {
    let io = |cause| Error::Io {
        file: folder.display().to_string(),
        cause,
    };
    let entries = std::fs::read_dir(folder).map_err(io)?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let package = paths.find(|path| path.extension() == Some(OsStr::new("deb")));
    package.ok_or_else(|| Error::Missing {
        file: format!("{PACKAGE}.deb"),
    })
}
