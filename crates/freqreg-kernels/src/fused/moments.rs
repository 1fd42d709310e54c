//! The first two moments of narrow maps, from which those of all channels that are expanded from them follow.

use super::maps::Maps;
use crate::error::{Error, Result};
use crate::parallel::{self, Shared};
use crate::scratch::with_scratch;
use crate::simd::vectorized;

/// Pixels summed in single precision before the sum joins the others in double precision.
const CHUNK: usize = 2048;

/// Means and covariances of the channels of a stack of maps, of each image or of the whole batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Channels of the maps.
    pub channels: usize,
    /// `[sets, channels]`: a set for each image, or one.
    pub means: Vec<f64>,
    /// `[sets, channels, channels]`, biased: divided by the number of pixels.
    pub covariances: Vec<f64>,
}

/// Mean and covariance over the pixels of each image of maps without a border. Two passes: deviations from the mean are squared, so
/// nothing cancels; a chunk of pixels is summed in f32, the chunks in f64, always in the same order.
///
/// # Errors
/// Maps with a border.
pub fn moments(maps: &Maps) -> Result<Moments> {
    let s = maps.shape();
    if maps.border() != [0, 0] {
        return Err(Error::TooLarge {
            what: "border of maps whose moments are asked for",
            limit: 0,
            got: maps.border()[0].max(maps.border()[1]),
        });
    }
    let (c, pixels) = (s.channels, s.height * s.width);
    let chunks = pixels.div_ceil(CHUNK);
    let (data, plane) = (maps.data(), maps.plane());
    let part = |task: usize| {
        let (image, chunk) = (task / chunks, task % chunks);
        let start = chunk * CHUNK;
        (image, image * pixels + start, CHUNK.min(pixels - start))
    };
    let tasks = s.images * chunks;
    let mut sums = vec![0.0; tasks * c];
    let shared = Shared::new(&mut sums);
    parallel::for_each(tasks, s.pixels() * c, |task| {
        let (_, start, count) = part(task);
        // SAFETY: every task has sums of its own.
        let sums = unsafe { shared.part(task * c..(task + 1) * c) };
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = f64::from(total(&data[i * plane + start..][..count]));
        }
    });
    let mut means = vec![0.0; s.images * c];
    for (task, sums) in sums.chunks_exact(c).enumerate() {
        let image = task / chunks;
        for (mean, sum) in means[image * c..][..c].iter_mut().zip(sums) {
            *mean += sum / pixels as f64;
        }
    }
    let mut products = vec![0.0; tasks * c * c];
    let shared = Shared::new(&mut products);
    parallel::for_each(tasks, s.pixels() * c * c, |task| {
        let (image, start, count) = part(task);
        // SAFETY: every task has products of its own.
        let products = unsafe { shared.part(task * c * c..(task + 1) * c * c) };
        with_scratch(c * count, |centred: &mut [f32]| {
            for (i, to) in centred.chunks_exact_mut(count).enumerate() {
                let mean = means[image * c + i] as f32;
                for (to, from) in to.iter_mut().zip(&data[i * plane + start..][..count]) {
                    *to = from - mean;
                }
            }
            for i in 0..c {
                for j in i..c {
                    let (a, b) = (
                        &centred[i * count..][..count],
                        &centred[j * count..][..count],
                    );
                    products[i * c + j] = f64::from(dot(a, b));
                }
            }
        });
    });
    let mut covariances = vec![0.0; s.images * c * c];
    for (task, products) in products.chunks_exact(c * c).enumerate() {
        let to = &mut covariances[task / chunks * c * c..][..c * c];
        for (to, product) in to.iter_mut().zip(products) {
            *to += product / pixels as f64;
        }
    }
    for set in covariances.chunks_exact_mut(c * c) {
        for i in 0..c {
            for j in 0..i {
                set[i * c + j] = set[j * c + i];
            }
        }
    }
    Ok(Moments {
        channels: c,
        means,
        covariances,
    })
}

impl Moments {
    /// Those of all images together, which all have as many pixels.
    #[must_use]
    pub fn pooled(&self) -> Self {
        let c = self.channels;
        let share = c as f64 / self.means.len() as f64;
        let mut means = vec![0.0; c];
        for set in self.means.chunks_exact(c) {
            means
                .iter_mut()
                .zip(set)
                .for_each(|(to, from)| *to += from * share);
        }
        let mut covariances = vec![0.0; c * c];
        let sets = self.covariances.chunks_exact(c * c);
        for (set, own) in sets.zip(self.means.chunks_exact(c)) {
            for i in 0..c {
                for j in 0..c {
                    let between = (own[i] - means[i]) * (own[j] - means[j]);
                    covariances[i * c + j] += (set[i * c + j] + between) * share;
                }
            }
        }
        Self {
            channels: c,
            means,
            covariances,
        }
    }

    /// Mean and variance of each group of `per` neighbouring channels of those that `expand` (`[wide, channels]`) makes:
    /// `[sets, wide / per]` of `(mean, variance)`. With 1 for `per`, of each channel.
    ///
    /// # Panics
    /// If `expand` is no whole number of groups.
    #[must_use]
    pub fn expanded(&self, expand: &[f32], per: usize) -> Vec<(f64, f64)> {
        let c = self.channels;
        assert!(
            per > 0 && expand.len().is_multiple_of(c * per),
            "groups of {per} rows of {c} factors"
        );
        // A channel is e z, with mean e m and variance e C e. Over a group of channels, with the mean row E[e]: the mean is E[e] m, and
        // the variance tr(E[e e'] C), that within the channels, plus m' (E[e e'] - E[e] E[e]') m, that between their means.
        let groups: Vec<_> = expand
            .chunks_exact(c * per)
            .map(|rows| {
                let (mut mean, mut products) = (vec![0.0; c], vec![0.0; c * c]);
                for row in rows.chunks_exact(c) {
                    for (i, &a) in row.iter().enumerate() {
                        let a = f64::from(a) / per as f64;
                        mean[i] += a;
                        for (j, &b) in row.iter().enumerate() {
                            products[i * c + j] += a * f64::from(b);
                        }
                    }
                }
                (mean, products)
            })
            .collect();
        let sets = self
            .means
            .chunks_exact(c)
            .zip(self.covariances.chunks_exact(c * c));
        let mut out = Vec::with_capacity(self.means.len() / c * groups.len());
        for (means, covariance) in sets {
            for (row, products) in &groups {
                let mean: f64 = row.iter().zip(means).map(|(e, m)| e * m).sum();
                let mut variance = 0.0;
                for i in 0..c {
                    for j in 0..c {
                        let product = products[i * c + j];
                        let between = match per {
                            1 => 0.0,
                            _ => (product - row[i] * row[j]) * means[i] * means[j],
                        };
                        variance += product * covariance[i * c + j] + between;
                    }
                }
                out.push((mean, variance.max(0.0)));
            }
        }
        out
    }
}

fn total(values: &[f32]) -> f32 {
    vectorized(
        #[inline(always)]
        || {
            let mut lanes = [0.0; 32];
            let chunks = values.chunks_exact(32);
            let rest: f32 = chunks.remainder().iter().sum();
            for chunk in chunks {
                lanes.iter_mut().zip(chunk).for_each(|(lane, v)| *lane += v);
            }
            rest + lanes.iter().sum::<f32>()
        },
    )
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    vectorized(
        #[inline(always)]
        || {
            let mut lanes = [0.0; 32];
            let (a, b) = (a.chunks_exact(32), b.chunks_exact(32));
            let rest: f32 = a
                .remainder()
                .iter()
                .zip(b.remainder())
                .map(|(a, b)| a * b)
                .sum();
            for (a, b) in a.zip(b) {
                for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
                    *lane += a * b;
                }
            }
            rest + lanes.iter().sum::<f32>()
        },
    )
}
