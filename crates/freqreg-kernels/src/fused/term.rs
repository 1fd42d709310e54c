//! One step of wide channels: what is expanded, and by what.

use std::sync::Arc;

use pulp::Simd;

use super::block::{BLOCK, fused};
use super::maps::Maps;
use super::norm::Normalised;

/// One step of a [`Wide`](super::Wide): narrow maps expanded to the wide channels and added to what came before.
#[derive(Debug, Clone)]
pub(super) struct Term {
    /// What is expanded, as it was given.
    pub(super) source: Arc<Maps>,
    /// The same for each phase of a pool; the source itself without one.
    pub(super) maps: Vec<Arc<Maps>>,
    pub(super) narrow: usize,
    /// What the maps are expanded by, as it was given: `[channels, narrow]`.
    pub(super) expand: Arc<Vec<f32>>,
    pub(super) factors: Arc<Factors>,
    /// The norm that has gone into the factors.
    pub(super) norm: Option<Arc<Normalised>>,
    pub(super) relu: bool,
}

/// What a term does to its maps: expands them, and multiplies each channel by its scale and adds its shift.
#[derive(Debug)]
pub(super) struct Factors {
    /// For each block of channels, `[narrow, BLOCK]`.
    pub(super) expand: Arc<Vec<f32>>,
    /// Images that have scales and shifts of their own: all, or one for all of them.
    pub(super) sets: usize,
    /// For each set, the channels; empty where there are none.
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

impl Factors {
    /// The scales or shifts of a block of channels.
    #[inline(always)]
    fn of_block(&self, values: &[f32], part: usize, block: usize) -> [f32; BLOCK] {
        let set = if self.sets == 1 { 0 } else { part };
        let start = set * (values.len() / self.sets) + block * BLOCK;
        std::array::from_fn(|i| values[start + i])
    }

    /// The scales of a block of channels, if there are any.
    #[inline(always)]
    pub(super) fn scale(&self, part: usize, block: usize) -> Option<[f32; BLOCK]> {
        (!self.scale.is_empty()).then(|| self.of_block(&self.scale, part, block))
    }

    /// The expansion to a block of channels, `[narrow, BLOCK]`.
    #[inline(always)]
    pub(super) fn block(&self, block: usize, narrow: usize) -> &[f32] {
        let len = narrow * BLOCK;
        &self.expand[block * len..][..len]
    }
}

impl Term {
    /// A block of the term's channels at `V` registers of pixels, whose narrow maps are next in `z`.
    #[inline(always)]
    pub(super) fn value<S: Simd, const V: usize>(
        &self,
        simd: S,
        part: usize,
        block: usize,
        z: &mut std::slice::ChunksExact<'_, S::f32s>,
    ) -> [[S::f32s; V]; BLOCK] {
        let mut sums = [[simd.splat_f32s(0.0); V]; BLOCK];
        let factors = &*self.factors;
        let expand = factors.block(block, self.narrow);
        for (factors, z) in expand.chunks_exact(BLOCK).zip(z) {
            let z: [S::f32s; V] = std::array::from_fn(|v| z[v]);
            for (sums, &factor) in sums.iter_mut().zip(factors) {
                let factor = simd.splat_f32s(factor);
                for (sum, &z) in sums.iter_mut().zip(&z) {
                    *sum = fused(simd, factor, z, *sum);
                }
            }
        }
        if !factors.shift.is_empty() {
            let shift = factors.of_block(&factors.shift, part, block);
            let scale = factors.scale(part, block).unwrap_or([1.0; BLOCK]);
            for (sums, (scale, shift)) in sums.iter_mut().zip(scale.into_iter().zip(shift)) {
                let (scale, shift) = (simd.splat_f32s(scale), simd.splat_f32s(shift));
                for sum in sums {
                    *sum = fused(simd, scale, *sum, shift);
                }
            }
        }
        sums
    }
}
