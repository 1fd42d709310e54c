//! Weight gradient: filter elements x pixels times pixels x output channels, summed over the batch.

use super::plan::{Plan, Tile, Windows};
use crate::parallel::{self, Shared};
use crate::product::{Left, Panel, multiply, padded, panels};
use crate::real::Real;
use crate::scratch::with_scratch;
use crate::transpose::transpose;

/// Tasks worth having: more than most machines have cores, few enough that partial sums stay cheap.
const TASKS: usize = 16;

/// Fewest and most filter elements of a task.
const ELEMENTS: [usize; 2] = [128, 1024];

impl Plan {
    pub(crate) fn grad_weight<T: Real>(&self, x: &[T], grad_y: &[T], grad_w: &mut [T]) {
        let (depth, window) = (self.depth(), self.geometry.window());
        let (panels, tiles) = (panels::<T>(self.outputs), self.tiles());
        // Parts with results of their own first, for they need no reduction; then parts of the batch.
        let independent = self.groups * panels.len();
        let least = (ELEMENTS[0] / window).clamp(1, self.inputs);
        let most = (ELEMENTS[1] / window).clamp(least, self.inputs);
        let block = self
            .inputs
            .div_ceil(TASKS.div_ceil(independent))
            .clamp(least, most);
        let blocks = self.inputs.div_ceil(block);
        let each = tiles.len().div_ceil(TASKS.div_ceil(independent * blocks));
        let spans: Vec<&[Tile]> = tiles.chunks(each).collect();

        let windows = Windows::new(self, block);
        let group_size = depth * padded::<T>(self.outputs);
        let size = self.groups * group_size;
        with_scratch(spans.len() * size, |partial: &mut [T]| {
            let shared = Shared::new(partial);
            parallel::for_each(spans.len() * independent * blocks, self.work(), |task| {
                let (block_index, rest) = (task % blocks, task / blocks);
                let (panel, rest) = (panels[rest % panels.len()], rest / panels.len());
                let (group, span) = (rest % self.groups, rest / self.groups);
                let channels = block_index * block..self.inputs.min((block_index + 1) * block);
                let elements = channels.len() * window;
                let start = span * size + group * group_size + panel.packed(depth).start;
                let start = start + channels.start * window * panel.width;
                // SAFETY: every task has another span, group, panel or block of channels.
                let sums = unsafe { shared.part(start..start + elements * panel.width) };
                let starts: Vec<usize> = (0..elements).map(|k| k * panel.width).collect();
                for (i, tile) in spans[span].iter().enumerate() {
                    let pixels = self.pixels(tile);
                    with_scratch(pixels * panel.width, |packed: &mut [T]| {
                        self.pack_output(tile, group, panel, grad_y, packed);
                        windows.read(x, tile, group, channels.clone(), |data| {
                            let left = Left::new(
                                data,
                                &windows.filter[..elements],
                                &windows.pixels[..pixels],
                            );
                            multiply(left, packed, panel.width, sums, &starts, i > 0);
                        });
                    });
                }
            });
            let (partial, grad_w) = (&*partial, Shared::new(grad_w));
            parallel::for_each(independent, spans.len() * size, |task| {
                let (panel, group) = (panels[task % panels.len()], task / panels.len());
                let start = (group * self.outputs + panel.first) * depth;
                // SAFETY: every task writes the weights of other output channels.
                let out = unsafe { grad_w.part(start..start + panel.columns * depth) };
                let range = panel.packed(depth);
                let part =
                    |span: usize| &partial[span * size + group * group_size..][range.clone()];
                with_scratch(depth * panel.width, |total: &mut [T]| {
                    total.copy_from_slice(part(0));
                    for span in 1..spans.len() {
                        total.iter_mut().zip(part(span)).for_each(|(t, &p)| *t += p);
                    }
                    transpose(total, panel.width, depth, panel.columns, out, depth);
                });
            });
        });
    }

    /// Turns planes of output gradients into rows of channels.
    fn pack_output<T: Real>(
        &self,
        tile: &Tile,
        group: usize,
        panel: Panel,
        grad_y: &[T],
        packed: &mut [T],
    ) {
        let (plane, each) = (
            self.geometry.output_plane(),
            tile.rows.len() * self.geometry.output[1],
        );
        for (image, packed) in tile
            .images
            .clone()
            .zip(packed.chunks_exact_mut(each * panel.width))
        {
            if panel.columns < panel.width {
                packed
                    .chunks_exact_mut(panel.width)
                    .for_each(|row| row[panel.columns..].fill(T::zero()));
            }
            let from = &grad_y[self.output_start(image, group, panel.first, tile.rows.start)..];
            transpose(from, plane, panel.columns, each, packed, panel.width);
        }
    }
}
