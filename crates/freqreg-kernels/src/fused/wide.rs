//! Wide channels computed from narrow maps, a tile of pixels at a time.

use std::sync::Arc;

use pulp::{Arch, Simd, WithSimd};

use super::maps::{MapShape, Maps, WIDEST};
use super::sinks::{Images, Place, Project, Sink, Sums};
use crate::error::{Error, Result, length};
use crate::parallel::{self, Shared};
use crate::scratch::with_scratch;

/// Wide channels computed together.
pub(super) const BLOCK: usize = 4;

/// Multiply-adds of one task at least.
const TASK: usize = 1 << 18;

/// One step of a [`Wide`]: narrow maps expanded to the wide channels and added to what came before.
#[derive(Debug, Clone)]
struct Term {
    maps: Vec<Arc<Maps>>,
    narrow: usize,
    /// Blocks of wide channels.
    blocks: usize,
    /// Images that have weights of their own: all, or one for all of them.
    sets: usize,
    /// For each set and block of channels, `[narrow, BLOCK]`.
    expand: Vec<f32>,
    /// For each set, the channels; empty without shifts.
    shift: Vec<f32>,
    relu: bool,
}

impl Term {
    /// Adds the term to a block of channels at `V` registers of pixels, whose narrow maps are next in `z`.
    #[inline(always)]
    fn add<S: Simd, const V: usize>(
        &self,
        simd: S,
        part: usize,
        block: usize,
        z: &mut std::slice::ChunksExact<'_, S::f32s>,
        sums: &mut [[S::f32s; V]; BLOCK],
    ) {
        let block = match self.sets {
            1 => block,
            _ => part * self.blocks + block,
        };
        let len = self.narrow * BLOCK;
        if !self.shift.is_empty() {
            let shift = &self.shift[block * BLOCK..][..BLOCK];
            for (sums, &shift) in sums.iter_mut().zip(shift) {
                let shift = simd.splat_f32s(shift);
                for sum in sums {
                    *sum = simd.add_f32s(*sum, shift);
                }
            }
        }
        let expand = &self.expand[block * len..][..len];
        for (factors, z) in expand.chunks_exact(BLOCK).zip(z) {
            let z: [S::f32s; V] = std::array::from_fn(|v| z[v]);
            for (sums, &factor) in sums.iter_mut().zip(factors) {
                let factor = simd.splat_f32s(factor);
                for (sum, &z) in sums.iter_mut().zip(&z) {
                    *sum = fused(simd, factor, z, *sum);
                }
            }
        }
        if self.relu {
            let zero = simd.splat_f32s(0.0);
            for sum in sums.iter_mut().flatten() {
                // Zero first: where the other is NaN, NaN is what comes out.
                *sum = simd.max_f32s(zero, *sum);
            }
        }
    }
}

/// Wide channels at every pixel of a batch, which are computed where they are read and stored nowhere.
///
/// They are given by terms. Each expands its narrow maps (`expand`, `[channels, narrow]`) and adds a shift for each channel, adds
/// that to the sum so far, and may then replace the sum by `max(sum, 0)`. One term with a ReLU is a convolution's output behind a norm
/// and a ReLU; further terms are those of residual networks. With several phases, all of it is done for each phase, and the largest
/// result counts: a max-pool.
#[derive(Debug, Clone)]
pub struct Wide {
    shape: MapShape,
    phases: usize,
    sets: usize,
    terms: Vec<Term>,
}

fn blocks(channels: usize) -> usize {
    channels.div_ceil(BLOCK)
}

/// `[rows, columns]` to `[blocks of rows, columns, BLOCK]`, padded with zeros.
fn pack(weights: &[f32], columns: usize, packed: &mut Vec<f32>) {
    for rows in weights.chunks(BLOCK * columns) {
        for c in 0..columns {
            packed.extend((0..BLOCK).map(|r| rows.get(r * columns + c).copied().unwrap_or(0.0)));
        }
    }
}

impl Wide {
    /// Channels that are zero, before any term; `maps` are those of the first term, and give the sizes.
    ///
    /// `maps` are one stack for each phase, as [`Maps::phases`] gives them, or a single one.
    /// `expand` is `[sets, channels, narrow]` and `shift` `[sets, channels]` or empty, with one set for all images or one for each.
    ///
    /// # Errors
    /// Maps of different sizes or with a border, and slices whose lengths do not fit.
    pub fn new(
        channels: usize,
        maps: Vec<Arc<Maps>>,
        expand: &[f32],
        shift: &[f32],
        relu: bool,
    ) -> Result<Self> {
        let Some(first) = maps.first() else {
            return Err(Error::Zero { what: "phases" });
        };
        let wide = Self {
            shape: MapShape {
                channels,
                ..first.shape()
            },
            phases: maps.len(),
            sets: 1,
            terms: Vec::new(),
        };
        wide.plus(maps, expand, shift, relu)
    }

    /// With one more term.
    ///
    /// # Errors
    /// As [`Wide::new`].
    pub fn plus(
        mut self,
        maps: Vec<Arc<Maps>>,
        expand: &[f32],
        shift: &[f32],
        relu: bool,
    ) -> Result<Self> {
        if maps.len() != self.phases {
            return Err(Error::Length {
                what: "list of phases",
                expected: self.phases,
                got: maps.len(),
            });
        }
        let channels = self.shape.channels;
        let narrow = maps[0].shape().channels;
        for m in &maps {
            let s = m.shape();
            let fits = MapShape {
                channels: narrow,
                ..self.shape
            };
            if s != fits || m.border() != [0, 0] {
                return Err(Error::Length {
                    what: "maps of a term",
                    expected: fits.channels * fits.pixels(),
                    got: s.channels * s.pixels(),
                });
            }
        }
        let per_image = expand.len() != channels * narrow;
        let sets = if per_image { self.shape.images } else { 1 };
        length("expansion", expand, sets * channels * narrow)?;
        if !shift.is_empty() {
            length("shifts", shift, sets * channels)?;
        }
        let (mut packed, mut shifts) = (Vec::new(), Vec::new());
        for set in expand.chunks_exact(channels * narrow) {
            pack(set, narrow, &mut packed);
        }
        for set in shift.chunks_exact(channels) {
            shifts.extend_from_slice(set);
            shifts.resize(shifts.len().next_multiple_of(BLOCK), 0.0);
        }
        self.sets = self.sets.max(sets);
        self.terms.push(Term {
            maps,
            narrow,
            blocks: blocks(channels),
            sets,
            expand: packed,
            shift: shifts,
            relu,
        });
        Ok(self)
    }

    /// The terms of `other` after those of this one.
    ///
    /// # Errors
    /// Sizes that differ.
    pub fn and(mut self, other: &Self) -> Result<Self> {
        if (self.shape, self.phases) != (other.shape, other.phases) {
            return Err(Error::Length {
                what: "added channels",
                expected: self.shape.channels * self.shape.pixels(),
                got: other.shape.channels * other.shape.pixels(),
            });
        }
        self.sets = self.sets.max(other.sets);
        self.terms.extend(other.terms.iter().cloned());
        Ok(self)
    }

    /// Behind a ReLU.
    #[must_use]
    pub fn relu(mut self) -> Self {
        if let Some(last) = self.terms.last_mut() {
            last.relu = true;
        }
        self
    }

    /// Whether the channels are linear in the maps, each a single phase's.
    #[must_use]
    pub fn is_linear(&self) -> bool {
        self.phases == 1 && self.terms.iter().all(|t| !t.relu)
    }

    /// Behind a max-pool without padding.
    ///
    /// # Errors
    /// A window that does not fit, and channels that went through a pool already: compute them first.
    pub fn max_pool(&self, kernel: [usize; 2], stride: [usize; 2]) -> Result<Self> {
        if self.phases != 1 {
            return Err(Error::TooLarge {
                what: "number of pools one behind the other",
                limit: 1,
                got: 2,
            });
        }
        let mut pooled = self.clone();
        for term in &mut pooled.terms {
            let phases = term.maps[0].phases(kernel, stride)?;
            pooled.phases = phases.len();
            let shape = phases[0].shape();
            pooled.shape = MapShape {
                channels: self.shape.channels,
                ..shape
            };
            term.maps = phases.into_iter().map(Arc::new).collect();
        }
        Ok(pooled)
    }

    /// With zeros below and right of each image. Only for channels that are zero where the maps are.
    ///
    /// # Errors
    /// Shifts, or several phases.
    pub fn extended(&self, rows: usize, columns: usize) -> Result<Self> {
        if self.phases != 1 || self.terms.iter().any(|t| !t.shift.is_empty()) {
            return Err(Error::Range {
                what: "extension by zeros",
                expected: "of channels without shifts and pools",
                got: f64::NAN,
            });
        }
        let mut out = self.clone();
        for term in &mut out.terms {
            term.maps = vec![Arc::new(term.maps[0].extended(rows, columns)?)];
            let shape = term.maps[0].shape();
            out.shape = MapShape {
                channels: self.shape.channels,
                ..shape
            };
        }
        Ok(out)
    }

    /// The sizes, with the number of wide channels.
    #[must_use]
    pub fn shape(&self) -> MapShape {
        self.shape
    }

    /// The terms' narrow channels.
    #[must_use]
    pub fn narrow(&self) -> Vec<usize> {
        self.terms.iter().map(|t| t.narrow).collect()
    }

    /// Results of which the largest counts: 1 without a pool.
    #[must_use]
    pub fn phases(&self) -> usize {
        self.phases
    }

    /// Multiply-adds of computing all channels once.
    #[must_use]
    pub fn work(&self) -> usize {
        let narrow: usize = self.narrow().iter().sum();
        self.shape.pixels() * self.phases * narrow * self.shape.channels
    }

    /// Writes `weights` (`[out, channels]`) times the channels to `out`, or adds it.
    ///
    /// # Errors
    /// Weights or an output whose sizes do not fit.
    pub fn project(&self, weights: &[f32], out: &mut Maps, add: bool) -> Result<()> {
        let to = out.shape().channels;
        length("projection", weights, to * self.shape.channels)?;
        let fits = MapShape {
            channels: to,
            ..self.shape
        };
        if out.shape() != fits {
            return Err(Error::Length {
                what: "output maps",
                expected: fits.channels * fits.pixels(),
                got: out.shape().channels * out.shape().pixels(),
            });
        }
        // [channels, out], so that a block's columns lie together.
        let channels = self.shape.channels;
        let mut packed = Vec::with_capacity(blocks(channels) * to * BLOCK);
        let transposed: Vec<f32> = (0..channels * to)
            .map(|i| weights[i % to * channels + i / to])
            .collect();
        pack(&transposed, to, &mut packed);
        let (layout, plane) = (out.layout(), out.plane());
        let out = Shared::new(out.data_mut());
        let sink = Project {
            weights: &packed,
            to,
            layout,
            plane,
            add,
            out,
        };
        self.run(&sink, 2 * to * channels);
        Ok(())
    }

    /// The channels themselves, `[images, channels, height, width]`.
    #[must_use]
    pub fn images(&self) -> Vec<f32> {
        let s = self.shape;
        let mut out = vec![0.0; s.channels * s.pixels()];
        let sink = Images {
            shape: s,
            out: Shared::new(&mut out),
        };
        self.run(&sink, s.channels);
        out
    }

    /// Each channel's mean over each image, `[images, channels]`.
    #[must_use]
    pub fn means(&self) -> Vec<f32> {
        let s = self.shape;
        let pixels = s.height * s.width;
        // Tiles write sums of their own, which are added in the order of the tiles.
        let tiles = pixels.div_ceil(WIDEST);
        let mut sums = vec![0.0; s.images * tiles * s.channels];
        let mut each = self.clone();
        // One set an image keeps a tile within its image.
        each.sets = s.images;
        let sink = Sums {
            shape: s,
            tiles,
            out: Shared::new(&mut sums),
        };
        each.run(&sink, s.channels);
        let mut means = Vec::with_capacity(s.images * s.channels);
        for image in sums.chunks_exact(tiles * s.channels) {
            for c in 0..s.channels {
                let sum: f64 = (0..tiles)
                    .map(|t| f64::from(image[t * s.channels + c]))
                    .sum();
                means.push((sum / pixels as f64) as f32);
            }
        }
        means
    }

    /// Calls `sink` with every tile of every block of channels. Tiles are at most [`WIDEST`] pixels wide and do not depend on the
    /// number of threads; where images have weights of their own, a tile lies within one image.
    fn run<K: Sink>(&self, sink: &K, sink_work: usize) {
        self.run_by(sink, sink_work, |tile| Arch::new().dispatch(tile));
    }

    fn run_by<K: Sink>(
        &self,
        sink: &K,
        sink_work: usize,
        compute: impl Fn(Tile<'_, K>) + Sync + Send,
    ) {
        let s = self.shape;
        let (parts, pixels) = match self.sets {
            1 => (1, s.pixels()),
            images => (images, s.height * s.width),
        };
        let narrow: usize = self.narrow().iter().sum();
        let work = s.pixels() * (self.phases * narrow * s.channels + sink_work);
        let tiles = pixels.div_ceil(WIDEST);
        let per_tile = work / (parts * tiles).max(1);
        let bunch = (TASK / per_tile.max(1)).clamp(1, tiles);
        let bunches = tiles.div_ceil(bunch);
        let rows = self.phases * narrow + sink.scratch();
        parallel::for_each(parts * bunches, work, |task| {
            let (part, first) = (task / bunches, task % bunches * bunch);
            // The working memory is taken here: what is called between a dispatch and its loops must be inlined.
            with_scratch(rows * WIDEST, |scratch: &mut [f32]| {
                for tile in first..tiles.min(first + bunch) {
                    let start = tile * WIDEST;
                    compute(Tile {
                        wide: self,
                        sink,
                        part,
                        start: part * pixels + start,
                        count: WIDEST.min(pixels - start),
                        scratch,
                    });
                }
            });
        });
    }
}

struct Tile<'a, K> {
    wide: &'a Wide,
    sink: &'a K,
    /// The image whose weights are used, where images have their own.
    part: usize,
    start: usize,
    count: usize,
    scratch: &'a mut [f32],
}

impl<K: Sink> WithSimd for Tile<'_, K> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Block times registers of channels, and a block's factors, stay in registers.
        if S::REGISTER_COUNT >= 32 {
            self.split::<S, 4>(simd);
        } else {
            self.split::<S, 2>(simd);
        }
    }
}

impl<K: Sink> Tile<'_, K> {
    /// A tile in pieces of `V` registers.
    #[inline(always)]
    fn split<S: Simd, const V: usize>(mut self, simd: S) {
        let lanes = size_of::<S::f32s>() / size_of::<f32>();
        let width = V * lanes;
        let mut done = 0;
        while done < self.count {
            // The last piece of a small image needs no more registers than it has pixels for.
            let left = self.count - done;
            let at = Place {
                start: self.start + done,
                count: left.min(width),
            };
            if left <= lanes {
                self.piece::<S, 1>(simd, at);
            } else {
                self.piece::<S, V>(simd, at);
            }
            done += at.count;
        }
    }

    #[inline(always)]
    fn piece<S: Simd, const V: usize>(&mut self, simd: S, at: Place) {
        let lanes = size_of::<S::f32s>() / size_of::<f32>();
        let width = V * lanes;
        let wide = self.wide;
        let narrow: usize = wide.terms.iter().map(|t| t.narrow).sum();
        let rows = wide.phases * narrow;
        let scratch = &mut self.scratch[..(rows + self.sink.scratch()) * width];
        let (z, own) = scratch.split_at_mut(rows * width);
        let mut to = z.chunks_exact_mut(width);
        for phase in 0..wide.phases {
            for term in &wide.terms {
                let maps = &term.maps[phase];
                let planes = maps.data().chunks_exact(maps.plane());
                for plane in planes.take(maps.shape().channels) {
                    if let Some(to) = to.next() {
                        to[..at.count].copy_from_slice(&plane[at.start..at.start + at.count]);
                        to[at.count..].fill(0.0);
                    }
                }
            }
        }
        self.sink.begin(own);
        let z = S::as_simd_f32s(z).0;
        let registers = S::as_mut_simd_f32s(own).0;
        for block in 0..blocks(wide.shape.channels) {
            let values = block_of::<S, V>(simd, wide, self.part, block, z);
            self.sink.take::<S, V>(simd, block, &values, registers, at);
        }
        self.sink.end(own, width, at);
    }
}

/// A block of channels at `V` registers of pixels.
#[inline(always)]
fn block_of<S: Simd, const V: usize>(
    simd: S,
    wide: &Wide,
    part: usize,
    block: usize,
    z: &[S::f32s],
) -> [[S::f32s; V]; BLOCK] {
    let zero = simd.splat_f32s(0.0);
    let mut z = z.chunks_exact(V);
    if let (1, [term]) = (wide.phases, &wide.terms[..]) {
        let mut sums = [[zero; V]; BLOCK];
        term.add(simd, part, block, &mut z, &mut sums);
        return sums;
    }
    let mut best = [[zero; V]; BLOCK];
    for phase in 0..wide.phases {
        let mut sums = [[zero; V]; BLOCK];
        for term in &wide.terms {
            term.add(simd, part, block, &mut z, &mut sums);
        }
        if phase == 0 {
            best = sums;
        } else {
            for (best, &sum) in best.iter_mut().flatten().zip(sums.iter().flatten()) {
                // The maximum is `sum` where either is NaN; a NaN that is the best so far stays.
                let number = simd.equal_f32s(*best, *best);
                *best = simd.select_f32s(number, simd.max_f32s(*best, sum), *best);
            }
        }
    }
    best
}

#[inline(always)]
pub(super) fn fused<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    // Without vector registers a fused operation would be a call of a slow function.
    if S::IS_SCALAR {
        simd.add_f32s(simd.mul_f32s(a, b), c)
    } else {
        simd.mul_add_f32s(a, b, c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(len: usize, seed: usize) -> Vec<f32> {
        (0..len)
            .map(|i| ((i * 37 + seed * 11) % 23) as f32 / 11.0 - 1.0)
            .collect()
    }

    /// Two terms of two phases over images of odd sizes, weights for each image, compared with plain loops.
    fn check<S: Simd>(simd: S) {
        let shape = MapShape {
            channels: 3,
            images: 2,
            height: 9,
            width: 11,
        };
        let one = Maps::from_images(shape, [0, 0], &values(3 * 198, 1)).unwrap();
        let two = Maps::from_images(shape, [0, 0], &values(3 * 198, 2)).unwrap();
        let phases = |m: &Maps| {
            m.phases([1, 2], [1, 1])
                .unwrap()
                .into_iter()
                .map(Arc::new)
                .collect()
        };
        let (first, second) = (values(2 * 6 * 3, 3), values(6 * 3, 4));
        let (shift, weights) = (values(2 * 6, 5), values(5 * 6, 6));
        let wide = Wide::new(6, phases(&one), &first, &shift, true)
            .and_then(|w| w.plus(phases(&two), &second, &[], false))
            .unwrap();
        let mut out = Maps::zeros(
            MapShape {
                channels: 5,
                width: 10,
                ..shape
            },
            [1, 2],
        )
        .unwrap();
        let mut packed = Vec::new();
        let transposed: Vec<f32> = (0..30).map(|i| weights[i % 5 * 6 + i / 5]).collect();
        pack(&transposed, 5, &mut packed);
        let (layout, plane) = (out.layout(), out.plane());
        let sink = Project {
            weights: &packed,
            to: 5,
            layout,
            plane,
            add: false,
            out: Shared::new(out.data_mut()),
        };
        wide.run_by(&sink, 0, |tile| simd.vectorize(tile));
        let mut want = Vec::new();
        let (a, b) = (one.to_images(), two.to_images());
        for n in 0..2 {
            for q in 0..5 {
                for at in (0..99).filter(|at| at % 11 < 10) {
                    let channel = |c: usize, at: usize| {
                        let z = |z: &[f32], p: usize| z[(n * 3 + p) * 99 + at];
                        let sum: f32 = (0..3).map(|p| first[(n * 6 + c) * 3 + p] * z(&a, p)).sum();
                        let more: f32 = (0..3).map(|p| second[c * 3 + p] * z(&b, p)).sum();
                        (sum + shift[n * 6 + c]).max(0.0) + more
                    };
                    let wide = |c| channel(c, at).max(channel(c, at + 1));
                    want.push((0..6).map(|c| weights[q * 6 + c] * wide(c)).sum::<f32>());
                }
            }
        }
        for (i, (got, want)) in out.to_images().iter().zip(&want).enumerate() {
            assert!((got - want).abs() < 1e-5, "{i}: {got} for {want}");
        }
    }

    #[test]
    fn every_instruction_set_of_this_machine() {
        check(pulp::Scalar);
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(simd) = pulp::x86::V3::try_new() {
                check(simd);
            }
            if let Some(simd) = pulp::x86::V4::try_new() {
                check(simd);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if let Some(simd) = pulp::aarch64::Neon::try_new() {
            check(simd);
        }
    }
}
