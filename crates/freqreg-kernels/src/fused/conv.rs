//! Convolution of narrow maps.

use pulp::{Arch, Simd, WithSimd};

use super::block::fused;
use super::maps::{MapShape, Maps};
use crate::error::{Error, Result, at_least_one, length};
use crate::parallel::{self, Shared};
use crate::scratch::with_scratch;

/// Output channels computed together.
const BLOCK: usize = 4;

/// Multiply-adds of one task at least.
const TASK: usize = 1 << 17;

/// A convolution of stride 1 on maps whose border is its padding. Pixels lie along the vector registers, so a few channels are
/// as fast as many.
#[derive(Debug, Clone)]
pub struct NarrowConv {
    channels_in: usize,
    channels_out: usize,
    kernel: [usize; 2],
    dilation: [usize; 2],
    /// For each block of output channels, `[in, taps, BLOCK]`.
    weights: Vec<f32>,
}

impl NarrowConv {
    /// From weights `[out, in, rows, columns]`.
    ///
    /// # Errors
    /// A size of zero, or a number of weights that does not fit.
    pub fn new(
        channels: [usize; 2],
        kernel: [usize; 2],
        dilation: [usize; 2],
        weights: &[f32],
    ) -> Result<Self> {
        let [channels_out, channels_in] = channels;
        for size in [channels, kernel, dilation].into_iter().flatten() {
            at_least_one("size of a convolution", size)?;
        }
        let row = channels_in * kernel[0] * kernel[1];
        length("weights", weights, channels_out * row)?;
        let mut packed = Vec::new();
        for rows in weights.chunks(BLOCK * row) {
            for i in 0..row {
                packed.extend((0..BLOCK).map(|r| rows.get(r * row + i).copied().unwrap_or(0.0)));
            }
        }
        Ok(Self {
            channels_in,
            channels_out,
            kernel,
            dilation,
            weights: packed,
        })
    }

    /// The output, without a border.
    ///
    /// # Errors
    /// Maps of other channels, or smaller than the filter.
    pub fn forward(&self, maps: &Maps) -> Result<Maps> {
        let s = maps.shape();
        if s.channels != self.channels_in {
            return Err(Error::Length {
                what: "list of channels",
                expected: self.channels_in,
                got: s.channels,
            });
        }
        let reach = |i: usize| (self.kernel[i] - 1).saturating_mul(self.dilation[i]);
        let size = [
            s.height + 2 * maps.border()[0],
            s.width + 2 * maps.border()[1],
        ];
        for (i, what) in ["height of a filter", "width of a filter"]
            .into_iter()
            .enumerate()
        {
            let (got, limit) = (reach(i).saturating_add(1), size[i]);
            if got > limit {
                return Err(Error::TooLarge { what, limit, got });
            }
        }
        let shape = MapShape {
            channels: self.channels_out,
            images: s.images,
            height: size[0] - reach(0),
            width: size[1] - reach(1),
        };
        let mut out = Maps::zeros(shape, [0, 0])?;
        // An image is computed along its rows with their borders, as one row: what falls on a border is dropped.
        let line = shape.height * maps.row();
        let per_pixel = self.weights.len();
        let piece = (TASK / per_pixel)
            .max(1)
            .next_multiple_of(super::maps::WIDEST)
            .min(line);
        let pieces = line.div_ceil(piece);
        let plane = out.plane();
        let offsets: Vec<usize> = (0..self.channels_in)
            .flat_map(|q| (0..self.kernel[0] * self.kernel[1]).map(move |tap| (q, tap)))
            .map(|(q, tap)| {
                let (a, b) = (tap / self.kernel[1], tap % self.kernel[1]);
                q * maps.plane() + a * self.dilation[0] * maps.row() + b * self.dilation[1]
            })
            .collect();
        let shared = Shared::new(out.data_mut());
        parallel::for_each(s.images * pieces, s.images * line * per_pixel, |task| {
            let (image, first) = (task / pieces, task % pieces * piece);
            with_scratch(BLOCK * super::maps::WIDEST, |scratch: &mut [f32]| {
                Arch::new().dispatch(Piece {
                    conv: self,
                    maps,
                    offsets: &offsets,
                    shape,
                    plane,
                    image,
                    first,
                    count: piece.min(line - first),
                    out: &shared,
                    scratch,
                });
            });
        });
        Ok(out)
    }
}

struct Piece<'a> {
    conv: &'a NarrowConv,
    maps: &'a Maps,
    offsets: &'a [usize],
    shape: MapShape,
    plane: usize,
    image: usize,
    first: usize,
    count: usize,
    out: &'a Shared<'a, f32>,
    scratch: &'a mut [f32],
}

impl WithSimd for Piece<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 {
            self.run::<S, 4>(simd);
        } else {
            self.run::<S, 2>(simd);
        }
    }
}

impl Piece<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, simd: S) {
        let width = V * size_of::<S::f32s>() / size_of::<f32>();
        let data = &self.maps.data()[self.image * self.maps.image()..];
        let row = self.maps.row();
        let block_len = self.offsets.len() * BLOCK;
        let mut at = self.first;
        while at < self.first + self.count {
            let count = width.min(self.first + self.count - at);
            for (block, weights) in self.conv.weights.chunks_exact(block_len).enumerate() {
                let zero = simd.splat_f32s(0.0);
                let mut sums = [[zero; V]; BLOCK];
                for (&offset, factors) in self.offsets.iter().zip(weights.chunks_exact(BLOCK)) {
                    let from = S::as_simd_f32s(&data[at + offset..at + offset + width]).0;
                    for (sums, &factor) in sums.iter_mut().zip(factors) {
                        let factor = simd.splat_f32s(factor);
                        for (sum, &value) in sums.iter_mut().zip(from) {
                            *sum = fused(simd, factor, value, *sum);
                        }
                    }
                }
                if count == width && at % row + width <= self.shape.width {
                    self.store_all::<S, V>(block, &sums, at);
                    continue;
                }
                let to = S::as_mut_simd_f32s(&mut self.scratch[..BLOCK * width]).0;
                for (to, sums) in to.chunks_exact_mut(V).zip(sums) {
                    to.copy_from_slice(&sums);
                }
                self.store(block, &self.scratch[..BLOCK * width], width, at, count, row);
            }
            at += count;
        }
    }

    /// Writes all numbers from place `at` on, which are pixels of one row of the output.
    #[inline(always)]
    fn store_all<S: Simd, const V: usize>(
        &self,
        block: usize,
        sums: &[[S::f32s; V]; BLOCK],
        at: usize,
    ) {
        let (s, row) = (self.shape, self.maps.row());
        let width = V * size_of::<S::f32s>() / size_of::<f32>();
        let first = (self.image * s.height + at / row) * s.width + at % row;
        for (i, sums) in sums.iter().enumerate() {
            let channel = block * BLOCK + i;
            if channel == s.channels {
                break;
            }
            let start = channel * self.plane + first;
            // SAFETY: tasks have pixels of their own, and these are written once.
            let to = unsafe { self.out.part(start..start + width) };
            for (to, sum) in S::as_mut_simd_f32s(to).0.iter_mut().zip(sums) {
                *to = *sum;
            }
        }
    }

    /// Writes those of `count` numbers from place `at` on that are pixels of the output.
    #[inline(always)]
    fn store(&self, block: usize, sums: &[f32], width: usize, at: usize, count: usize, row: usize) {
        let s = self.shape;
        let mut done = 0;
        while done < count {
            let (y, x) = ((at + done) / row, (at + done) % row);
            let left = (row - x).min(count - done);
            let pixels = s.width.saturating_sub(x).min(left);
            if pixels > 0 {
                for (i, sums) in sums.chunks_exact(width).enumerate() {
                    let channel = block * BLOCK + i;
                    if channel == s.channels {
                        break;
                    }
                    let start = channel * self.plane + (self.image * s.height + y) * s.width + x;
                    // SAFETY: tasks have pixels of their own, and these are written once.
                    unsafe { self.out.part(start..start + pixels) }
                        .copy_from_slice(&sums[done..done + pixels]);
                }
            }
            done += left;
        }
    }
}
