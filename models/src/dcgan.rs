//! DCGAN for images of 64 x 64 (Radford et al. 2016): a generator of transposed convolutions, and a discriminator
//! of convolutions that mirrors it.

use crate::blocks::{NormKind, leaky_relu, positive};
use crate::{Adversarial, Layers, Model, Result};
use candle_core::Tensor;
use candle_nn::{Conv2dConfig, ConvTranspose2dConfig, Module};
use freqreg_nn::{Conv2d, ConvTranspose2d, ops};
use serde::{Deserialize, Serialize};

/// The shape of a DCGAN; the defaults are the paper's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DcganConfig {
    /// Channels of an image.
    pub channels: usize,
    /// Numbers that an image is made from.
    pub latent: usize,
    /// Channels next to the image; twice as many at each step towards the latent numbers.
    pub width: usize,
    /// The norm between layers.
    pub norm: NormKind,
}

impl Default for DcganConfig {
    fn default() -> Self {
        DcganConfig {
            channels: 1,
            latent: 100,
            width: 64,
            norm: NormKind::Batch,
        }
    }
}

/// Generator and discriminator; [`Model::forward`] generates.
pub struct Dcgan {
    config: DcganConfig,
    discriminator: Vec<Conv2d>,
    generator: Vec<ConvTranspose2d>,
}

const NAME: &str = "dcgan";
const KERNEL: usize = 4;
/// Height and width of an image.
pub(crate) const SIDE: usize = 64;
const SLOPE: f64 = 0.2;

impl Dcgan {
    /// Builds it from the layers that `layers` makes.
    ///
    /// # Errors
    /// Sizes of nothing, and budgets that do not fit.
    pub fn new(config: &DcganConfig, layers: &Layers<'_>) -> Result<Self> {
        positive(NAME, &[config.channels, config.latent, config.width])?;
        config.norm.check(NAME, &[config.width])?;
        let width = |level: usize| config.width << level;
        let halve = Conv2dConfig {
            stride: 2,
            padding: 1,
            ..Default::default()
        };
        let double = ConvTranspose2dConfig {
            stride: 2,
            padding: 1,
            ..Default::default()
        };
        let inwards = [config.channels, width(0), width(1), width(2), width(3), 1];
        let outwards = [
            config.latent,
            width(3),
            width(2),
            width(1),
            width(0),
            config.channels,
        ];
        let mut discriminator = Vec::new();
        for (i, c) in inwards.windows(2).enumerate() {
            let shape = if i < 4 {
                halve
            } else {
                Conv2dConfig::default()
            };
            let name = format!("discriminator.conv{}", i + 1);
            discriminator.push(layers.conv2d(&name, [c[0], c[1]], KERNEL, shape, false)?);
        }
        let mut generator = Vec::new();
        for (i, c) in outwards.windows(2).enumerate() {
            let shape = if i > 0 {
                double
            } else {
                ConvTranspose2dConfig::default()
            };
            let name = format!("generator.conv{}", i + 1);
            generator.push(layers.conv_transpose2d(&name, [c[0], c[1]], KERNEL, shape)?);
        }
        Ok(Dcgan {
            config: config.clone(),
            discriminator,
            generator,
        })
    }
}

impl Model for Dcgan {
    fn forward(&self, latent: &Tensor) -> candle_core::Result<Tensor> {
        self.generate(latent)
    }

    fn adversarial(&self) -> Option<&dyn Adversarial> {
        Some(self)
    }
}

impl Adversarial for Dcgan {
    fn latent(&self) -> usize {
        self.config.latent
    }

    fn image(&self) -> [usize; 3] {
        [self.config.channels, SIDE, SIDE]
    }

    fn generate(&self, latent: &Tensor) -> candle_core::Result<Tensor> {
        let (n, features) = latent.dims2()?;
        let mut x = latent.reshape((n, features, 1, 1))?;
        for (i, layer) in self.generator.iter().enumerate() {
            x = layer.forward(&x)?;
            x = match i + 1 == self.generator.len() {
                true => x.tanh()?,
                false => ops::relu(&self.config.norm.apply(x)?)?,
            };
        }
        Ok(x)
    }

    fn judge(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        let mut x = images.clone();
        for (i, layer) in self.discriminator.iter().enumerate() {
            x = layer.forward(&x)?;
            if i + 1 < self.discriminator.len() {
                // The first layer is not normalised: it would hide how bright an image is.
                x = if i == 0 {
                    x
                } else {
                    self.config.norm.apply(x)?
                };
                x = leaky_relu(&x, SLOPE)?;
            }
        }
        // One number an image, or the images have another size.
        x.reshape(images.dim(0)?)
    }

    fn generator_prefix(&self) -> &'static str {
        "generator."
    }

    fn discriminator_prefix(&self) -> &'static str {
        "discriminator."
    }
}
