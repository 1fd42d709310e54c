//! LeNet5: two convolutions of 5 x 5 with pooling, two linear layers.

use crate::blocks::{NormKind, PoolKind, positive, ten};
use crate::{Error, Layers, Model, Result};
use candle_core::Tensor;
use candle_nn::{Conv2dConfig, Module};
use freqreg_nn::{Conv2d, Linear, ops};
use serde::{Deserialize, Serialize};

/// The shape of a LeNet5. The paper's (0.4 M weights) is channels 8 and 128, 196 hidden; Caffe's is 20, 50, 500.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lenet5Config {
    /// Channels, height and width of an image.
    #[serde(default = "mnist")]
    pub input: [usize; 3],
    /// Channels of the two convolutions.
    pub channels: [usize; 2],
    /// Features of the hidden linear layer.
    pub hidden: usize,
    /// Classes.
    #[serde(default = "ten")]
    pub classes: usize,
    /// The norm behind each hidden layer.
    #[serde(default)]
    pub norm: NormKind,
    /// How maps are halved.
    #[serde(default)]
    pub pool: PoolKind,
    /// Which layers have a bias, of `conv1`, `conv2`, `fc1`, `fc2`.
    #[serde(default)]
    pub biases: Vec<String>,
}

fn mnist() -> [usize; 3] {
    [1, 28, 28]
}

/// The network.
pub struct Lenet5 {
    config: Lenet5Config,
    conv1: Conv2d,
    conv2: Conv2d,
    fc1: Linear,
    fc2: Linear,
}

const KERNEL: usize = 5;

impl Lenet5 {
    /// Builds it from the layers that `layers` makes.
    ///
    /// # Errors
    /// Images too small for two convolutions with pooling; a bias for a layer that does not exist; budgets
    /// that do not fit.
    pub fn new(config: &Lenet5Config, layers: &Layers<'_>) -> Result<Self> {
        let refuse = |reason| Error::Config {
            architecture: "lenet5",
            reason,
        };
        let [channels, height, width] = config.input;
        let after = |n: usize| Some((n.checked_sub(KERNEL - 1)? / 2).checked_sub(KERNEL - 1)? / 2);
        let (h, w) = match (after(height), after(width)) {
            (Some(h), Some(w)) if h > 0 && w > 0 => (h, w),
            _ => {
                return Err(refuse(format!(
                    "images of {height} x {width} are too small, it takes 16 x 16 at least"
                )));
            }
        };
        let [c1, c2] = config.channels;
        let features = [config.hidden, config.classes];
        let sizes = [&config.input[..], &config.channels, &features].concat();
        positive("lenet5", &sizes)?;
        const NAMES: [&str; 4] = ["conv1", "conv2", "fc1", "fc2"];
        if let Some(other) = config.biases.iter().find(|b| !NAMES.contains(&b.as_str())) {
            return Err(refuse(format!(
                "a bias is asked for `{other}`, but the layers are {}",
                NAMES.join(", ")
            )));
        }
        let Some(flat) = c2.checked_mul(h * w) else {
            return Err(refuse(format!(
                "{c2} channels are more than can be counted"
            )));
        };
        let bias = |name: &str| config.biases.iter().any(|b| b == name);
        let plain = Conv2dConfig::default();
        Ok(Lenet5 {
            config: config.clone(),
            conv1: layers.conv2d("conv1", [channels, c1], KERNEL, plain, bias("conv1"))?,
            conv2: layers.conv2d("conv2", [c1, c2], KERNEL, plain, bias("conv2"))?,
            fc1: layers.linear("fc1", [flat, config.hidden], bias("fc1"))?,
            fc2: layers.linear("fc2", [config.hidden, config.classes], bias("fc2"))?,
        })
    }

    /// ReLU and pooling. For the maximum the two commute, and pooling first leaves ReLU a quarter of the work.
    fn halve(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        match self.config.pool {
            PoolKind::Max => ops::relu(&ops::max_pool2d(x, [2, 2], [2, 2])?),
            PoolKind::Average => ops::avg_pool2d(&ops::relu(x)?, [2, 2], [2, 2]),
        }
    }
}

impl Model for Lenet5 {
    fn forward(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        self.fc2.forward(&self.features(images)?)
    }

    fn features(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        let norm = self.config.norm;
        let x = norm.apply(self.halve(&self.conv1.forward(images)?)?)?;
        let x = norm.apply(self.halve(&self.conv2.forward(&x)?)?)?;
        let x = x.flatten_from(1)?;
        norm.apply(ops::relu(&self.fc1.forward(&x)?)?)
    }
}
