//! AlexNet in torchvision's shape: five convolutions, three linear layers.

use crate::blocks::{NormKind, adaptive_mean, positive, ten, three};
use crate::{Layers, Model, Result};
use candle_core::Tensor;
use candle_nn::{Conv2dConfig, Module};
use freqreg_nn::{Conv2d, Linear, ops};
use serde::{Deserialize, Serialize};

/// The shape of an AlexNet. Images may have any size from 63 x 63 on; the paper's are 224 x 224.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlexnetConfig {
    /// Channels of an image.
    #[serde(default = "three")]
    pub channels_in: usize,
    /// Classes.
    #[serde(default = "ten")]
    pub classes: usize,
    /// The norm behind each hidden layer; the original has none.
    #[serde(default)]
    pub norm: NormKind,
    /// Whether its layers have biases; those are no part of the paper's counts.
    #[serde(default)]
    pub biases: bool,
}

/// The network.
pub struct Alexnet {
    norm: NormKind,
    convolutions: Vec<Conv2d>,
    linear: Vec<Linear>,
}

const NAME: &str = "alexnet";
/// Channels out, kernel, stride, padding of each convolution.
const CONVOLUTIONS: [[usize; 4]; 5] = [
    [64, 11, 4, 2],
    [192, 5, 1, 2],
    [384, 3, 1, 1],
    [256, 3, 1, 1],
    [256, 3, 1, 1],
];
/// The convolutions that a pool of 3 x 3 with stride 2 follows.
const POOLED: [bool; 5] = [true, true, false, false, true];
/// Each map is averaged to this size before the linear layers; at 224 x 224 it has it already.
const SIDE: usize = 6;
const HIDDEN: usize = 4096;

impl Alexnet {
    /// Builds it from the layers that `layers` makes.
    ///
    /// # Errors
    /// Sizes of nothing, and budgets that do not fit.
    pub fn new(config: &AlexnetConfig, layers: &Layers<'_>) -> Result<Self> {
        positive(NAME, &[config.channels_in, config.classes])?;
        config.norm.check(NAME, &CONVOLUTIONS.map(|c| c[0]))?;
        let mut channels = config.channels_in;
        let mut convolutions = Vec::new();
        for (i, [out, kernel, stride, padding]) in CONVOLUTIONS.into_iter().enumerate() {
            let shape = Conv2dConfig {
                stride,
                padding,
                ..Default::default()
            };
            let name = format!("conv{}", i + 1);
            convolutions.push(layers.conv2d(
                &name,
                [channels, out],
                kernel,
                shape,
                config.biases,
            )?);
            channels = out;
        }
        let features = [channels * SIDE * SIDE, HIDDEN, HIDDEN, config.classes];
        let linear = features
            .windows(2)
            .enumerate()
            .map(|(i, f)| layers.linear(&format!("fc{}", i + 1), [f[0], f[1]], config.biases));
        Ok(Alexnet {
            norm: config.norm,
            linear: linear.collect::<Result<_>>()?,
            convolutions,
        })
    }
}

impl Model for Alexnet {
    fn forward(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        let mut x = images.clone();
        for (conv, pooled) in self.convolutions.iter().zip(POOLED) {
            x = conv.forward(&x)?;
            if pooled {
                x = ops::max_pool2d(&x, [3, 3], [2, 2])?;
            }
            // ReLU and the maximum commute, and behind the pool ReLU has a quarter of the work.
            x = self.norm.apply(ops::relu(&x)?)?;
        }
        x = adaptive_mean(&x, SIDE)?.flatten_from(1)?;
        for (i, layer) in self.linear.iter().enumerate() {
            x = layer.forward(&x)?;
            if i + 1 < self.linear.len() {
                let y = ops::relu(&x)?;
                // Features are no channels with positions: they are normalised together.
                x = match self.norm {
                    NormKind::None => y,
                    NormKind::Batch => NormKind::Batch.apply(y)?,
                    _ => NormKind::Sample.apply(y)?,
                };
            }
        }
        Ok(x)
    }
}
