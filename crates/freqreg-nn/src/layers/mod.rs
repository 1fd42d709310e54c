//! The layers, with candle-nn's constructor conventions.

mod conv;
mod factored;
mod fused;
mod linear;
mod norm;

pub use conv::{
    Conv2d, ConvTranspose2d, conv_transpose2d, conv_transpose2d_no_bias, conv2d, conv2d_no_bias,
};
pub use linear::{Linear, linear, linear_no_bias, table};
pub use norm::{BatchStatNorm, GroupNorm, InstanceNorm, LayerNorm};
