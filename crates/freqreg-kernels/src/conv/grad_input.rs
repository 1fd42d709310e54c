//! Input gradient: for each row of the filter, output pixels x output channels times output channels x (filter columns, input
//! channels). The product's rows are then added to the input pixels that the filter row meets, which are neighbours in memory
//! because here an image holds the channels of a pixel side by side.

use std::ops::Range;

use super::plan::{Plan, Tile};
use super::taps::Tap;
use crate::parallel::{self, Shared};
use crate::product::{Left, Panel, multiply, padded, panels};
use crate::real::Real;
use crate::scratch::with_scratch;
use crate::simd::vectorized;
use crate::transpose::transpose;

/// Input channels of a task: with the filter's columns beside them they fill any register.
const CHANNELS: usize = 64;

/// Pixels whose products are kept before they are added to the image: few enough to stay in the first-level cache.
const PIXELS: usize = 64;

/// How the input channels of a group are cut into blocks, and each block's weights into panels.
struct Blocks {
    channels: Vec<Range<usize>>,
    panels: Vec<Vec<Panel>>,
    /// Elements of a block's packed weights for one filter row. Blocks have the same size but the last, which may be smaller.
    size: usize,
}

impl Blocks {
    fn new<T: Real>(plan: &Plan) -> Self {
        let each = plan.inputs.div_ceil(plan.inputs.div_ceil(CHANNELS));
        let starts = (0..plan.inputs).step_by(each);
        let channels: Vec<_> = starts.map(|c| c..(c + each).min(plan.inputs)).collect();
        let columns = |c: &Range<usize>| plan.geometry.kernel[1] * c.len();
        let panels = channels.iter().map(|c| panels::<T>(columns(c))).collect();
        Self {
            panels,
            size: plan.outputs * padded::<T>(columns(&channels[0])),
            channels,
        }
    }
}

/// Columns of a panel that lie side by side in the image too.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// First column.
    column: usize,
    /// Where it goes in the image, seen from the pixel that the filter row's first element meets.
    place: usize,
    len: usize,
}

impl Plan {
    pub(crate) fn grad_input<T: Real>(&self, w: &[T], grad_y: &[T], grad_x: &mut [T]) {
        let (blocks, tiles) = (Blocks::new::<T>(self), self.tiles());
        let taps = self.taps(self.outputs);
        let count = blocks.channels.len();
        // Tiles of one image add to the same pixels, so they belong to one task.
        let spans: Vec<Range<usize>> = tiles
            .iter()
            .enumerate()
            .filter(|(_, tile)| tile.rows.start == 0)
            .map(|(i, tile)| {
                i..i + tiles[i..]
                    .iter()
                    .take_while(|t| t.images == tile.images)
                    .count()
            })
            .collect();
        let rows = self.geometry.kernel[0];
        with_scratch(
            self.groups * count * rows * blocks.size,
            |packed: &mut [T]| {
                parallel::for_each_chunk(packed, rows * blocks.size, w.len(), |task, packed| {
                    self.pack_block(w, task / count, &blocks, task % count, packed);
                });
                let (packed, grad_x) = (&*packed, Shared::new(grad_x));
                parallel::for_each(spans.len() * self.groups * count, self.work(), |task| {
                    let (block, rest) = (task % count, task / count);
                    let (group, span) = (
                        rest % self.groups,
                        &tiles[spans[rest / self.groups].clone()],
                    );
                    let packed = &packed[(group * count + block) * rows * blocks.size..]
                        [..rows * blocks.size];
                    let taps = taps.as_deref();
                    self.grad_input_task(
                        span, group, &blocks, block, taps, packed, grad_y, &grad_x,
                    );
                });
            },
        );
    }

    /// Packs a block's weights: for each filter row and output channel, filter columns x input channels.
    fn pack_block<T: Real>(
        &self,
        w: &[T],
        group: usize,
        blocks: &Blocks,
        block: usize,
        packed: &mut [T],
    ) {
        let ([_, kw], window) = (self.geometry.kernel, self.geometry.window());
        let channels = &blocks.channels[block];
        let w = &w[(group * self.outputs * self.inputs + channels.start) * window..];
        with_scratch(window * channels.len(), |turned: &mut [T]| {
            for o in 0..self.outputs {
                let filter = &w[o * self.depth()..];
                let turned = if window == 1 {
                    &filter[..channels.len()]
                } else {
                    transpose(
                        filter,
                        window,
                        channels.len(),
                        window,
                        turned,
                        channels.len(),
                    );
                    &*turned
                };
                let rows = turned.chunks_exact(kw * channels.len());
                for (row, packed) in rows.zip(packed.chunks_exact_mut(blocks.size)) {
                    for panel in &blocks.panels[block] {
                        let packed = &mut packed[panel.packed(self.outputs)];
                        let packed = &mut packed[o * panel.width..][..panel.width];
                        let (weights, rest) = packed.split_at_mut(panel.columns);
                        weights.copy_from_slice(&row[panel.first..][..panel.columns]);
                        rest.fill(T::zero());
                    }
                }
            }
        });
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one task's coordinates and its operands"
    )]
    fn grad_input_task<T: Real>(
        &self,
        span: &[Tile],
        group: usize,
        blocks: &Blocks,
        block: usize,
        taps: Option<&[Tap]>,
        packed: &[T],
        grad_y: &[T],
        grad_x: &Shared<'_, T>,
    ) {
        let channels = &blocks.channels[block];
        let (plane, input_plane) = (self.geometry.output_plane(), self.geometry.input_plane());
        let [rows, line] = self.region();
        let region = rows * line * channels.len();
        let image = self.groups * self.outputs * plane;
        let depths: Vec<usize> = (0..self.outputs).map(|o| o * plane).collect();
        let targets = self.pixel_offsets(region, line, channels.len());
        let range = |n: usize| {
            let start = self.input_start(n, group, channels.start);
            start..start + channels.len() * input_plane
        };
        if span.len() > 1 {
            for n in span[0].images.clone() {
                // SAFETY: every task has other images, groups or channels, and holds no other part here.
                unsafe { grad_x.part(range(n)) }.fill(T::zero());
            }
        }
        for tile in span {
            let pixels = self.pixels(tile);
            let each = pixels / tile.images.len();
            let offsets: Vec<usize> = (0..pixels).map(|p| p / each * image + p % each).collect();
            let grad_y = &grad_y[self.output_start(tile.images.start, group, 0, tile.rows.start)..];
            let left = Left::new(grad_y, &offsets, &depths);
            with_scratch(tile.images.len() * region, |images: &mut [T]| {
                images.fill(T::zero());
                for (a, packed) in packed.chunks_exact(blocks.size).enumerate() {
                    let images =
                        &mut images[a * self.geometry.dilation[0] * line * channels.len()..];
                    for panel in &blocks.panels[block] {
                        let packed = &packed[panel.packed(self.outputs)];
                        let width = panel.width;
                        let runs = self.runs(panel, channels.len());
                        let (first, last) = (panel.first, panel.first + width - 1);
                        if panel.columns == width && first / channels.len() == last / channels.len()
                        {
                            // One filter column and no padding: pixels do not overlap, so the product itself can add.
                            let images = &mut images[runs[0].place..];
                            if let Some(taps) = taps {
                                let tap =
                                    &taps[a * self.geometry.kernel[1] + first / channels.len()];
                                let of = |all: &[usize]| -> Vec<usize> {
                                    tap.pixels(tile).iter().map(|&p| all[p]).collect()
                                };
                                let offsets = of(&offsets);
                                let left = Left::new(grad_y, &offsets, &depths);
                                multiply(left, packed, width, images, &of(&targets), true);
                            } else {
                                multiply(left, packed, width, images, &targets[..pixels], true);
                            }
                        } else {
                            add_products(left, packed, width, images, &targets[..pixels], &runs);
                        }
                    }
                }
                for (n, image) in tile.images.clone().zip(images.chunks_exact(region)) {
                    // SAFETY: as above.
                    let out = unsafe { grad_x.part(range(n)) };
                    self.write_input(tile, channels.len(), image, out, span.len() > 1);
                }
            });
        }
    }

    /// Runs of a panel's columns that are neighbours in an image of `channels` channels.
    fn runs(&self, panel: &Panel, channels: usize) -> Vec<Run> {
        let end = panel.first + panel.columns;
        let mut runs: Vec<Run> = Vec::new();
        for b in panel.first / channels..end.div_ceil(channels) {
            let (start, end) = (panel.first.max(b * channels), end.min((b + 1) * channels));
            let place = b * self.geometry.dilation[1] * channels + start - b * channels;
            match runs.last_mut() {
                Some(run) if run.place + run.len == place => run.len += end - start,
                _ => runs.push(Run {
                    column: start - panel.first,
                    place,
                    len: end - start,
                }),
            }
        }
        runs
    }

    /// Turns rows of channels into planes of pixels, without the padding.
    fn write_input<T: Real>(
        &self,
        tile: &Tile,
        channels: usize,
        image: &[T],
        out: &mut [T],
        add: bool,
    ) {
        let ([height, width], [above, left]) = (self.geometry.input, self.geometry.padding);
        let [_, line] = self.region();
        let rows = self.touched_rows(tile.rows.len());
        let plane = height * width;
        if !add && [above, left] == [0, 0] {
            transpose(image, channels, rows * line, channels, out, plane);
            // Rows below the last window.
            out.chunks_exact_mut(plane)
                .for_each(|plane| plane[rows * line..].fill(T::zero()));
            return;
        }
        let first = tile.rows.start * self.geometry.stride[0];
        with_scratch(channels * rows * line, |turned: &mut [T]| {
            transpose(image, channels, rows * line, channels, turned, rows * line);
            for (turned, plane) in turned
                .chunks_exact(rows * line)
                .zip(out.chunks_exact_mut(plane))
            {
                for (i, to) in plane.chunks_exact_mut(width).enumerate() {
                    let from = (i + above).checked_sub(first).filter(|&i| i < rows);
                    let from = from.map(|i| &turned[i * line + left..][..width]);
                    match (from, add) {
                        (Some(from), true) => {
                            to.iter_mut().zip(from).for_each(|(to, &from)| *to += from)
                        }
                        (Some(from), false) => to.copy_from_slice(from),
                        (None, true) => {}
                        (None, false) => to.fill(T::zero()),
                    }
                }
            }
        });
    }
}

/// Adds the product of `left` and a panel to the images: of each row the `runs`, at the row's target.
fn add_products<T: Real>(
    left: Left<'_, T>,
    packed: &[T],
    width: usize,
    images: &mut [T],
    targets: &[usize],
    runs: &[Run],
) {
    let starts: [usize; PIXELS] = std::array::from_fn(|p| p * width);
    with_scratch(PIXELS * width, |products: &mut [T]| {
        for (i, targets) in targets.chunks(PIXELS).enumerate() {
            let left = left.part(i * PIXELS..i * PIXELS + targets.len());
            multiply(
                left,
                packed,
                width,
                products,
                &starts[..targets.len()],
                false,
            );
            vectorized(
                #[inline(always)]
                || {
                    for (row, &target) in products.chunks_exact(width).zip(targets) {
                        for &Run { column, place, len } in runs {
                            let to = &mut images[target + place..][..len];
                            for (to, &from) in to.iter_mut().zip(&row[column..][..len]) {
                                *to += from;
                            }
                        }
                    }
                },
            );
        }
    });
}
