//! Convolution and transposed convolution.

use super::{affine, portable};
use candle_core::{Result, Tensor, bail};

/// Stride, padding and the like of a convolution, `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dShape {
    /// Step of the window.
    pub stride: [usize; 2],
    /// Zeros on each side of the input.
    pub padding: [usize; 2],
    /// Zeros added below and to the right of a transposed convolution's output; 0 for a convolution.
    pub output_padding: [usize; 2],
    /// Distance between neighbouring taps of the kernel.
    pub dilation: [usize; 2],
    /// Groups into which the channels are split.
    pub groups: usize,
}

impl Default for Conv2dShape {
    fn default() -> Self {
        Conv2dShape {
            stride: [1, 1],
            padding: [0, 0],
            output_padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
        }
    }
}

/// 2-D convolution of x `[n, cin, h, w]` with weight `[cout, cin / groups, kh, kw]` and bias `[cout]`.
///
/// # Errors
/// Shapes that do not fit each other, with the shapes.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    shape: Conv2dShape,
) -> Result<Tensor> {
    let (batch, channels_in, height, width) = x.dims4()?;
    let (channels_out, per_group, kh, kw) = weight.dims4()?;
    if per_group * shape.groups != channels_in {
        bail!(
            "conv2d: the input has {channels_in} channels (shape {:?}), the weight {:?} in {} groups takes {}",
            x.dims(),
            weight.dims(),
            shape.groups,
            per_group * shape.groups
        );
    }
    let geometry = freqreg_kernels::Conv2d {
        batch,
        channels_in,
        height,
        width,
        channels_out,
        kernel: [kh, kw],
        stride: shape.stride,
        padding: shape.padding,
        dilation: shape.dilation,
        groups: shape.groups,
    };
    let geometry = geometry.validated().map_err(candle_core::Error::wrap)?;
    if x.device().is_cpu() {
        affine::apply(geometry, x, weight, bias)
    } else {
        portable::conv2d(x, weight, bias, shape)
    }
}

/// Transposed 2-D convolution of x `[n, cin, h, w]` with weight `[cin, cout / groups, kh, kw]` and bias
/// `[cout]`.
///
/// # Errors
/// Shapes that do not fit each other, with the shapes.
pub fn conv_transpose2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    shape: Conv2dShape,
) -> Result<Tensor> {
    let (batch, channels_in, height, width) = x.dims4()?;
    let (weight_in, per_group, kh, kw) = weight.dims4()?;
    if weight_in != channels_in {
        bail!(
            "conv_transpose2d: the input has {channels_in} channels (shape {:?}), the weight {:?} takes {weight_in}",
            x.dims(),
            weight.dims()
        );
    }
    let geometry = freqreg_kernels::ConvTranspose2d {
        batch,
        channels_in,
        height,
        width,
        channels_out: per_group * shape.groups,
        kernel: [kh, kw],
        stride: shape.stride,
        padding: shape.padding,
        output_padding: shape.output_padding,
        dilation: shape.dilation,
        groups: shape.groups,
    };
    let geometry = geometry.validated().map_err(candle_core::Error::wrap)?;
    if x.device().is_cpu() {
        affine::apply(geometry, x, weight, bias)
    } else {
        portable::conv_transpose2d(x, weight, bias, shape)
    }
}
