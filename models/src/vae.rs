//! A convolutional variational autoencoder (Kingma & Welling 2014).

use crate::blocks::{NormKind, positive};
use crate::{Autoencoder, Error, Layers, Model, Result};
use candle_core::Tensor;
use candle_nn::{Conv2dConfig, ConvTranspose2dConfig, Module};
use freqreg_nn::{Conv2d, ConvTranspose2d, Linear, ops};
use serde::{Deserialize, Serialize};

/// The shape of a variational autoencoder; the paper prints none of its own. By default 28 x 28 grey pixels, convolutions
/// of 4 x 4 with stride 2 to 32 and 64 channels, 256 features, 16 latent numbers, and the same backwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VaeConfig {
    /// Channels, height and width of an image; height and width divisible by 4.
    pub input: [usize; 3],
    /// Channels of the two convolutions.
    pub channels: [usize; 2],
    /// Features of the linear layers between the convolutions and the latent numbers.
    pub hidden: usize,
    /// Latent numbers.
    pub latent: usize,
    /// The norm before each ReLU.
    pub norm: NormKind,
}

impl Default for VaeConfig {
    fn default() -> Self {
        VaeConfig {
            input: [1, 28, 28],
            channels: [32, 64],
            hidden: 256,
            latent: 16,
            norm: NormKind::None,
        }
    }
}

/// The network; [`Model::forward`] encodes an image, and decodes the mean of what it is taken for.
pub struct Vae {
    config: VaeConfig,
    encoder: [Conv2d; 2],
    encoder_hidden: Linear,
    /// Means, then logarithms of variances.
    posterior: Linear,
    decoder_hidden: Linear,
    to_maps: Linear,
    decoder: [ConvTranspose2d; 2],
}

const NAME: &str = "vae";
const KERNEL: usize = 4;

impl Vae {
    /// Builds it from the layers that `layers` makes.
    ///
    /// # Errors
    /// A height or width that is not divisible by 4, sizes of nothing, and budgets that do not fit.
    pub fn new(config: &VaeConfig, layers: &Layers<'_>) -> Result<Self> {
        let [channels, height, width] = config.input;
        let [c1, c2] = config.channels;
        let features = [config.hidden, config.latent];
        positive(
            NAME,
            &[&config.input[..], &config.channels, &features].concat(),
        )?;
        if !height.is_multiple_of(4) || !width.is_multiple_of(4) {
            return Err(Error::Config {
                architecture: NAME,
                reason: format!("an image of {height} x {width} can't be halved twice"),
            });
        }
        config.norm.check(NAME, &[c1, c2, config.hidden])?;
        let flat = c2 * (height / 4) * (width / 4);
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
        Ok(Vae {
            config: config.clone(),
            encoder: [
                layers.conv2d("encoder.conv1", [channels, c1], KERNEL, halve, false)?,
                layers.conv2d("encoder.conv2", [c1, c2], KERNEL, halve, false)?,
            ],
            encoder_hidden: layers.linear("encoder.fc1", [flat, config.hidden], false)?,
            posterior: layers.linear("encoder.fc2", [config.hidden, 2 * config.latent], false)?,
            decoder_hidden: layers.linear("decoder.fc1", [config.latent, config.hidden], false)?,
            to_maps: layers.linear("decoder.fc2", [config.hidden, flat], false)?,
            decoder: [
                layers.conv_transpose2d("decoder.conv1", [c2, c1], KERNEL, double)?,
                layers.conv_transpose2d("decoder.conv2", [c1, channels], KERNEL, double)?,
            ],
        })
    }

    fn activate(&self, x: Tensor) -> candle_core::Result<Tensor> {
        ops::relu(&self.config.norm.apply(x)?)
    }
}

impl Model for Vae {
    fn forward(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        let (mean, _) = self.encode(images)?;
        self.decode(&mean)
    }

    fn autoencoder(&self) -> Option<&dyn Autoencoder> {
        Some(self)
    }
}

impl Autoencoder for Vae {
    fn latent(&self) -> usize {
        self.config.latent
    }

    fn encode(&self, images: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
        let mut x = images.clone();
        for layer in &self.encoder {
            x = self.activate(layer.forward(&x)?)?;
        }
        let x = self.activate(self.encoder_hidden.forward(&x.flatten_from(1)?)?)?;
        let both = self.posterior.forward(&x)?;
        let n = self.config.latent;
        Ok((both.narrow(1, 0, n)?, both.narrow(1, n, n)?))
    }

    fn decode(&self, latent: &Tensor) -> candle_core::Result<Tensor> {
        let [_, height, width] = self.config.input;
        let x = self.activate(self.decoder_hidden.forward(latent)?)?;
        let x = self.to_maps.forward(&x)?;
        let x = x.reshape((x.dim(0)?, self.config.channels[1], height / 4, width / 4))?;
        let x = self.activate(self.decoder[0].forward(&self.activate(x)?)?)?;
        self.decoder[1].forward(&x)
    }
}
