//! Two-dimensional convolution and its gradients: the matrix of windows times the weight.

use std::ops::Range;

use crate::error::{Error, Result, at_least_one, count, length};
use crate::geometry::Geometry;
use crate::matmul::{Mat, MatMut, matmul};
use crate::parallel::{self, Shared, vectorized};
use crate::real::Real;
use crate::scratch::with_scratch;

/// Shape of a two-dimensional convolution (as everywhere in neural networks, a cross-correlation).
///
/// | tensor | shape |
/// | --- | --- |
/// | input `x` | `[batch, channels_in, height, width]` |
/// | weight `w` | `[channels_out, channels_in / groups, kernel[0], kernel[1]]` |
/// | bias | `[channels_out]` |
/// | output `y` | `[batch, channels_out, output_size()[0], output_size()[1]]` |
///
/// `y[n,o,i,j] = bias[o] + sum over c,a,b of w[o,c,a,b] x[n, c, i stride + a dilation - padding, ...]`, where `c` runs over
/// the channels of `o`'s group and `x` is zero outside the image. Pairs are `[vertical, horizontal]`.
///
/// ```
/// use freqreg_kernels::Conv2d;
///
/// // One 3x3 image, one 2x2 filter that sums its window.
/// let conv = Conv2d { height: 3, width: 3, kernel: [2, 2], ..Conv2d::default() };
/// let mut y = [0f32; 4];
/// conv.forward(&[1., 2., 3., 4., 5., 6., 7., 8., 9.], &[1.; 4], None, &mut y)?;
/// assert_eq!(y, [12., 16., 24., 28.]);
/// # Ok::<(), freqreg_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv2d {
    /// Images.
    pub batch: usize,
    /// Channels of an input image.
    pub channels_in: usize,
    /// Rows of an input image.
    pub height: usize,
    /// Columns of an input image.
    pub width: usize,
    /// Channels of an output image.
    pub channels_out: usize,
    /// Rows and columns of a filter.
    pub kernel: [usize; 2],
    /// Step of the window.
    pub stride: [usize; 2],
    /// Zeros added at each border.
    pub padding: [usize; 2],
    /// Distance of neighbouring filter elements.
    pub dilation: [usize; 2],
    /// Parts into which both channel axes are split; part i of the output sees part i of the input only.
    pub groups: usize,
}

impl Default for Conv2d {
    /// All sizes and steps one, no padding.
    fn default() -> Self {
        Self {
            batch: 1,
            channels_in: 1,
            height: 1,
            width: 1,
            channels_out: 1,
            kernel: [1, 1],
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
        }
    }
}

impl Conv2d {
    /// The same shape if it is a possible one.
    ///
    /// # Errors
    /// If a size is zero, `groups` does not divide both channel counts, the kernel exceeds the padded image, or a tensor's
    /// element count overflows. Every other method returns the same errors.
    pub fn validated(self) -> Result<Self> {
        self.plan().map(|_| self)
    }

    /// Rows and columns of the output: `(size + 2 padding - dilation (kernel - 1) - 1) / stride + 1`, rounded down;
    /// `[0, 0]` for an impossible shape.
    #[must_use]
    pub fn output_size(&self) -> [usize; 2] {
        self.plan().map_or([0, 0], |p| p.geometry.output)
    }

    /// Elements of the input.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.batch * self.channels_in * self.height * self.width
    }

    /// Elements of the weight.
    #[must_use]
    pub fn weight_len(&self) -> usize {
        self.channels_out
            * (self.channels_in / self.groups.max(1))
            * self.kernel[0]
            * self.kernel[1]
    }

    /// Elements of the output.
    #[must_use]
    pub fn output_len(&self) -> usize {
        let [height, width] = self.output_size();
        self.batch * self.channels_out * height * width
    }

    /// Writes the convolution of `x` with `w`, plus `bias`, to `y`.
    ///
    /// # Errors
    /// If the shape is impossible or a slice has the wrong length; `y` is untouched then.
    pub fn forward<T: Real>(
        &self,
        x: &[T],
        w: &[T],
        bias: Option<&[T]>,
        y: &mut [T],
    ) -> Result<()> {
        let plan = self.plan()?;
        length("input", x, plan.input_len())?;
        length("weight", w, plan.weight_len())?;
        length("output", y, plan.output_len())?;
        if let Some(bias) = bias {
            length("bias", bias, self.channels_out)?;
        }
        plan.forward(x, w, bias, y);
        Ok(())
    }

    /// Writes the gradient with respect to the input, given `grad_y` with respect to the output, to `grad_x`.
    ///
    /// # Errors
    /// If the shape is impossible or a slice has the wrong length; `grad_x` is untouched then.
    pub fn grad_input<T: Real>(&self, w: &[T], grad_y: &[T], grad_x: &mut [T]) -> Result<()> {
        let plan = self.plan()?;
        length("weight", w, plan.weight_len())?;
        length("output gradient", grad_y, plan.output_len())?;
        length("input gradient", grad_x, plan.input_len())?;
        plan.grad_input(w, grad_y, grad_x);
        Ok(())
    }

    /// Writes the gradient with respect to the weight, summed over the batch, to `grad_w`.
    ///
    /// # Errors
    /// If the shape is impossible or a slice has the wrong length; `grad_w` is untouched then.
    pub fn grad_weight<T: Real>(&self, x: &[T], grad_y: &[T], grad_w: &mut [T]) -> Result<()> {
        let plan = self.plan()?;
        length("input", x, plan.input_len())?;
        length("output gradient", grad_y, plan.output_len())?;
        length("weight gradient", grad_w, plan.weight_len())?;
        plan.grad_weight(x, grad_y, grad_w);
        Ok(())
    }

    /// Writes the gradient with respect to the bias, `sum over n,i,j of grad_y[n,o,i,j]`, to `grad_b`.
    ///
    /// # Errors
    /// If the shape is impossible or a slice has the wrong length; `grad_b` is untouched then.
    pub fn grad_bias<T: Real>(&self, grad_y: &[T], grad_b: &mut [T]) -> Result<()> {
        let plan = self.plan()?;
        length("output gradient", grad_y, plan.output_len())?;
        length("bias gradient", grad_b, self.channels_out)?;
        crate::linear::sum_outer_inner(grad_y, plan.geometry.output_plane(), grad_b);
        Ok(())
    }

    pub(crate) fn plan(&self) -> Result<Plan> {
        for (what, value) in [
            ("batch", self.batch),
            ("input channels", self.channels_in),
            ("output channels", self.channels_out),
            ("groups", self.groups),
        ] {
            at_least_one(what, value)?;
        }
        for (what, got) in [
            ("input channels", self.channels_in),
            ("output channels", self.channels_out),
        ] {
            if !got.is_multiple_of(self.groups) {
                return Err(Error::NotAMultiple {
                    what,
                    got,
                    divisor: self.groups,
                });
            }
        }
        let size = [self.height, self.width];
        let geometry = Geometry::new(size, self.kernel, self.stride, self.padding, self.dilation)?;
        let [kh, kw] = self.kernel;
        let [oh, ow] = geometry.output;
        count(
            "input",
            &[self.batch, self.channels_in, self.height, self.width],
        )?;
        count("weight", &[self.channels_out, self.channels_in, kh, kw])?;
        count("output", &[self.batch, self.channels_out, oh, ow])?;
        // The matrix of all windows, never built as a whole, bounds every index the kernels compute.
        count("windows", &[self.batch, self.channels_in, kh, kw, oh, ow])?;
        Ok(Plan {
            geometry,
            batch: self.batch,
            groups: self.groups,
            inputs: self.channels_in / self.groups,
            outputs: self.channels_out / self.groups,
        })
    }
}

/// A checked shape, cut into tiles. What a tile is depends on the shape only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) geometry: Geometry,
    batch: usize,
    groups: usize,
    /// Input channels of a group.
    inputs: usize,
    /// Output channels of a group.
    outputs: usize,
}

/// Windows that are worked on together: some whole images, or some output rows of one image.
#[derive(Debug, Clone)]
struct Tile {
    images: Range<usize>,
    rows: Range<usize>,
}

/// Columns of a matrix of windows: enough to keep the matrix product busy.
const TILE_COLUMNS: usize = 512;

/// Elements of a matrix of windows: what fits in a core's own cache.
const TILE_ELEMENTS: usize = 1 << 18;

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

    /// Elements of a filter: the inner dimension of the forward product.
    fn depth(&self) -> usize {
        self.inputs * self.geometry.window()
    }

    /// Multiply-adds of one pass.
    fn work(&self) -> usize {
        self.output_len() * self.depth()
    }

    fn tiles(&self) -> Vec<Tile> {
        let [height, width] = self.geometry.output;
        let images = (TILE_COLUMNS / self.geometry.output_plane()).clamp(1, self.batch);
        let rows = (2 * TILE_COLUMNS / width).clamp(1, height);
        let starts = (0..self.batch).step_by(images);
        starts
            .flat_map(|n| (0..height).step_by(rows).map(move |r| (n, r)))
            .map(|(n, r)| Tile {
                images: n..(n + images).min(self.batch),
                rows: r..(r + rows).min(height),
            })
            .collect()
    }

    /// Input channels whose windows are gathered at a time.
    fn channel_block(&self, columns: usize) -> usize {
        (TILE_ELEMENTS / (columns * self.geometry.window())).clamp(1, self.inputs)
    }

    fn columns(&self, tile: &Tile) -> usize {
        tile.images.len() * tile.rows.len() * self.geometry.output[1]
    }

    /// Where the planes of some input channels of a group begin and end in `x`.
    fn input_range(&self, image: usize, group: usize, channels: &Range<usize>) -> Range<usize> {
        let first = (image * self.groups + group) * self.inputs;
        let plane = self.geometry.input_plane();
        (first + channels.start) * plane..(first + channels.end) * plane
    }

    /// Where a row of output channel `o` of a group begins in `y`.
    fn output_start(&self, image: usize, group: usize, o: usize, row: usize) -> usize {
        let [height, width] = self.geometry.output;
        (((image * self.groups + group) * self.outputs + o) * height + row) * width
    }

    /// Matrix of windows of `tile`: one row for each of `channels` and kernel position, one column a window.
    fn gather<T: Real>(
        &self,
        x: &[T],
        tile: &Tile,
        group: usize,
        channels: &Range<usize>,
        matrix: &mut [T],
    ) {
        let columns = self.columns(tile);
        let each = columns / tile.images.len();
        vectorized(
            #[inline(always)]
            || {
                for (i, image) in tile.images.clone().enumerate() {
                    let planes = &x[self.input_range(image, group, channels)];
                    self.geometry.gather(
                        planes,
                        tile.rows.clone(),
                        &mut matrix[i * each..],
                        columns,
                    );
                }
            },
        );
    }

    /// Matrix of output gradients of `tile`: one row an output channel of `group`, one column a window.
    fn gather_output<T: Real>(&self, grad_y: &[T], tile: &Tile, group: usize, matrix: &mut [T]) {
        let columns = self.columns(tile);
        let each = columns / tile.images.len();
        for (o, row) in matrix.chunks_exact_mut(columns).enumerate() {
            for (part, image) in row.chunks_exact_mut(each).zip(tile.images.clone()) {
                let start = self.output_start(image, group, o, tile.rows.start);
                part.copy_from_slice(&grad_y[start..start + each]);
            }
        }
    }

    pub(crate) fn forward<T: Real>(&self, x: &[T], w: &[T], bias: Option<&[T]>, y: &mut [T]) {
        let tiles = self.tiles();
        let y = Shared::new(y);
        parallel::for_each(tiles.len() * self.groups, self.work(), |task| {
            let (tile, group) = (&tiles[task / self.groups], task % self.groups);
            let columns = self.columns(tile);
            let bias = bias.map(|b| &b[group * self.outputs..][..self.outputs]);
            let whole_image = tile.images.len() == 1 && tile.rows.len() == self.geometry.output[0];
            if whole_image {
                let start = self.output_start(tile.images.start, group, 0, 0);
                // SAFETY: every task writes the output channels of another group or image.
                let out = unsafe { y.part(start..start + self.outputs * columns) };
                self.forward_tile(x, w, bias, tile, group, out);
            } else {
                with_scratch(self.outputs * columns, |out: &mut [T]| {
                    self.forward_tile(x, w, bias, tile, group, out);
                    let each = columns / tile.images.len();
                    for (o, row) in out.chunks_exact(columns).enumerate() {
                        for (part, image) in row.chunks_exact(each).zip(tile.images.clone()) {
                            let start = self.output_start(image, group, o, tile.rows.start);
                            // SAFETY: every task writes other rows, images or groups.
                            unsafe { y.part(start..start + each) }.copy_from_slice(part);
                        }
                    }
                });
            }
        });
    }

    /// Output of one tile as a matrix of one row a channel, one column a window.
    fn forward_tile<T: Real>(
        &self,
        x: &[T],
        w: &[T],
        bias: Option<&[T]>,
        tile: &Tile,
        group: usize,
        out: &mut [T],
    ) {
        let (depth, columns, window) = (self.depth(), self.columns(tile), self.geometry.window());
        let w = &w[group * self.outputs * depth..][..self.outputs * depth];
        if let Some(bias) = bias {
            for (row, &b) in out.chunks_exact_mut(columns).zip(bias) {
                row.fill(b);
            }
        }
        if self.geometry.is_pointwise() && tile.images.len() == 1 {
            let plane = self.geometry.input_plane();
            let x = &x[self.input_range(tile.images.start, group, &(0..self.inputs))];
            let x = &x[tile.rows.start * self.geometry.input[1]..];
            let (w, x) = (
                Mat::new(w, self.outputs, depth, depth),
                Mat::new(x, depth, columns, plane),
            );
            matmul(
                MatMut::new(out, self.outputs, columns, columns),
                w,
                x,
                bias.is_some(),
            );
            return;
        }
        let block = self.channel_block(columns);
        with_scratch(block * window * columns, |matrix: &mut [T]| {
            for first in (0..self.inputs).step_by(block) {
                let channels = first..(first + block).min(self.inputs);
                let rows = channels.len() * window;
                self.gather(x, tile, group, &channels, matrix);
                let w = Mat::new(&w[first * window..], self.outputs, rows, depth);
                let matrix = Mat::new(matrix, rows, columns, columns);
                matmul(
                    MatMut::new(out, self.outputs, columns, columns),
                    w,
                    matrix,
                    bias.is_some() || first > 0,
                );
            }
        });
    }

    pub(crate) fn grad_input<T: Real>(&self, w: &[T], grad_y: &[T], grad_x: &mut [T]) {
        let (depth, window) = (self.depth(), self.geometry.window());
        let tiles = self.tiles();
        // Row tiles of an image add to the same pixels, so they belong to one task.
        let mut spans: Vec<Range<usize>> = Vec::new();
        for (i, tile) in tiles.iter().enumerate() {
            match spans.last_mut() {
                Some(last) if tiles[last.start].images == tile.images => last.end = i + 1,
                _ => spans.push(i..i + 1),
            }
        }
        let columns = tiles.iter().map(|t| self.columns(t)).max().unwrap_or(0);
        let mut block = self.channel_block(columns);
        if spans.len() * self.groups < 8 {
            block = block.min(self.inputs.div_ceil(8));
        }
        let blocks = self.inputs.div_ceil(block);
        let grad_x = Shared::new(grad_x);
        parallel::for_each(spans.len() * self.groups * blocks, self.work(), |task| {
            let (span, rest) = (
                &tiles[spans[task / (self.groups * blocks)].clone()],
                task % (self.groups * blocks),
            );
            let (group, first) = (rest / blocks, rest % blocks * block);
            let channels = first..(first + block).min(self.inputs);
            let rows = channels.len() * window;
            let w = &w[group * self.outputs * depth + first * window..];
            let w = Mat::new(w, self.outputs, rows, depth).transposed();
            for image in span[0].images.clone() {
                // SAFETY: every task writes other images, groups or channels.
                unsafe { grad_x.part(self.input_range(image, group, &channels)) }.fill(T::zero());
            }
            for tile in span {
                let columns = self.columns(tile);
                let each = columns / tile.images.len();
                with_scratch(rows * columns, |matrix: &mut [T]| {
                    let out = MatMut::new(matrix, rows, columns, columns);
                    if tile.images.len() == 1 {
                        let start = self.output_start(tile.images.start, group, 0, tile.rows.start);
                        let plane = self.geometry.output_plane();
                        matmul(
                            out,
                            w,
                            Mat::new(&grad_y[start..], self.outputs, columns, plane),
                            false,
                        );
                    } else {
                        with_scratch(self.outputs * columns, |g: &mut [T]| {
                            self.gather_output(grad_y, tile, group, g);
                            matmul(out, w, Mat::new(g, self.outputs, columns, columns), false);
                        });
                    }
                    vectorized(
                        #[inline(always)]
                        || {
                            for (i, image) in tile.images.clone().enumerate() {
                                // SAFETY: as above.
                                let planes = unsafe {
                                    grad_x.part(self.input_range(image, group, &channels))
                                };
                                self.geometry.scatter_add(
                                    &matrix[i * each..],
                                    columns,
                                    tile.rows.clone(),
                                    planes,
                                );
                            }
                        },
                    );
                });
            }
        });
    }

    pub(crate) fn grad_weight<T: Real>(&self, x: &[T], grad_y: &[T], grad_w: &mut [T]) {
        let (depth, window) = (self.depth(), self.geometry.window());
        let tiles = self.tiles();
        let columns = tiles.iter().map(|t| self.columns(t)).max().unwrap_or(0);
        // Independent blocks of channels first, for they need no reduction; then parts of the batch.
        let block = self.channel_block(columns);
        let blocks = self.groups * self.inputs.div_ceil(block);
        let spans = (16usize.div_ceil(blocks)).min(tiles.len());
        let each = tiles.len().div_ceil(spans);
        let spans = tiles.len().div_ceil(each);
        let size = self.weight_len();
        let blocks_of_group = self.inputs.div_ceil(block);
        with_scratch(spans * size, |partial: &mut [T]| {
            let shared = Shared::new(partial);
            parallel::for_each(spans * blocks, self.work(), |task| {
                let (span, rest) = (task / blocks, task % blocks);
                let (group, first) = (rest / blocks_of_group, rest % blocks_of_group * block);
                let channels = first..(first + block).min(self.inputs);
                let rows = channels.len() * window;
                // A task's block is stored by itself: outputs x rows.
                let start = span * size + self.outputs * (group * depth + first * window);
                // SAFETY: the blocks of different tasks do not overlap.
                let out = unsafe { shared.part(start..start + self.outputs * rows) };
                for (i, tile) in tiles[span * each..((span + 1) * each).min(tiles.len())]
                    .iter()
                    .enumerate()
                {
                    let columns = self.columns(tile);
                    with_scratch(rows * columns, |matrix: &mut [T]| {
                        with_scratch(self.outputs * columns, |g: &mut [T]| {
                            self.gather(x, tile, group, &channels, matrix);
                            self.gather_output(grad_y, tile, group, g);
                            let g = Mat::new(g, self.outputs, columns, columns);
                            let matrix = Mat::new(matrix, rows, columns, columns).transposed();
                            matmul(MatMut::new(out, self.outputs, rows, rows), g, matrix, i > 0);
                        });
                    });
                }
            });
            let partial = &partial[..];
            parallel::for_each_chunk(grad_w, depth, spans * size, |o, out| {
                let (group, o) = (o / self.outputs, o % self.outputs);
                for (k, out) in out.chunks_mut(block * window).enumerate() {
                    let start = self.outputs * (group * depth + k * block * window) + o * out.len();
                    out.copy_from_slice(&partial[start..start + out.len()]);
                    for span in 1..spans {
                        let part = &partial[span * size + start..][..out.len()];
                        out.iter_mut().zip(part).for_each(|(o, &p)| *o += p);
                    }
                }
            });
        });
    }
}
