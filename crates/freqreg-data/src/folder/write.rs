//! Pictures and masks written to files.

use std::path::Path;

use super::Mask;
use super::read::interleaved;
use crate::store::store_at;
use crate::{Error, Result};

/// Writes a PNG of 8 bits a value from pixels `[channels, height, width]`: grey for 1 channel, RGB for 3. The file is
/// there whole or not at all, and its folder is made where it is not there.
///
/// # Errors
/// [`Error::Picture`] for another number of channels, a side of 0 or above 2^31 - 1, or another number of pixels;
/// [`Error::Io`] where the file cannot be written.
pub fn write_png(
    path: &Path,
    channels: usize,
    height: usize,
    width: usize,
    pixels: &[u8],
) -> Result<()> {
    let file = path.display().to_string();
    let fault = |fault: String| Error::Picture {
        file: file.clone(),
        fault,
        remedy: "it was not written",
    };
    let wanted = height
        .checked_mul(width)
        .and_then(|plane| plane.checked_mul(channels));
    if !matches!(channels, 1 | 3) || wanted != Some(pixels.len()) {
        return Err(fault(format!(
            "{} values are no picture of {channels} x {height} x {width} (channels 1 or 3, height, width)",
            pixels.len()
        )));
    }
    let side = |side: usize| {
        let side = u32::try_from(side)
            .ok()
            .filter(|side| (1..1 << 31).contains(side));
        side.ok_or_else(|| fault(format!("{height} x {width} pixels are no size for a PNG")))
    };
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, side(width)?, side(height)?);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_color(match channels {
        1 => png::ColorType::Grayscale,
        _ => png::ColorType::Rgb,
    });
    let write = |encoder: png::Encoder<'_, &mut Vec<u8>>| {
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&interleaved(channels, pixels))?;
        writer.finish()
    };
    write(encoder).map_err(|e| fault(e.to_string()))?;
    store_at(path, &out).map_err(|cause| Error::Io {
        file: file.clone(),
        cause,
    })
}

/// Writes a mask as a grey PNG, background black and foreground white: [`read_mask`](super::read_mask) reads it back.
///
/// # Errors
/// As [`write_png`].
pub fn write_mask(path: &Path, mask: &Mask) -> Result<()> {
    let grey: Vec<u8> = mask
        .values
        .iter()
        .map(|&v| if v == 0 { 0 } else { 255 })
        .collect();
    write_png(path, 1, mask.height, mask.width, &grey)
}
