//! VGG: five stages of 3 x 3 convolutions, each followed by a pool of 2 x 2.

use crate::blocks::{NormKind, positive, ten, three};
use crate::{Error, Layers, Model, Result};
use candle_core::Tensor;
use candle_nn::{Conv2dConfig, Module};
use freqreg_nn::{Conv2d, FeatureMap, Linear, ops};
use serde::{Deserialize, Serialize};

/// The shape of a VGG. The paper's "VGG16" has 16 convolutions, 2 + 2 + 4 + 4 + 4 (elsewhere called VGG19);
/// the 16-layer form has 2 + 2 + 3 + 3 + 3. Images may have any size from 32 x 32 on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VggConfig {
    /// Channels of an image.
    #[serde(default = "three")]
    pub channels_in: usize,
    /// Convolutions in each stage.
    pub convolutions: Vec<usize>,
    /// Channels of each stage.
    #[serde(default = "widths")]
    pub channels: Vec<usize>,
    /// Hidden linear layers by their features; none for images of 32 x 32.
    #[serde(default)]
    pub hidden: Vec<usize>,
    /// Classes.
    #[serde(default = "ten")]
    pub classes: usize,
    /// The norm behind each convolution.
    #[serde(default)]
    pub norm: NormKind,
}

fn widths() -> Vec<usize> {
    vec![64, 128, 256, 512, 512]
}

/// The network.
pub struct Vgg {
    norm: NormKind,
    stages: Vec<Vec<Conv2d>>,
    linear: Vec<Linear>,
}

const NAME: &str = "vgg";

impl Vgg {
    /// Builds it from the layers that `layers` makes.
    ///
    /// # Errors
    /// Sizes of nothing, stages without widths, and budgets that do not fit.
    pub fn new(config: &VggConfig, layers: &Layers<'_>) -> Result<Self> {
        let mut sizes = vec![config.channels_in, config.classes];
        for list in [&config.convolutions, &config.channels, &config.hidden] {
            sizes.extend(list);
        }
        positive(NAME, &sizes)?;
        config.norm.check(NAME, &config.channels)?;
        if config.convolutions.len() != config.channels.len() || config.channels.is_empty() {
            return Err(Error::Config {
                architecture: NAME,
                reason: format!(
                    "{} stages have convolutions and {} have channels",
                    config.convolutions.len(),
                    config.channels.len()
                ),
            });
        }
        let same = Conv2dConfig {
            padding: 1,
            ..Default::default()
        };
        let mut channels = config.channels_in;
        let mut stages = Vec::new();
        for (s, (&count, &out)) in config.convolutions.iter().zip(&config.channels).enumerate() {
            let mut stage = Vec::new();
            for i in 0..count {
                let name = format!("stage{}.conv{}", s + 1, i + 1);
                stage.push(layers.conv2d(&name, [channels, out], 3, same, false)?);
                channels = out;
            }
            stages.push(stage);
        }
        let mut linear = Vec::new();
        for (i, &out) in config.hidden.iter().chain([&config.classes]).enumerate() {
            linear.push(layers.linear(&format!("fc{}", i + 1), [channels, out], false)?);
            channels = out;
        }
        Ok(Vgg {
            norm: config.norm,
            stages,
            linear,
        })
    }
}

impl Model for Vgg {
    fn forward(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        let mut x: FeatureMap = images.clone().into();
        for stage in &self.stages {
            for conv in stage {
                x = self.norm.apply_map(conv.forward_map(&x)?)?.relu()?;
            }
            x = x.max_pool2d([2, 2], [2, 2])?;
        }
        let mut x = x.global_mean()?;
        for (i, layer) in self.linear.iter().enumerate() {
            x = layer.forward(&x)?;
            if i + 1 < self.linear.len() {
                x = ops::relu(&x)?;
            }
        }
        Ok(x)
    }
}
