//! The same operations composed of candle's own, for devices without kernels of ours (CUDA). Only
//! compositions whose gradients were checked against the kernels are used; they run on the CPU too, which is
//! where the tests compare them.

use super::Conv2dShape;
use candle_core::{D, Result, Tensor, bail};

/// `x Wᵀ + b`, x `[rows, in]`.
///
/// # Errors
/// What candle reports.
pub fn linear(x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let y = x.matmul(&w.t()?)?;
    bias.map_or(Ok(y.clone()), |b| y.broadcast_add(b))
}

/// Convolution as products with shifted, strided views: one matrix product a tap of the kernel, so that no
/// gradient depends on candle's convolution backward, which fails on some non-square strided inputs.
///
/// # Errors
/// Shapes that do not fit, and what candle reports.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    shape: Conv2dShape,
) -> Result<Tensor> {
    let (n, _, h, w) = x.dims4()?;
    let (channels_out, per_group, kh, kw) = weight.dims4()?;
    let [ph, pw] = shape.padding;
    // Channels first, so that one matrix product serves the whole batch and the weight is not repeated.
    let x = x
        .pad_with_zeros(2, ph, ph)?
        .pad_with_zeros(3, pw, pw)?
        .transpose(0, 1)?
        .contiguous()?;
    let size = |n: usize, k: usize, axis: usize| {
        let span = shape.dilation[axis] * (k - 1) + 1;
        let padded = n + 2 * shape.padding[axis];
        match padded.checked_sub(span) {
            Some(room) => Ok(room / shape.stride[axis] + 1),
            None => Err(candle_core::Error::Msg(format!(
                "conv2d: a kernel that spans {span} does not fit an input of {padded} (with padding)"
            ))),
        }
    };
    let (oh, ow) = (size(h, kh, 0)?, size(w, kw, 1)?);
    let groups = shape.groups;
    let mut taps = Vec::with_capacity(kh * kw);
    for a in 0..kh {
        let rows = strided(&x, 2, a * shape.dilation[0], oh, shape.stride[0])?;
        for b in 0..kw {
            let tap = strided(&rows, 3, b * shape.dilation[1], ow, shape.stride[1])?;
            taps.push(tap.reshape((groups, per_group, 1, n * oh * ow))?);
        }
    }
    let taps_in = per_group * kh * kw;
    let windows = Tensor::cat(&taps, 2)?.reshape((groups, taps_in, n * oh * ow))?;
    let y = weight
        .reshape((groups, channels_out / groups, taps_in))?
        .matmul(&windows)?
        .reshape((channels_out, n, oh, ow))?
        .transpose(0, 1)?
        .contiguous()?;
    add_bias(y, bias)
}

/// Transposed convolution: zeros between the input's pixels, then a convolution with the flipped kernel.
///
/// # Errors
/// Shapes that do not fit, and what candle reports.
pub fn conv_transpose2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    shape: Conv2dShape,
) -> Result<Tensor> {
    let (_, per_group, kh, kw) = weight.dims4()?;
    let (channels_in, groups) = (x.dim(1)?, shape.groups);
    // [cin, cout/g, kh, kw] -> [cout, cin/g, kh, kw], flipped in both directions.
    let w = weight
        .reshape((groups, channels_in / groups, per_group, kh * kw))?
        .transpose(1, 2)?
        .contiguous()?;
    let flipped: Vec<u32> = (0..(kh * kw) as u32).rev().collect();
    let flipped = Tensor::from_vec(flipped, kh * kw, x.device())?;
    let w =
        w.index_select(&flipped, 3)?
            .reshape((groups * per_group, channels_in / groups, kh, kw))?;
    let mut spread = x.clone();
    for (axis, k) in [(0, kh), (1, kw)] {
        let reach = shape.dilation[axis] * (k - 1);
        let Some(edge) = reach.checked_sub(shape.padding[axis]) else {
            bail!(
                "conv_transpose2d: padding {} is larger than the reach {reach} of the kernel",
                shape.padding[axis]
            )
        };
        spread = dilate(&spread, axis + 2, shape.stride[axis])?.pad_with_zeros(
            axis + 2,
            edge,
            edge + shape.output_padding[axis],
        )?;
    }
    let plain = Conv2dShape {
        stride: [1, 1],
        padding: [0, 0],
        output_padding: [0, 0],
        ..shape
    };
    conv2d(&spread, &w, bias, plain)
}

/// The largest value of each window: the maximum over the window's taps.
///
/// # Errors
/// What candle reports.
pub fn max_pool2d(x: &Tensor, kernel: [usize; 2], stride: [usize; 2]) -> Result<Tensor> {
    // Not `maximum`: its gradient at a tie would go to both sides.
    windows(x, kernel, stride)?
        .into_iter()
        .map(Ok)
        .reduce(|a, b| {
            let (a, b) = (a?, b?);
            let first = a.ge(&b)?;
            first.where_cond(&a, &b)
        })
        .unwrap_or_else(|| bail!("max_pool2d: the window {kernel:?} is empty"))
}

/// The mean of each window.
///
/// # Errors
/// What candle reports.
pub fn avg_pool2d(x: &Tensor, kernel: [usize; 2], stride: [usize; 2]) -> Result<Tensor> {
    let count = (kernel[0] * kernel[1]) as f64;
    windows(x, kernel, stride)?
        .into_iter()
        .map(Ok)
        .reduce(|a, b| a? + b?)
        .unwrap_or_else(|| bail!("avg_pool2d: the window {kernel:?} is empty"))?
        / count
}

/// x seen as `[outer, channels, inner]`, each channel to mean 0 and variance 1.
///
/// # Errors
/// What candle reports.
pub fn normalize(x: &Tensor, view: [usize; 3], eps: f64) -> Result<Tensor> {
    let [outer, channels, inner] = view;
    let t = x.reshape((outer, channels, inner))?;
    let mean = t.mean_keepdim(2)?.mean_keepdim(0)?;
    let centred = t.broadcast_sub(&mean)?;
    let variance = centred.sqr()?.mean_keepdim(2)?.mean_keepdim(0)?;
    let y = centred.broadcast_div(&(variance + eps)?.sqrt()?)?;
    y.reshape(x.shape())
}

/// max(x, 0) with gradient 0 at 0.
///
/// # Errors
/// What candle reports.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    let zero = x.zeros_like()?;
    x.gt(&zero)?.where_cond(x, &zero)
}

/// [`super::gelu`]. The gradient of candle's own has six digits.
///
/// # Errors
/// What candle reports.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    let below = ((x * std::f64::consts::FRAC_1_SQRT_2)?.erf()? + 1.0)?;
    (x * below)? * 0.5
}

/// [`super::self_attention`].
///
/// # Errors
/// What candle reports for shapes that do not fit.
pub fn self_attention(qkv: &Tensor, heads: usize) -> Result<Tensor> {
    let (n, tokens, features) = qkv.dims3()?;
    let dim = features / (3 * heads);
    let parts = qkv
        .reshape((n, tokens, 3, heads, dim))?
        .permute([2, 0, 3, 1, 4])?
        .contiguous()?;
    // The scale on the queries: they are fewer than the scores.
    let q = (parts.get(0)? * (dim as f64).powf(-0.5))?;
    let scores = q.matmul(&parts.get(1)?.transpose(2, 3)?.contiguous()?)?;
    softmax(&scores)?
        .matmul(&parts.get(2)?.contiguous()?)?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((n, tokens, heads * dim))
}

/// The softmax over the last axis. candle's own has no gradient.
fn softmax(x: &Tensor) -> Result<Tensor> {
    // The shift cancels in the result and in its gradient, so the maximum is a constant here.
    let e = x
        .broadcast_sub(&x.detach().max_keepdim(D::Minus1)?)?
        .exp()?;
    e.broadcast_div(&e.sum_keepdim(D::Minus1)?)
}

fn add_bias(y: Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    match bias {
        None => Ok(y),
        Some(b) => y.broadcast_add(&b.reshape((1, b.elem_count(), 1, 1))?),
    }
}

/// Every tap of the windows: kernel[0] * kernel[1] tensors of the output's shape, in row-major order.
fn windows(x: &Tensor, kernel: [usize; 2], stride: [usize; 2]) -> Result<Vec<Tensor>> {
    let (_, _, h, w) = x.dims4()?;
    if kernel[0] > h || kernel[1] > w {
        bail!("pool: the window {kernel:?} does not fit an input of {h} x {w}");
    }
    let (oh, ow) = (
        (h - kernel[0]) / stride[0] + 1,
        (w - kernel[1]) / stride[1] + 1,
    );
    let mut taps = Vec::with_capacity(kernel[0] * kernel[1]);
    for a in 0..kernel[0] {
        let rows = strided(x, 2, a, oh, stride[0])?;
        for b in 0..kernel[1] {
            taps.push(strided(&rows, 3, b, ow, stride[1])?);
        }
    }
    Ok(taps)
}

/// `count` slices of an axis from `start` on, `step` apart.
fn strided(x: &Tensor, axis: usize, start: usize, count: usize, step: usize) -> Result<Tensor> {
    if step == 1 {
        return x.narrow(axis, start, count)?.contiguous();
    }
    let index: Vec<u32> = (0..count).map(|i| (start + i * step) as u32).collect();
    x.contiguous()?
        .index_select(&Tensor::from_vec(index, count, x.device())?, axis)
}

/// Puts `step - 1` zeros between neighbours along an axis.
fn dilate(x: &Tensor, axis: usize, step: usize) -> Result<Tensor> {
    if step == 1 {
        return Ok(x.clone());
    }
    let n = x.dim(axis)?;
    let mut shape = x.dims().to_vec();
    shape.insert(axis + 1, 1);
    let wide = x
        .reshape(shape.as_slice())?
        .pad_with_zeros(axis + 1, 0, step - 1)?;
    shape.remove(axis + 1);
    shape[axis] = n * step;
    wide.reshape(shape)?
        .narrow(axis, 0, (n - 1) * step + 1)?
        .contiguous()
}
