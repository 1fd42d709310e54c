//! Gradients through wide channels, which are computed a second time where they are needed instead of being stored.

use pulp::{Arch, Simd, WithSimd};

use super::maps::{MapShape, Maps, WIDEST};
use super::norm::Sums;
use super::sinks::Place;
use super::tile::Tiling;
use super::wide::{BLOCK, Term, Wide, blocks, fused, pack_columns, plus, rectify};
use crate::error::{Error, Result, length};
use crate::parallel::{self, Shared};
use crate::scratch::with_scratch;

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

/// Where the gradient with respect to the wide channels comes from.
enum Source<'a> {
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
    fn new(upstream: Upstream<'a>, s: MapShape) -> Result<Self> {
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
    fn rows(&self) -> usize {
        match self {
            Source::Projected { to, .. } => *to,
            Source::Images(_) | Source::Means(_) => BLOCK,
        }
    }

    /// Before the first block of a tile.
    #[inline(always)]
    fn begin(&self, rows: &mut [f32], width: usize, s: MapShape, at: Place) {
        if let Source::Projected { to, gradient, .. } = self {
            let pixels = s.height * s.width;
            for (q, row) in rows.chunks_exact_mut(width).enumerate() {
                gather(gradient, [*to, q, pixels], at, row);
            }
        }
    }

    /// The gradient with respect to a block of channels.
    #[inline(always)]
    fn block<S: Simd, const V: usize>(
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
fn runs(
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

/// Numbers of a running total: as many as the widest register has, so that it lies at the same place for every instruction set.
const TOTAL: usize = 16;

/// The gradient of one term, while it is computed.
struct Gradient {
    towards: Towards,
    /// Running totals of what a norm needs, two each: one for each of its groups where no block of channels lies in two groups, else
    /// one for each channel; none without a norm.
    slots: usize,
    /// With respect to the maps, `[phases, images, narrow, pixels]`.
    maps: Vec<f32>,
    /// Of each task, `[slots, 2]`.
    sums: Vec<f32>,
    /// Of each task, `[blocks, narrow, BLOCK]`.
    expansion: Vec<f32>,
}

/// The same as tasks write it.
struct Written<'a> {
    towards: Towards,
    slots: usize,
    /// Running totals for an expansion.
    factors: usize,
    maps: Shared<'a, f32>,
    sums: Shared<'a, f32>,
    expansion: Shared<'a, f32>,
}

impl Gradient {
    fn new(wide: &Wide, term: &Term, towards: Towards, tasks: usize) -> Self {
        let s = wide.shape;
        let slots = match (&term.norm, towards) {
            (None, _) | (_, Towards::Nothing) => 0,
            (Some(norm), _) if norm.per.is_multiple_of(BLOCK) => norm.groups,
            (Some(_), _) => blocks(s.channels) * BLOCK,
        };
        let zeros = |wanted, len| vec![0.0; if towards == wanted { len } else { 0 }];
        let factors = blocks(s.channels) * BLOCK * term.narrow;
        Self {
            towards,
            slots,
            maps: zeros(Towards::Maps, wide.phases * term.narrow * s.pixels()),
            sums: vec![0.0; tasks * slots * 2],
            expansion: zeros(Towards::Expansion, tasks * factors),
        }
    }

    fn shared(&mut self, tasks: usize) -> Written<'_> {
        Written {
            towards: self.towards,
            slots: self.slots,
            factors: self.expansion.len() / tasks,
            maps: Shared::new(&mut self.maps),
            sums: Shared::new(&mut self.sums),
            expansion: Shared::new(&mut self.expansion),
        }
    }

    /// The gradient, from what the tasks wrote; `parts` are those of the tasks.
    fn end(self, wide: &Wide, term: &Term, parts: &[usize]) -> Vec<f32> {
        let s = wide.shape;
        let norm = term.norm.as_deref();
        // The tasks' sums are added in their order, in double precision.
        let sums = norm.filter(|_| self.slots > 0).map(|norm| {
            let mut sums: Vec<Sums> = vec![[0.0; 2]; norm.sets * norm.groups];
            for (&part, slots) in parts.iter().zip(self.sums.chunks_exact(2 * self.slots)) {
                for (slot, pair) in slots.chunks_exact(2).enumerate() {
                    let group = if self.slots == norm.groups {
                        slot
                    } else if slot < s.channels {
                        slot / norm.per
                    } else {
                        continue;
                    };
                    let to = &mut sums[part % norm.sets * norm.groups + group];
                    to.iter_mut()
                        .zip(pair)
                        .for_each(|(to, &v)| *to += f64::from(v));
                }
            }
            (norm, sums)
        });
        match self.towards {
            Towards::Nothing => Vec::new(),
            Towards::Maps => {
                let mut gradient = match wide.pool {
                    None => self.maps,
                    Some(pool) => unpooled(&self.maps, &term.source, s, pool),
                };
                if let Some((norm, sums)) = sums {
                    norm.correct(&sums, &term.expand, &term.source, &mut gradient);
                }
                gradient
            }
            Towards::Expansion => {
                let mut gradient = vec![0.0; s.channels * term.narrow];
                let len = self.expansion.len() / parts.len();
                for (&part, expansion) in parts.iter().zip(self.expansion.chunks_exact(len)) {
                    for (c, to) in gradient.chunks_exact_mut(term.narrow).enumerate() {
                        let scale = norm.map_or(1.0, |norm| norm.scale(part % norm.sets, c));
                        let from = &expansion[c / BLOCK * term.narrow * BLOCK..];
                        for (p, to) in to.iter_mut().enumerate() {
                            *to += scale * f64::from(from[p * BLOCK + c % BLOCK]);
                        }
                    }
                }
                if let Some((norm, sums)) = sums {
                    let pixels = term.source.shape().pixels() / norm.sets;
                    norm.correct_expansion(&sums, &term.expand, pixels, &mut gradient);
                }
                gradient.into_iter().map(|g| g as f32).collect()
            }
        }
    }
}

/// The gradient of maps from that of the phases they were split into.
fn unpooled(
    phases: &[f32],
    source: &Maps,
    pooled: MapShape,
    [kernel, stride]: [[usize; 2]; 2],
) -> Vec<f32> {
    let s = source.shape();
    let (pixels, small) = (s.height * s.width, pooled.height * pooled.width);
    let planes = s.images * s.channels;
    let mut out = vec![0.0; planes * pixels];
    let shared = Shared::new(&mut out);
    parallel::for_each(planes, phases.len(), |plane| {
        // SAFETY: every task has a plane of its own.
        let out = unsafe { shared.part(plane * pixels..(plane + 1) * pixels) };
        for place in 0..kernel[0] * kernel[1] {
            let (a, b) = (place / kernel[1], place % kernel[1]);
            let from = &phases[(place * planes + plane) * small..][..small];
            for (y, from) in from.chunks_exact(pooled.width).enumerate() {
                let to = &mut out[(y * stride[0] + a) * s.width + b..];
                for (to, from) in to.iter_mut().step_by(stride[1]).zip(from) {
                    *to += from;
                }
            }
        }
    });
    out
}

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
