//! Pictures and masks read from files. What a file is, its first bytes tell, not its name.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use png::{BitDepth, ColorType};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::Pair;
use crate::{Error, Result};

/// The most bytes of a file, and the most values of a picture: a file of a few bytes can announce any size.
const LIMIT: usize = 1 << 28;

/// What to do with a picture that is no 8-bit RGB.
const TO_RGB: &str = "convert it to 8-bit RGB, such as by \
                      `magick FILE -alpha remove -colorspace sRGB -type TrueColor -depth 8 PNG24:OUT.png`";

/// What to do with a mask that is no 8-bit grey.
const TO_GREY: &str = "convert it to 8-bit grey, black background and white foreground, such as by \
                       `magick FILE -alpha off -colorspace Gray -threshold 50% -depth 8 OUT.png`";

/// What to do with a file that cannot be decoded.
const AGAIN: &str = "fetch or write the file again";

/// A picture of three colours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// `[3, height, width]`: red, green, blue, each row-major from the top, 0 to 255.
    pub pixels: Vec<u8>,
}

/// Which pixels of a picture are foreground.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// `[height, width]`, row-major from the top: 0 for background, 1 for foreground.
    pub values: Vec<u8>,
}

/// Reads an 8-bit RGB picture, PNG or JPEG, as its values are stored: colour profiles and a camera's note of how it was
/// held are not applied.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read. [`Error::Picture`] for any other kind (grey, transparent, 16-bit, with
/// a palette, CMYK), a file that is broken or cut off, and one of more than 2^28 bytes or values.
pub fn read_image(path: &Path) -> Result<Picture> {
    let file = PictureFile::open(path)?;
    let (height, width, pixels) = match file.kind() {
        Some(Kind::Png) => file.rgb_of_png()?,
        Some(Kind::Jpeg) => file.rgb_of_jpeg()?,
        Some(Kind::Gif) => return Err(file.fault("it is a GIF, not a PNG or JPEG", TO_RGB)),
        None => return Err(file.fault("it is neither a PNG nor a JPEG", TO_RGB)),
    };
    Ok(Picture {
        height,
        width,
        pixels: planes(&pixels),
    })
}

/// Reads a mask: a grey PNG of 1 to 8 bits, or a PNG or GIF of colours (8-bit RGB, or with a palette) that are all
/// grey. Foreground is what is at least half as bright as white: 128 and above of 255.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read. [`Error::Picture`] for any other kind (coloured, transparent, 16-bit,
/// animated), a file that is broken or cut off, one of more than 2^28 bytes or values, and one that is not black and
/// yet nowhere bright enough to be foreground: its values stand for something else, such as 1 for foreground.
pub fn read_mask(path: &Path) -> Result<Mask> {
    let file = PictureFile::open(path)?;
    let (height, width, grey) = match file.kind() {
        Some(Kind::Png) => file.grey_of_png()?,
        Some(Kind::Gif) => file.grey_of_gif()?,
        Some(Kind::Jpeg) => {
            return Err(file.fault("it is a JPEG, which blurs the border of a mask", TO_GREY));
        }
        None => return Err(file.fault("it is neither a PNG nor a GIF", TO_GREY)),
    };
    match grey.iter().max() {
        Some(&brightest @ 1..128) => Err(file.fault(
            &format!("its brightest value is {brightest}, and foreground is 128 to 255"),
            "scale its values so that the foreground is 255",
        )),
        _ => Ok(Mask {
            height,
            width,
            values: grey.iter().map(|&value| u8::from(value >= 128)).collect(),
        }),
    }
}

/// Checks that a picture and its mask, as read from the files of `pair`, have one size.
///
/// # Errors
/// [`Error::Size`] that names the mask, the picture, and both sizes.
pub fn check_size(pair: &Pair, picture: &Picture, mask: &Mask) -> Result<()> {
    let (found, expected) = ((mask.height, mask.width), (picture.height, picture.width));
    match found == expected {
        true => Ok(()),
        false => Err(Error::Size {
            file: pair.mask.display().to_string(),
            found,
            expected,
            as_in: pair.image.display().to_string(),
        }),
    }
}

/// Pixel after pixel, from `[channels, ...]`.
pub(super) fn interleaved(channels: usize, planes: &[u8]) -> Vec<u8> {
    let plane = planes.len() / channels.max(1);
    let values = (0..plane).flat_map(|i| planes.iter().skip(i).step_by(plane));
    values.copied().collect()
}

/// `[3, ...]` from pixel after pixel.
fn planes(rgb: &[u8]) -> Vec<u8> {
    let plane = |c: usize| rgb.iter().skip(c).step_by(3);
    (0..3).flat_map(plane).copied().collect()
}

/// What a file can be.
enum Kind {
    Png,
    Jpeg,
    Gif,
}

/// Height, width and values.
type Decoded = (usize, usize, Vec<u8>);

/// A file in memory, and its path for errors.
struct PictureFile<'a> {
    path: &'a Path,
    bytes: Vec<u8>,
}

impl<'a> PictureFile<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let mut bytes = Vec::new();
        let read = |file: File| file.take(LIMIT as u64 + 1).read_to_end(&mut bytes);
        File::open(path).and_then(read).map_err(|cause| Error::Io {
            file: path.display().to_string(),
            cause,
        })?;
        let file = Self { path, bytes };
        match file.bytes.len() {
            0 => Err(file.fault("it is empty", AGAIN)),
            n if n > LIMIT => Err(file.fault("it has more than 2^28 bytes", "scale it down")),
            _ => Ok(file),
        }
    }

    fn kind(&self) -> Option<Kind> {
        match self.bytes.as_slice() {
            [0x89, b'P', b'N', b'G', ..] => Some(Kind::Png),
            [0xFF, 0xD8, 0xFF, ..] => Some(Kind::Jpeg),
            [b'G', b'I', b'F', b'8', ..] => Some(Kind::Gif),
            _ => None,
        }
    }

    fn fault(&self, fault: &str, remedy: &'static str) -> Error {
        Error::Picture {
            file: self.path.display().to_string(),
            fault: fault.to_owned(),
            remedy,
        }
    }

    fn broken(&self, cut_off: bool, cause: impl ToString) -> Error {
        let what = if cut_off { "cut off" } else { "broken" };
        self.fault(&format!("it is {what} ({})", cause.to_string()), AGAIN)
    }

    /// Checks the size that a file announces, before anything of that size is allocated.
    fn check_size(&self, height: usize, width: usize) -> Result<(usize, usize)> {
        let values = height.checked_mul(width).and_then(|n| n.checked_mul(3));
        match values {
            Some(1..=LIMIT) => Ok((height, width)),
            _ => Err(self.fault(
                &format!("it announces {height} x {width} pixels, and 2^28 values are the most"),
                "scale it down",
            )),
        }
    }

    fn rgb_of_png(&self) -> Result<Decoded> {
        let png = self.png()?;
        let info = png.info();
        let kind = match (info.color_type, info.bit_depth) {
            (ColorType::Rgb, BitDepth::Eight) if info.trns.is_none() => None,
            (_, BitDepth::Sixteen) => Some("16-bit"),
            (ColorType::Grayscale | ColorType::GrayscaleAlpha, _) => Some("grey"),
            (ColorType::Indexed, _) => Some("a picture with a palette"),
            (ColorType::Rgb | ColorType::Rgba, _) => Some("transparent (RGBA)"),
        };
        match kind {
            Some(kind) => Err(self.fault(&format!("it is {kind}, not 8-bit RGB"), TO_RGB)),
            None => Ok(self.decode_png(png)?.0),
        }
    }

    fn grey_of_png(&self) -> Result<Decoded> {
        let png = self.png()?;
        let info = png.info();
        // Some transparency hides among the entries of a palette: there it says nothing of the colours.
        let transparent = match info.color_type {
            ColorType::GrayscaleAlpha | ColorType::Rgba => true,
            ColorType::Grayscale | ColorType::Rgb => info.trns.is_some(),
            ColorType::Indexed => false,
        };
        if info.bit_depth == BitDepth::Sixteen {
            return Err(self.fault("it is 16-bit, not 8-bit grey", TO_GREY));
        }
        if transparent {
            return Err(self.fault("it is transparent, not 8-bit grey", TO_GREY));
        }
        let ((height, width, values), channels) = self.decode_png(png)?;
        if channels == 1 {
            return Ok((height, width, values));
        }
        let colours = values.chunks_exact(channels);
        let grey = colours.map(|colour| self.grey_of(&colour[..3]));
        Ok((height, width, grey.collect::<Result<_>>()?))
    }

    /// The grey value of a colour that is grey.
    fn grey_of(&self, colour: &[u8]) -> Result<u8> {
        match *colour {
            [r, g, b] if r == g && g == b => Ok(r),
            _ => Err(self.fault(
                &format!("it is coloured ({colour:?}), and no colour is known to be foreground"),
                TO_GREY,
            )),
        }
    }

    /// A PNG whose header was read and whose size is fit. Values come as bytes, palettes as colours.
    fn png(&self) -> Result<png::Reader<Cursor<&[u8]>>> {
        let limits = png::Limits { bytes: LIMIT };
        let mut decoder = png::Decoder::new_with_limits(Cursor::new(self.bytes.as_slice()), limits);
        let header = decoder.read_header_info().map_err(|e| self.png_error(e))?;
        self.check_size(header.height as usize, header.width as usize)?;
        decoder.set_transformations(png::Transformations::EXPAND);
        decoder.read_info().map_err(|e| self.png_error(e))
    }

    /// The values of a PNG, pixel after pixel, and how many a pixel has.
    fn decode_png(&self, mut png: png::Reader<Cursor<&[u8]>>) -> Result<(Decoded, usize)> {
        let size = png
            .output_buffer_size()
            .ok_or_else(|| self.fault("it is too large", "scale it down"))?;
        let mut values = vec![0; size];
        let frame = png.next_frame(&mut values).map_err(|e| self.png_error(e))?;
        // What follows the picture is checked too: a file that was cut there may have lost more than it seems.
        png.finish().map_err(|e| self.png_error(e))?;
        let decoded = (frame.height as usize, frame.width as usize, values);
        Ok((decoded, frame.color_type.samples()))
    }

    fn png_error(&self, error: png::DecodingError) -> Error {
        let cut_off = matches!(&error, png::DecodingError::IoError(e)
            if e.kind() == io::ErrorKind::UnexpectedEof);
        self.broken(cut_off, error)
    }

    fn rgb_of_jpeg(&self) -> Result<Decoded> {
        let side = u16::MAX.into();
        let options = DecoderOptions::default()
            .set_strict_mode(true)
            .set_max_height(side)
            .set_max_width(side)
            .jpeg_set_out_colorspace(ColorSpace::RGB);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&self.bytes), options);
        // A JPEG ends with this marker; what follows it, such as a camera's notes, is not the picture's.
        let ends = self.bytes.windows(2).rev().any(|pair| pair == [0xFF, 0xD9]);
        decoder
            .decode_headers()
            .map_err(|e| self.broken(!ends, e))?;
        match decoder.input_colorspace() {
            Some(ColorSpace::YCbCr | ColorSpace::RGB) => {}
            Some(ColorSpace::Luma) => return Err(self.fault("it is grey, not 8-bit RGB", TO_RGB)),
            other => {
                let other = other.map_or("unknown".to_owned(), |other| format!("{other:?}"));
                return Err(self.fault(&format!("its colours are {other}, not 8-bit RGB"), TO_RGB));
            }
        }
        let info = decoder
            .info()
            .ok_or_else(|| self.broken(!ends, "it says nothing of its size"))?;
        let (height, width) = self.check_size(info.height.into(), info.width.into())?;
        let pixels = decoder.decode().map_err(|e| self.broken(!ends, e))?;
        if !ends {
            return Err(self.broken(true, "its end is missing"));
        }
        match pixels.len() == 3 * height * width {
            true => Ok((height, width, pixels)),
            false => Err(self.broken(false, "it has not the size that it announces")),
        }
    }

    fn grey_of_gif(&self) -> Result<Decoded> {
        // A GIF ends with a semicolon.
        let ends = self.bytes.ends_with(b";");
        let error = |e: gif::DecodingError| self.broken(!ends, e);
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::Indexed);
        options.check_frame_consistency(true);
        options.check_lzw_end_code(true);
        let mut decoder = options.read_info(self.bytes.as_slice()).map_err(error)?;
        let (height, width) = (decoder.height().into(), decoder.width().into());
        self.check_size(height, width)?;
        let global = decoder.global_palette().map(<[u8]>::to_vec);
        let frame = decoder.read_next_frame().map_err(error)?;
        let frame = frame
            .ok_or_else(|| self.broken(true, "it holds no picture"))?
            .clone();
        if (frame.top, frame.left) != (0, 0)
            || (usize::from(frame.height), usize::from(frame.width)) != (height, width)
        {
            return Err(self.fault("its picture covers only a part of it", TO_GREY));
        }
        if frame.transparent.is_some() {
            return Err(self.fault("it is transparent, not 8-bit grey", TO_GREY));
        }
        if decoder.read_next_frame().map_err(error)?.is_some() {
            return Err(self.fault("it is animated: it holds more than one picture", TO_GREY));
        }
        let palette = frame.palette.clone().or(global).unwrap_or_default();
        let mut greys = Vec::with_capacity(palette.len() / 3);
        for index in 0..=255u8 {
            // Entries that no pixel uses may have any colour.
            greys.push(match frame.buffer.contains(&index) {
                false => 0,
                true => match palette
                    .get(3 * usize::from(index)..)
                    .and_then(|p| p.get(..3))
                {
                    Some(colour) => self.grey_of(colour)?,
                    None => return Err(self.broken(false, "it uses a colour that it lacks")),
                },
            });
        }
        let grey = frame.buffer.iter().map(|&index| greys[usize::from(index)]);
        Ok((height, width, grey.collect()))
    }
}
