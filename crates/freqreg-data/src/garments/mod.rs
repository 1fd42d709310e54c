//! A generated set for segmentation: garments of Fashion-MNIST on generated grounds, with exact masks.
//!
//! Everything here is counted in integers, so that a seed gives the same pictures, to the last bit, on every machine.

mod ground;
mod silhouette;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use crate::draw::{below, stream};
use crate::{Dataset, DatasetName, Error, Images, Result};
use ground::{Colour, Ground};
use silhouette::Garment;

/// Pixels from top to bottom, and from left to right, of the images of [`DatasetName::Garments`].
const SIZE: usize = 96;
/// How many images it has to train on, and the seed of them.
const TRAIN: (usize, u64) = (4_000, 0);
/// How many images it has to test on, and the seed of them.
const TEST: (usize, u64) = (500, 1);

/// Sides that can be asked for: below, a garment is a few pixels; above, 28 pixels are blown up beyond all likeness.
const SIZES: std::ops::RangeInclusive<usize> = 16..=1024;

/// The parts of [`DatasetName::Garments`] from those of Fashion-MNIST.
pub(crate) fn from_fashion(fashion: Dataset) -> Result<Dataset> {
    let part = |images: &Images, (count, seed)| garments(images, count, SIZE, seed);
    Ok(Dataset {
        name: DatasetName::Garments,
        train: part(&fashion.train, TRAIN)?,
        test: part(&fashion.test, TEST)?,
        source: fashion.source,
    })
}

/// Generates `count` images of `size` x `size` pixels, `[count, 3, size, size]`, with masks: in each a garment of
/// `fashion`, grey images such as those of Fashion-MNIST, on a ground.
///
/// - The ground mixes smooth noise of several octaves, a gradient and stripes between two random colours; up to three
///   rectangles lie on it.
/// - The garment is any of the images, flipped or not, 3/8 to 15/16 of `size` wide and high (bilinear), anywhere where
///   it is wholly inside. Its colour is random, in two cases of three drawn half-way to a colour of the ground; its
///   brightness is that of the image, with noise of its own. So no threshold on a colour separates it.
/// - Its silhouette is what the image holds above 15 of 255, with the holes in it filled. The mask is 1 where the
///   silhouette, scaled, covers at least half of a pixel (128 of 255).
///
/// Each image follows from `fashion`, `size`, the seed and the image's index alone, in integers: it is the same on every
/// machine, and whatever the count.
///
/// # Errors
/// [`Error::Garments`] where `fashion` has no images, or images with colours or masks or without pixels, where `size` is
/// not 16 to 1024, or where so many images have more values than can be counted.
pub fn garments(fashion: &Images, count: usize, size: usize, seed: u64) -> Result<Images> {
    fashion.check()?;
    let refuse = |fault: String| Err(Error::Garments { fault });
    if fashion.channels != 1 || fashion.masked() || fashion.pixels.is_empty() {
        return refuse(format!(
            "{} images of {} channels{} were given, grey ones with classes are wanted",
            fashion.count,
            fashion.channels,
            if fashion.masked() { " with masks" } else { "" },
        ));
    }
    if !SIZES.contains(&size) {
        return refuse(format!(
            "a size of {size} was asked for, 16 to 1024 is possible"
        ));
    }
    let plane = size * size;
    let Some(values) = count.checked_mul(3 * plane).filter(|&v| v < 1 << 40) else {
        return refuse(format!(
            "{count} images of {size} x {size} pixels are too many"
        ));
    };
    let mut pixels = Vec::with_capacity(values);
    let mut masks = Vec::with_capacity(values / 3);
    for i in 0..count {
        let mut rng = stream(seed);
        rng.set_stream(i as u64);
        let chosen = below(&mut rng, fashion.count as u64) as usize;
        let image = fashion.image(chosen).unwrap_or_default();
        let garment = Garment::new(image, fashion.height, fashion.width);
        compose(&mut rng, &garment, size, &mut pixels, &mut masks);
    }
    Images::segmentation(3, size, size, pixels, masks)
}

/// Appends one image and its mask.
fn compose(
    rng: &mut ChaCha8Rng,
    garment: &Garment,
    size: usize,
    pixels: &mut Vec<u8>,
    masks: &mut Vec<u8>,
) {
    let ground = Ground::draw(rng, size);
    let tints = ground.ends.map(|end| tint(rng, end));
    let cloth = ground::texture(rng, size, tints);
    let side = size * 3 / 8 + below(rng, (size * 9 / 16 + 1) as u64) as usize;
    let mut offset = || below(rng, (size - side + 1) as u64) as usize;
    let (top, left) = (offset(), offset());
    let flipped = below(rng, 2) == 1;
    let mut grain = vec![0; 3 * size * size];
    rng.fill_bytes(&mut grain);

    // [size, size] of (cover, brightness), 0 to 255 both.
    let mut layer = vec![(0, 0); size * size];
    for y in 0..side {
        for x in 0..side {
            let from = if flipped { side - 1 - x } else { x };
            layer[(top + y) * size + left + x] = garment.sample(y, from, side);
        }
    }
    masks.extend(layer.iter().map(|&(cover, _)| u8::from(cover >= 128)));
    for (c, grain) in grain.chunks_exact(size * size).enumerate() {
        for (i, &(cover, brightness)) in layer.iter().enumerate() {
            let light = 64 + brightness * 160 / 255;
            let cloth = cloth[i][c] * light / 200;
            let behind = ground.colours[i][c];
            let mixed = (cloth * cover + behind * (255 - cover) + 127) / 255;
            // -4 to 3: as much as a camera's.
            let noisy = mixed + i32::from(grain[i] >> 5) - 4;
            pixels.push(noisy.clamp(0, 255) as u8);
        }
    }
}

/// A colour for a garment: half-way between a colour of the ground and any.
fn tint(rng: &mut ChaCha8Rng, toward: Colour) -> Colour {
    let own = ground::colour(rng);
    std::array::from_fn(|c| (own[c] + toward[c]) / 2)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// Three "garments" of 28 x 28: a shirt with sleeves, a ring with a dark middle, a trapezium that touches the border.
    fn wardrobe() -> Images {
        let draw = |garment: fn(i32, i32) -> bool| {
            (0..28 * 28).map(move |i| {
                let (y, x) = (i / 28, i % 28);
                match garment(y, x) {
                    true => (120 + (y * 5 + x * 3) % 100) as u8,
                    false => 0,
                }
            })
        };
        let shirt = draw(|y, x| {
            (9..19).contains(&x) && (3..26).contains(&y)
                || (4..10).contains(&y) && (2..26).contains(&x)
        });
        let ring = draw(|y, x| (30..150).contains(&((y - 14) * (y - 14) + (x - 14) * (x - 14))));
        let skirt = draw(|y, x| (14 - x).abs() <= 5 + y / 3);
        let pixels = shirt.chain(ring).chain(skirt).collect();
        Images::new(28, 28, pixels, vec![0, 1, 2]).unwrap()
    }

    #[test]
    fn pictures_are_the_same_everywhere_and_for_ever() {
        let images = garments(&wardrobe(), 4, 48, 7).unwrap();
        let hash = Sha256::new()
            .chain_update(&images.pixels)
            .chain_update(&images.labels)
            .finalize();
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hash,
            "fa3244c506fc3d22cc1a3172811291e14c8663b2de8312fe0855da00997189e2"
        );
    }

    #[test]
    fn a_picture_follows_from_its_index_whatever_the_count() {
        let many = garments(&wardrobe(), 9, 32, 3).unwrap();
        assert_eq!(
            (many.count, many.channels, many.height, many.width),
            (9, 3, 32, 32)
        );
        assert!(many.masked());
        assert_eq!(garments(&wardrobe(), 4, 32, 3).unwrap(), many.first(4));
        assert_ne!(garments(&wardrobe(), 9, 32, 4).unwrap(), many);
        let different = (1..9).all(|i| many.image(i) != many.image(0));
        assert!(different, "every picture is another");
    }

    #[test]
    fn the_mask_of_a_full_square_is_exactly_that_square() {
        let square = Images::new(28, 28, vec![255; 784], vec![0]).unwrap();
        let images = garments(&square, 60, 40, 1).unwrap();
        let (mut smallest, mut largest) = (40, 0);
        for i in 0..images.count {
            let mask = images.labels_of(i).unwrap();
            let lit: Vec<usize> = (0..1600).filter(|&i| mask[i] == 1).collect();
            let (ys, xs) = (lit.iter().map(|i| i / 40), lit.iter().map(|i| i % 40));
            let high = ys.clone().max().unwrap() - ys.min().unwrap() + 1;
            let wide = xs.clone().max().unwrap() - xs.min().unwrap() + 1;
            assert_eq!((high, lit.len()), (wide, high * wide));
            smallest = smallest.min(high);
            largest = largest.max(high);
        }
        // 3/8 and 15/16 of 40 are 15 and 37.5.
        assert!(
            (15..20).contains(&smallest) && (33..38).contains(&largest),
            "{smallest} {largest}"
        );
    }

    #[test]
    fn garments_come_both_ways_and_all_of_them() {
        // Of a garment that narrows to the right, some masks are higher on their left and some on their right.
        let wedge = |i: usize| (i / 28).abs_diff(14) + i % 28 / 2 < 14;
        let wedge = (0..784).map(|i| if wedge(i) { 200 } else { 0 }).collect();
        let images = garments(&Images::new(28, 28, wedge, vec![0]).unwrap(), 40, 32, 5).unwrap();
        let mut to_the_left = 0;
        for i in 0..40 {
            let mask = images.labels_of(i).unwrap();
            let high = |x: usize| mask.iter().skip(x).step_by(32).filter(|&&v| v == 1).count();
            let lit: Vec<usize> = (0..32).filter(|&x| high(x) > 0).collect();
            to_the_left += u32::from(high(lit[0]) < high(lit[lit.len() - 1]));
        }
        assert!((5..=35).contains(&to_the_left), "{to_the_left} of 40");

        // A full square, its upper half and its left half: the masks tell them apart by their sides.
        let pixels = [
            |_: usize| true,
            |i: usize| i / 28 < 14,
            |i: usize| i % 28 < 14,
        ];
        let pixels = pixels
            .iter()
            .flat_map(|lit| (0..784).map(|i| if lit(i) { 200 } else { 0 }));
        let halves = Images::new(28, 28, pixels.collect(), vec![0; 3]).unwrap();
        let images = garments(&halves, 40, 32, 5).unwrap();
        let mut counts = [0; 3];
        for i in 0..40 {
            let mask = images.labels_of(i).unwrap();
            let high = (0..32)
                .filter(|y| mask[y * 32..][..32].contains(&1))
                .count();
            let wide = (0..32)
                .filter(|&x| mask.iter().skip(x).step_by(32).any(|&v| v == 1))
                .count();
            counts[(high.cmp(&wide) as i8 + 1) as usize] += 1;
        }
        assert!(counts.iter().all(|&n| n >= 5), "{counts:?}");
    }

    /// The best that a threshold on any channel, in either direction, chosen knowing the mask, can do, as intersection
    /// over union. All foreground gives a third or so.
    #[test]
    fn no_threshold_on_a_colour_separates_the_garment() {
        let images = garments(&wardrobe(), 60, 48, 11).unwrap();
        let best = |i: usize| {
            let (image, mask) = (images.image(i).unwrap(), images.labels_of(i).unwrap());
            let mut best = 0.0f64;
            for plane in image.chunks_exact(48 * 48) {
                for threshold in 0..=255 {
                    for above in [false, true] {
                        let (mut both, mut either) = (0, 0);
                        for (&value, &lit) in plane.iter().zip(mask) {
                            let chosen = (value >= threshold) == above;
                            both += u32::from(chosen && lit == 1);
                            either += u32::from(chosen || lit == 1);
                        }
                        best = best.max(f64::from(both) / f64::from(either.max(1)));
                    }
                }
            }
            best
        };
        let mean = (0..60).map(best).sum::<f64>() / 60.0;
        assert!(
            mean < 0.75,
            "a threshold chosen for each picture reaches a mean IoU of {mean}"
        );
    }

    #[test]
    fn what_cannot_be_generated_is_refused() {
        let text = |images: &Images, count, size| match garments(images, count, size, 0) {
            Err(error @ Error::Garments { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        };
        let none = Images::new(28, 28, vec![], vec![]).unwrap();
        assert!(text(&none, 1, 96).contains("0 images"));
        let colour = wardrobe().with_colour(3).unwrap();
        assert!(text(&colour, 1, 96).contains("3 channels"));
        assert!(text(&wardrobe(), 1, 15).contains("16 to 1024"));
        assert!(text(&wardrobe(), usize::MAX, 96).contains("too many"));
        assert!(text(&wardrobe(), 1 << 40, 96).contains("too many"));
        assert_eq!(garments(&wardrobe(), 0, 96, 0).unwrap().count, 0);
    }

    #[test]
    fn a_picture_without_a_garment_has_an_empty_mask() {
        let black = Images::new(28, 28, vec![0; 784], vec![0]).unwrap();
        assert!(
            garments(&black, 3, 32, 0)
                .unwrap()
                .labels
                .iter()
                .all(|&v| v == 0)
        );
    }
}
