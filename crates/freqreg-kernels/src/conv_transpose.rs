//! Transposed convolution: a convolution run backwards.

use crate::conv::{Conv2d, Plan};
use crate::error::{Error, Result, at_least_one, count, length};
use crate::parallel::for_each_chunk;
use crate::real::Real;

/// Shape of a two-dimensional transposed convolution.
///
/// | tensor | shape |
/// | --- | --- |
/// | input `x` | `[batch, channels_in, height, width]` |
/// | weight `w` | `[channels_in, channels_out / groups, kernel[0], kernel[1]]` |
/// | bias | `[channels_out]` |
/// | output `y` | `[batch, channels_out, output_size()[0], output_size()[1]]` |
///
/// Its forward pass is the input gradient of the convolution that maps `y`'s shape to `x`'s with the same weight.
///
/// ```
/// use freqreg_kernels::ConvTranspose2d;
///
/// let up = ConvTranspose2d { height: 1, width: 2, kernel: [2, 2], stride: [2, 2], ..ConvTranspose2d::default() };
/// assert_eq!(up.output_size(), [2, 4]);
/// let mut y = [0f64; 8];
/// up.forward(&[1., 10.], &[1., 2., 3., 4.], None, &mut y)?;
/// assert_eq!(y, [1., 2., 10., 20., 3., 4., 30., 40.]);
/// # Ok::<(), freqreg_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvTranspose2d {
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
    /// Step of the window in the output.
    pub stride: [usize; 2],
    /// Rows and columns cut off at each border of the output.
    pub padding: [usize; 2],
    /// Rows and columns added at the lower and right border of the output; less than stride or dilation.
    pub output_padding: [usize; 2],
    /// Distance of neighbouring filter elements.
    pub dilation: [usize; 2],
    /// Parts into which both channel axes are split.
    pub groups: usize,
}

impl Default for ConvTranspose2d {
    /// All sizes and steps one, no padding.
    fn default() -> Self {
        let Conv2d {
            batch,
            channels_in,
            height,
            width,
            channels_out,
            kernel,
            stride,
            padding,
            dilation,
            groups,
        } = Conv2d::default();
        let output_padding = [0, 0];
        Self {
            batch,
            channels_in,
            height,
            width,
            channels_out,
            kernel,
            stride,
            padding,
            output_padding,
            dilation,
            groups,
        }
    }
}

impl ConvTranspose2d {
    /// The same shape if it is a possible one.
    ///
    /// # Errors
    /// If a size is zero, `groups` does not divide both channel counts, the padding leaves no output, `output_padding`
    /// reaches both stride and dilation, or a tensor's element count overflows. Every other method returns the same errors.
    pub fn validated(self) -> Result<Self> {
        self.adjoint().map(|_| self)
    }

    /// Rows and columns of the output: `(size - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1`;
    /// `[0, 0]` for an impossible shape.
    #[must_use]
    pub fn output_size(&self) -> [usize; 2] {
        self.adjoint().map_or([0, 0], |a| a.geometry.input)
    }

    /// Elements of the input.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.batch * self.channels_in * self.height * self.width
    }

    /// Elements of the weight.
    #[must_use]
    pub fn weight_len(&self) -> usize {
        self.channels_in
            * (self.channels_out / self.groups.max(1))
            * self.kernel[0]
            * self.kernel[1]
    }

    /// Elements of the output.
    #[must_use]
    pub fn output_len(&self) -> usize {
        let [height, width] = self.output_size();
        self.batch * self.channels_out * height * width
    }

    /// Writes the transposed convolution of `x` with `w`, plus `bias`, to `y`.
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
        let adjoint = self.adjoint()?;
        length("input", x, adjoint.output_len())?;
        length("weight", w, adjoint.weight_len())?;
        length("output", y, adjoint.input_len())?;
        if let Some(bias) = bias {
            length("bias", bias, self.channels_out)?;
        }
        T::conv_grad_input(&adjoint, w, x, y);
        if let Some(bias) = bias {
            T::add_bias(y, adjoint.geometry.input_plane(), bias);
        }
        Ok(())
    }

    /// Writes the gradient with respect to the input, given `grad_y` with respect to the output, to `grad_x`.
    ///
    /// # Errors
    /// If the shape is impossible or a slice has the wrong length; `grad_x` is untouched then.
    pub fn grad_input<T: Real>(&self, w: &[T], grad_y: &[T], grad_x: &mut [T]) -> Result<()> {
        let adjoint = self.adjoint()?;
        length("weight", w, adjoint.weight_len())?;
        length("output gradient", grad_y, adjoint.input_len())?;
        length("input gradient", grad_x, adjoint.output_len())?;
        T::conv_forward(&adjoint, grad_y, w, None, grad_x);
        Ok(())
    }

    /// Writes the gradient with respect to the weight, summed over the batch, to `grad_w`.
    ///
    /// # Errors
    /// If the shape is impossible or a slice has the wrong length; `grad_w` is untouched then.
    pub fn grad_weight<T: Real>(&self, x: &[T], grad_y: &[T], grad_w: &mut [T]) -> Result<()> {
        let adjoint = self.adjoint()?;
        length("input", x, adjoint.output_len())?;
        length("output gradient", grad_y, adjoint.input_len())?;
        length("weight gradient", grad_w, adjoint.weight_len())?;
        T::conv_grad_weight(&adjoint, grad_y, x, grad_w);
        Ok(())
    }

    /// Writes the gradient with respect to the bias, `sum over n,i,j of grad_y[n,o,i,j]`, to `grad_b`.
    ///
    /// # Errors
    /// If the shape is impossible or a slice has the wrong length; `grad_b` is untouched then.
    pub fn grad_bias<T: Real>(&self, grad_y: &[T], grad_b: &mut [T]) -> Result<()> {
        let adjoint = self.adjoint()?;
        length("output gradient", grad_y, adjoint.input_len())?;
        length("bias gradient", grad_b, self.channels_out)?;
        T::sum_outer_inner(grad_y, adjoint.geometry.input_plane(), grad_b);
        Ok(())
    }

    /// The convolution whose input gradient this is.
    fn adjoint(&self) -> Result<Plan> {
        let mut output = [0; 2];
        for (axis, size) in [self.height, self.width].into_iter().enumerate() {
            for (what, value) in [
                ("image height or width", size),
                ("kernel size", self.kernel[axis]),
                ("stride", self.stride[axis]),
                ("dilation", self.dilation[axis]),
            ] {
                at_least_one(what, value)?;
            }
            let limit = self.stride[axis].max(self.dilation[axis]) - 1;
            if self.output_padding[axis] > limit {
                return Err(Error::TooLarge {
                    what: "output padding",
                    limit,
                    got: self.output_padding[axis],
                });
            }
            let full = count("output", &[size - 1, self.stride[axis]])?
                + count(
                    "dilated kernel",
                    &[self.dilation[axis], self.kernel[axis] - 1],
                )?
                + self.output_padding[axis]
                + 1;
            let limit = (full - 1) / 2;
            if self.padding[axis] > limit {
                return Err(Error::TooLarge {
                    what: "padding",
                    limit,
                    got: self.padding[axis],
                });
            }
            output[axis] = full - 2 * self.padding[axis];
        }
        let mut plan = Conv2d {
            batch: self.batch,
            channels_in: self.channels_out,
            height: output[0],
            width: output[1],
            channels_out: self.channels_in,
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
        }
        .plan()?;
        // An output padding beyond the stride leaves room for one more window, which has no input.
        plan.geometry.output = [self.height, self.width];
        Ok(plan)
    }
}

/// Adds `bias[c]` to every plane of channel `c`.
pub(crate) fn add_bias<T: Real>(y: &mut [T], plane: usize, bias: &[T]) {
    let work = y.len();
    for_each_chunk(y, plane, work, |i, plane| {
        let b = bias[i % bias.len()];
        plane.iter_mut().for_each(|v| *v += b);
    });
}
