//! Sizes of a sliding window, of what it slides over and of what comes out.

use std::ops::Range;

use crate::error::{Error, Result, at_least_one, count};

/// A window that slides over a plane of `input` = [height, width].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
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

    /// Output indices whose window meets the input, not the padding, with its element `k`.
    pub(crate) fn inside(&self, axis: usize, k: usize) -> Range<usize> {
        let offset = k * self.dilation[axis];
        let (stride, padding) = (self.stride[axis], self.padding[axis]);
        let low = padding.saturating_sub(offset).div_ceil(stride);
        let high = (self.input[axis] + padding)
            .saturating_sub(offset)
            .div_ceil(stride);
        let high = high.min(self.output[axis]);
        low.min(high)..high
    }
}
