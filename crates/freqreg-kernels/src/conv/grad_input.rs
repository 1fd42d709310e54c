//! Input gradient: for each filter position, output pixels x output channels times output channels x input channels, added to the
//! input pixels that this position meets.

use std::ops::Range;

use super::plan::{Plan, Tile};
use crate::matmul::Mat;
use crate::parallel::{self, Shared};
use crate::product::{Left, Panel, multiply, padded, panels};
use crate::real::Real;
use crate::scratch::with_scratch;
use crate::transpose::transpose;

impl Plan {
    pub(crate) fn grad_input<T: Real>(&self, w: &[T], grad_y: &[T], grad_x: &mut [T]) {
        let (panels, tiles) = (panels::<T>(self.inputs), self.tiles());
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
        let position_size = self.outputs * padded::<T>(self.inputs);
        let positions = self.geometry.window();
        with_scratch(
            self.groups * positions * position_size,
            |packed: &mut [T]| {
                self.pack_positions(w, &panels, packed);
                let (packed, grad_x) = (&*packed, Shared::new(grad_x));
                parallel::for_each(
                    spans.len() * self.groups * panels.len(),
                    self.work(),
                    |task| {
                        let (panel, rest) = (panels[task % panels.len()], task / panels.len());
                        let (group, span) = (
                            rest % self.groups,
                            &tiles[spans[rest / self.groups].clone()],
                        );
                        let packed = &packed[group * positions * position_size..];
                        let packed =
                            |k: usize| &packed[k * position_size..][panel.packed(self.outputs)];
                        self.grad_input_task(span, group, panel, packed, grad_y, &grad_x);
                    },
                );
            },
        );
    }

    /// Packs the weight by group, filter position and panel of input channels.
    fn pack_positions<T: Real>(&self, w: &[T], panels: &[Panel], packed: &mut [T]) {
        let (depth, positions) = (self.depth(), self.geometry.window());
        let size = self.outputs * padded::<T>(self.inputs);
        let packed = Shared::new(packed);
        parallel::for_each(self.groups * positions * panels.len(), w.len(), |task| {
            let (panel, rest) = (panels[task % panels.len()], task / panels.len());
            let w = &w[rest / positions * self.outputs * depth + rest % positions..];
            let range = panel.packed(self.outputs);
            // SAFETY: every task packs another part.
            let packed = unsafe { packed.part(rest * size + range.start..rest * size + range.end) };
            Mat::strided(w, self.outputs, self.inputs, depth, positions).pack(0, panel, packed);
        });
    }

    fn grad_input_task<'a, T: Real>(
        &self,
        span: &[Tile],
        group: usize,
        panel: Panel,
        packed: impl Fn(usize) -> &'a [T],
        grad_y: &[T],
        grad_x: &Shared<'_, T>,
    ) {
        let (plane, width) = (self.geometry.output_plane(), panel.width);
        let [rows, line] = self.region();
        let region = rows * line;
        let image = self.groups * self.outputs * plane;
        let channels: Vec<usize> = (0..self.outputs).map(|o| o * plane).collect();
        let starts = self.pixel_offsets(region * width, line, width);
        let shifts = self.filter_offsets(1, 0, line, width);
        if span.len() > 1 {
            for n in span[0].images.clone() {
                // SAFETY: every task has other images, groups or channels, and holds no other part here.
                unsafe { grad_x.part(self.channels(n, group, panel)) }.fill(T::zero());
            }
        }
        for tile in span {
            let pixels = self.pixels(tile);
            let each = pixels / tile.images.len();
            let offsets: Vec<usize> = (0..pixels).map(|p| p / each * image + p % each).collect();
            let grad_y = &grad_y[self.output_start(tile.images.start, group, 0, tile.rows.start)..];
            let left = Left::new(grad_y, &offsets, &channels);
            with_scratch(tile.images.len() * region * width, |sums: &mut [T]| {
                sums.fill(T::zero());
                for (k, &shift) in shifts.iter().enumerate() {
                    multiply(
                        left,
                        packed(k),
                        width,
                        &mut sums[shift..],
                        &starts[..pixels],
                        true,
                    );
                }
                for (n, sums) in tile.images.clone().zip(sums.chunks_exact(region * width)) {
                    // SAFETY: as above.
                    let out = unsafe { grad_x.part(self.channels(n, group, panel)) };
                    self.write_input(tile, panel, sums, out, span.len() > 1);
                }
            });
        }
    }

    /// Where the input channels of a panel lie, in one image.
    fn channels(&self, image: usize, group: usize, panel: Panel) -> Range<usize> {
        let start = self.input_start(image, group, panel.first);
        start..start + panel.columns * self.geometry.input_plane()
    }

    /// Turns rows of channels into planes of pixels, without the padding.
    fn write_input<T: Real>(
        &self,
        tile: &Tile,
        panel: Panel,
        sums: &[T],
        out: &mut [T],
        add: bool,
    ) {
        let ([height, width], [above, left]) = (self.geometry.input, self.geometry.padding);
        let [_, line] = self.region();
        let rows = self.touched_rows(tile.rows.len());
        let plane = height * width;
        if !add && [above, left] == [0, 0] {
            transpose(sums, panel.width, rows * line, panel.columns, out, plane);
            // Rows below the last window.
            out.chunks_exact_mut(plane)
                .for_each(|plane| plane[rows * line..].fill(T::zero()));
            return;
        }
        let first = tile.rows.start * self.geometry.stride[0];
        with_scratch(panel.columns * rows * line, |turned: &mut [T]| {
            transpose(
                sums,
                panel.width,
                rows * line,
                panel.columns,
                turned,
                rows * line,
            );
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
