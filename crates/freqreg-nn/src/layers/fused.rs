//! Convolutions between feature maps whose wide channels are never all in memory.

use super::factored::Sizes;
use crate::execution::gradients;
use crate::map::{Channels, wrap};
use crate::ops::{self, Conv2dShape};
use crate::parameter::Factors;
use crate::{Execution, FeatureMap, Parameter, trace};
use candle_core::{DType, Result, Tensor};
use freqreg_kernels::{MapShape, Maps, NarrowConv, Wide};

/// Whether the layer runs fused, given what it would cost in multiply-adds.
fn fuses(
    x: &FeatureMap,
    weight: &Parameter,
    shape: Conv2dShape,
    execution: Execution,
    sizes: impl Fn() -> Option<(Sizes, [usize; 2], bool)>,
) -> bool {
    let possible = !gradients()
        && shape.groups == 1
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

/// The channels of `x` projected by `basis` `[narrow, channels]`, within a border of zeros.
fn project(groups: &[Channels], basis: &[f32], narrow: usize, border: [usize; 2]) -> Result<Maps> {
    let all: usize = groups.iter().map(|g| g.wide.shape().channels).sum();
    let mut first = 0;
    let mut out: Option<Maps> = None;
    for group in groups {
        let shape = group.wide.shape();
        let count = shape.channels;
        let rows = basis.chunks_exact(all);
        let part: Vec<f32> = rows
            .flat_map(|row| row[first..first + count].iter().copied())
            .collect();
        first += count;
        let add = out.is_some();
        let to = match &mut out {
            Some(maps) => maps,
            None => out.insert(
                Maps::zeros(
                    MapShape {
                        channels: narrow,
                        ..shape
                    },
                    border,
                )
                .map_err(wrap)?,
            ),
        };
        let pixels = shape.pixels() as f64;
        let maps: usize = group.wide.narrow().iter().sum();
        trace::work(
            match &group.expansion {
                Some(_) => pixels * (maps * narrow) as f64,
                None => group.wide.work() as f64 + pixels * (count * narrow) as f64,
            },
            pixels * (maps * group.wide.phases() + narrow) as f64,
        );
        match &group.expansion {
            // Nothing stands between expansion and projection: their product is as small as the maps.
            Some((maps, expand)) => {
                let inner = maps.shape().channels;
                let mut joined = vec![0.0; narrow * inner];
                for (to, row) in joined.chunks_exact_mut(inner).zip(part.chunks_exact(count)) {
                    for (&factor, expand) in row.iter().zip(expand.chunks_exact(inner)) {
                        to.iter_mut()
                            .zip(expand)
                            .for_each(|(to, e)| *to += factor * e);
                    }
                }
                let mut identity = vec![0.0; inner * inner];
                identity
                    .iter_mut()
                    .step_by(inner + 1)
                    .for_each(|v| *v = 1.0);
                Wide::new(inner, vec![maps.clone()], &identity, &[], false)
                    .and_then(|maps| maps.project(&joined, to, add))
            }
            None => group.wide.project(&part, to, add),
        }
        .map_err(wrap)?;
    }
    out.ok_or_else(|| candle_core::Error::Msg("a feature map without channels".into()))
}

fn to_tensor(maps: &Maps) -> Result<Tensor> {
    let s = maps.shape();
    let shape = (s.images, s.channels, s.height, s.width);
    Tensor::from_vec(maps.to_images(), shape, &candle_core::Device::Cpu)
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
    let sizes = || {
        let bounds = weight.factor_bounds()?;
        let sizes = Sizes::of_conv([n, channels, h, w], [o, kh, kw], shape);
        Some((sizes, [bounds[1], bounds[0]], false))
    };
    if channels != i {
        return Ok(None);
    }
    if let Some(groups) = x.groups()
        && shape == Conv2dShape::default()
        && (kh, kw, bias.is_some()) == (1, 1, false)
        && weight.factor_bounds().is_none_or(|bounds| o <= bounds[1])
        && matches!(execution, Execution::Fused | Execution::Auto)
    {
        // So few channels leave the layer that it projects right to them.
        trace::way(Execution::Fused);
        let weight = values(&weight.weight()?)?;
        return Ok(Some(
            to_tensor(&project(groups, &weight, o, [0, 0])?)?.into(),
        ));
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
    let (maps, kernel) = match x.groups() {
        Some(groups) => (project(groups, &values(&f.bases[1])?, q, border)?, kernel),
        None => {
            let (x, kernel) = enter(&x.tensor()?, &f, kernel)?;
            (FeatureMap::to_maps(&x, border)?, kernel)
        }
    };
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
    let pixels = maps.shape().pixels() as f64;
    trace::work(
        pixels * (p * inner * kh * kw) as f64,
        pixels * p as f64 + (n * h * w * inner) as f64,
    );
    FeatureMap::expanded(o, maps, expand, &bias).map(Some)
}

/// A tensor's way into the small convolution: projected, or, where it has no more channels than the projection, with the
/// projection joined to the kernel.
fn enter(x: &Tensor, f: &Factors, kernel: Tensor) -> Result<(Tensor, Tensor)> {
    let (p, q, kh, kw) = kernel.dims4()?;
    let i = f.bases[1].dim(1)?;
    if i > q {
        let basis = f.bases[1].reshape((q, i, 1, 1))?;
        let x = ops::conv2d(x, &basis, None, Conv2dShape::default())?;
        return Ok((x, kernel));
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
    if channels != i || !fuses(x, weight, shape, execution, sizes) {
        return Ok(None);
    }
    let Some(f) = weight.factors()? else {
        return Ok(None);
    };
    trace::way(Execution::Fused);
    let p = f.core.dim(0)?;
    let narrow = match x.groups() {
        Some(groups) => to_tensor(&project(groups, &values(&f.bases[0])?, p, [0, 0])?)?,
        None => {
            let basis = f.bases[0].reshape((p, i, 1, 1))?;
            ops::conv2d(&x.tensor()?, &basis, None, Conv2dShape::default())?
        }
    };
    let narrow = ops::conv_transpose2d(&narrow, &f.kernel()?, None, shape)?;
    let (q, pixels) = (f.core.dim(1)?, (n * h * w) as f64);
    trace::work(
        pixels * (p * q * kh * kw) as f64,
        pixels * p as f64 + narrow.elem_count() as f64,
    );
    let bias = match bias {
        Some(bias) => values(&bias.plain_value())?,
        None => Vec::new(),
    };
    let expand = values(&f.bases[1].t()?.contiguous()?)?;
    FeatureMap::expanded(o, FeatureMap::to_maps(&narrow, [0, 0])?, expand, &bias).map(Some)
}
