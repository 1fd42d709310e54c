//! What becomes of a tile of wide channels: projected, written out, or summed.

use pulp::Simd;

use super::block::{BLOCK, fused};
use super::maps::{Layout, MapShape, Maps, WIDEST, copy_registers};
use crate::parallel::Shared;

/// What becomes of a tile's channels.
pub(super) trait Sink: Sync {
    /// Numbers of working memory for each pixel of a tile.
    fn scratch(&self) -> usize;
    /// Before the first block of a tile.
    fn begin(&self, _scratch: &mut [f32]) {}
    /// Takes a block of channels, `values[channel][register]`, for the pixels of `registers` of width `V`.
    fn take<S: Simd, const V: usize>(
        &self,
        simd: S,
        block: usize,
        values: &[[S::f32s; V]; BLOCK],
        scratch: &mut [S::f32s],
        at: Place,
    );
    /// After the last block, for `count` pixels from `start` on, with `V` registers of each.
    #[inline(always)]
    fn end<S: Simd, const V: usize>(&self, _scratch: &[f32], _at: Place) {}
}

/// Which pixels a tile holds.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) start: usize,
    pub(super) count: usize,
}

pub(super) struct Project<'a> {
    /// For each block of channels, `[to, BLOCK]`.
    pub(super) weights: &'a [f32],
    pub(super) to: usize,
    pub(super) layout: Layout,
    pub(super) plane: usize,
    pub(super) add: bool,
    pub(super) out: Shared<'a, f32>,
}

impl Sink for Project<'_> {
    fn scratch(&self) -> usize {
        self.to
    }

    #[inline(always)]
    fn begin(&self, scratch: &mut [f32]) {
        scratch.fill(0.0);
    }

    #[inline(always)]
    fn take<S: Simd, const V: usize>(
        &self,
        simd: S,
        block: usize,
        values: &[[S::f32s; V]; BLOCK],
        scratch: &mut [S::f32s],
        _: Place,
    ) {
        let weights = &self.weights[block * self.to * BLOCK..][..self.to * BLOCK];
        for (to, factors) in scratch.chunks_exact_mut(V).zip(weights.chunks_exact(BLOCK)) {
            let mut sums: [S::f32s; V] = std::array::from_fn(|v| to[v]);
            for (values, &factor) in values.iter().zip(factors) {
                let factor = simd.splat_f32s(factor);
                for (sum, &value) in sums.iter_mut().zip(values) {
                    *sum = fused(simd, factor, value, *sum);
                }
            }
            to.copy_from_slice(&sums);
        }
    }

    #[inline(always)]
    fn end<S: Simd, const V: usize>(&self, scratch: &[f32], at: Place) {
        let width = V * size_of::<S::f32s>() / size_of::<f32>();
        for (channel, from) in scratch.chunks_exact(width).enumerate() {
            Maps::runs(self.layout, at.start, at.count, |offset, done, run| {
                let start = channel * self.plane + offset;
                // SAFETY: tiles do not overlap, and each writes the places of its own pixels.
                let to = unsafe { self.out.part(start..start + run) };
                let from = &from[done..done + run];
                if self.add {
                    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
                } else if run == width {
                    copy_registers::<S, V>(from, to);
                } else {
                    to.copy_from_slice(from);
                }
            });
        }
    }
}

pub(super) struct Images<'a> {
    pub(super) shape: MapShape,
    pub(super) out: Shared<'a, f32>,
}

impl Sink for Images<'_> {
    fn scratch(&self) -> usize {
        BLOCK
    }

    #[inline(always)]
    fn take<S: Simd, const V: usize>(
        &self,
        _: S,
        block: usize,
        values: &[[S::f32s; V]; BLOCK],
        scratch: &mut [S::f32s],
        at: Place,
    ) {
        let (channels, pixels) = (self.shape.channels, self.shape.height * self.shape.width);
        for (i, values) in values.iter().enumerate() {
            let channel = block * BLOCK + i;
            if channel == channels {
                return;
            }
            scratch[..V].copy_from_slice(values);
            let from = as_scalars::<S>(&scratch[..V]);
            let mut done = 0;
            while done < at.count {
                let (image, pixel) = ((at.start + done) / pixels, (at.start + done) % pixels);
                let run = (pixels - pixel).min(at.count - done);
                let start = (image * channels + channel) * pixels + pixel;
                // SAFETY: tiles do not overlap, and each writes the places of its own pixels.
                unsafe { self.out.part(start..start + run) }
                    .copy_from_slice(&from[done..done + run]);
                done += run;
            }
        }
    }
}

pub(super) struct Sums<'a> {
    pub(super) shape: MapShape,
    /// Tiles of an image.
    pub(super) tiles: usize,
    pub(super) out: Shared<'a, f32>,
}

impl Sink for Sums<'_> {
    fn scratch(&self) -> usize {
        1
    }

    #[inline(always)]
    fn take<S: Simd, const V: usize>(
        &self,
        _: S,
        block: usize,
        values: &[[S::f32s; V]; BLOCK],
        scratch: &mut [S::f32s],
        at: Place,
    ) {
        let (channels, pixels) = (self.shape.channels, self.shape.height * self.shape.width);
        let (image, pixel) = (at.start / pixels, at.start % pixels);
        for (i, values) in values.iter().enumerate() {
            let channel = block * BLOCK + i;
            if channel == channels {
                return;
            }
            scratch[..V].copy_from_slice(values);
            let sum: f32 = as_scalars::<S>(&scratch[..V])[..at.count].iter().sum();
            let place = (image * self.tiles + pixel / WIDEST) * channels + channel;
            // SAFETY: the pieces of a tile are computed one after the other, and other tiles have other places.
            let to = unsafe { self.out.part(place..place + 1) };
            to[0] += sum;
        }
    }
}

/// The numbers in vector registers.
#[inline(always)]
fn as_scalars<S: Simd>(values: &[S::f32s]) -> &[f32] {
    let len = size_of_val(values) / size_of::<f32>();
    // SAFETY: a register is a plain array of numbers.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), len) }
}
