//! Gradients through wide channels, which are computed a second time where they are needed instead of being stored.

mod gradient;
mod source;

pub use source::Upstream;

use pulp::{Arch, Simd, WithSimd};

use self::gradient::{Gradient, Written};
use self::source::{Source, runs};
use super::block::{BLOCK, blocks, fused, plus, rectify};
use super::maps::WIDEST;
use super::sinks::Place;
use super::tile::Tiling;
use super::wide::Wide;
use crate::error::{Error, Result};
use crate::parallel;
use crate::scratch::with_scratch;

/// Which of a term's inputs a gradient is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Towards {
    /// The maps: the result is `[images, narrow, height, width]`, as they were before any pool.
    Maps,
    /// The expansion: the result is `[channels, narrow]`.
    Expansion,
    /// Nothing: the result is empty.
    Nothing,
}

impl Wide {
    /// The gradient of a loss with respect to one input of each term, norms' statistics included.
    ///
    /// # Errors
    /// A list that is not as long as there are terms, and slices whose lengths do not fit.
    pub fn backward(&self, upstream: Upstream<'_>, towards: &[Towards]) -> Result<Vec<Vec<f32>>> {
        self.backward_by(upstream, towards, |tile| Arch::new().dispatch(tile))
    }

    pub(super) fn backward_by(
        &self,
        upstream: Upstream<'_>,
        towards: &[Towards],
        compute: impl Fn(Tile<'_>) + Sync + Send,
    ) -> Result<Vec<Vec<f32>>> {
        if towards.len() != self.terms.len() {
            return Err(Error::Length {
                what: "list of gradients",
                expected: self.terms.len(),
                got: towards.len(),
            });
        }
        let s = self.shape;
        let source = Source::new(upstream, s)?;
        let within_images = self.sets() > 1 || matches!(upstream, Upstream::Means(_));
        let narrow: usize = self.narrow().iter().sum();
        let tiling = Tiling::new(
            s,
            3 * self.work() + s.pixels() * s.channels * source.rows(),
            within_images,
            // A task begins and ends with all of an expansion's totals.
            match towards.contains(&Towards::Expansion) {
                true => 32,
                false => 1,
            },
        );
        let mut found: Vec<Gradient> = towards
            .iter()
            .zip(&self.terms)
            .map(|(&towards, term)| Gradient::new(self, term, towards, tiling.tasks()))
            .collect();
        let plan = Plan {
            wide: self,
            source,
            terms: found.iter_mut().map(|g| g.shared(tiling.tasks())).collect(),
        };
        let registers = self.phases * self.terms.len() * 2 * BLOCK;
        let rows = 2 * self.phases * narrow + plan.source.rows() + registers;
        parallel::for_each(tiling.tasks(), tiling.work(), |task| {
            let (tile, totals) = (rows * WIDEST, plan.totals() * TOTAL);
            with_scratch(tile + totals, |scratch: &mut [f32]| {
                let (tile, totals) = scratch.split_at_mut(tile);
                totals.fill(0.0);
                for (part, at) in tiling.tiles(task) {
                    compute(Tile {
                        plan: &plan,
                        part,
                        at,
                        scratch: &mut *tile,
                        totals: &mut *totals,
                    });
                }
                plan.finish(task, totals);
            });
        });
        drop(plan);
        let parts: Vec<usize> = (0..tiling.tasks()).map(|task| tiling.part(task)).collect();
        let terms = self.terms.iter().zip(found);
        Ok(terms.map(|(term, g)| g.end(self, term, &parts)).collect())
    }
}

/// Numbers of a running total: as many as the widest register has, so that it lies at the same place for every instruction set.
const TOTAL: usize = 16;

/// What all tiles share.
struct Plan<'a> {
    wide: &'a Wide,
    source: Source<'a>,
    terms: Vec<Written<'a>>,
}

impl Plan<'_> {
    /// Running totals of a task.
    fn totals(&self) -> usize {
        self.terms.iter().map(|t| 2 * t.slots + t.factors).sum()
    }

    /// Hands on the totals of a task.
    fn finish(&self, task: usize, totals: &[f32]) {
        let mut totals = totals.chunks_exact(TOTAL).map(|t| t.iter().sum::<f32>());
        for term in &self.terms {
            for (out, len) in [
                (&term.sums, 2 * term.slots),
                (&term.expansion, term.factors),
            ] {
                // SAFETY: every task has a part of its own.
                let to = unsafe { out.part(task * len..(task + 1) * len) };
                to.iter_mut()
                    .zip(&mut totals)
                    .for_each(|(to, total)| *to = total);
            }
        }
    }
}

pub(super) struct Tile<'a> {
    plan: &'a Plan<'a>,
    /// The image whose factors are used, where images have their own.
    part: usize,
    at: Place,
    scratch: &'a mut [f32],
    totals: &'a mut [f32],
}

impl WithSimd for Tile<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 {
            self.split::<S, 4>(simd);
        } else {
            self.split::<S, 2>(simd);
        }
    }
}

impl Tile<'_> {
    /// A tile in pieces of `V` registers.
    #[inline(always)]
    fn split<S: Simd, const V: usize>(mut self, simd: S) {
        let lanes = size_of::<S::f32s>() / size_of::<f32>();
        let end = self.at.start + self.at.count;
        let mut start = self.at.start;
        while start < end {
            let count = (end - start).min(V * lanes);
            // The last piece of a small image needs no more registers than it has pixels for.
            if end - start <= lanes {
                self.piece::<S, 1>(simd, Place { start, count });
            } else {
                self.piece::<S, V>(simd, Place { start, count });
            }
            start += count;
        }
    }

    #[inline(always)]
    fn piece<S: Simd, const V: usize>(&mut self, simd: S, at: Place) {
        let (plan, wide) = (self.plan, self.plan.wide);
        let width = V * size_of::<S::f32s>() / size_of::<f32>();
        let narrow: usize = wide.terms.iter().map(|t| t.narrow).sum();
        let (z, rest) = self.scratch.split_at_mut(wide.phases * narrow * width);
        let (out, rest) = rest.split_at_mut(wide.phases * narrow * width);
        let (rows, saved) = rest.split_at_mut(plan.source.rows() * width);
        wide.load::<S, V>(z, at);
        out.fill(0.0);
        plan.source.begin(rows, width, wide.shape, at);
        let z = S::as_simd_f32s(z).0;
        let saved = S::as_mut_simd_f32s(saved).0;
        let zero = simd.splat_f32s(0.0);
        // What is saved of each term: its value, and the sum behind it.
        let each = BLOCK * V;
        let last = (wide.terms.len() - 1) * 2 * each + each;
        for block in 0..blocks(wide.shape.channels) {
            let best = forward::<S, V>(simd, wide, self.part, block, z, saved);
            let mut left = plan.source.block::<S, V>(simd, block, rows, wide.shape, at);
            let out = S::as_mut_simd_f32s(out).0;
            for (saved, (z, out)) in saved.chunks_exact(wide.terms.len() * 2 * each).zip(
                z.chunks_exact(narrow * V)
                    .zip(out.chunks_exact_mut(narrow * V)),
            ) {
                let mut g = left;
                if wide.phases > 1 {
                    // The first phase that has the largest value gets the gradient.
                    let values = saved[last..last + each].chunks_exact(V);
                    for (i, values) in values.enumerate() {
                        for (v, &value) in values.iter().enumerate() {
                            let here = simd.equal_f32s(value, best[i][v]);
                            g[i][v] = simd.select_f32s(here, left[i][v], zero);
                            left[i][v] = simd.select_f32s(here, zero, left[i][v]);
                        }
                    }
                }
                let mut end = narrow * V;
                let mut totals_end = plan.totals() * TOTAL;
                for (t, (term, written)) in wide.terms.iter().zip(&plan.terms).enumerate().rev() {
                    let saved = &saved[t * 2 * each..][..2 * each];
                    if term.relu {
                        for (g, sums) in g.iter_mut().zip(saved[each..].chunks_exact(V)) {
                            for (g, &sum) in g.iter_mut().zip(sums) {
                                // Where the sum is NaN the gradient passes, instead of hiding it.
                                let closed = simd.less_than_or_equal_f32s(sum, zero);
                                *g = simd.select_f32s(closed, zero, *g);
                            }
                        }
                    }
                    let rows = end - term.narrow * V..end;
                    end = rows.start;
                    let totals = totals_end - (2 * written.slots + written.factors) * TOTAL;
                    let own = &mut self.totals[totals..totals_end];
                    totals_end = totals;
                    let (sums, factors) = own.split_at_mut(2 * written.slots * TOTAL);
                    if let (Some(norm), true) = (&term.norm, written.slots > 0) {
                        add_sums::<S, V>(simd, block, norm.per, &g, &saved[..each], sums);
                    }
                    match written.towards {
                        Towards::Nothing => {}
                        Towards::Maps => {
                            let factors = term.factors.block(block, term.narrow);
                            let mut g = g;
                            if let Some(scale) = term.factors.scale(self.part, block) {
                                for (g, scale) in g.iter_mut().zip(scale) {
                                    let scale = simd.splat_f32s(scale);
                                    g.iter_mut().for_each(|g| *g = simd.mul_f32s(*g, scale));
                                }
                            }
                            pull::<S, V>(simd, factors, &g, &mut out[rows]);
                        }
                        Towards::Expansion => {
                            let len = term.narrow * BLOCK * TOTAL;
                            let factors = &mut factors[block * len..][..len];
                            add_products::<S, V>(simd, &g, &z[rows], factors);
                        }
                    }
                }
            }
        }
        let s = wide.shape;
        let mut out = out.chunks_exact(width);
        for phase in 0..wide.phases {
            for (term, written) in wide.terms.iter().zip(&plan.terms) {
                for (p, from) in out.by_ref().take(term.narrow).enumerate() {
                    if written.towards != Towards::Maps {
                        continue;
                    }
                    let stack = phase * term.narrow * s.pixels();
                    let place = [term.narrow, p, s.height * s.width];
                    runs(place, at, |to, done, run| {
                        // SAFETY: tiles do not overlap, and each writes the places of its own pixels.
                        let to = unsafe { written.maps.part(stack + to..stack + to + run) };
                        to.copy_from_slice(&from[done..done + run]);
                    });
                }
            }
        }
    }
}

/// A block of channels at `V` registers of pixels; of each phase and term it saves the value, and the sum behind it.
#[inline(always)]
fn forward<S: Simd, const V: usize>(
    simd: S,
    wide: &Wide,
    part: usize,
    block: usize,
    z: &[S::f32s],
    saved: &mut [S::f32s],
) -> [[S::f32s; V]; BLOCK] {
    let zero = simd.splat_f32s(0.0);
    let mut z = z.chunks_exact(V);
    let mut saved = saved.chunks_exact_mut(BLOCK * V);
    let mut best = [[zero; V]; BLOCK];
    for phase in 0..wide.phases {
        let mut sums = [[zero; V]; BLOCK];
        for term in &wide.terms {
            let value: [[S::f32s; V]; BLOCK] = term.value(simd, part, block, &mut z);
            if let Some(saved) = saved.next() {
                saved.copy_from_slice(value.as_flattened());
            }
            sums = plus::<S, V>(simd, &sums, &value);
            if term.relu {
                rectify(simd, &mut sums);
            }
            if let Some(saved) = saved.next() {
                saved.copy_from_slice(sums.as_flattened());
            }
        }
        if phase == 0 {
            best = sums;
        } else {
            for (best, sums) in best.iter_mut().zip(&sums) {
                for (best, &sum) in best.iter_mut().zip(sums) {
                    *best = simd.max_f32s(*best, sum);
                }
            }
        }
    }
    best
}

/// Adds the gradients of a block, and their products with the values, to a norm's running totals.
#[inline(always)]
fn add_sums<S: Simd, const V: usize>(
    simd: S,
    block: usize,
    per: usize,
    g: &[[S::f32s; V]; BLOCK],
    values: &[S::f32s],
    totals: &mut [f32],
) {
    let lanes = size_of::<S::f32s>() / size_of::<f32>();
    let together = per.is_multiple_of(BLOCK);
    let zero = simd.splat_f32s(0.0);
    let mut pair = [zero; 2];
    for (i, (g, values)) in g.iter().zip(values.chunks_exact(V)).enumerate() {
        for (&g, &value) in g.iter().zip(values) {
            pair[0] = simd.add_f32s(pair[0], g);
            pair[1] = fused(simd, g, value, pair[1]);
        }
        if together && i + 1 < BLOCK {
            continue;
        }
        let slot = match together {
            true => block * BLOCK / per,
            false => block * BLOCK + i,
        };
        for (total, sum) in totals[slot * 2 * TOTAL..].chunks_exact_mut(TOTAL).zip(pair) {
            let total = &mut S::as_mut_simd_f32s(&mut total[..lanes]).0[0];
            *total = simd.add_f32s(*total, sum);
        }
        pair = [zero; 2];
    }
}

/// Adds the transpose of a block's factors (`[narrow, BLOCK]`) times the block's gradients to the maps' gradients.
#[inline(always)]
fn pull<S: Simd, const V: usize>(
    simd: S,
    factors: &[f32],
    g: &[[S::f32s; V]; BLOCK],
    out: &mut [S::f32s],
) {
    for (to, factors) in out.chunks_exact_mut(V).zip(factors.chunks_exact(BLOCK)) {
        let mut sums: [S::f32s; V] = std::array::from_fn(|v| to[v]);
        for (g, &factor) in g.iter().zip(factors) {
            let factor = simd.splat_f32s(factor);
            for (sum, &g) in sums.iter_mut().zip(g) {
                *sum = fused(simd, factor, g, *sum);
            }
        }
        to.copy_from_slice(&sums);
    }
}

/// Adds the products of a block's gradients and the maps to an expansion's running totals, `[narrow, BLOCK]`.
#[inline(always)]
fn add_products<S: Simd, const V: usize>(
    simd: S,
    g: &[[S::f32s; V]; BLOCK],
    z: &[S::f32s],
    totals: &mut [f32],
) {
    let lanes = size_of::<S::f32s>() / size_of::<f32>();
    for (z, totals) in z
        .chunks_exact(V)
        .zip(totals.chunks_exact_mut(BLOCK * TOTAL))
    {
        let z: [S::f32s; V] = std::array::from_fn(|v| z[v]);
        for (g, total) in g.iter().zip(totals.chunks_exact_mut(TOTAL)) {
            let total = &mut S::as_mut_simd_f32s(&mut total[..lanes]).0[0];
            let mut sum = *total;
            for (&g, &z) in g.iter().zip(&z) {
                sum = fused(simd, g, z, sum);
            }
            *total = sum;
        }
    }
}
