#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod architecture;
mod budgets;
mod error;
mod layers;
mod lenet5;

pub use architecture::{Architecture, Model};
pub use budgets::{Budgets, LayerKeep};
pub use error::{Error, Result};
pub use layers::Layers;
pub use lenet5::{Lenet5, Lenet5Config, NormKind, PoolKind};

/// The experiments that come with this crate: name and TOML text, sorted by name.
pub const EXPERIMENTS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/experiments.rs"));
