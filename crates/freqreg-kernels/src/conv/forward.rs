//! Forward pass: pixels x filter elements times filter elements x output channels.

use super::plan::{Plan, Tile, Windows};
use crate::matmul::Mat;
use crate::parallel::{self, Shared};
use crate::product::{Left, Panel, multiply, multiply_spread, padded, panels};
use crate::real::Real;
use crate::scratch::with_scratch;
use crate::transpose::transpose;

impl Plan {
    pub(crate) fn forward<T: Real>(&self, x: &[T], w: &[T], bias: Option<&[T]>, y: &mut [T]) {
        let (depth, panels, tiles) = (self.depth(), panels::<T>(self.outputs), self.tiles());
        let windows = Windows::new(self, self.inputs);
        let (taps, plane) = (self.taps(self.inputs), self.geometry.input_plane());
        let channels: Vec<usize> = (0..self.inputs).map(|c| c * plane).collect();
        let group_size = depth * padded::<T>(self.outputs);
        with_scratch(self.groups * group_size, |packed: &mut [T]| {
            let shared = Shared::new(packed);
            parallel::for_each(self.groups * panels.len(), w.len(), |task| {
                let (group, panel) = (task / panels.len(), panels[task % panels.len()]);
                let w = Mat::new(
                    &w[group * self.outputs * depth..],
                    self.outputs,
                    depth,
                    depth,
                )
                .transposed();
                let range = panel.packed(depth);
                // SAFETY: every task packs another panel.
                let packed = unsafe {
                    shared.part(group * group_size + range.start..group * group_size + range.end)
                };
                w.pack(0, panel, packed);
            });
            let (packed, y) = (&*packed, Shared::new(y));
            parallel::for_each(
                tiles.len() * self.groups * panels.len(),
                self.work(),
                |task| {
                    let (panel, rest) = (panels[task % panels.len()], task / panels.len());
                    let (group, tile) = (rest % self.groups, &tiles[rest / self.groups]);
                    let (pixels, width) = (self.pixels(tile), panel.width);
                    let starts: Vec<usize> = (0..pixels).map(|p| p * width).collect();
                    let packed = &packed[group * group_size..][panel.packed(depth)];
                    with_scratch(pixels * width, |sums: &mut [T]| {
                        let begun = bias.is_some() || taps.is_some();
                        if begun {
                            sums.fill(T::zero());
                        }
                        if let Some(bias) = bias {
                            let bias = &bias[group * self.outputs + panel.first..][..panel.columns];
                            sums.chunks_exact_mut(width)
                                .for_each(|row| row[..panel.columns].copy_from_slice(bias));
                        }
                        if let Some(taps) = &taps {
                            let x = &x[self.input_start(tile.images.start, group, 0)..];
                            for (i, tap) in taps.iter().enumerate() {
                                let left = Left::new(x, tap.inputs(tile), &channels);
                                let pixels = tap.pixels(tile).iter();
                                let starts: Vec<usize> = pixels.map(|&p| starts[p]).collect();
                                let (step, right) = (taps.len() * width, &packed[i * width..]);
                                multiply_spread(left, right, step, width, sums, &starts, begun);
                            }
                        } else {
                            windows.read(x, tile, group, 0..self.inputs, |data| {
                                let pixels = &windows.pixels[..pixels];
                                let left = Left::new(data, pixels, &windows.filter);
                                multiply(left, packed, width, sums, &starts, begun);
                            });
                        }
                        self.write_output(tile, group, panel, sums, &y);
                    });
                },
            );
        });
    }

    /// Turns rows of channels into planes of pixels.
    fn write_output<T: Real>(
        &self,
        tile: &Tile,
        group: usize,
        panel: Panel,
        sums: &[T],
        y: &Shared<'_, T>,
    ) {
        let plane = self.geometry.output_plane();
        let each = tile.rows.len() * self.geometry.output[1];
        for (image, sums) in tile
            .images
            .clone()
            .zip(sums.chunks_exact(each * panel.width))
        {
            let start =
                |o: usize| self.output_start(image, group, panel.first + o, tile.rows.start);
            if self.is_whole(tile) {
                // SAFETY: every task writes other images, groups, rows or channels.
                let out = unsafe { y.part(start(0)..start(0) + panel.columns * plane) };
                transpose(sums, panel.width, each, panel.columns, out, plane);
            } else {
                with_scratch(panel.columns * each, |turned: &mut [T]| {
                    transpose(sums, panel.width, each, panel.columns, turned, each);
                    for (o, row) in turned.chunks_exact(each).enumerate() {
                        // SAFETY: as above.
                        unsafe { y.part(start(o)..start(o) + each) }.copy_from_slice(row);
                    }
                });
            }
        }
    }
}
