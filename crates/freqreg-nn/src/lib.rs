#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod budget;
mod error;
mod execution;
mod init;
mod layers;
mod map;
pub mod ops;
mod parameter;
mod schedule;
mod store;
mod trace;

pub use budget::{Budget, Keep, LayerKind};
pub use error::{Error, Result};
pub use execution::{Execution, no_grad};
pub use freqreg_dct::KeepOrder;
pub use init::{Init, Seed};
pub use layers::{
    BatchStatNorm, Conv2d, ConvTranspose2d, GroupNorm, InstanceNorm, LayerNorm, Linear,
    conv_transpose2d, conv_transpose2d_no_bias, conv2d, conv2d_no_bias, linear, linear_no_bias,
    table,
};
pub use map::FeatureMap;
pub use parameter::{Form, Parameter};
pub use schedule::{Decay, Schedule};
pub use store::{Builder, Store};
pub use trace::{LayerTrace, trace};
