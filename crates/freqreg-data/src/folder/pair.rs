//! Which pictures a folder holds, and which mask belongs to which.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A picture and its mask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The picture, for [`read_image`](super::read_image).
    pub image: PathBuf,
    /// Its mask, for [`read_mask`](super::read_mask).
    pub mask: PathBuf,
}

/// The pictures of a folder, those with the extension png, jpg or jpeg in letters of either case, sorted by name.
/// Other files are passed over, and so are hidden ones and folders.
///
/// # Errors
/// [`Error::Io`] where the folder cannot be read, [`Error::Folder`] where it holds no picture, or two pictures whose
/// names differ only in the extension: what is made of one would replace what is made of the other.
pub fn list(images: &Path) -> Result<Vec<PathBuf>> {
    Ok(by_stem(images, &["png", "jpg", "jpeg"])?
        .into_values()
        .collect())
}

/// The pictures of a folder with their masks from another, sorted by the pictures' names.
///
/// The mask of `NAME.jpg` or `NAME.png` is the first there is of `NAME.png` or `NAME.gif`, `NAME_mask.png` or
/// `NAME_mask.gif`, and, for a picture `inREST`, `gtREST.png` or `gtREST.gif`. Masks without a picture are passed over.
///
/// # Errors
/// As [`list`] for either folder; [`Error::Folder`] that names the first picture without a mask.
pub fn pairs(images: &Path, masks: &Path) -> Result<Vec<Pair>> {
    let found = by_stem(images, &["png", "jpg", "jpeg"])?;
    let masks_by_stem = by_stem(masks, &["png", "gif"])?;
    let mask_of = |(stem, image): (OsString, PathBuf)| {
        let names = mask_names(&stem);
        match names.iter().find_map(|name| masks_by_stem.get(name)) {
            Some(mask) => Ok(Pair {
                image,
                mask: mask.clone(),
            }),
            None => Err(Error::Folder {
                folder: masks.display().to_string(),
                fault: format!("there is no mask of {}", image.display()),
                remedy: "a mask is a .png or .gif of the picture's name, with or without _mask behind it; that of \
                         inNAME may be gtNAME",
            }),
        }
    };
    found.into_iter().map(mask_of).collect()
}

/// The names, without extension, that the mask of a picture may have, the likeliest first.
fn mask_names(stem: &OsStr) -> Vec<OsString> {
    let mut with_suffix = stem.to_owned();
    with_suffix.push("_mask");
    let mut names = vec![stem.to_owned(), with_suffix];
    if let Some(rest) = stem.to_str().and_then(|stem| stem.strip_prefix("in")) {
        names.push(format!("gt{rest}").into());
    }
    names
}

/// The files of a folder that have one of the extensions, by their names without it.
fn by_stem(folder: &Path, extensions: &[&str]) -> Result<BTreeMap<OsString, PathBuf>> {
    let io = |cause| Error::Io {
        file: folder.display().to_string(),
        cause,
    };
    let fault = |fault, remedy| Error::Folder {
        folder: folder.display().to_string(),
        fault,
        remedy,
    };
    let mut found: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let (Some(stem), Some(extension)) = (path.file_stem(), path.extension()) else {
            continue;
        };
        // Some systems leave hidden twins of pictures, `._NAME.png`.
        let hidden = stem.as_encoded_bytes().starts_with(b".");
        let wanted = extensions.iter().any(|e| extension.eq_ignore_ascii_case(e));
        if hidden || !wanted || !path.is_file() {
            continue;
        }
        if let Some(other) = found.insert(stem.to_owned(), path.clone()) {
            // A folder is listed in any order; the message should not depend on it.
            let mut twins = [other, path].map(|p| p.display().to_string());
            twins.sort();
            let [first, second] = twins;
            return Err(fault(
                format!("{first} and {second} differ only in the extension"),
                "rename or remove one of them",
            ));
        }
    }
    match found.is_empty() {
        false => Ok(found),
        true => Err(fault(
            format!("it holds no picture ({})", extensions.join(", ")),
            "give the folder in which the pictures themselves lie",
        )),
    }
}
