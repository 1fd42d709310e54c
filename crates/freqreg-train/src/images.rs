//! From bytes to batches: normalisation, order and augmentation, all determined by the seed and the step, so
//! that a run that was stopped goes on as if nothing had happened.

use candle_core::{Device, Result, Tensor};
use freqreg_data::Images;
use freqreg_nn::Seed;
use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;

/// Pixel values as a network takes them: (p / 255 - mean) / deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Subtracted after the division by 255.
    pub mean: f64,
    /// Divided by after that.
    pub deviation: f64,
}

/// The order of `count` images in an epoch (from 0).
pub fn epoch_order(seed: Seed, epoch: usize, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut seed.stream(&format!("order of epoch {epoch}")));
    order
}

/// What happens to each image on its way into a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preparation {
    /// Pixels to numbers.
    pub scale: Scale,
    /// The height and width that images are brought to, by bilinear interpolation.
    pub resize: Option<usize>,
}

impl Preparation {
    /// Height and width of these images once they are prepared.
    pub fn size(&self, images: &Images) -> [usize; 2] {
        self.resize
            .map_or([images.height, images.width], |side| [side, side])
    }
}

/// How images are varied at random, at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variation {
    /// Moved by up to this many pixels in both directions (black comes in).
    pub shift: usize,
    /// Half of them are mirrored.
    pub flip: bool,
    /// What is drawn follows from the seed and the step.
    pub seed: Seed,
    /// See `seed`.
    pub step: usize,
    /// Images of the step that come before these, with other processes: what is drawn for them is left out.
    pub before: usize,
}

/// The images at `indices` as `[n, channels, height, width]` with their labels: one each, or for masks one a pixel.
///
/// # Errors
/// Masks that would have to be resized, and what candle reports.
pub fn batch(
    images: &Images,
    indices: &[usize],
    preparation: Preparation,
    variation: Option<Variation>,
    device: &Device,
) -> Result<(Tensor, Vec<u32>)> {
    let (channels, h, w) = (images.channels, images.height, images.width);
    let plane = h * w;
    let Scale { mean, deviation } = preparation.scale;
    // One table look-up a pixel.
    let value: Vec<f32> = (0..256)
        .map(|p| ((f64::from(p) / 255.0 - mean) / deviation) as f32)
        .collect();
    let resize = preparation.resize.filter(|&side| (side, side) != (h, w));
    if resize.is_some() && images.masked() {
        candle_core::bail!(
            "images with masks can't be resized: give them in the size they are wanted in"
        );
    }
    let mut rng = variation.map(|v| v.seed.stream(&format!("shifts of step {}", v.step)));
    let mut moved = || match (&mut rng, variation) {
        (Some(rng), Some(v)) => {
            let s = v.shift as i64;
            let (dy, dx) = (rng.random_range(-s..=s), rng.random_range(-s..=s));
            Move {
                dy,
                dx,
                mirrored: v.flip && rng.random::<bool>(),
            }
        }
        _ => Move {
            dy: 0,
            dx: 0,
            mirrored: false,
        },
    };
    for _ in 0..variation.map_or(0, |v| v.before) {
        moved();
    }
    let mut pixels = vec![value[0]; indices.len() * channels * plane];
    let mut labels = Vec::with_capacity(indices.len());
    for (&i, out) in indices
        .iter()
        .zip(pixels.chunks_exact_mut(channels * plane))
    {
        let (Some(from), Some(label)) = (images.image(i), images.labels_of(i)) else {
            candle_core::bail!("image {i} of {} was asked for", images.count);
        };
        let moved = moved();
        for (from, out) in from.chunks_exact(plane).zip(out.chunks_exact_mut(plane)) {
            moved.apply(from, out, [h, w], |p| value[usize::from(p)]);
        }
        if images.masked() {
            let mut mask = vec![0; plane];
            moved.apply(label, &mut mask, [h, w], u32::from);
            labels.extend(mask);
        } else {
            labels.extend(label.iter().map(|&l| u32::from(l)));
        }
    }
    let (pixels, [h, w]) = match resize {
        None => (pixels, [h, w]),
        Some(side) => (resized(&pixels, [h, w], side), [side, side]),
    };
    let x = Tensor::from_vec(pixels, (indices.len(), channels, h, w), device)?;
    Ok((x, labels))
}

/// A shift, perhaps of the mirrored image.
#[derive(Clone, Copy)]
struct Move {
    dy: i64,
    dx: i64,
    mirrored: bool,
}

impl Move {
    fn apply<T>(self, from: &[u8], out: &mut [T], [h, w]: [usize; 2], value: impl Fn(u8) -> T) {
        let overlap = |n: usize, d: i64| d.max(0) as usize..(n as i64 + d.min(0)).max(0) as usize;
        for y in overlap(h, self.dy) {
            let row = (y as i64 - self.dy) as usize * w;
            for x in overlap(w, self.dx) {
                let at = (x as i64 - self.dx) as usize;
                let at = if self.mirrored { w - 1 - at } else { at };
                out[y * w + x] = value(from[row + at]);
            }
        }
    }
}

/// Planes of `[h, w]` brought to `[side, side]` by bilinear interpolation between the centres of pixels (as PyTorch does
/// without `align_corners`).
fn resized(planes: &[f32], [h, w]: [usize; 2], side: usize) -> Vec<f32> {
    let taps = |n: usize| -> Vec<(usize, usize, f32)> {
        let tap = |i: usize| {
            let at = ((i as f32 + 0.5) * n as f32 / side as f32 - 0.5).max(0.0);
            let low = (at as usize).min(n - 1);
            (low, (low + 1).min(n - 1), at - low as f32)
        };
        (0..side).map(tap).collect()
    };
    let (rows, columns) = (taps(h), taps(w));
    let mut out = vec![0.0; planes.len() / (h * w) * side * side];
    out.par_chunks_mut(side * side)
        .zip(planes.par_chunks(h * w))
        .for_each(|(out, plane)| {
            for (line, &(top, bottom, f)) in out.chunks_exact_mut(side).zip(&rows) {
                let at = |x: usize| {
                    let (a, b) = (plane[top * w + x], plane[bottom * w + x]);
                    a + (b - a) * f
                };
                for (pixel, &(left, right, f)) in line.iter_mut().zip(&columns) {
                    let (a, b) = (at(left), at(right));
                    *pixel = a + (b - a) * f;
                }
            }
        });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Images {
        let pixels = (0..4 * 30).map(|p| p as u8 + 1).collect();
        Images::new(5, 6, pixels, vec![3, 1, 4, 1]).unwrap()
    }

    const PLAIN: Preparation = Preparation {
        scale: Scale {
            mean: 0.0,
            deviation: 1.0 / 255.0,
        },
        resize: None,
    };

    fn variation(step: usize, flip: bool) -> Option<Variation> {
        Some(Variation {
            shift: 1,
            flip,
            seed: Seed(1),
            step,
            before: 0,
        })
    }

    #[test]
    fn parts_of_a_batch_are_varied_as_in_the_whole() {
        let whole = [0, 2, 1, 2];
        let (x, _) = batch(&images(), &whole, PLAIN, variation(3, true), &Device::Cpu).unwrap();
        let (first, _) = batch(
            &images(),
            &whole[..1],
            PLAIN,
            variation(3, true),
            &Device::Cpu,
        )
        .unwrap();
        let rest = Variation {
            before: 1,
            ..variation(3, true).unwrap()
        };
        let (rest, _) = batch(&images(), &whole[1..], PLAIN, Some(rest), &Device::Cpu).unwrap();
        let parts = Tensor::cat(&[first, rest], 0).unwrap();
        let flat = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(flat(x), flat(parts));
    }

    #[test]
    fn pixels_come_upright_and_in_the_order_asked_for() {
        let (x, y) = batch(&images(), &[2, 0], PLAIN, None, &Device::Cpu).unwrap();
        assert_eq!(x.dims(), [2, 1, 5, 6]);
        assert_eq!(y, [4, 3]);
        let x: Vec<f32> = x.flatten_all().unwrap().to_vec1().unwrap();
        let expected: Vec<f32> = (61..91).chain(1..31).map(|p| p as f32).collect();
        assert!(x.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-3));
    }

    #[test]
    fn a_shift_moves_every_pixel_alike_and_is_drawn_anew_at_each_step() {
        let images = images();
        let mut seen = std::collections::HashSet::new();
        for step in 0..200 {
            let varied = variation(step, false);
            let (x, _) = batch(&images, &[0], PLAIN, varied, &Device::Cpu).unwrap();
            let x: Vec<f32> = x.flatten_all().unwrap().to_vec1().unwrap();
            let found = (-1..=1)
                .flat_map(|dy| (-1..=1).map(move |dx| (dy, dx)))
                .find(|(dy, dx)| {
                    (0..30).all(|at| {
                        let (y, x0) = (at / 6 - dy, at % 6 - dx);
                        let inside = (0..5).contains(&y) && (0..6).contains(&x0);
                        let expected = if inside { (y * 6 + x0 + 1) as f32 } else { 0.0 };
                        (x[at as usize] - expected).abs() < 1e-3
                    })
                });
            seen.insert(found.expect("a shift by at most one pixel"));
        }
        assert_eq!(seen.len(), 9);
    }

    #[test]
    fn an_epoch_visits_every_image_once_in_an_order_of_its_own() {
        let a = epoch_order(Seed(1), 0, 100);
        let b = epoch_order(Seed(1), 1, 100);
        assert_ne!(a, b);
        assert_eq!(a, epoch_order(Seed(1), 0, 100));
        let mut sorted = a.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn half_of_the_images_are_mirrored_and_a_mask_goes_with_its_image() {
        let pixels: Vec<u8> = (0..2 * 3 * 4).map(|p| p as u8 + 10).collect();
        // The mask marks what is even.
        let masks = pixels[..12].iter().map(|p| 1 - p % 2).collect();
        let images = Images::segmentation(2, 3, 4, pixels, masks).unwrap();
        let mut mirrored = 0;
        for step in 0..400 {
            let (x, mask) =
                batch(&images, &[0], PLAIN, variation(step, true), &Device::Cpu).unwrap();
            let x: Vec<f32> = x.flatten_all().unwrap().to_vec1().unwrap();
            for (p, m) in x[..12].iter().zip(&mask) {
                let inside = *p > 0.5;
                assert_eq!(*m == 1, inside && (p.round() as u32).is_multiple_of(2));
            }
            let row: Vec<f32> = x[4..8].iter().copied().filter(|&p| p > 0.5).collect();
            mirrored += usize::from(row[0] > row[1]);
        }
        assert!((140..260).contains(&mirrored), "{mirrored}");
    }

    #[test]
    fn resizing_interpolates_between_centres() {
        // A ramp stays a ramp, but for the border.
        let images = Images::new(2, 4, (0..8).map(|p| (p % 4) * 40).collect(), vec![0]).unwrap();
        let to = Preparation {
            resize: Some(8),
            ..PLAIN
        };
        let (x, _) = batch(&images, &[0], to, None, &Device::Cpu).unwrap();
        assert_eq!(x.dims(), [1, 1, 8, 8]);
        let x: Vec<f32> = x.flatten_all().unwrap().to_vec1().unwrap();
        let expected = [0.0, 10.0, 30.0, 50.0, 70.0, 90.0, 110.0, 120.0];
        for row in x.chunks(8) {
            assert!(
                row.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-3),
                "{row:?}"
            );
        }
        let masked = Images::segmentation(1, 2, 2, vec![0; 4], vec![0; 4]).unwrap();
        assert!(batch(&masked, &[0], to, None, &Device::Cpu).is_err());
    }
}
