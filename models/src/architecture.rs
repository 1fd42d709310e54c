//! Which network, with its configuration: what a file and an experiment hold of it.

use crate::{
    Alexnet, AlexnetConfig, Dcgan, DcganConfig, Layers, Lenet5, Lenet5Config, Resnet18,
    Resnet18Config, Result, Unet, UnetConfig, Vae, VaeConfig, Vgg, VggConfig, Vit, VitConfig,
};
use candle_core::{DType, Device, Tensor, bail};
use freqreg_nn::{Parameter, Store};
use serde::{Deserialize, Serialize};

/// A network that can be run.
pub trait Model: Send + Sync {
    /// What the network makes of its input: the logits `[n, classes]` of images `[n, channels, height, width]`; for
    /// segmentation `[n, classes, height, width]`; see [`Adversarial`] and [`Autoencoder`] for the others.
    ///
    /// # Errors
    /// Input of another shape than the network takes.
    fn forward(&self, input: &Tensor) -> candle_core::Result<Tensor>;

    /// What a classifier knows of images before it decides: `[n, features]`.
    ///
    /// # Errors
    /// Images of another shape than the network takes; a network that has no such place.
    fn features(&self, _images: &Tensor) -> candle_core::Result<Tensor> {
        bail!("this network has no features to show")
    }

    /// The two players, if there are any.
    fn adversarial(&self) -> Option<&dyn Adversarial> {
        None
    }

    /// The two halves, if there are any.
    fn autoencoder(&self) -> Option<&dyn Autoencoder> {
        None
    }
}

/// A generator with its discriminator.
pub trait Adversarial {
    /// Numbers that an image is made from.
    fn latent(&self) -> usize;

    /// Channels, height and width of an image.
    fn image(&self) -> [usize; 3];

    /// Images `[n, channels, height, width]`, -1 to 1, from `[n, latent]` numbers.
    ///
    /// # Errors
    /// Another number of latent numbers.
    fn generate(&self, latent: &Tensor) -> candle_core::Result<Tensor>;

    /// How real images look, `[n]` logits.
    ///
    /// # Errors
    /// Images of another shape.
    fn judge(&self, images: &Tensor) -> candle_core::Result<Tensor>;

    /// With what the names of the generator's parameters begin.
    fn generator_prefix(&self) -> &'static str;

    /// With what the names of the discriminator's parameters begin.
    fn discriminator_prefix(&self) -> &'static str;
}

/// A variational autoencoder.
pub trait Autoencoder {
    /// Latent numbers.
    fn latent(&self) -> usize;

    /// Mean and logarithm of the variance of the latent numbers of images, `[n, latent]` each.
    ///
    /// # Errors
    /// Images of another shape.
    fn encode(&self, images: &Tensor) -> candle_core::Result<(Tensor, Tensor)>;

    /// The logits of the pixels, `[n, channels, height, width]`.
    ///
    /// # Errors
    /// Another number of latent numbers.
    fn decode(&self, latent: &Tensor) -> candle_core::Result<Tensor>;
}

/// What a network is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// To tell to which class an image belongs.
    Classification,
    /// To tell to which class each pixel belongs.
    Segmentation,
    /// To make images.
    Generation,
    /// To describe images by a few numbers.
    Autoencoding,
}

/// Every network of the zoo with its configuration; in TOML and JSON told apart by `architecture`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "architecture", rename_all = "kebab-case")]
pub enum Architecture {
    /// LeNet5.
    Lenet5(Lenet5Config),
    /// AlexNet.
    Alexnet(AlexnetConfig),
    /// VGG, of any number of layers.
    Vgg(VggConfig),
    /// ResNet18.
    Resnet18(Resnet18Config),
    /// Vision transformer.
    Vit(VitConfig),
    /// UNet.
    Unet(UnetConfig),
    /// Deep convolutional generative adversarial network.
    Dcgan(DcganConfig),
    /// Variational autoencoder.
    Vae(VaeConfig),
}

impl Architecture {
    /// The network, from the layers that `layers` makes.
    ///
    /// # Errors
    /// A configuration or a budget that does not fit.
    pub fn build(&self, layers: Layers<'_>) -> Result<Box<dyn Model>> {
        let model: Box<dyn Model> = match self {
            Architecture::Lenet5(config) => Box::new(Lenet5::new(config, &layers)?),
            Architecture::Alexnet(config) => Box::new(Alexnet::new(config, &layers)?),
            Architecture::Vgg(config) => Box::new(Vgg::new(config, &layers)?),
            Architecture::Resnet18(config) => Box::new(Resnet18::new(config, &layers)?),
            Architecture::Vit(config) => Box::new(Vit::new(config, &layers)?),
            Architecture::Unet(config) => Box::new(Unet::new(config, &layers)?),
            Architecture::Dcgan(config) => Box::new(Dcgan::new(config, &layers)?),
            Architecture::Vae(config) => Box::new(Vae::new(config, &layers)?),
        };
        layers.finish()?;
        Ok(model)
    }

    /// The name, as in TOML.
    pub fn name(&self) -> &'static str {
        match self {
            Architecture::Lenet5(_) => "lenet5",
            Architecture::Alexnet(_) => "alexnet",
            Architecture::Vgg(_) => "vgg",
            Architecture::Resnet18(_) => "resnet18",
            Architecture::Vit(_) => "vit",
            Architecture::Unet(_) => "unet",
            Architecture::Dcgan(_) => "dcgan",
            Architecture::Vae(_) => "vae",
        }
    }

    /// What it is for.
    pub fn task(&self) -> Task {
        match self {
            Architecture::Lenet5(_)
            | Architecture::Alexnet(_)
            | Architecture::Vgg(_)
            | Architecture::Resnet18(_)
            | Architecture::Vit(_) => Task::Classification,
            Architecture::Unet(_) => Task::Segmentation,
            Architecture::Dcgan(_) => Task::Generation,
            Architecture::Vae(_) => Task::Autoencoding,
        }
    }

    /// The names and shapes of the weights, in the order in which the network makes them, of no more than `limit` weights together.
    ///
    /// # Errors
    /// A configuration that does not fit together, and more weights.
    pub fn weights(&self, limit: usize) -> Result<Vec<(String, Vec<usize>)>> {
        let store = Store::new(0, DType::F32, &Device::Cpu).limited(limit);
        self.build(Layers::outline(store.root()))?;
        let parameters = store.parameters();
        let row = |p: &Parameter| (p.name().to_string(), p.shape().to_vec());
        Ok(parameters.iter().map(row).collect())
    }

    /// Channels of an image, and its height and width where they are fixed.
    pub fn input(&self) -> (usize, Option<[usize; 2]>) {
        let fixed = |[c, h, w]: [usize; 3]| (c, Some([h, w]));
        match self {
            Architecture::Lenet5(config) => fixed(config.input),
            Architecture::Alexnet(config) => (config.channels_in, None),
            Architecture::Vgg(config) => (config.channels_in, None),
            Architecture::Resnet18(config) => (config.channels_in, None),
            Architecture::Vit(config) => fixed(config.input),
            Architecture::Unet(config) => (config.channels_in, None),
            Architecture::Dcgan(config) => {
                fixed([config.channels, crate::dcgan::SIDE, crate::dcgan::SIDE])
            }
            Architecture::Vae(config) => fixed(config.input),
        }
    }
}
