//! Where the gradient with respect to wide channels comes from.

use pulp::Simd;

use crate::error::{Result, length};
use crate::fused::block::{BLOCK, fused, pack_columns};
use crate::fused::maps::MapShape;
use crate::fused::sinks::Place;

/// The gradient of a loss with respect to what was read of wide channels.
#[derive(Debug, Clone, Copy)]
pub enum Upstream<'a> {
    /// With respect to a projection, `[images, out, height, width]`, and the weights of that, `[out, channels]`.
    Projected {
        /// The weights.
        weights: &'a [f32],
        /// The gradient.
        gradient: &'a [f32],
    },
    /// With respect to the channels themselves, `[images, channels, height, width]`.
    Images(&'a [f32]),
    /// With respect to each channel's mean over each image, `[images, channels]`.
    Means(&'a [f32]),
}

/// Where the gradient with respect to the wide channels comes from.
pub(super) enum Source<'a> {
    Projected {
        /// For each block of channels, `[out, BLOCK]`.
        weights: Vec<f32>,
        to: usize,
        gradient: &'a [f32],
    },
    Images(&'a [f32]),
    /// Divided by the pixels of an image already.
    Means(Vec<f32>),
}

impl<'a> Source<'a> {
    pub(super) fn new(upstream: Upstream<'a>, s: MapShape) -> Result<Self> {
        Ok(match upstream {
            Upstream::Projected { weights, gradient } => {
                let to = weights.len() / s.channels;
                length("projection", weights, to * s.channels)?;
                length("gradient", gradient, to * s.pixels())?;
                Source::Projected {
                    weights: pack_columns(weights, s.channels),
                    to,
                    gradient,
                }
            }
            Upstream::Images(gradient) => {
                length("gradient", gradient, s.channels * s.pixels())?;
                Source::Images(gradient)
            }
            Upstream::Means(gradient) => {
                length("gradient", gradient, s.channels * s.images)?;
                let pixels = (s.height * s.width) as f32;
                Source::Means(gradient.iter().map(|g| g / pixels).collect())
            }
        })
    }

    /// Rows of working memory.
    pub(super) fn rows(&self) -> usize {
        match self {
            Source::Projected { to, .. } => *to,
            Source::Images(_) | Source::Means(_) => BLOCK,
        }
    }

    /// Before the first block of a tile.
    #[inline(always)]
    pub(super) fn begin(&self, rows: &mut [f32], width: usize, s: MapShape, at: Place) {
        if let Source::Projected { to, gradient, .. } = self {
            let pixels = s.height * s.width;
            for (q, row) in rows.chunks_exact_mut(width).enumerate() {
                gather(gradient, [*to, q, pixels], at, row);
            }
        }
    }

    /// The gradient with respect to a block of channels.
    #[inline(always)]
    pub(super) fn block<S: Simd, const V: usize>(
        &self,
        simd: S,
        block: usize,
        rows: &mut [f32],
        s: MapShape,
        at: Place,
    ) -> [[S::f32s; V]; BLOCK] {
        let width = V * size_of::<S::f32s>() / size_of::<f32>();
        let mut g = [[simd.splat_f32s(0.0); V]; BLOCK];
        match self {
            Source::Projected { weights, to, .. } => {
                let weights = &weights[block * to * BLOCK..][..to * BLOCK];
                let rows = S::as_simd_f32s(rows).0;
                for (row, factors) in rows.chunks_exact(V).zip(weights.chunks_exact(BLOCK)) {
                    let row: [S::f32s; V] = std::array::from_fn(|v| row[v]);
                    for (g, &factor) in g.iter_mut().zip(factors) {
                        let factor = simd.splat_f32s(factor);
                        for (g, &value) in g.iter_mut().zip(&row) {
                            *g = fused(simd, factor, value, *g);
                        }
                    }
                }
            }
            Source::Images(gradient) => {
                let pixels = s.height * s.width;
                let channels = (s.channels - block * BLOCK).min(BLOCK);
                for (i, g) in g.iter_mut().enumerate().take(channels) {
                    let row = &mut rows[i * width..][..width];
                    gather(gradient, [s.channels, block * BLOCK + i, pixels], at, row);
                    let row = S::as_simd_f32s(row).0;
                    for (g, &value) in g.iter_mut().zip(row) {
                        *g = value;
                    }
                }
            }
            Source::Means(gradient) => {
                let image = at.start / (s.height * s.width);
                let gradient = &gradient[image * s.channels..][..s.channels];
                // Nothing comes from behind the last pixel.
                let row = &mut rows[..width];
                for (g, &value) in g.iter_mut().zip(&gradient[block * BLOCK..]) {
                    row[..at.count].fill(value);
                    row[at.count..].fill(0.0);
                    let row = S::as_simd_f32s(row).0;
                    for (g, &value) in g.iter_mut().zip(row) {
                        *g = value;
                    }
                }
            }
        }
        g
    }
}

/// A channel of `[images, channels, pixels]` at some pixels, with zeros behind the last.
#[inline(always)]
fn gather(values: &[f32], place: [usize; 3], at: Place, row: &mut [f32]) {
    runs(place, at, |from, done, run| {
        row[done..done + run].copy_from_slice(&values[from..from + run]);
    });
    row[at.count..].fill(0.0);
}

/// Where some pixels of a channel lie in `[images, channels, pixels]`: calls `f(place, offset from the first pixel, how many)`.
#[inline(always)]
pub(super) fn runs(
    [channels, channel, pixels]: [usize; 3],
    at: Place,
    mut f: impl FnMut(usize, usize, usize),
) {
    let mut done = 0;
    while done < at.count {
        let (image, pixel) = ((at.start + done) / pixels, (at.start + done) % pixels);
        let run = (pixels - pixel).min(at.count - done);
        f((image * channels + channel) * pixels + pixel, done, run);
        done += run;
    }
}
