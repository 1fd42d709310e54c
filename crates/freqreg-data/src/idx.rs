//! The IDX format in which the data sets are published: a magic number, the lengths of the axes (big-endian, 32 bits
//! each), then one byte a pixel or label.

use crate::{CLASSES, Error, Images, Result};

const IMAGES_MAGIC: u32 = 0x0803;
const LABELS_MAGIC: u32 = 0x0801;

/// Reads a file of images and its file of labels, both uncompressed. `files` are their names, for errors.
///
/// # Errors
/// [`Error::Format`] where a magic number, an axis, the length of a file or a label is wrong, or the files hold different
/// numbers of images and labels. Nothing is allocated before the length has been checked.
pub fn parse(files: [&str; 2], images: &[u8], labels: &[u8]) -> Result<Images> {
    let ([count, height, width], pixels) = body(files[0], images, IMAGES_MAGIC)?;
    let ([label_count], labels) = body(files[1], labels, LABELS_MAGIC)?;
    let fault = |what, expected: String, found| Error::Format {
        file: files[1].to_owned(),
        what,
        expected,
        found,
    };
    if label_count != count {
        return Err(fault(
            "number of labels",
            format!("{count}, as many as images"),
            label_count as u64,
        ));
    }
    if let Some(i) = labels.iter().position(|&label| label >= CLASSES) {
        return Err(fault(
            "label",
            format!("0 to {}, for image {i}", CLASSES - 1),
            labels[i].into(),
        ));
    }
    Images::new(height, width, pixels.to_vec(), labels.to_vec())
}

/// The file of images and the file of labels that [`parse`] reads.
///
/// # Errors
/// [`Error::Format`] where an axis exceeds 32 bits, or the images have colours or masks, for which the format of the
/// published files has no place; [`Error::Images`] where the fields of `images` do not fit together.
pub fn write(images: &Images) -> Result<[Vec<u8>; 2]> {
    images.check()?;
    if images.channels != 1 || images.masked() {
        return Err(Error::Format {
            file: "a new IDX file".to_owned(),
            what: "number of channels (a mask counts as one)",
            expected: "1 and no mask".to_owned(),
            found: images.channels as u64 + u64::from(images.masked()),
        });
    }
    let pixels = file(
        IMAGES_MAGIC,
        &[images.count, images.height, images.width],
        &images.pixels,
    )?;
    let labels = file(LABELS_MAGIC, &[images.count], &images.labels)?;
    Ok([pixels, labels])
}

/// The axes of a file, and what follows them: exactly as many bytes as the axes ask for.
fn body<'a, const AXES: usize>(
    file: &str,
    bytes: &'a [u8],
    magic: u32,
) -> Result<([usize; AXES], &'a [u8])> {
    let fault = |what, expected: String, found: usize| Error::Format {
        file: file.to_owned(),
        what,
        expected,
        found: found as u64,
    };
    let (numbers, _) = bytes.as_chunks::<4>();
    if numbers.len() < 1 + AXES {
        return Err(fault(
            "length in bytes",
            format!("at least {}", 4 * (1 + AXES)),
            bytes.len(),
        ));
    }
    let number = |i: usize| u32::from_be_bytes(numbers[i]);
    if number(0) != magic {
        return Err(Error::Format {
            file: file.to_owned(),
            what: "magic number",
            expected: magic.to_string(),
            found: number(0).into(),
        });
    }
    let axes: [usize; AXES] = std::array::from_fn(|i| number(1 + i) as usize);
    if axes.contains(&0) {
        return Err(fault("length of an axis", "1 or more".to_owned(), 0));
    }
    let (head, rest) = bytes.split_at(4 * (1 + AXES));
    // Three axes of 32 bits can exceed 64 bits: count in 128.
    let expected = axes.iter().map(|&n| n as u128).product::<u128>() + head.len() as u128;
    match expected == bytes.len() as u128 {
        true => Ok((axes, rest)),
        false => Err(fault(
            "length in bytes",
            format!("{expected} for the axes {axes:?}"),
            bytes.len(),
        )),
    }
}

fn file(magic: u32, axes: &[usize], content: &[u8]) -> Result<Vec<u8>> {
    let mut out = magic.to_be_bytes().to_vec();
    for &axis in axes {
        let axis = u32::try_from(axis).map_err(|_| Error::Format {
            file: "a new IDX file".to_owned(),
            what: "length of an axis",
            expected: "below 2^32".to_owned(),
            found: axis as u64,
        })?;
        out.extend(axis.to_be_bytes());
    }
    out.extend(content);
    Ok(out)
}
