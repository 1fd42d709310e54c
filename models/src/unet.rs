//! UNet: a path down by pooling, a path up by transposed convolutions, and the maps of the one joined to the other.

use crate::blocks::{NormKind, positive};
use crate::{Error, Layers, Model, Result};
use candle_core::Tensor;
use candle_nn::{Conv2dConfig, ConvTranspose2dConfig};
use freqreg_nn::{Conv2d, ConvTranspose2d, FeatureMap};
use serde::{Deserialize, Serialize};

/// The shape of a UNet; the defaults are the authors', 3 channels to 2 classes. Images may have any size from
/// 2^`depth` pixels a side on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnetConfig {
    /// Channels of an image.
    pub channels_in: usize,
    /// Classes of a pixel.
    pub classes: usize,
    /// Channels at full size; twice as many a level further down.
    pub width: usize,
    /// Levels below full size.
    pub depth: usize,
    /// The norm behind each 3 x 3 convolution. The authors' network normalises by the batch that it is given; for one
    /// image at a time, as they evaluate it, that is `instance`.
    pub norm: NormKind,
}

impl Default for UnetConfig {
    fn default() -> Self {
        UnetConfig {
            channels_in: 3,
            classes: 2,
            width: 64,
            depth: 4,
            norm: NormKind::Instance,
        }
    }
}

struct Double(Conv2d, Conv2d);

/// The network: `[n, channels, h, w]` to the logits `[n, classes, h, w]`.
pub struct Unet {
    norm: NormKind,
    inc: Double,
    down: Vec<Double>,
    up: Vec<(ConvTranspose2d, Double)>,
    out: Conv2d,
}

const NAME: &str = "unet";

impl Unet {
    /// Builds it from the layers that `layers` makes.
    ///
    /// # Errors
    /// Sizes of nothing or beyond counting, and budgets that do not fit.
    pub fn new(config: &UnetConfig, layers: &Layers<'_>) -> Result<Self> {
        positive(NAME, &[config.channels_in, config.classes, config.width])?;
        config.norm.check(NAME, &[config.width])?;
        if config.depth > 16 || config.classes > 256 {
            let reason = format!(
                "{} levels (16 at most) and {} classes (256 at most) are too many",
                config.depth, config.classes
            );
            return Err(Error::Config {
                architecture: NAME,
                reason,
            });
        }
        let same = Conv2dConfig {
            padding: 1,
            ..Default::default()
        };
        let halving = ConvTranspose2dConfig {
            stride: 2,
            ..Default::default()
        };
        let double = |name: &str, from: usize, to: usize| -> Result<Double> {
            Ok(Double(
                layers.conv2d(&format!("{name}.conv1"), [from, to], 3, same, false)?,
                layers.conv2d(&format!("{name}.conv2"), [to, to], 3, same, false)?,
            ))
        };
        let width = |level: usize| config.width << level;
        let inc = double("inc", config.channels_in, width(0))?;
        let mut down = Vec::new();
        for level in 1..=config.depth {
            down.push(double(
                &format!("down{level}"),
                width(level - 1),
                width(level),
            )?);
        }
        let mut up = Vec::new();
        for i in 1..=config.depth {
            let (from, to) = (width(config.depth + 1 - i), width(config.depth - i));
            let raise = layers.conv_transpose2d(&format!("up{i}.up"), [from, to], 2, halving)?;
            up.push((raise, double(&format!("up{i}"), from, to)?));
        }
        let plain = Conv2dConfig::default();
        Ok(Unet {
            norm: config.norm,
            inc,
            down,
            up,
            out: layers.conv2d("out", [width(0), config.classes], 1, plain, false)?,
        })
    }

    fn double(&self, block: &Double, x: &FeatureMap) -> candle_core::Result<FeatureMap> {
        let x = self.norm.apply_map(block.0.forward_map(x)?)?.relu()?;
        self.norm.apply_map(block.1.forward_map(&x)?)?.relu()
    }
}

impl Model for Unet {
    fn forward(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        let (_, _, h, w) = images.dims4()?;
        let least = 1 << self.down.len();
        if h < least || w < least {
            candle_core::bail!(
                "unet: {h} x {w} pixels are too few, it takes {least} x {least} at least"
            );
        }
        let mut skips = Vec::new();
        let mut x = self.double(&self.inc, &images.clone().into())?;
        for block in &self.down {
            let lower = x.max_pool2d([2, 2], [2, 2])?;
            skips.push(x);
            x = self.double(block, &lower)?;
        }
        for ((raise, block), skip) in self.up.iter().zip(skips.iter().rev()) {
            let raised = raise.forward_map(&x)?;
            // An odd size lost a row or column on the way down: zeros below and on the right, as in the authors'.
            let ((_, _, h, w), (_, _, rows, columns)) = (skip.dims4()?, raised.dims4()?);
            let raised = raised.pad_with_zeros(h - rows, w - columns)?;
            x = self.double(block, &FeatureMap::cat(&[skip, &raised])?)?;
        }
        self.out.forward_map(&x)?.tensor()
    }
}
