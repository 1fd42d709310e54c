//! Pictures and masks as they should be, and in every way they should not.

use std::fs;
use std::path::Path;

use freqreg_data::Error;
use freqreg_data::folder::{
    Mask, Pair, Picture, check_size, read_image, read_mask, write_mask, write_png,
};
use png::{BitDepth, ColorType};
use proptest::prelude::*;
use tempfile::tempdir;

/// What a PNG holds beside its pixels.
type Extra<'a> = &'a dyn Fn(&mut png::Encoder<'_, &mut Vec<u8>>);

fn png_of(colour: ColorType, depth: BitDepth, width: u32, data: &[u8], extra: Extra) -> Vec<u8> {
    let mut out = Vec::new();
    let bits = colour.samples() * depth as usize * width as usize;
    let height = (data.len() / bits.div_ceil(8)) as u32;
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    extra(&mut encoder);
    encoder
        .write_header()
        .unwrap()
        .write_image_data(data)
        .unwrap();
    out
}

fn png(colour: ColorType, depth: BitDepth, width: u32, data: &[u8]) -> Vec<u8> {
    png_of(colour, depth, width, data, &|_| ())
}

fn jpeg(colour: jpeg_encoder::ColorType, width: u16, height: u16, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut out, 100);
    encoder.encode(data, width, height, colour).unwrap();
    out
}

fn gif(width: u16, palette: &[u8], frames: &[&[u8]], change: impl Fn(&mut gif::Frame)) -> Vec<u8> {
    let mut out = Vec::new();
    let height = (frames[0].len() / usize::from(width)) as u16;
    let mut encoder = gif::Encoder::new(&mut out, width, height, palette).unwrap();
    for &indices in frames {
        let mut frame = gif::Frame::from_indexed_pixels(width, height, indices, None);
        change(&mut frame);
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    out
}

/// Writes the bytes to a file of any name and has it read.
fn read<T>(bytes: &[u8], read: impl Fn(&Path) -> Result<T, Error>) -> Result<T, Error> {
    let folder = tempdir().unwrap();
    let path = folder.path().join("picture");
    fs::write(&path, bytes).unwrap();
    read(&path)
}

/// The message of a picture that is refused.
fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(error @ Error::Picture { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_picture_comes_upright_plane_after_plane() {
    // Two rows: red, green, blue; black, white, grey.
    let data = [
        255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 128, 128, 128,
    ];
    let picture = read(&png(ColorType::Rgb, BitDepth::Eight, 3, &data), read_image).unwrap();
    let pixels = vec![
        255, 0, 0, 0, 255, 128, 0, 255, 0, 0, 255, 128, 0, 0, 255, 0, 255, 128,
    ];
    assert_eq!(
        picture,
        Picture {
            height: 2,
            width: 3,
            pixels
        }
    );
}

#[test]
fn a_jpeg_is_read_as_the_picture_it_was_made_of() {
    // Smooth, for a JPEG keeps nothing else well: red rises downwards, blue to the right. Sides of no whole block.
    let (height, width) = (41, 25);
    let colour = |i: usize| [(i / width * 6) as u8, 100, (i % width * 10) as u8];
    let data: Vec<u8> = (0..height * width).flat_map(colour).collect();
    for (progressive, sampling) in [
        (false, jpeg_encoder::SamplingFactor::R_4_4_4),
        (false, jpeg_encoder::SamplingFactor::R_4_2_0),
        (true, jpeg_encoder::SamplingFactor::R_4_2_2),
    ] {
        let mut bytes = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 100);
        encoder.set_progressive(progressive);
        encoder.set_sampling_factor(sampling);
        encoder
            .encode(&data, 25, 41, jpeg_encoder::ColorType::Rgb)
            .unwrap();
        let picture = read(&bytes, read_image).unwrap();
        assert_eq!((picture.height, picture.width), (height, width));
        for i in 0..height * width {
            for (c, wanted) in colour(i).into_iter().enumerate() {
                let found = picture.pixels[c * height * width + i];
                assert!(
                    found.abs_diff(wanted) <= 12,
                    "{found} for {wanted}, channel {c} of pixel {i}"
                );
            }
        }
    }
}

#[test]
fn pictures_of_other_kinds_are_refused_by_name_with_what_to_do() {
    use BitDepth::*;
    let grey = jpeg(jpeg_encoder::ColorType::Luma, 8, 8, &[9; 64]);
    let cmyk = jpeg(jpeg_encoder::ColorType::Cmyk, 8, 8, &[9; 256]);
    let palette = png_of(ColorType::Indexed, Eight, 2, &[0, 1], &|e| {
        e.set_palette(&[0; 6][..])
    });
    let keyed = png_of(ColorType::Rgb, Eight, 1, &[0; 3], &|e| {
        e.set_trns(&[0; 6][..])
    });
    for (bytes, kind) in [
        (png(ColorType::Grayscale, Eight, 2, &[0; 4]), "it is grey"),
        (png(ColorType::Grayscale, One, 8, &[0; 4]), "it is grey"),
        (
            png(ColorType::GrayscaleAlpha, Eight, 2, &[0; 4]),
            "it is grey",
        ),
        (png(ColorType::Rgba, Eight, 1, &[0; 4]), "it is transparent"),
        (keyed, "it is transparent"),
        (png(ColorType::Rgb, Sixteen, 1, &[0; 6]), "it is 16-bit"),
        (
            png(ColorType::Grayscale, Sixteen, 1, &[0; 2]),
            "it is 16-bit",
        ),
        (palette, "it is a picture with a palette"),
        (grey, "it is grey"),
        (cmyk, "its colours are"),
        (gif(1, &[0; 6], &[&[0]], |_| ()), "it is a GIF"),
        (b"BM a bitmap".to_vec(), "it is neither a PNG nor a JPEG"),
    ] {
        let text = refused(read(&bytes, read_image));
        assert!(
            text.contains(kind) && text.contains("convert it to 8-bit RGB"),
            "{kind}: {text}"
        );
    }
    assert!(refused(read(b"", read_image)).contains("it is empty"));
}

/// Any picture of three channels, with much in it that compresses badly: every cut loses something.
fn noise(count: usize) -> Vec<u8> {
    (0..count as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

#[test]
fn pictures_cut_off_anywhere_are_refused() {
    let rgb = png(ColorType::Rgb, BitDepth::Eight, 8, &noise(8 * 8 * 3));
    let jpeg = jpeg(jpeg_encoder::ColorType::Rgb, 8, 8, &noise(8 * 8 * 3));
    let (rgb_length, jpeg_length) = (rgb.len(), jpeg.len());
    for (bytes, length) in [(rgb, rgb_length), (jpeg, jpeg_length)] {
        read(&bytes, read_image).unwrap();
        for length in 1..length {
            let text = refused(read(&bytes[..length], read_image));
            // Of so few bytes even the kind cannot be told.
            assert!(length < 4 || text.contains("cut off"), "{length}: {text}");
        }
    }
}

#[test]
fn masks_cut_off_anywhere_are_refused() {
    let grey = png(ColorType::Grayscale, BitDepth::Eight, 8, &[255; 64]);
    let indices: Vec<u8> = noise(64).iter().map(|v| v % 2).collect();
    let gif = gif(8, &[0, 0, 0, 255, 255, 255], &[&indices], |_| ());
    for bytes in [grey, gif] {
        read(&bytes, read_mask).unwrap();
        for length in 1..bytes.len() {
            let text = refused(read(&bytes[..length], read_mask));
            assert!(length < 4 || text.contains("cut off"), "{length}: {text}");
        }
    }
}

#[test]
fn a_damaged_picture_is_refused() {
    let mut bytes = png(ColorType::Rgb, BitDepth::Eight, 8, &noise(8 * 8 * 3));
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    assert!(refused(read(&bytes, read_image)).contains("it is broken"));
}

#[test]
fn a_file_that_announces_a_huge_picture_is_refused_before_anything_is_allocated() {
    let mut bytes = png(ColorType::Rgb, BitDepth::Eight, 1, &[0; 3]);
    bytes[16..24].copy_from_slice(&[0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF]);
    // The header's checksum, as a forger would write it.
    let crc = crc(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    for text in [
        refused(read(&bytes, read_image)),
        refused(read(&bytes, read_mask)),
    ] {
        assert!(
            text.contains("announces 2147483647 x 2147483647 pixels"),
            "{text}"
        );
    }
    let mut bytes = jpeg(jpeg_encoder::ColorType::Rgb, 8, 8, &[0; 192]);
    let frame = bytes
        .windows(2)
        .position(|pair| pair == [0xFF, 0xC0])
        .unwrap();
    bytes[frame + 5..frame + 9].fill(0xFF);
    let text = refused(read(&bytes, read_image));
    assert!(text.contains("announces 65535 x 65535 pixels"), "{text}");
}

/// The checksum of a PNG's chunk.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| {
            if c & 1 == 1 {
                c >> 1 ^ 0xEDB8_8320
            } else {
                c >> 1
            }
        })
    })
}

#[test]
fn a_mask_is_foreground_from_half_on() {
    let grey = png(
        ColorType::Grayscale,
        BitDepth::Eight,
        3,
        &[0, 127, 128, 255, 1, 254],
    );
    let mask = read(&grey, read_mask).unwrap();
    assert_eq!(
        mask,
        Mask {
            height: 2,
            width: 3,
            values: vec![0, 0, 1, 1, 0, 1]
        }
    );
}

#[test]
fn masks_of_one_bit_of_a_palette_and_of_gif_are_read() {
    let expected = Mask {
        height: 2,
        width: 3,
        values: vec![0, 1, 1, 1, 0, 0],
    };
    let black_and_white: &'static [u8] = &[0, 0, 0, 255, 255, 255];
    let indices = [0, 1, 1, 1, 0, 0];
    let palette: Extra = &|e| e.set_palette(black_and_white);
    for bytes in [
        png(
            ColorType::Grayscale,
            BitDepth::One,
            3,
            &[0b0110_0000, 0b1000_0000],
        ),
        png_of(
            ColorType::Indexed,
            BitDepth::One,
            3,
            &[0b0110_0000, 0b1000_0000],
            palette,
        ),
        png_of(ColorType::Indexed, BitDepth::Eight, 3, &indices, palette),
        png(
            ColorType::Rgb,
            BitDepth::Eight,
            3,
            &indices.map(|v| [v * 255; 3]).concat(),
        ),
        gif(3, black_and_white, &[&indices], |_| ()),
        // A palette of the picture's own goes before that of the file; the order of its colours is any.
        gif(3, &[9; 6], &[&indices.map(|v| 1 - v)], |f| {
            f.palette = Some(vec![255, 255, 255, 0, 0, 0])
        }),
    ] {
        assert_eq!(read(&bytes, read_mask).unwrap(), expected);
    }
}

#[test]
fn masks_of_other_kinds_are_refused_by_name_with_what_to_do() {
    use BitDepth::*;
    let red: Extra = &|e| e.set_palette(&[0, 0, 0, 128, 0, 0][..]);
    for (bytes, kind) in [
        (
            png(ColorType::Grayscale, Sixteen, 1, &[0; 2]),
            "it is 16-bit",
        ),
        (
            png(ColorType::GrayscaleAlpha, Eight, 1, &[0; 2]),
            "it is transparent",
        ),
        (png(ColorType::Rgba, Eight, 1, &[0; 4]), "it is transparent"),
        (
            png(ColorType::Rgb, Eight, 1, &[255, 0, 0]),
            "it is coloured",
        ),
        (
            png_of(ColorType::Indexed, Eight, 2, &[0, 1], red),
            "it is coloured",
        ),
        (
            png(ColorType::Grayscale, Eight, 2, &[0, 1]),
            "its brightest value is 1",
        ),
        (
            gif(1, &[0, 0, 0, 9, 8, 7], &[&[1]], |_| ()),
            "it is coloured",
        ),
        (gif(1, &[0; 6], &[&[0], &[0]], |_| ()), "it is animated"),
        (
            gif(2, &[0; 6], &[&[0, 0]], |f| f.transparent = Some(1)),
            "it is transparent",
        ),
        (
            jpeg(jpeg_encoder::ColorType::Luma, 8, 8, &[255; 64]),
            "it is a JPEG",
        ),
        (b"P5 1 1 255 0".to_vec(), "it is neither a PNG nor a GIF"),
    ] {
        let text = refused(read(&bytes, read_mask));
        assert!(text.contains(kind), "{kind}: {text}");
    }
    // Palettes that lack a colour that is used. That of a PNG counts as black, as its standard suggests.
    assert!(
        refused(read(&gif(1, &[0; 3], &[&[3]], |_| ()), read_mask))
            .contains("a colour that it lacks")
    );
    let lacking = png_of(ColorType::Indexed, Eight, 2, &[0, 1], &|e| {
        e.set_palette(&[255; 3][..])
    });
    assert_eq!(read(&lacking, read_mask).unwrap().values, [1, 0]);
    // Nothing in it, but that is what it says.
    let black = png(ColorType::Grayscale, Eight, 2, &[0, 0]);
    assert_eq!(read(&black, read_mask).unwrap().values, [0, 0]);
}

#[test]
fn a_mask_of_another_size_is_an_error_with_both_sizes() {
    let pair = Pair {
        image: "a.png".into(),
        mask: "m.png".into(),
    };
    let picture = Picture {
        height: 2,
        width: 3,
        pixels: vec![0; 18],
    };
    let mask = Mask {
        height: 3,
        width: 2,
        values: vec![0; 6],
    };
    let error = check_size(&pair, &picture, &mask).unwrap_err();
    assert_eq!(
        error.to_string(),
        "m.png has 3 x 2 pixels (height, width), expected 2 x 3 as a.png has; scale one of them"
    );
    check_size(
        &pair,
        &picture,
        &Mask {
            height: 2,
            width: 3,
            ..mask
        },
    )
    .unwrap();
}

#[test]
fn what_cannot_be_a_picture_is_not_written() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("out.png");
    for (channels, height, width, count) in [
        (1, 2, 2, 3),
        (2, 2, 2, 8),
        (3, 0, 2, 0),
        (1, usize::MAX, 2, 0),
        (1, 1 << 31, 0, 0),
    ] {
        refused(write_png(&path, channels, height, width, &vec![0; count]));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    // Where a folder stands, no file can be put.
    fs::create_dir(&path).unwrap();
    assert!(matches!(
        write_png(&path, 1, 1, 1, &[0]),
        Err(Error::Io { .. })
    ));
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "a temporary file was left behind"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn what_is_written_is_read((height, width) in (1usize..12, 1usize..12), values in prop::collection::vec(any::<u8>(), 432)) {
        let folder = tempdir().unwrap();
        let path = folder.path().join("new/out.png");
        let pixels = values[..3 * height * width].to_vec();
        write_png(&path, 3, height, width, &pixels).unwrap();
        prop_assert_eq!(read_image(&path).unwrap(), Picture { height, width, pixels: pixels.clone() });

        // Over what stands there.
        let mask = Mask { height, width, values: pixels[..height * width].iter().map(|v| v & 1).collect() };
        write_mask(&path, &mask).unwrap();
        prop_assert_eq!(read_mask(&path).unwrap(), mask);
        prop_assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
    }

    /// Whatever stands in a file, reading it ends, and not in a panic.
    #[test]
    fn any_damage_is_an_error_or_a_picture(at in any::<prop::sample::Index>(), byte in any::<u8>(), which in 0usize..3) {
        let mut bytes = match which {
            0 => png(ColorType::Rgb, BitDepth::Eight, 4, &noise(48)),
            1 => jpeg(jpeg_encoder::ColorType::Rgb, 16, 8, &noise(384)),
            _ => gif(4, &[0, 0, 0, 255, 255, 255], &[&[0, 1, 1, 0]], |_| ()),
        };
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = read(&bytes, read_image);
        let _ = read(&bytes, read_mask);
    }
}
