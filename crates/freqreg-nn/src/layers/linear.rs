//! The fully connected layer.

use super::factored;
use crate::trace;
use crate::{Builder, Execution, Keep, LayerKind, Parameter, Result};
use candle_core::Tensor;
use candle_nn::Module;

/// `x Wᵀ + b`, where W `[out, in]` is held as `keep` says.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Parameter,
    bias: Option<Parameter>,
    execution: Execution,
}

/// A linear layer with a bias: `candle_nn::linear` with one argument more.
///
/// # Errors
/// A budget or axes that do not fit `[features_out, features_in]`.
pub fn linear(
    features_in: usize,
    features_out: usize,
    keep: impl Into<Keep>,
    vb: impl Into<Builder>,
) -> Result<Linear> {
    let vb = vb.into();
    let mut layer = linear_no_bias(features_in, features_out, keep, vb.clone())?;
    layer.bias = Some(vb.uniform("bias", &[features_out], features_in)?);
    Ok(layer)
}

/// A linear layer without a bias: `candle_nn::linear_no_bias` with one argument more.
///
/// # Errors
/// A budget or axes that do not fit `[features_out, features_in]`.
pub fn linear_no_bias(
    features_in: usize,
    features_out: usize,
    keep: impl Into<Keep>,
    vb: impl Into<Builder>,
) -> Result<Linear> {
    let vb = vb.into();
    let weight = vb.weight(
        LayerKind::Linear,
        &[features_out, features_in],
        features_in,
        &keep.into(),
    )?;
    Ok(Linear {
        weight,
        bias: None,
        execution: vb.execution(),
    })
}

impl Linear {
    /// The parameter of the weight, `[out, in]`.
    pub fn weight(&self) -> &Parameter {
        &self.weight
    }

    /// The parameter of the bias, `[out]`.
    pub fn bias(&self) -> Option<&Parameter> {
        self.bias.as_ref()
    }
}

impl Module for Linear {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let bias = self.bias.as_ref().map(Parameter::plain_value);
        trace::layer(self.weight.name(), || {
            factored::linear(x, &self.weight, bias.as_ref(), self.execution)
        })
    }
}

/// A trainable table of numbers that no layer multiplies with, such as the positions of a transformer: its
/// parameter, held as `keep` says. It is called `weight`; a dense one starts uniform in ±1/√`shape.last()`.
///
/// # Errors
/// A budget or axes that do not fit `shape`.
pub fn table(shape: &[usize], keep: impl Into<Keep>, vb: impl Into<Builder>) -> Result<Parameter> {
    let fan_in = shape.last().copied().unwrap_or(1);
    vb.into()
        .weight(LayerKind::Linear, shape, fan_in, &keep.into())
}
