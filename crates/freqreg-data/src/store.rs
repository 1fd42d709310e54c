//! Files that are there whole or not at all.

use std::io::{self, Write};
use std::path::Path;

/// Writes a file into `folder`, which is made where it is not there: beside its place at first, then moved to it.
pub(crate) fn store(folder: &Path, file: &str, content: &[u8]) -> io::Result<()> {
    store_at(&folder.join(file), content)
}

/// Writes a file of any path, as [`store`] does.
pub(crate) fn store_at(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    // Temporary files are private by default; these may serve others, as far as the umask lets them.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut temporary = builder.tempfile_in(folder)?;
    temporary.write_all(content)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|e| e.error)?;
    Ok(())
}
