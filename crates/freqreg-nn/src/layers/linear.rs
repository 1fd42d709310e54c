//! The fully connected layer.

use crate::{Builder, Keep, LayerKind, Parameter, Result, ops};
use candle_core::Tensor;
use candle_nn::Module;

/// `x Wᵀ + b`, where W `[out, in]` is held as `keep` says.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Parameter,
    bias: Option<Parameter>,
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
    let weight = vb.weight(
        LayerKind::Linear,
        &[features_out, features_in],
        features_in,
        &keep.into(),
    )?;
    let bias = Some(vb.uniform("bias", &[features_out], features_in)?);
    Ok(Linear { weight, bias })
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
    let weight = vb.into().weight(
        LayerKind::Linear,
        &[features_out, features_in],
        features_in,
        &keep.into(),
    )?;
    Ok(Linear { weight, bias: None })
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
        let bias = self.bias.as_ref().map(Parameter::variable);
        ops::linear(x, &self.weight.weight()?, bias.as_ref())
    }
}
