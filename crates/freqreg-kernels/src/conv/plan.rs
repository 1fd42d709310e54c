//! A checked shape cut into tiles, and how a tile's input is addressed.

use std::ops::Range;

use crate::geometry::Geometry;
use crate::real::Real;
use crate::scratch::with_scratch;
use crate::simd::vectorized;

/// Pixels of a tile: enough to make good use of a block of weights once it is in the cache.
const TILE: usize = 512;

/// A checked shape, cut into tiles. What a tile is depends on the shape only.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub(crate) geometry: Geometry,
    pub(crate) batch: usize,
    pub(crate) groups: usize,
    /// Input channels of a group.
    pub(crate) inputs: usize,
    /// Output channels of a group.
    pub(crate) outputs: usize,
}

/// Output pixels that are worked on together: those of some whole images, or some rows of one image.
#[derive(Debug, Clone)]
pub(super) struct Tile {
    pub(super) images: Range<usize>,
    pub(super) rows: Range<usize>,
}

impl Plan {
    pub(crate) fn input_len(&self) -> usize {
        self.batch * self.groups * self.inputs * self.geometry.input_plane()
    }

    pub(crate) fn weight_len(&self) -> usize {
        self.groups * self.outputs * self.depth()
    }

    pub(crate) fn output_len(&self) -> usize {
        self.batch * self.groups * self.outputs * self.geometry.output_plane()
    }

    /// Elements of a filter.
    pub(super) fn depth(&self) -> usize {
        self.inputs * self.geometry.window()
    }

    /// Multiply-adds of one pass.
    pub(super) fn work(&self) -> usize {
        self.output_len() * self.depth()
    }

    /// Images and output rows of the largest tile.
    pub(super) fn tile_size(&self) -> (usize, usize) {
        let [height, width] = self.geometry.output;
        let images = (TILE / (height * width)).clamp(1, self.batch);
        // An image that is only a little larger is not cut.
        let pieces = (height * width / TILE).max(1);
        (images, height.div_ceil(pieces))
    }

    pub(super) fn tiles(&self) -> Vec<Tile> {
        let ((images, rows), height) = (self.tile_size(), self.geometry.output[0]);
        let starts = (0..self.batch).step_by(images);
        starts
            .flat_map(|n| (0..height).step_by(rows).map(move |r| (n, r)))
            .map(|(n, r)| Tile {
                images: n..(n + images).min(self.batch),
                rows: r..(r + rows).min(height),
            })
            .collect()
    }

    /// Whether every tile holds whole images.
    pub(super) fn tiles_are_whole(&self) -> bool {
        self.tile_size().1 == self.geometry.output[0]
    }

    /// Pixels of a tile.
    pub(super) fn pixels(&self, tile: &Tile) -> usize {
        tile.images.len() * tile.rows.len() * self.geometry.output[1]
    }

    /// Whether a tile holds all rows of its images.
    pub(super) fn is_whole(&self, tile: &Tile) -> bool {
        tile.rows.len() == self.geometry.output[0]
    }

    /// Where input channel `c` of a group begins in `x`.
    pub(super) fn input_start(&self, image: usize, group: usize, c: usize) -> usize {
        ((image * self.groups + group) * self.inputs + c) * self.geometry.input_plane()
    }

    /// Where a row of output channel `o` of a group begins in `y`.
    pub(super) fn output_start(&self, image: usize, group: usize, o: usize, row: usize) -> usize {
        let [height, width] = self.geometry.output;
        (((image * self.groups + group) * self.outputs + o) * height + row) * width
    }

    /// Offset of each pixel of the largest tile, images `image` elements apart; a smaller tile has the first of them.
    /// Input rows are `line` elements apart, and each step is `unit` elements.
    pub(super) fn pixel_offsets(&self, image: usize, line: usize, unit: usize) -> Vec<usize> {
        let ((images, rows), width) = (self.tile_size(), self.geometry.output[1]);
        let [down, across] = self.geometry.stride;
        let mut offsets = Vec::with_capacity(images * rows * width);
        for n in 0..images {
            for i in 0..rows {
                offsets
                    .extend((0..width).map(|j| n * image + (i * down * line + j * across) * unit));
            }
        }
        offsets
    }

    /// Offset of each filter element of `channels` channels, `channel` elements apart.
    pub(super) fn filter_offsets(
        &self,
        channels: usize,
        channel: usize,
        line: usize,
        unit: usize,
    ) -> Vec<usize> {
        let ([kh, kw], [down, across]) = (self.geometry.kernel, self.geometry.dilation);
        let mut offsets = Vec::with_capacity(channels * kh * kw);
        for c in 0..channels {
            for a in 0..kh {
                offsets
                    .extend((0..kw).map(|b| c * channel + (a * down * line + b * across) * unit));
            }
        }
        offsets
    }

    /// Padded input rows that the windows of `rows` output rows touch.
    pub(super) fn touched_rows(&self, rows: usize) -> usize {
        let g = &self.geometry;
        (rows - 1) * g.stride[0] + g.dilation[0] * (g.kernel[0] - 1) + 1
    }

    /// Padded input columns.
    pub(super) fn padded_width(&self) -> usize {
        self.geometry.input[1] + 2 * self.geometry.padding[1]
    }

    /// Padded input rows and columns that the windows of the largest tile touch in an image.
    pub(super) fn region(&self) -> [usize; 2] {
        [self.touched_rows(self.tile_size().1), self.padded_width()]
    }
}

/// How the windows of a tile read the input: where it lies if there is no padding, else from a padded copy of the tile's part.
#[derive(Debug)]
pub(super) struct Windows<'a> {
    plan: &'a Plan,
    /// Distance of a channel's planes, and of images, in the padded copy.
    strides: Option<[usize; 2]>,
    /// Offset of each pixel's window.
    pub(super) pixels: Vec<usize>,
    /// Offset of each filter element in a window.
    pub(super) filter: Vec<usize>,
}

impl<'a> Windows<'a> {
    /// For `channels` channels at a time.
    pub(super) fn new(plan: &'a Plan, channels: usize) -> Self {
        let g = &plan.geometry;
        if g.padding == [0, 0] {
            let (line, plane) = (g.input[1], g.input_plane());
            let pixels = plan.pixel_offsets(plan.groups * plan.inputs * plane, line, 1);
            Self {
                plan,
                strides: None,
                pixels,
                filter: plan.filter_offsets(channels, plane, line, 1),
            }
        } else {
            let [rows, line] = plan.region();
            let plane = rows * line;
            let pixels = plan.pixel_offsets(channels * plane, line, 1);
            let filter = plan.filter_offsets(channels, plane, line, 1);
            Self {
                plan,
                strides: Some([plane, channels * plane]),
                pixels,
                filter,
            }
        }
    }

    /// Calls `f` with the data that the offsets refer to, for a tile and some channels of a group.
    pub(super) fn read<T: Real>(
        &self,
        x: &[T],
        tile: &Tile,
        group: usize,
        channels: Range<usize>,
        f: impl FnOnce(&[T]),
    ) {
        let (plan, g) = (self.plan, &self.plan.geometry);
        let Some([plane, image]) = self.strides else {
            let start = plan.input_start(tile.images.start, group, channels.start);
            return f(&x[start + tile.rows.start * g.stride[0] * g.input[1]..]);
        };
        with_scratch(tile.images.len() * image, |copy: &mut [T]| {
            let rows = plan.touched_rows(tile.rows.len());
            let first = tile.rows.start * g.stride[0];
            vectorized(
                #[inline(always)]
                || {
                    for (n, copy) in tile.images.clone().zip(copy.chunks_exact_mut(image)) {
                        for (c, copy) in channels.clone().zip(copy.chunks_exact_mut(plane)) {
                            let from = &x[plan.input_start(n, group, c)..][..g.input_plane()];
                            pad(g, from, first, &mut copy[..rows * plan.padded_width()]);
                        }
                    }
                },
            );
            f(copy);
        });
    }
}

/// Copies a plane's rows from padded row `first` on, with its padding.
#[inline(always)]
fn pad<T: Real>(g: &Geometry, plane: &[T], first: usize, copy: &mut [T]) {
    let [height, width] = g.input;
    let [above, left] = g.padding;
    let line = width + 2 * left;
    copy.fill(T::zero());
    let rows = copy.len() / line;
    // Copied rows, counted in the copy.
    let (start, end) = (
        above.saturating_sub(first).min(rows),
        (above + height).saturating_sub(first).min(rows),
    );
    let from = plane[(start + first).saturating_sub(above) * width..].chunks_exact(width);
    for (to, from) in copy[start * line..end * line]
        .chunks_exact_mut(line)
        .zip(from)
    {
        // A loop, not a call: most lines are short.
        for (to, &from) in to[left..].iter_mut().zip(from) {
            *to = from;
        }
    }
}
