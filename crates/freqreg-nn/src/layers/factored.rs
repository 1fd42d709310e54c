//! Layers run in the form of their coefficients. With the core c of a weight and the first rows B of the bases,
//! `W[o, i, a, b] = sum of c[p, q, r, s] Bo[p, o] Bi[q, i] Bh[r, a] Bw[s, b]`, so a convolution is: project the input
//! channels (I to Q), convolve with the small kernel `K[p, q] = sum of c[p, q, r, s] Bh[r] Bw[s]`, expand (P to O).

use crate::ops::{self, Conv2dShape};
use crate::parameter::Factors;
use crate::{Execution, Parameter, trace};
use candle_core::{Result, Tensor};

/// Moving one number to or from memory, in multiply-adds.
const MOVE: f64 = 6.0;
/// A layer of this many channels takes twice its multiply-adds: the fewer there are, the less is made of each number that is loaded.
const NARROW: f64 = 16.0;
/// A multiply-add of a layer that runs fused, which does not depend on the number of channels: it has the pixels of a map side by side.
const FUSED: f64 = 2.0;
/// A multiply-add of rebuilding a weight, which is a product of little depth.
const REBUILD: f64 = 2.0;
/// An element of the Kronecker product of two bases, which candle makes element by element.
const JOIN: f64 = 100.0;
/// What it takes to begin with rebuilding a weight, however small.
const BEGIN: f64 = 1e6;

/// Multiply-adds of a layer that has no more than `channels` on one side, in those of a wide one.
fn narrow(multiplications: f64, channels: f64) -> f64 {
    multiplications * (1.0 + NARROW / channels.max(1.0))
}

/// What a layer costs in each form, in multiply-adds of a wide layer.
struct Cost {
    /// Of the ordinary layer, without rebuilding its weight.
    spatial: f64,
    factored: f64,
}

/// The factors of a weight that is to run through them; `fits` is whether the axes of its transform let it.
fn factors(
    fits: bool,
    parameter: &Parameter,
    execution: Execution,
    cost: impl Fn(&[usize]) -> Cost,
) -> Result<Option<Factors>> {
    let Some(bounds) = parameter.factor_bounds().filter(|_| fits) else {
        return Ok(None);
    };
    let pays = || {
        let cost = cost(&bounds);
        cost.factored < cost.spatial + BEGIN + REBUILD * parameter.synthesis_cost()
    };
    match execution {
        Execution::Spatial => Ok(None),
        Execution::Auto if !pays() => Ok(None),
        _ => parameter.factors(),
    }
}

/// `x Wᵀ + b`.
pub(super) fn linear(
    x: &Tensor,
    weight: &Parameter,
    bias: Option<&Tensor>,
    execution: Execution,
) -> Result<Tensor> {
    let [o, i] = *weight.shape() else {
        return ops::linear(x, &weight.weight()?, bias);
    };
    let rows = (x.elem_count() / i.max(1)) as f64;
    let cost = |bounds: &[usize]| {
        let p = bounds[0] as f64;
        let q = bounds[1..].iter().product::<usize>() as f64;
        let (o, i) = (o as f64, i as f64);
        Cost {
            spatial: rows * o * i,
            // With inputs parted into axes, the joint basis is made anew each time.
            factored: narrow(rows * i * q, q.min(i))
                + narrow(rows * p * q, p.min(q))
                + narrow(rows * o * p, p.min(o))
                + MOVE * rows * (p + q)
                + if bounds.len() > 2 { JOIN * q * i } else { 0.0 },
        }
    };
    // The first axis of the transform must be the outputs; the others may part the inputs in any way.
    let fits = weight.transform_axes().first() == Some(&o);
    let (wide_out, wide_in) = (o as f64, i as f64);
    let Some(f) = factors(fits, weight, execution, cost)? else {
        trace::work(
            rows * wide_out * wide_in,
            rows * (wide_in + wide_out) + wide_out * wide_in,
        );
        return ops::linear(x, &weight.weight()?, bias);
    };
    let p = f.core.dim(0)?;
    let q = f.core.elem_count() / p;
    let (narrow_out, narrow_in) = (p as f64, q as f64);
    trace::way(Execution::Factored);
    trace::work(
        rows * (wide_in * narrow_in + narrow_in * narrow_out + narrow_out * wide_out),
        rows * (wide_in + wide_out + 2.0 * (narrow_in + narrow_out)),
    );
    let narrow = ops::linear(x, &f.joined(1)?, None)?;
    let narrow = ops::linear(&narrow, &f.core.reshape((p, q))?, None)?;
    ops::linear(&narrow, &f.bases[0].t()?.contiguous()?, bias)
}

/// The sizes of a convolution that decide its cost.
pub(super) struct Sizes {
    pixels_in: f64,
    pixels_out: f64,
    channels_in: f64,
    channels_out: f64,
    taps: f64,
    groups: f64,
}

impl Sizes {
    /// Of a convolution of images `[n, channels, h, w]` by filters `[out, kh, kw]`.
    pub(super) fn of_conv(
        [n, channels, h, w]: [usize; 4],
        [o, kh, kw]: [usize; 3],
        shape: Conv2dShape,
    ) -> Self {
        let out = |size: usize, axis: usize, k: usize| {
            let room =
                (size + 2 * shape.padding[axis]).saturating_sub(shape.dilation[axis] * (k - 1) + 1);
            room / shape.stride[axis].max(1) + 1
        };
        Sizes {
            pixels_in: (n * h * w) as f64,
            pixels_out: (n * out(h, 0, kh) * out(w, 1, kw)) as f64,
            channels_in: channels as f64,
            channels_out: o as f64,
            taps: (kh * kw) as f64,
            groups: shape.groups as f64,
        }
    }

    /// Of a transposed convolution of one group.
    pub(super) fn of_conv_transpose(
        [n, channels, h, w]: [usize; 4],
        [o, kh, kw]: [usize; 3],
        shape: Conv2dShape,
    ) -> Self {
        Sizes {
            pixels_in: (n * h * w) as f64,
            pixels_out: (n * h * w * shape.stride[0] * shape.stride[1]) as f64,
            channels_in: channels as f64,
            channels_out: o as f64,
            taps: (kh * kw) as f64,
            groups: 1.0,
        }
    }

    /// Whether a layer that runs fused takes less than the ordinary one with its weight at hand, which writes its wide output for
    /// the norm and the activation behind it to read, and needs its wide input in memory (`fused_input`: it is not there yet).
    pub(super) fn fused_pays(
        &self,
        bounds: [usize; 2],
        transposed: bool,
        fused_input: bool,
    ) -> bool {
        let (spatial, factors) = self.multiplications(bounds, transposed);
        let fused = FUSED * factors.iter().sum::<f64>() + MOVE * self.moved(bounds);
        let input = match fused_input {
            true => self.pixels_in * self.channels_in,
            false => 0.0,
        };
        fused < spatial + MOVE * (input + self.pixels_out * self.channels_out)
    }

    /// Multiplications of the ordinary layer, and of each of its three factors: project, narrow layer, expand. The narrow layer has `into`
    /// channels a group behind the projection and `out_of` before the expansion. A transposed convolution does its taps at the
    /// pixels of its input.
    fn multiplications(&self, [into, out_of]: [usize; 2], transposed: bool) -> (f64, [f64; 3]) {
        let (q, p) = (into as f64 * self.groups, out_of as f64 * self.groups);
        let at = if transposed {
            self.pixels_in
        } else {
            self.pixels_out
        };
        let small = at * p * q * self.taps / self.groups;
        let project = self.pixels_in * self.channels_in * q / self.groups;
        let expand = self.pixels_out * self.channels_out * p / self.groups;
        let spatial = at * self.channels_in * self.channels_out * self.taps / self.groups;
        (spatial, [project, small, expand])
    }

    /// Numbers of the narrow maps before and behind the small layer.
    fn moved(&self, [into, out_of]: [usize; 2]) -> f64 {
        self.groups * (self.pixels_in * into as f64 + self.pixels_out * out_of as f64)
    }

    fn cost(&self, into: usize, out_of: usize, transposed: bool) -> Cost {
        let (spatial, [project, small, expand]) = self.multiplications([into, out_of], transposed);
        let (q, p) = (into as f64, out_of as f64);
        let moved = self.moved([into, out_of]);
        Cost {
            spatial,
            factored: narrow(project, q)
                + narrow(small, q.min(p))
                + narrow(expand, p)
                + MOVE * moved,
        }
    }

    /// Tells the trace what the layer does, through factors of these sizes or with its weight rebuilt.
    fn trace(&self, narrow: Option<[usize; 2]>, transposed: bool) {
        let wide = self.pixels_in * self.channels_in + self.pixels_out * self.channels_out;
        let (spatial, factored) = self.multiplications(narrow.unwrap_or([0, 0]), transposed);
        match narrow {
            None => {
                let weight = self.channels_in * self.channels_out * self.taps / self.groups;
                trace::work(spatial, wide + weight);
            }
            Some([q, p]) => {
                let maps = self.pixels_in * q as f64 + self.pixels_out * p as f64;
                trace::way(Execution::Factored);
                trace::work(factored.iter().sum(), wide + 2.0 * self.groups * maps);
            }
        }
    }
}

/// Convolution; the weight is `[out, in / groups, kh, kw]`.
pub(super) fn conv2d(
    x: &Tensor,
    weight: &Parameter,
    bias: Option<&Tensor>,
    shape: Conv2dShape,
    execution: Execution,
) -> Result<Tensor> {
    let spatial = || ops::conv2d(x, &weight.weight()?, bias, shape);
    let (&[o, i, kh, kw], Ok((n, channels, h, w))) = (weight.shape(), x.dims4()) else {
        return spatial();
    };
    let sizes = Sizes::of_conv([n, channels, h, w], [o, kh, kw], shape);
    let fits = weight.transform_axes() == weight.shape();
    let Some(f) = factors(fits, weight, execution, |b| sizes.cost(b[1], b[0], false))? else {
        sizes.trace(None, false);
        return spatial();
    };
    let [p, q] = [f.core.dim(0)?, f.core.dim(1)?];
    sizes.trace(Some([q, p]), false);
    // A shape that does not fit is reported as for the ordinary layer.
    if i * shape.groups != channels {
        return spatial();
    }
    let g = shape.groups;
    let pointwise = Conv2dShape {
        groups: g,
        ..Conv2dShape::default()
    };
    let project = repeated(&f.bases[1].reshape((q, i, 1, 1))?, g)?;
    let expand = f.bases[0].t()?.contiguous()?.reshape((o, p, 1, 1))?;
    let narrow = ops::conv2d(x, &project, None, pointwise)?;
    let narrow = ops::conv2d(&narrow, &repeated(&f.kernel()?, g)?, None, shape)?;
    ops::conv2d(&narrow, &expand, bias, pointwise)
}

/// Transposed convolution; the weight is `[in, out, kh, kw]`.
pub(super) fn conv_transpose2d(
    x: &Tensor,
    weight: &Parameter,
    bias: Option<&Tensor>,
    shape: Conv2dShape,
    execution: Execution,
) -> Result<Tensor> {
    let spatial = || ops::conv_transpose2d(x, &weight.weight()?, bias, shape);
    let (&[i, o, kh, kw], Ok((n, channels, h, w))) = (weight.shape(), x.dims4()) else {
        return spatial();
    };
    if shape.groups != 1 || channels != i {
        return spatial();
    }
    let sizes = Sizes::of_conv_transpose([n, channels, h, w], [o, kh, kw], shape);
    let fits = weight.transform_axes() == weight.shape();
    let Some(f) = factors(fits, weight, execution, |b| sizes.cost(b[0], b[1], true))? else {
        sizes.trace(None, true);
        return spatial();
    };
    let [p, q] = [f.core.dim(0)?, f.core.dim(1)?];
    sizes.trace(Some([p, q]), true);
    let pointwise = Conv2dShape::default();
    let narrow = ops::conv2d(x, &f.bases[0].reshape((p, i, 1, 1))?, None, pointwise)?;
    let narrow = ops::conv_transpose2d(&narrow, &f.kernel()?, None, shape)?;
    let expand = f.bases[1].t()?.contiguous()?.reshape((o, q, 1, 1))?;
    ops::conv2d(&narrow, &expand, bias, pointwise)
}

/// The same weight for each group.
fn repeated(weight: &Tensor, groups: usize) -> Result<Tensor> {
    match groups {
        1 => Ok(weight.clone()),
        _ => Tensor::cat(&vec![weight; groups], 0),
    }
}

impl Factors {
    /// `K[p, q, a, b] = sum over r, s of core[p, q, r, s] Bh[r, a] Bw[s, b]`.
    pub(super) fn kernel(&self) -> Result<Tensor> {
        let (p, q, r, s) = self.core.dims4()?;
        let (kh, kw) = (self.bases[2].dim(1)?, self.bases[3].dim(1)?);
        // As a linear layer and not by candle's product, which counts the machine's cores anew each time, in a file of the kernel's: that
        // takes longer than all else here.
        let times = |x: &Tensor, basis: &Tensor| ops::linear(x, &basis.t()?.contiguous()?, None);
        let along_width = times(&self.core.reshape((p * q * r, s))?, &self.bases[3])?;
        let turned = along_width
            .reshape((p * q, r, kw))?
            .transpose(1, 2)?
            .contiguous()?
            .reshape((p * q * kw, r))?;
        times(&turned, &self.bases[2])?
            .reshape((p * q, kw, kh))?
            .transpose(1, 2)?
            .contiguous()?
            .reshape((p, q, kh, kw))
    }

    /// The Kronecker product of the bases from `first` on: `[product of bounds, product of axes]`.
    fn joined(&self, first: usize) -> Result<Tensor> {
        let mut joined = self.bases[first].clone();
        for basis in &self.bases[first + 1..] {
            let ((a, m), (b, n)) = (joined.dims2()?, basis.dims2()?);
            joined = joined
                .reshape((a, 1, m, 1))?
                .broadcast_mul(&basis.reshape((1, b, 1, n))?)?
                .reshape((a * b, m * n))?;
        }
        Ok(joined)
    }
}
