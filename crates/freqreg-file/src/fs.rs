//! Writing files whole or not at all.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Writes `bytes` to `path` so that at every moment the path holds what it held before or all of the new bytes: a
/// temporary file beside it is filled, flushed to the disk and renamed over it. Several may write at once: the last one to end prevails.
///
/// A file that was there keeps its permissions. Of a symbolic link the file that it points to is written. What is no regular file, a device or
/// a named pipe, is written into as it stands: it can't be replaced.
///
/// A process that is killed while it writes leaves its temporary file behind, `.freq-` and six letters or digits and `.part`. Nothing reads
/// it, and it can be deleted.
///
/// # Errors
/// [`Error::Io`] where the folder does not exist or cannot be written, or the disk is full; the temporary file is
/// then gone and `path` is as it was.
pub fn write_atomically(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    fill_atomically(path, |file| {
        file.write_all(bytes)
            .map_err(|cause| write_error(path, cause))
    })
}

/// As [`write_atomically`], for content that is written piece by piece.
pub(crate) fn fill_atomically(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let io = |cause| write_error(path, cause);
    let there = fs::metadata(path).ok();
    if let Some(there) = &there
        && !there.is_file()
        && !there.is_dir()
    {
        let mut device = fs::OpenOptions::new().write(true).open(path).map_err(io)?;
        fill(&mut device)?;
        return device.flush().map_err(io);
    }
    let target = target(path).map_err(io)?;
    let folder = target
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".freq-").suffix(".part");
    // Temporary files are private by default. The result is an ordinary file, which the umask then narrows; where it replaces one, its
    // permissions are no wider than that one's, not even while it is written.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = there.as_ref().map_or(0o666, |t| t.permissions().mode());
        builder.permissions(PermissionsExt::from_mode(mode & 0o666));
    }
    let file = builder.tempfile_in(folder).map_err(|e| {
        // The error as it comes names the temporary file, of which nobody knows.
        io(match folder.is_dir() {
            true => e.kind().into(),
            false => io::Error::new(
                ErrorKind::NotFound,
                format!("there is no folder {}", folder.display()),
            ),
        })
    })?;
    let mut buffered = io::BufWriter::with_capacity(1 << 20, file);
    fill(&mut buffered)?;
    let file = buffered.into_inner().map_err(|e| io(e.into_error()))?;
    if let Some(there) = there {
        file.as_file()
            .set_permissions(there.permissions())
            .map_err(io)?;
    }
    file.as_file().sync_all().map_err(io)?;
    file.persist(&target).map_err(|e| io(e.error))?;
    Ok(())
}

/// Where the path leads: through symbolic links, also to a file that is still to be made.
fn target(path: &Path) -> io::Result<PathBuf> {
    let mut target = path.to_path_buf();
    if let Ok(there) = path.canonicalize() {
        return Ok(there);
    }
    // As many as Linux follows.
    for _ in 0..40 {
        match fs::read_link(&target) {
            Ok(to) => target = target.parent().unwrap_or(Path::new("")).join(to),
            Err(_) => return Ok(target),
        }
    }
    Err(io::Error::other("it leads through too many symbolic links"))
}

pub(crate) fn write_error(path: &Path, cause: io::Error) -> Error {
    Error::Io {
        action: "write",
        path: path.to_owned(),
        cause,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_private_file_is_private_while_it_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.freq");
        let modes = || -> Vec<u32> {
            let files = fs::read_dir(folder.path()).unwrap();
            files
                .map(|f| f.unwrap().metadata().unwrap().permissions().mode() & 0o777)
                .collect()
        };
        write_atomically(&path, b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fill_atomically(&path, |file| {
            assert_eq!(modes(), [0o600, 0o600]);
            file.write_all(b"new").map_err(|e| write_error(&path, e))
        })
        .unwrap();
        assert_eq!(modes(), [0o600]);
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }
}
