//! What a garment lies on.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use crate::draw::below;

/// Red, green and blue, 0 to 255.
pub(super) type Colour = [i32; 3];

/// A textured square.
pub(super) struct Ground {
    /// `[size, size]`.
    pub(super) colours: Vec<Colour>,
    /// The two colours between which it was mixed.
    pub(super) ends: [Colour; 2],
}

impl Ground {
    pub(super) fn draw(rng: &mut ChaCha8Rng, size: usize) -> Self {
        let ends = [colour(rng), colour(rng)];
        let mut ground = Self {
            colours: texture(rng, size, ends),
            ends,
        };
        for _ in 0..below(rng, 4) {
            ground.lay_rectangle(rng, size);
        }
        ground
    }

    /// Lays a shaded rectangle on the ground, its sides 1/8 to 1/2 of the ground's: not everything that stands out is a
    /// garment.
    fn lay_rectangle(&mut self, rng: &mut ChaCha8Rng, size: usize) {
        let (paint, shade) = (colour(rng), noise(rng, size));
        let mut extent = || {
            let length = size / 8 + below(rng, (size * 3 / 8 + 1) as u64) as usize;
            let start = below(rng, (size - length + 1) as u64) as usize;
            start..start + length
        };
        let (ys, xs) = (extent(), extent());
        for y in ys {
            let row = y * size + xs.start..y * size + xs.end;
            for (colour, shade) in self.colours[row.clone()].iter_mut().zip(&shade[row]) {
                *colour = paint.map(|value| value * (128 + shade / 2) / 255);
            }
        }
    }
}

/// Colours `[size, size]`, mixed between two by noise, always, and in most cases by a gradient or stripes or both.
pub(super) fn texture(rng: &mut ChaCha8Rng, size: usize, ends: [Colour; 2]) -> Vec<Colour> {
    let fields = [
        (noise(rng, size), 1 + below(rng, 4) as i32),
        (gradient(rng, size), below(rng, 4) as i32),
        (stripes(rng, size), below(rng, 4) as i32),
    ];
    let weights: i32 = fields.iter().map(|(_, weight)| weight).sum();
    // A second noise moves each channel by itself, so that not all colours lie on the line between the two.
    let hue = noise(rng, size);
    let by: Colour = std::array::from_fn(|_| below(rng, 129) as i32 - 64);
    let colours = (0..size * size).map(|i| {
        let mix: i32 = fields.iter().map(|(field, weight)| field[i] * weight).sum();
        let mix = mix / weights;
        std::array::from_fn(|c| {
            let mixed = ends[0][c] + (ends[1][c] - ends[0][c]) * mix / 255;
            (mixed + (hue[i] - 128) * by[c] / 128).clamp(0, 255)
        })
    });
    colours.collect()
}

/// Any colour.
pub(super) fn colour(rng: &mut ChaCha8Rng) -> Colour {
    std::array::from_fn(|_| below(rng, 256) as i32)
}

/// Smooth noise, `[size, size]`, 0 to 255: four octaves of value noise, each finer by half and half as strong. Random
/// values stand on a square lattice; between them the smooth step 3t^2 - 2t^3 leads from one to the next.
pub(super) fn noise(rng: &mut ChaCha8Rng, size: usize) -> Vec<i32> {
    let mut sum = vec![0; size * size];
    for (octave, weight) in [8, 4, 2, 1].into_iter().enumerate() {
        let cell = (size >> (octave + 1)).max(1);
        let line = size.div_ceil(cell) + 1;
        let mut lattice = vec![0; line * line];
        rng.fill_bytes(&mut lattice);
        let steps: Vec<(usize, i32)> = (0..size)
            .map(|i| {
                let t = (i % cell * 256 / cell) as i32;
                (i / cell, (t * t * (768 - 2 * t)) >> 16)
            })
            .collect();
        for (out, &(gy, ty)) in sum.chunks_exact_mut(size).zip(&steps) {
            for (out, &(gx, tx)) in out.iter_mut().zip(&steps) {
                let at = |y: usize, x: usize| i32::from(lattice[y * line + x]);
                let row = |y: usize| at(y, gx) * (256 - tx) + at(y, gx + 1) * tx;
                *out += weight * ((row(gy) * (256 - ty) + row(gy + 1) * ty) >> 16);
            }
        }
    }
    sum.iter().map(|value| value / 15).collect()
}

/// A slope of any direction, `[size, size]`, 0 to 255 from corner to corner.
fn gradient(rng: &mut ChaCha8Rng, size: usize) -> Vec<i32> {
    let (dy, dx) = direction(rng);
    let last = size as i32 - 1;
    let lowest = last * (dy.min(0) + dx.min(0));
    let range = (last * (dy.abs() + dx.abs())).max(1);
    plane(size, |y, x| (dy * y + dx * x - lowest) * 255 / range)
}

/// Stripes of any direction, `[size, size]`, 0 to 255 and back over 1/16 to 1/2 of the size.
fn stripes(rng: &mut ChaCha8Rng, size: usize) -> Vec<i32> {
    let (dy, dx) = direction(rng);
    let step = dy.abs().max(dx.abs()).max(1);
    let shortest = (size / 16).max(2);
    let period = step * (shortest + below(rng, (size / 2 - shortest + 1) as u64) as usize) as i32;
    let offset = below(rng, period as u64) as i32;
    plane(size, |y, x| {
        let phase = (dy * y + dx * x + offset).rem_euclid(period);
        (2 * phase - period).abs() * 255 / period
    })
}

/// Any direction, as steps of -16 to 16 down and to the right.
fn direction(rng: &mut ChaCha8Rng) -> (i32, i32) {
    let mut step = || below(rng, 33) as i32 - 16;
    (step(), step())
}

fn plane(size: usize, value: impl Fn(i32, i32) -> i32) -> Vec<i32> {
    let size = size as i32;
    let value = &value;
    (0..size)
        .flat_map(|y| (0..size).map(move |x| value(y, x)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::stream;

    #[test]
    fn fields_keep_their_range_at_every_size() {
        for size in [16, 17, 31, 96, 1024] {
            for seed in 0..6 {
                let mut rng = stream(seed);
                let fields = [
                    noise(&mut rng, size),
                    gradient(&mut rng, size),
                    stripes(&mut rng, size),
                ];
                for field in fields {
                    assert_eq!(field.len(), size * size);
                    assert!(field.iter().all(|value| (0..=255).contains(value)));
                }
            }
        }
    }

    #[test]
    fn noise_is_smooth_and_varied() {
        let size = 96;
        for seed in 0..20 {
            let field = noise(&mut stream(seed), size);
            let steps = (1..size).map(|x| (field[x] - field[x - 1]).abs());
            // The steepest smooth step rises by 3/2 of its height over its cell: 8/15 over 48 pixels, 4/15 over 24 ...
            assert!(steps.max().unwrap() <= 24);
            let range = field.iter().max().unwrap() - field.iter().min().unwrap();
            assert!(range > 60, "{range}");
        }
    }
}
