//! Writing files whole or not at all.

use std::io::{self, Write};
use std::path::Path;

use crate::{Error, Result};

/// Writes `bytes` to `path` so that at every moment the path holds what it held before or all of the new bytes: a
/// temporary file beside it is filled, flushed to the disk and renamed over it. Several may write at once: the last one to end prevails.
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
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".freq-").suffix(".part");
    // Temporary files are private by default; the result is an ordinary file, which the umask then narrows.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(folder).map_err(io)?;
    let mut buffered = io::BufWriter::with_capacity(1 << 20, file);
    fill(&mut buffered)?;
    let file = buffered.into_inner().map_err(|e| io(e.into_error()))?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|e| io(e.error))?;
    Ok(())
}

pub(crate) fn write_error(path: &Path, cause: io::Error) -> Error {
    Error::Io {
        action: "write",
        path: path.to_owned(),
        cause,
    }
}
