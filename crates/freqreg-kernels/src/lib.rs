#![doc = include_str!("../README.md")]

mod activation;
mod attention;
mod batched;
mod compiled;
mod conv;
mod conv_transpose;
mod error;
mod fused;
mod geometry;
mod linear;
mod loss;
mod matmul;
mod norm;
mod parallel;
mod pool;
mod product;
mod real;
mod scratch;
mod simd;
mod special;
mod transpose;

pub use activation::{gelu, gelu_backward, relu, relu_backward};
pub use attention::Attention;
pub use batched::{Batched, Stack};
pub use conv::Conv2d;
pub use conv_transpose::ConvTranspose2d;
pub use error::{Error, Result};
pub use fused::{MapShape, Maps, Moments, NarrowConv, Over, Towards, Upstream, Wide, moments};
pub use linear::Linear;
pub use loss::{softmax_cross_entropy, softmax_cross_entropy_backward};
pub use matmul::{Mat, MatMut, matmul};
pub use norm::Norm;
pub use pool::Pool2d;
pub use real::Real;
