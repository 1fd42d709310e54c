//! From bytes to batches: normalisation, order and augmentation, all determined by the seed and the step, so
//! that a run that was stopped goes on as if nothing had happened.

use candle_core::{Device, Result, Tensor};
use freqreg_data::Images;
use freqreg_nn::Seed;
use rand::RngExt;
use rand::seq::SliceRandom;

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

/// The images at `indices` as `[n, 1, height, width]` with their labels, each moved by up to `shift` pixels in
/// both directions (black comes in), drawn from the stream of `step`.
///
/// # Errors
/// What candle reports.
pub fn batch(
    images: &Images,
    indices: &[usize],
    scale: Scale,
    shift: Option<(usize, Seed, usize)>,
    device: &Device,
) -> Result<(Tensor, Vec<u32>)> {
    let (h, w) = (images.height, images.width);
    // One table look-up a pixel.
    let value: Vec<f32> = (0..256)
        .map(|p| ((f64::from(p) / 255.0 - scale.mean) / scale.deviation) as f32)
        .collect();
    let mut pixels = vec![value[0]; indices.len() * h * w];
    let mut rng = shift.map(|(_, seed, step)| seed.stream(&format!("shifts of step {step}")));
    for (&i, out) in indices.iter().zip(pixels.chunks_exact_mut(h * w)) {
        let from = &images.pixels[i * h * w..(i + 1) * h * w];
        let (dy, dx) = match (&mut rng, shift) {
            (Some(rng), Some((s, ..))) => {
                let s = s as i64;
                (rng.random_range(-s..=s), rng.random_range(-s..=s))
            }
            _ => (0, 0),
        };
        let overlap = |n: usize, d: i64| d.max(0) as usize..(n as i64 + d.min(0)).max(0) as usize;
        for y in overlap(h, dy) {
            let row = (y as i64 - dy) as usize * w;
            for x in overlap(w, dx) {
                out[y * w + x] = value[usize::from(from[row + (x as i64 - dx) as usize])];
            }
        }
    }
    let labels = indices
        .iter()
        .map(|&i| u32::from(images.labels[i]))
        .collect();
    Ok((
        Tensor::from_vec(pixels, (indices.len(), 1, h, w), device)?,
        labels,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Images {
        let pixels = (0..4 * 30).map(|p| p as u8 + 1).collect();
        Images::new(5, 6, pixels, vec![3, 1, 4, 1]).unwrap()
    }

    const SCALE: Scale = Scale {
        mean: 0.0,
        deviation: 1.0 / 255.0,
    };

    #[test]
    fn pixels_come_upright_and_in_the_order_asked_for() {
        let (x, y) = batch(&images(), &[2, 0], SCALE, None, &Device::Cpu).unwrap();
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
            let shift = Some((1, Seed(1), step));
            let (x, _) = batch(&images, &[0], SCALE, shift, &Device::Cpu).unwrap();
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
}
