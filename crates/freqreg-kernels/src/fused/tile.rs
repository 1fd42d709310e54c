//! Wide channels at the pixels of a tile, in registers.

use pulp::{Simd, WithSimd};

use super::block::{BLOCK, blocks, plus, rectify};
use super::maps::{MapShape, WIDEST};
use super::sinks::{Place, Sink};
use super::wide::Wide;

/// Multiply-adds of one task at least.
const TASK: usize = 1 << 18;

/// How pixels are split into tasks of tiles of at most [`WIDEST`] pixels, whatever the number of threads.
pub(super) struct Tiling {
    /// Images, where a tile lies within one of them, or 1.
    parts: usize,
    /// Pixels of a part.
    pixels: usize,
    /// Tiles of a task, and of a part.
    bunch: usize,
    tiles: usize,
    /// Multiply-adds of everything.
    work: usize,
}

impl Tiling {
    /// Tasks have `least` tiles, if there are so many, and more where these are little work.
    pub(super) fn new(shape: MapShape, work: usize, within_images: bool, least: usize) -> Self {
        let (parts, pixels) = match within_images {
            true => (shape.images, shape.height * shape.width),
            false => (1, shape.pixels()),
        };
        let tiles = pixels.div_ceil(WIDEST);
        let per_tile = work / (parts * tiles).max(1);
        Self {
            parts,
            pixels,
            bunch: (TASK / per_tile.max(1)).max(least).min(tiles),
            tiles,
            work,
        }
    }

    pub(super) fn work(&self) -> usize {
        self.work
    }

    pub(super) fn tasks(&self) -> usize {
        self.parts * self.tiles.div_ceil(self.bunch)
    }

    /// The part of a task.
    pub(super) fn part(&self, task: usize) -> usize {
        task / self.tiles.div_ceil(self.bunch)
    }

    /// The tiles of a task, with its part.
    pub(super) fn tiles(&self, task: usize) -> impl Iterator<Item = (usize, Place)> {
        let bunches = self.tiles.div_ceil(self.bunch);
        let (part, first) = (task / bunches, task % bunches * self.bunch);
        (first..self.tiles.min(first + self.bunch)).map(move |tile| {
            let start = tile * WIDEST;
            let place = Place {
                start: part * self.pixels + start,
                count: WIDEST.min(self.pixels - start),
            };
            (part, place)
        })
    }
}

pub(super) struct Tile<'a, K> {
    pub(super) wide: &'a Wide,
    pub(super) sink: &'a K,
    /// The image whose weights are used, where images have their own.
    pub(super) part: usize,
    pub(super) start: usize,
    pub(super) count: usize,
    pub(super) scratch: &'a mut [f32],
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
        wide.load::<S, V>(z, at);
        self.sink.begin(own);
        let z = S::as_simd_f32s(z).0;
        let registers = S::as_mut_simd_f32s(own).0;
        for block in 0..blocks(wide.shape.channels) {
            let values = block_of::<S, V>(simd, wide, self.part, block, z);
            self.sink.take::<S, V>(simd, block, &values, registers, at);
        }
        self.sink.end::<S, V>(own, at);
    }
}

impl Wide {
    /// The maps at some pixels, `[phases, terms, narrow, width]`, with zeros behind the last pixel.
    #[inline(always)]
    pub(super) fn load<S: Simd, const V: usize>(&self, z: &mut [f32], at: Place) {
        let mut to = z.chunks_exact_mut(V * size_of::<S::f32s>() / size_of::<f32>());
        for phase in 0..self.phases {
            for term in &self.terms {
                term.maps[phase].rows::<S, V>(at, &mut to);
            }
        }
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
    let mut z = z.chunks_exact(V);
    let mut best = sum_of::<S, V>(simd, wide, part, block, &mut z);
    for _ in 1..wide.phases {
        let sums = sum_of::<S, V>(simd, wide, part, block, &mut z);
        for (best, sums) in best.iter_mut().zip(&sums) {
            for (best, &sum) in best.iter_mut().zip(sums) {
                // The maximum is `sum` where either is NaN; a NaN that is the best so far stays.
                let number = simd.equal_f32s(*best, *best);
                *best = simd.select_f32s(number, simd.max_f32s(*best, sum), *best);
            }
        }
    }
    best
}

/// A block of the terms' sum in one phase.
#[inline(always)]
fn sum_of<S: Simd, const V: usize>(
    simd: S,
    wide: &Wide,
    part: usize,
    block: usize,
    z: &mut std::slice::ChunksExact<'_, S::f32s>,
) -> [[S::f32s; V]; BLOCK] {
    let [first, rest @ ..] = &wide.terms[..] else {
        return [[simd.splat_f32s(0.0); V]; BLOCK];
    };
    let mut sums = first.value(simd, part, block, z);
    if first.relu {
        rectify(simd, &mut sums);
    }
    for term in rest {
        let value = term.value(simd, part, block, z);
        sums = plus::<S, V>(simd, &sums, &value);
        if term.relu {
            rectify(simd, &mut sums);
        }
    }
    sums
}
