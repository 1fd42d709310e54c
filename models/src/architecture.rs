//! Which network, with its configuration: what a file and an experiment hold of it.

use crate::{Layers, Lenet5, Lenet5Config, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// A network that can be run.
pub trait Model: Send + Sync {
    /// The logits `[n, classes]` of images `[n, channels, height, width]`.
    ///
    /// # Errors
    /// Images of another shape than the network takes.
    fn forward(&self, images: &Tensor) -> candle_core::Result<Tensor>;
}

/// Every network of the zoo with its configuration; in TOML and JSON told apart by `architecture`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "architecture", rename_all = "kebab-case")]
pub enum Architecture {
    /// LeNet5.
    Lenet5(Lenet5Config),
}

impl Architecture {
    /// The network, from the layers that `layers` makes.
    ///
    /// # Errors
    /// A configuration or a budget that does not fit.
    pub fn build(&self, layers: Layers<'_>) -> Result<Box<dyn Model>> {
        let model = match self {
            Architecture::Lenet5(config) => Box::new(Lenet5::new(config, &layers)?),
        };
        layers.finish()?;
        Ok(model)
    }

    /// The name, as in TOML.
    pub fn name(&self) -> &'static str {
        match self {
            Architecture::Lenet5(_) => "lenet5",
        }
    }

    /// Channels, height and width of an image that it takes.
    pub fn input(&self) -> [usize; 3] {
        match self {
            Architecture::Lenet5(config) => config.input,
        }
    }
}
