//! Small images as PNG, as bytes or in a data URI.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The address of an image of 1 or 3 channels, its pixels interleaved; nothing if they do not fill it.
pub(super) fn data_uri(channels: usize, size: [usize; 2], pixels: &[u8]) -> Option<String> {
    let bytes = png(channels, size, pixels)?;
    Some(format!("data:image/png;base64,{}", STANDARD.encode(bytes)))
}

/// Such an image as the bytes of a file.
pub(super) fn png(channels: usize, [height, width]: [usize; 2], pixels: &[u8]) -> Option<Vec<u8>> {
    let size = height
        .checked_mul(width)
        .and_then(|n| n.checked_mul(channels));
    if pixels.is_empty() || size != Some(pixels.len()) {
        return None;
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(
        &mut bytes,
        u32::try_from(width).ok()?,
        u32::try_from(height).ok()?,
    );
    encoder.set_color(match channels {
        1 => png::ColorType::Grayscale,
        3 => png::ColorType::Rgb,
        _ => return None,
    });
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(pixels).ok()?;
    writer.finish().ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let pixels: Vec<u8> = (0..6).map(|i| i * 50).collect();
        let uri = data_uri(1, [2, 3], &pixels).expect("pixels fill the image");
        let bytes = STANDARD
            .decode(uri.strip_prefix("data:image/png;base64,").expect("a PNG"))
            .expect("base64");
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .expect("a header");
        let mut read = vec![0; 6];
        let frame = reader.next_frame(&mut read).expect("an image");
        assert_eq!((frame.width, frame.height), (3, 2));
        assert_eq!(read, pixels);
    }

    #[test]
    fn pixels_that_do_not_fill_the_image_are_none() {
        assert!(data_uri(1, [2, 3], &[0; 5]).is_none());
        assert!(data_uri(1, [0, 0], &[]).is_none());
        assert!(data_uri(3, [usize::MAX, 2], &[0; 5]).is_none());
    }
}
