//! Where a sliding window reads: sizes, and the two copies between an image and the matrix of its windows.

use std::ops::Range;

use crate::error::{Error, Result, at_least_one, count};
use crate::real::Real;

/// A window that slides over a plane of `input` = [height, width].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) input: [usize; 2],
    pub(crate) output: [usize; 2],
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) padding: [usize; 2],
    pub(crate) dilation: [usize; 2],
}

impl Geometry {
    /// Checks the sizes and works out the output size, `(input + 2 padding - dilation (kernel - 1) - 1) / stride + 1`
    /// rounded down.
    pub(crate) fn new(
        input: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
    ) -> Result<Self> {
        let mut output = [0; 2];
        for axis in 0..2 {
            for (what, value) in [
                ("image height or width", input[axis]),
                ("kernel size", kernel[axis]),
                ("stride", stride[axis]),
                ("dilation", dilation[axis]),
            ] {
                at_least_one(what, value)?;
            }
            count("padded image", &[padding[axis], 4])?;
            let padded = count("padded image", &[input[axis], 2])? / 2 + 2 * padding[axis];
            let window = count("dilated kernel", &[dilation[axis], kernel[axis] - 1])? + 1;
            if window > padded {
                return Err(Error::TooLarge {
                    what: "dilated kernel size",
                    limit: padded,
                    got: window,
                });
            }
            output[axis] = (padded - window) / stride[axis] + 1;
        }
        Ok(Self {
            input,
            output,
            kernel,
            stride,
            padding,
            dilation,
        })
    }

    /// Elements of an input plane.
    pub(crate) fn input_plane(&self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Elements of an output plane.
    pub(crate) fn output_plane(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Elements of a window.
    pub(crate) fn window(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Whether the matrix of windows is the image itself.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0]
    }

    /// Input index that output index `o` meets at kernel index `k`, if it is not padding.
    #[inline(always)]
    fn source(&self, axis: usize, o: usize, k: usize) -> Option<usize> {
        let i =
            (o * self.stride[axis] + k * self.dilation[axis]).checked_sub(self.padding[axis])?;
        (i < self.input[axis]).then_some(i)
    }

    /// Output indices that meet the input (not padding) at kernel index `k`.
    #[inline(always)]
    fn inside(&self, axis: usize, k: usize) -> Range<usize> {
        let offset = k * self.dilation[axis];
        let (stride, padding) = (self.stride[axis], self.padding[axis]);
        let low = padding.saturating_sub(offset).div_ceil(stride);
        let high = (self.input[axis] + padding)
            .saturating_sub(offset)
            .div_ceil(stride);
        let high = high.min(self.output[axis]);
        low.min(high)..high
    }

    /// Copies windows into matrix columns: for each plane and kernel position a row of `matrix` (rows begin `row_stride`
    /// elements apart), which holds that position's value for the output rows `rows`.
    #[inline(always)]
    pub(crate) fn gather<T: Real>(
        &self,
        planes: &[T],
        rows: Range<usize>,
        matrix: &mut [T],
        row_stride: usize,
    ) {
        let [_, width] = self.output;
        for (c, plane) in planes.chunks_exact(self.input_plane()).enumerate() {
            for a in 0..self.kernel[0] {
                for b in 0..self.kernel[1] {
                    let start = ((c * self.kernel[0] + a) * self.kernel[1] + b) * row_stride;
                    let row = &mut matrix[start..start + rows.len() * width];
                    let inside = self.inside(1, b);
                    for (o, out) in rows.clone().zip(row.chunks_exact_mut(width)) {
                        match self.source(0, o, a) {
                            Some(i) if !inside.is_empty() => {
                                let line = &plane[i * self.input[1]..(i + 1) * self.input[1]];
                                let first = inside.start * self.stride[1] + b * self.dilation[1]
                                    - self.padding[1];
                                out[..inside.start].fill(T::zero());
                                out[inside.end..].fill(T::zero());
                                copy_strided(
                                    &mut out[inside.clone()],
                                    &line[first..],
                                    self.stride[1],
                                );
                            }
                            _ => out.fill(T::zero()),
                        }
                    }
                }
            }
        }
    }

    /// The transpose of [`Self::gather`]: adds each matrix element to the image element it came from.
    #[inline(always)]
    pub(crate) fn scatter_add<T: Real>(
        &self,
        matrix: &[T],
        row_stride: usize,
        rows: Range<usize>,
        planes: &mut [T],
    ) {
        let [_, width] = self.output;
        for (c, plane) in planes.chunks_exact_mut(self.input_plane()).enumerate() {
            for a in 0..self.kernel[0] {
                for b in 0..self.kernel[1] {
                    let start = ((c * self.kernel[0] + a) * self.kernel[1] + b) * row_stride;
                    let row = &matrix[start..start + rows.len() * width];
                    let inside = self.inside(1, b);
                    if inside.is_empty() {
                        continue;
                    }
                    let first =
                        inside.start * self.stride[1] + b * self.dilation[1] - self.padding[1];
                    for (o, values) in rows.clone().zip(row.chunks_exact(width)) {
                        if let Some(i) = self.source(0, o, a) {
                            let line = &mut plane[i * self.input[1]..(i + 1) * self.input[1]];
                            add_strided(
                                &mut line[first..],
                                &values[inside.clone()],
                                self.stride[1],
                            );
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn copy_strided<T: Real>(to: &mut [T], from: &[T], stride: usize) {
    if stride == 1 {
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
    } else {
        for (to, from) in to.iter_mut().zip(from.iter().step_by(stride)) {
            *to = *from;
        }
    }
}

#[inline(always)]
fn add_strided<T: Real>(to: &mut [T], from: &[T], stride: usize) {
    if stride == 1 {
        for (to, from) in to.iter_mut().zip(from) {
            *to += *from;
        }
    } else {
        for (to, from) in to.iter_mut().step_by(stride).zip(from) {
            *to += *from;
        }
    }
}
