//! ResNet18: a stem, eight blocks of two convolutions with a shortcut, one linear layer.

use crate::blocks::{NormKind, positive, ten, three};
use crate::{Layers, Model, Result};
use candle_core::Tensor;
use candle_nn::{Conv2dConfig, Module};
use freqreg_nn::{Conv2d, FeatureMap, Linear, ops};
use serde::{Deserialize, Serialize};

/// The shape of a ResNet18. Images may have any size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resnet18Config {
    /// Channels of an image.
    #[serde(default = "three")]
    pub channels_in: usize,
    /// Classes.
    #[serde(default = "ten")]
    pub classes: usize,
    /// How an image enters.
    #[serde(default)]
    pub stem: Stem,
    /// Channels of the first stage; each further one has twice those of the one before.
    #[serde(default = "width")]
    pub width: usize,
    /// The norm behind each convolution.
    #[serde(default)]
    pub norm: NormKind,
}

fn width() -> usize {
    64
}

/// How an image enters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stem {
    /// A convolution of 3 x 3, for small images.
    #[default]
    Cifar,
    /// A convolution of 7 x 7 with stride 2 and a pool of 3 x 3 with stride 2.
    Imagenet,
}

struct Block {
    conv1: Conv2d,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
}

/// The network.
pub struct Resnet18 {
    norm: NormKind,
    stem: Conv2d,
    stem_kind: Stem,
    blocks: Vec<Block>,
    fc: Linear,
}

const NAME: &str = "resnet18";

fn convolution(kernel: usize, stride: usize) -> Conv2dConfig {
    Conv2dConfig {
        stride,
        padding: kernel / 2,
        ..Default::default()
    }
}

impl Resnet18 {
    /// Builds it from the layers that `layers` makes.
    ///
    /// # Errors
    /// Sizes of nothing, and budgets that do not fit.
    pub fn new(config: &Resnet18Config, layers: &Layers<'_>) -> Result<Self> {
        positive(NAME, &[config.channels_in, config.classes, config.width])?;
        config.norm.check(NAME, &[config.width])?;
        let (kernel, stride) = match config.stem {
            Stem::Cifar => (3, 1),
            Stem::Imagenet => (7, 2),
        };
        let mut channels = config.width;
        let first = [config.channels_in, channels];
        let stem = layers.conv2d("stem", first, kernel, convolution(kernel, stride), false)?;
        let mut blocks = Vec::new();
        for stage in 0..4 {
            let out = config.width << stage;
            for i in 0..2 {
                let stride = if stage > 0 && i == 0 { 2 } else { 1 };
                let conv = |name: &str, channels: [usize; 2], kernel: usize, stride: usize| {
                    let name = format!("stage{}.block{}.{name}", stage + 1, i + 1);
                    layers.conv2d(&name, channels, kernel, convolution(kernel, stride), false)
                };
                blocks.push(Block {
                    conv1: conv("conv1", [channels, out], 3, stride)?,
                    conv2: conv("conv2", [out, out], 3, 1)?,
                    shortcut: match channels == out {
                        true => None,
                        false => Some(conv("shortcut", [channels, out], 1, stride)?),
                    },
                });
                channels = out;
            }
        }
        Ok(Resnet18 {
            norm: config.norm,
            stem,
            stem_kind: config.stem,
            blocks,
            fc: layers.linear("fc", [channels, config.classes], false)?,
        })
    }

    fn run(&self, conv: &Conv2d, x: &FeatureMap) -> candle_core::Result<FeatureMap> {
        self.norm.apply_map(conv.forward_map(x)?)
    }
}

impl Model for Resnet18 {
    fn forward(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        let mut x = self.run(&self.stem, &images.clone().into())?.relu()?;
        if self.stem_kind == Stem::Imagenet {
            // A pool with a border of one pixel; ReLU has left nothing below the border's zeros.
            let x4 = x.tensor()?.pad_with_zeros(2, 1, 1)?;
            x = ops::max_pool2d(&x4.pad_with_zeros(3, 1, 1)?, [3, 3], [2, 2])?.into();
        }
        for block in &self.blocks {
            let y = self.run(&block.conv1, &x)?.relu()?;
            let y = self.run(&block.conv2, &y)?;
            let skip = match &block.shortcut {
                None => x,
                Some(conv) => self.run(conv, &x)?,
            };
            x = skip.add(&y)?.relu()?;
        }
        self.fc.forward(&x.global_mean()?)
    }
}
