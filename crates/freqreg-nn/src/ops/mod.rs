//! Differentiable operations on candle tensors: on the CPU through `freqreg-kernels`, with hand-written
//! gradients; on any other device through candle's own operations ([`portable`]).
//!
//! candle's CPU gradients are slow for convolutions and wrong or missing for several pools; see each function
//! for what it does instead. All of them accept f32 and f64.

mod affine;
mod attention;
mod conv;
pub(crate) mod kernel;
mod linear;
mod norm;
mod pointwise;
mod pool;
pub mod portable;
mod shared;
pub(crate) mod synthesis;

pub use attention::self_attention;
pub use conv::{Conv2dShape, conv_transpose2d, conv2d};
pub use linear::linear;
pub use norm::{normalize_batch, normalize_groups};
pub use pointwise::{cross_entropy, gelu, relu, soft_cross_entropy};
pub use pool::{avg_pool2d, max_pool2d};
pub(crate) use shared::is_shared;
pub use shared::{SumOverBatch, shared_batch};
