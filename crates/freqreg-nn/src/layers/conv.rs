//! Convolution and transposed convolution.

use super::{factored, fused};
use crate::ops::Conv2dShape;
use crate::trace;
use crate::{Builder, Error, Execution, FeatureMap, Keep, LayerKind, Parameter, Result};
use candle_core::Tensor;
use candle_nn::{Conv2dConfig, ConvTranspose2dConfig, Module};

/// 2-D convolution whose weight `[out, in / groups, k, k]` is held as its `Keep` says.
#[derive(Clone, Debug)]
pub struct Conv2d {
    weight: Parameter,
    bias: Option<Parameter>,
    shape: Conv2dShape,
    execution: Execution,
}

/// A convolution with a bias: `candle_nn::conv2d` with one argument more.
///
/// # Errors
/// Groups that do not divide the channels; a budget or axes that do not fit the weight.
pub fn conv2d(
    channels_in: usize,
    channels_out: usize,
    kernel: usize,
    config: Conv2dConfig,
    keep: impl Into<Keep>,
    vb: impl Into<Builder>,
) -> Result<Conv2d> {
    let vb = vb.into();
    let mut layer = conv2d_no_bias(channels_in, channels_out, kernel, config, keep, vb.clone())?;
    let fan_in = channels_in / config.groups * kernel * kernel;
    layer.bias = Some(vb.uniform("bias", &[channels_out], fan_in)?);
    Ok(layer)
}

/// A convolution without a bias: `candle_nn::conv2d_no_bias` with one argument more.
///
/// # Errors
/// Groups that do not divide the channels; a budget or axes that do not fit the weight.
pub fn conv2d_no_bias(
    channels_in: usize,
    channels_out: usize,
    kernel: usize,
    config: Conv2dConfig,
    keep: impl Into<Keep>,
    vb: impl Into<Builder>,
) -> Result<Conv2d> {
    let vb = vb.into();
    let groups = config.groups;
    if groups == 0 || !channels_in.is_multiple_of(groups) || !channels_out.is_multiple_of(groups) {
        return Err(Error::Config {
            name: vb.path().into(),
            reason: format!(
                "{groups} groups do not divide {channels_in} channels in and {channels_out} out"
            ),
        });
    }
    let per_group = channels_in / groups;
    let weight = vb.weight(
        LayerKind::Conv2d,
        &[channels_out, per_group, kernel, kernel],
        per_group * kernel * kernel,
        &keep.into(),
    )?;
    Ok(Conv2d {
        weight,
        bias: None,
        shape: Conv2dShape {
            stride: [config.stride; 2],
            padding: [config.padding; 2],
            output_padding: [0; 2],
            dilation: [config.dilation; 2],
            groups,
        },
        execution: vb.execution(),
    })
}

impl Conv2d {
    /// The parameter of the weight, `[out, in / groups, k, k]`.
    pub fn weight(&self) -> &Parameter {
        &self.weight
    }

    /// The parameter of the bias, `[out]`.
    pub fn bias(&self) -> Option<&Parameter> {
        self.bias.as_ref()
    }
}

/// All of the map's channels, for a layer that does not run fused; what it takes to compute them counts as that layer's work.
fn whole(x: &FeatureMap) -> candle_core::Result<Tensor> {
    let (multiplications, numbers) = x.expansion_work();
    trace::work(multiplications, numbers);
    x.tensor()
}

impl Conv2d {
    /// The layer between feature maps: as [`Module::forward`], or fused with its neighbours.
    ///
    /// # Errors
    /// Channels that are not the weight's.
    pub fn forward_map(&self, x: &FeatureMap) -> candle_core::Result<FeatureMap> {
        let bias = self.bias.as_ref();
        trace::layer(self.weight.name(), || {
            match fused::conv2d(x, &self.weight, bias, self.shape, self.execution)? {
                Some(map) => Ok(map),
                None => Ok(self.run(&whole(x)?)?.into()),
            }
        })
    }
}

impl Conv2d {
    fn run(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let bias = self.bias.as_ref().map(Parameter::plain_value);
        factored::conv2d(x, &self.weight, bias.as_ref(), self.shape, self.execution)
    }
}

impl Module for Conv2d {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        trace::layer(self.weight.name(), || self.run(x))
    }
}

/// Transposed 2-D convolution whose weight `[in, out, k, k]` is held as its `Keep` says.
#[derive(Clone, Debug)]
pub struct ConvTranspose2d {
    weight: Parameter,
    bias: Option<Parameter>,
    shape: Conv2dShape,
    execution: Execution,
}

/// A transposed convolution with a bias: `candle_nn::conv_transpose2d` with one argument more.
///
/// # Errors
/// A budget or axes that do not fit the weight.
pub fn conv_transpose2d(
    channels_in: usize,
    channels_out: usize,
    kernel: usize,
    config: ConvTranspose2dConfig,
    keep: impl Into<Keep>,
    vb: impl Into<Builder>,
) -> Result<ConvTranspose2d> {
    let vb = vb.into();
    let mut layer =
        conv_transpose2d_no_bias(channels_in, channels_out, kernel, config, keep, vb.clone())?;
    let fan_in = channels_out * kernel * kernel;
    layer.bias = Some(vb.uniform("bias", &[channels_out], fan_in)?);
    Ok(layer)
}

/// A transposed convolution without a bias: `candle_nn::conv_transpose2d_no_bias` with one argument more.
///
/// # Errors
/// A budget or axes that do not fit the weight.
pub fn conv_transpose2d_no_bias(
    channels_in: usize,
    channels_out: usize,
    kernel: usize,
    config: ConvTranspose2dConfig,
    keep: impl Into<Keep>,
    vb: impl Into<Builder>,
) -> Result<ConvTranspose2d> {
    // Each output pixel sums over the input channels and about (kernel / stride)² taps.
    let vb = vb.into();
    let taps = kernel.div_ceil(config.stride.max(1));
    let weight = vb.weight(
        LayerKind::ConvTranspose2d,
        &[channels_in, channels_out, kernel, kernel],
        channels_in * taps * taps,
        &keep.into(),
    )?;
    Ok(ConvTranspose2d {
        weight,
        bias: None,
        shape: Conv2dShape {
            stride: [config.stride; 2],
            padding: [config.padding; 2],
            output_padding: [config.output_padding; 2],
            dilation: [config.dilation; 2],
            groups: 1,
        },
        execution: vb.execution(),
    })
}

impl ConvTranspose2d {
    /// The parameter of the weight, `[in, out, k, k]`.
    pub fn weight(&self) -> &Parameter {
        &self.weight
    }

    /// The parameter of the bias, `[out]`.
    pub fn bias(&self) -> Option<&Parameter> {
        self.bias.as_ref()
    }
}

impl ConvTranspose2d {
    /// The layer between feature maps: as [`Module::forward`], or fused with its neighbours.
    ///
    /// # Errors
    /// Channels that are not the weight's.
    pub fn forward_map(&self, x: &FeatureMap) -> candle_core::Result<FeatureMap> {
        let bias = self.bias.as_ref();
        trace::layer(self.weight.name(), || {
            match fused::conv_transpose2d(x, &self.weight, bias, self.shape, self.execution)? {
                Some(map) => Ok(map),
                None => Ok(self.run(&whole(x)?)?.into()),
            }
        })
    }
}

impl ConvTranspose2d {
    fn run(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let bias = self.bias.as_ref().map(Parameter::plain_value);
        factored::conv_transpose2d(x, &self.weight, bias.as_ref(), self.shape, self.execution)
    }
}

impl Module for ConvTranspose2d {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        trace::layer(self.weight.name(), || self.run(x))
    }
}
