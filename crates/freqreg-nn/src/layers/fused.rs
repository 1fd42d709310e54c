//! Convolutions between feature maps whose wide channels are never all in memory.

use super::factored::Sizes;
use crate::execution::gradients;
use crate::map::{Channels, wrap};
use crate::ops::kernel::slice;
use crate::ops::{self, Conv2dShape};
use crate::parameter::Factors;
use crate::{Execution, FeatureMap, Parameter, trace};
use candle_core::{DType, Result, Storage, Tensor, bail};
use freqreg_kernels::{MapShape, Maps, NarrowConv};

/// Whether the layer runs fused, given what it would cost in multiply-adds.
fn fuses(
    x: &FeatureMap,
    weight: &Parameter,
    shape: Conv2dShape,
    execution: Execution,
    sizes: impl Fn() -> Option<(Sizes, [usize; 2], bool)>,
) -> bool {
    let possible = shape.groups == 1
        && weight.transform_axes() == weight.shape()
        && weight.variable().dtype() == DType::F32
        && weight.variable().device().is_cpu()
        && x.tensor_is_single_precision();
    possible
        && match execution {
            Execution::Fused => true,
            Execution::Auto => sizes().is_some_and(|(sizes, bounds, transposed)| {
                sizes.fused_pays(bounds, transposed, x.is_fused())
            }),
            Execution::Spatial | Execution::Factored => false,
        }
}

fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

/// Narrow maps: a tensor `[n, narrow, h, w]` where gradients are wanted.
enum Narrow {
    Maps(Maps),
    Tensor(Tensor),
}

/// The channels of `x` projected by `basis` `[narrow, channels]`, within a border of zeros if that is no tensor.
fn project(
    groups: &[Channels],
    basis: &[f32],
    narrow: usize,
    border: [usize; 2],
) -> Result<Narrow> {
    let all: usize = groups.iter().map(|g| g.wide.shape().channels).sum();
    let mut first = 0;
    let mut tensors: Vec<Tensor> = Vec::new();
    let mut out: Option<Maps> = None;
    for group in groups {
        let shape = group.wide.shape();
        let count = shape.channels;
        let rows = basis.chunks_exact(all);
        let part: Vec<f32> = rows
            .flat_map(|row| row[first..first + count].iter().copied())
            .collect();
        first += count;
        let pixels = shape.pixels() as f64;
        let maps: usize = group.wide.narrow().iter().sum();
        trace::work(
            match group.wide.is_expansion() {
                true => pixels * (maps * narrow) as f64,
                false => group.wide.work() as f64 + pixels * (count * narrow) as f64,
            },
            pixels * (maps * group.wide.phases() + narrow) as f64,
        );
        if let Some(tensor) = group.projected(&part)? {
            tensors.push(tensor);
            continue;
        }
        let shape = MapShape {
            channels: narrow,
            ..shape
        };
        let add = out.is_some();
        let to = match &mut out {
            Some(maps) => maps,
            None => out.insert(Maps::zeros(shape, border).map_err(wrap)?),
        };
        group.wide.project(&part, to, add).map_err(wrap)?;
    }
    match (out, tensors.split_first()) {
        (Some(maps), None) => Ok(Narrow::Maps(maps)),
        (out, Some((first, rest))) => {
            let mut sum = first.clone();
            for tensor in rest {
                sum = (sum + tensor)?;
            }
            if let Some(maps) = out {
                sum = (sum + to_tensor(&maps)?)?;
            }
            Ok(Narrow::Tensor(sum))
        }
        (None, None) => bail!("a feature map without channels"),
    }
}

fn to_tensor(maps: &Maps) -> Result<Tensor> {
    let s = maps.shape();
    let shape = (s.images, s.channels, s.height, s.width);
    Tensor::from_vec(maps.to_images(), shape, &candle_core::Device::Cpu)
}

/// The most numbers in a filter of an ordinary convolution that runs fused.
const FEW: usize = 32;

/// An ordinary convolution of few inputs: its weights are the expansion of the pixels that its windows hold. Only of a tensor that no
/// gradient is wanted for, as pictures are.
fn of_windows(
    x: &FeatureMap,
    weight: &Parameter,
    shape: Conv2dShape,
    execution: Execution,
) -> Result<Option<FeatureMap>> {
    let (&[o, i, kh, kw], (n, channels, h, w)) = (weight.shape(), x.dims4()?) else {
        return Ok(None);
    };
    let filter = i * kh * kw;
    let possible = weight.factor_bounds().is_none()
        && shape.groups == 1
        && channels == i
        && filter <= FEW
        && weight.variable().dtype() == DType::F32
        && weight.variable().device().is_cpu()
        && x.tensor_is_single_precision();
    let pays = match execution {
        Execution::Fused => true,
        // Then the windows take far less memory than what comes out.
        Execution::Auto => 2 * filter <= o,
        Execution::Spatial | Execution::Factored => false,
    };
    if !possible || !pays || x.is_fused() {
        return Ok(None);
    }
    let tensor = x.tensor()?;
    if gradients() && tensor.track_op() {
        return Ok(None);
    }
    let geometry = freqreg_kernels::Conv2d {
        batch: n,
        channels_in: i,
        height: h,
        width: w,
        channels_out: o,
        kernel: [kh, kw],
        stride: shape.stride,
        padding: shape.padding,
        dilation: shape.dilation,
        groups: 1,
    };
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        return Ok(None);
    };
    let images = slice::<f32>(storage, layout, "windows")?;
    let maps = Maps::windows(&geometry, images).map_err(wrap)?;
    trace::way(Execution::Fused);
    trace::work(0.0, (images.len() + filter * maps.shape().pixels()) as f64);
    let expand = weight.plain_value().reshape((o, filter))?;
    FeatureMap::expanded_by(&expand, maps).map(Some)
}

pub(super) fn conv2d(
    x: &FeatureMap,
    weight: &Parameter,
    bias: Option<&Parameter>,
    shape: Conv2dShape,
    execution: Execution,
) -> Result<Option<FeatureMap>> {
    let (&[o, i, kh, kw], (n, channels, h, w)) = (weight.shape(), x.dims4()?) else {
        return Ok(None);
    };
    if x.is_fused() && (kh, kw, shape.padding) == (1, 1, [0, 0]) && shape.stride != [1, 1] {
        // The pixels that are stepped over need not be computed.
        let read = x.max_pool2d([1, 1], shape.stride)?;
        let shape = Conv2dShape {
            stride: [1, 1],
            ..shape
        };
        return conv2d(&read, weight, bias, shape, execution);
    }
    let sizes = || {
        let bounds = weight.factor_bounds()?;
        let sizes = Sizes::of_conv([n, channels, h, w], [o, kh, kw], shape);
        Some((sizes, [bounds[1], bounds[0]], false))
    };
    if channels != i {
        return Ok(None);
    }
    if gradients() && bias.is_some() {
        return Ok(None);
    }
    if bias.is_none()
        && let Some(map) = of_windows(x, weight, shape, execution)?
    {
        return Ok(Some(map));
    }
    if let Some(groups) = x.groups()
        && shape == Conv2dShape::default()
        && (kh, kw, bias.is_some(), gradients()) == (1, 1, false, false)
        && weight.factor_bounds().is_none_or(|bounds| o <= bounds[1])
        && matches!(execution, Execution::Fused | Execution::Auto)
    {
        // So few channels leave the layer that it projects right to them.
        trace::way(Execution::Fused);
        let weight = values(&weight.weight()?)?;
        return Ok(Some(project(groups, &weight, o, [0, 0])?.tensor()?.into()));
    }
    if !fuses(x, weight, shape, execution, sizes) {
        return Ok(None);
    }
    let Some(f) = weight.factors()? else {
        return Ok(None);
    };
    trace::way(Execution::Fused);
    let [p, q] = [f.core.dim(0)?, f.core.dim(1)?];
    let bias = match bias {
        Some(bias) => values(&bias.plain_value())?,
        None => Vec::new(),
    };
    let expand = values(&f.bases[0].t()?.contiguous()?)?;
    let kernel = f.kernel()?;
    let narrow_stride = shape.stride == [1, 1];
    let border = if narrow_stride { shape.padding } else { [0, 0] };
    let (narrow, kernel) = match x.groups() {
        Some(groups) => (project(groups, &values(&f.bases[1])?, q, border)?, kernel),
        None => {
            let (x, kernel) = enter(&x.tensor()?, &f, kernel)?;
            (Narrow::Tensor(x), kernel)
        }
    };
    let small = |pixels_out: usize, inner: usize| {
        let pixels = pixels_out as f64;
        trace::work(
            pixels * (p * inner * kh * kw) as f64,
            pixels * p as f64 + (n * h * w * inner) as f64,
        );
    };
    if gradients() {
        let x = narrow.tensor()?;
        let maps = ops::conv2d(&x, &kernel, None, shape)?;
        small(maps.elem_count() / p, x.dim(1)?);
        return FeatureMap::expanded_tensor(&maps, &expand).map(Some);
    }
    let maps = narrow.maps(border)?;
    let inner = maps.shape().channels;
    let maps = if narrow_stride {
        NarrowConv::new([p, inner], [kh, kw], shape.dilation, &values(&kernel)?)
            .and_then(|conv| conv.forward(&maps))
            .map_err(wrap)?
    } else {
        FeatureMap::to_maps(
            &ops::conv2d(&to_tensor(&maps)?, &kernel, None, shape)?,
            [0, 0],
        )?
    };
    small(maps.shape().pixels(), inner);
    FeatureMap::expanded(o, maps, &expand, &bias).map(Some)
}

impl Narrow {
    fn tensor(self) -> Result<Tensor> {
        match self {
            Narrow::Maps(maps) => to_tensor(&maps),
            Narrow::Tensor(tensor) => Ok(tensor),
        }
    }

    /// Within a border, which maps have already.
    fn maps(self, border: [usize; 2]) -> Result<Maps> {
        match self {
            Narrow::Maps(maps) => Ok(maps),
            Narrow::Tensor(tensor) => FeatureMap::to_maps(&tensor, border),
        }
    }
}

/// The channels of `x` projected by `basis` `[narrow, channels, 1, 1]`.
fn project_tensor(x: &Tensor, basis: &Tensor) -> Result<Tensor> {
    let pixels = x.elem_count() / x.dim(1)?.max(1);
    trace::work(
        (pixels * basis.elem_count()) as f64,
        (x.elem_count() + pixels * basis.dim(0)?) as f64,
    );
    ops::conv2d(x, basis, None, Conv2dShape::default())
}

/// A tensor's way into the small convolution: projected, or, where it has no more channels than the projection, with the
/// projection joined to the kernel.
fn enter(x: &Tensor, f: &Factors, kernel: Tensor) -> Result<(Tensor, Tensor)> {
    let (p, q, kh, kw) = kernel.dims4()?;
    let i = f.bases[1].dim(1)?;
    if i > q {
        let basis = f.bases[1].reshape((q, i, 1, 1))?;
        return Ok((project_tensor(x, &basis)?, kernel));
    }
    // [p, taps, q] times [q, i].
    let taps = kernel
        .reshape((p, q, kh * kw))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((p * kh * kw, q))?;
    let joined = ops::linear(&taps, &f.bases[1].t()?.contiguous()?, None)?
        .reshape((p, kh * kw, i))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((p, i, kh, kw))?;
    Ok((x.clone(), joined))
}

pub(super) fn conv_transpose2d(
    x: &FeatureMap,
    weight: &Parameter,
    bias: Option<&Parameter>,
    shape: Conv2dShape,
    execution: Execution,
) -> Result<Option<FeatureMap>> {
    let (&[i, o, kh, kw], (n, channels, h, w)) = (weight.shape(), x.dims4()?) else {
        return Ok(None);
    };
    let sizes = || {
        let bounds = weight.factor_bounds()?;
        let sizes = Sizes::of_conv_transpose([n, channels, h, w], [o, kh, kw], shape);
        Some((sizes, [bounds[0], bounds[1]], true))
    };
    if channels != i
        || (gradients() && bias.is_some())
        || !fuses(x, weight, shape, execution, sizes)
    {
        return Ok(None);
    }
    let Some(f) = weight.factors()? else {
        return Ok(None);
    };
    trace::way(Execution::Fused);
    let [p, q] = [f.core.dim(0)?, f.core.dim(1)?];
    let narrow = match x.groups() {
        Some(groups) => project(groups, &values(&f.bases[0])?, p, [0, 0])?,
        None => {
            let basis = f.bases[0].reshape((p, i, 1, 1))?;
            Narrow::Tensor(project_tensor(&x.tensor()?, &basis)?)
        }
    };
    let side_by_side = Conv2dShape {
        stride: [kh, kw],
        ..Conv2dShape::default()
    };
    let narrow = match narrow {
        Narrow::Maps(maps) if shape == side_by_side => {
            let kernel = values(&f.kernel()?)?;
            Narrow::Maps(maps.spread(q, [kh, kw], &kernel).map_err(wrap)?)
        }
        other => Narrow::Tensor(ops::conv_transpose2d(
            &other.tensor()?,
            &f.kernel()?,
            None,
            shape,
        )?),
    };
    let pixels = (n * h * w) as f64;
    let out = match &narrow {
        Narrow::Maps(maps) => q * maps.shape().pixels(),
        Narrow::Tensor(tensor) => tensor.elem_count(),
    };
    trace::work(
        pixels * (p * q * kh * kw) as f64,
        pixels * p as f64 + out as f64,
    );
    let bias = match bias {
        Some(bias) => values(&bias.plain_value())?,
        None => Vec::new(),
    };
    let expand = values(&f.bases[1].t()?.contiguous()?)?;
    if gradients() {
        return FeatureMap::expanded_tensor(&narrow.tensor()?, &expand).map(Some);
    }
    FeatureMap::expanded(o, narrow.maps([0, 0])?, &expand, &bias).map(Some)
}
