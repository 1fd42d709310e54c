//! A folder as a data set for segmentation.

use std::path::Path;

use super::{Pair, check_size, pairs, read_image, read_mask};
use crate::{Error, Images, Result};

/// How such a folder is laid out, in words for errors.
pub(crate) const LAYOUT: &str = "give a folder that holds images/ and masks/, or train/ and test/ with images/ and \
                                 masks/ in each, all pictures of one size";

/// The most bytes that the pictures of a set may take in memory, with their masks: 16 GiB.
const LIMIT: usize = 1 << 34;

/// Reads the images to train on and those to test on, `[count, 3, height, width]` with masks, in the order of their
/// names.
///
/// The folder holds `images` and `masks`; the last tenth of the pictures by name, at least one, is then the part to
/// test on. Or it holds `train` and `test`, with `images` and `masks` in each. Pictures and masks are paired as
/// [`pairs`] says, and all are of one size. For Carvana, the folders `train` and `train_masks` of the challenge are
/// `images` and `masks` here; the photographs of 1280 x 1918 pixels have to be scaled down first, by one factor.
///
/// # Errors
/// [`Error::Folder`] where the folder is laid out otherwise, holds too few pictures, or more than fit 16 GiB of memory;
/// as [`pairs`], [`read_image`], [`read_mask`] and [`check_size`]; [`Error::Size`] for the first picture that has not
/// the size of the first.
pub fn read_set(folder: &Path) -> Result<(Images, Images)> {
    let fault = |fault: String| Error::Folder {
        folder: folder.display().to_string(),
        fault,
        remedy: LAYOUT,
    };
    let pairs_in = |part: &str| {
        let inner = [part, "images"].iter().collect::<std::path::PathBuf>();
        let (images, masks) = (folder.join(&inner), folder.join(part).join("masks"));
        match [&images, &masks].into_iter().find(|f| !f.is_dir()) {
            Some(missing) => Err(fault(format!("there is no folder {}", missing.display()))),
            None => pairs(&images, &masks),
        }
    };
    let (train, test) = if folder.join("train").is_dir() {
        (pairs_in("train")?, pairs_in("test")?)
    } else {
        let mut train = pairs_in("")?;
        if train.len() < 2 {
            return Err(fault(
                "one picture cannot be parted into two parts".to_owned(),
            ));
        }
        let test = train.split_off(train.len() - train.len().div_ceil(10));
        (train, test)
    };
    Reader::new(folder, &train, &test)?.read(&train, &test)
}

/// Reads pictures into images, all of the size of the first.
struct Reader<'a> {
    first: &'a Path,
    size: (usize, usize),
}

impl<'a> Reader<'a> {
    /// Takes the size from the first picture, and makes sure that all will fit.
    fn new(folder: &Path, train: &'a [Pair], test: &[Pair]) -> Result<Self> {
        let fault = |fault| Error::Folder {
            folder: folder.display().to_string(),
            fault,
            remedy: "scale the pictures down, or take fewer",
        };
        let Some(Pair { image: first, .. }) = train.first() else {
            return Err(fault("there are no pictures to train on".to_owned()));
        };
        let picture = read_image(first)?;
        let (height, width) = (picture.height, picture.width);
        let count = train.len() + test.len();
        // Three colours and the mask.
        let bytes = (4 * height * width).checked_mul(count);
        match bytes {
            Some(bytes) if bytes <= LIMIT => Ok(Self {
                first,
                size: (height, width),
            }),
            _ => Err(fault(format!(
                "{count} pictures of {height} x {width} pixels take more than 16 GiB of memory"
            ))),
        }
    }

    fn read(&self, train: &[Pair], test: &[Pair]) -> Result<(Images, Images)> {
        Ok((self.part(train)?, self.part(test)?))
    }

    fn part(&self, pairs: &[Pair]) -> Result<Images> {
        let (height, width) = self.size;
        let plane = height * width;
        let mut pixels = Vec::with_capacity(pairs.len() * 3 * plane);
        let mut masks = Vec::with_capacity(pairs.len() * plane);
        for pair in pairs {
            let picture = read_image(&pair.image)?;
            let found = (picture.height, picture.width);
            if found != self.size {
                return Err(Error::Size {
                    file: pair.image.display().to_string(),
                    found,
                    expected: self.size,
                    as_in: self.first.display().to_string(),
                });
            }
            let mask = read_mask(&pair.mask)?;
            check_size(pair, &picture, &mask)?;
            pixels.extend_from_slice(&picture.pixels);
            masks.extend_from_slice(&mask.values);
        }
        Images::segmentation(3, height, width, pixels, masks)
    }
}
