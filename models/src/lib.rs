#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod alexnet;
mod architecture;
mod blocks;
mod budgets;
mod dcgan;
mod error;
mod layers;
mod lenet5;
mod resnet;
mod unet;
mod vae;
mod vgg;
mod vit;

pub use alexnet::{Alexnet, AlexnetConfig};
pub use architecture::{Adversarial, Architecture, Autoencoder, Model, Task};
pub use blocks::{NormKind, PoolKind};
pub use budgets::{Budgets, LayerKeep};
pub use dcgan::{Dcgan, DcganConfig};
pub use error::{Error, Result};
pub use layers::Layers;
pub use lenet5::{Lenet5, Lenet5Config};
pub use resnet::{Resnet18, Resnet18Config, Stem};
pub use unet::{Unet, UnetConfig};
pub use vae::{Vae, VaeConfig};
pub use vgg::{Vgg, VggConfig};
pub use vit::{Vit, VitConfig};

/// The experiments that come with this crate: name and TOML text, sorted by name.
pub const EXPERIMENTS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/experiments.rs"));
