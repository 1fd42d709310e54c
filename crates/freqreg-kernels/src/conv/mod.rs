//! Two-dimensional convolution and its gradients.
//!
//! All three passes are matrix products whose left operand is an image read in place (see [`crate::product`]); the matrix of
//! windows is never built. The channels of the result lie along the vector registers.

mod forward;
mod grad_input;
mod grad_weight;
mod plan;
mod taps;

use crate::error::{Error, Result, at_least_one, count, length};
use crate::geometry::Geometry;
use crate::real::Real;

pub(crate) use plan::Plan;

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
        T::conv_forward(&plan, x, w, bias, y);
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
        T::conv_grad_input(&plan, w, grad_y, grad_x);
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
        T::conv_grad_weight(&plan, x, grad_y, grad_w);
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
        T::sum_outer_inner(grad_y, plan.geometry.output_plane(), grad_b);
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
