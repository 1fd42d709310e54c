//! Norms that store nothing: no weight, no bias, no running statistics.

use crate::{FeatureMap, ops};
use candle_core::{Result, Tensor};
use candle_nn::Module;
use freqreg_kernels::Over;

/// The variance below which a channel counts as flat, as in PyTorch.
const EPS: f64 = 1e-5;

/// Normalises each channel by the statistics of the batch that it is given, in training and afterwards: what
/// the authors' released UNet does. A sample's result depends on the batch around it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BatchStatNorm;

impl BatchStatNorm {
    /// The norm of a feature map; see [`Module::forward`].
    ///
    /// # Errors
    /// As of the norm of a tensor.
    pub fn forward_map(&self, x: &FeatureMap) -> Result<FeatureMap> {
        x.normalize(Over::Batch, EPS)
    }
}

impl Module for BatchStatNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::normalize_batch(x, EPS)
    }
}

/// Normalises each sample on its own over channels and positions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LayerNorm;

impl LayerNorm {
    /// The norm of a feature map; see [`Module::forward`].
    ///
    /// # Errors
    /// As of the norm of a tensor.
    pub fn forward_map(&self, x: &FeatureMap) -> Result<FeatureMap> {
        x.normalize(Over::Groups(1), EPS)
    }
}

impl Module for LayerNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::normalize_groups(x, 1, EPS)
    }
}

/// Normalises each sample on its own over groups of channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNorm {
    /// How many groups; must divide the channels.
    pub groups: usize,
}

impl GroupNorm {
    /// The norm of a feature map; see [`Module::forward`].
    ///
    /// # Errors
    /// As of the norm of a tensor.
    pub fn forward_map(&self, x: &FeatureMap) -> Result<FeatureMap> {
        x.normalize(Over::Groups(self.groups), EPS)
    }
}

impl Module for GroupNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::normalize_groups(x, self.groups, EPS)
    }
}

/// Normalises each channel of each sample on its own over its positions: [`BatchStatNorm`] for a batch of one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct InstanceNorm;

impl InstanceNorm {
    /// The norm of a feature map; see [`Module::forward`].
    ///
    /// # Errors
    /// As of the norm of a tensor.
    pub fn forward_map(&self, x: &FeatureMap) -> Result<FeatureMap> {
        x.normalize(Over::Groups(x.dims4()?.1), EPS)
    }
}

impl Module for InstanceNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::normalize_groups(x, x.dims().get(1).copied().unwrap_or(1), EPS)
    }
}
