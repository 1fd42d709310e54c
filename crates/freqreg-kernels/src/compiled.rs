//! The kernels that are compiled in this crate.
//!
//! A generic function is compiled by every crate that calls it. The kernels hold their loops several times, for one instruction
//! set each, which takes a compiler a quarter of a minute. So they are compiled here, once for each scalar type: the public functions
//! check what they are given and call a method of this trait, which is all that is left for the crates above.

use crate::attention::Attention;
use crate::conv::Plan;
use crate::geometry::Geometry;
use crate::matmul::{Mat, MatMut};
use crate::norm::Norm;
use crate::{activation, attention, conv_transpose, linear, loss, matmul, norm, pool};

macro_rules! kernels {
    ($(fn $name:ident($($arg:ident: $type:ty),*) $(-> $out:ty)? = $kernel:expr;)*) => {
        /// What each kernel computes stands at the function it names.
        pub trait Compiled: Sized {
            $(fn $name($($arg: $type),*) $(-> $out)?;)*
        }
        kernels!(@for f32: $($name($($arg: $type),*) $(-> $out)? = $kernel;)*);
        kernels!(@for f64: $($name($($arg: $type),*) $(-> $out)? = $kernel;)*);
    };
    (@for $t:ty: $($name:ident($($arg:ident: $type:ty),*) $(-> $out:ty)? = $kernel:expr;)*) => {
        impl Compiled for $t {
            $(
                #[inline(never)]
                fn $name($($arg: $type),*) $(-> $out)? {
                    $kernel($($arg),*)
                }
            )*
        }
    };
}

kernels! {
    fn conv_forward(plan: &Plan, x: &[Self], w: &[Self], bias: Option<&[Self]>, y: &mut [Self]) = Plan::forward;
    fn conv_grad_input(plan: &Plan, w: &[Self], grad_y: &[Self], grad_x: &mut [Self]) = Plan::grad_input;
    fn conv_grad_weight(plan: &Plan, x: &[Self], grad_y: &[Self], grad_w: &mut [Self]) = Plan::grad_weight;
    fn add_bias(y: &mut [Self], plane: usize, bias: &[Self]) = conv_transpose::add_bias;
    fn product(c: MatMut<'_, Self>, left: Mat<'_, Self>, right: Mat<'_, Self>, accumulate: bool, transposed: bool)
        = matmul::product;
    fn sum_outer_inner(values: &[Self], inner: usize, sums: &mut [Self]) = linear::sum_outer_inner;
    fn max_forward(geometry: &Geometry, x: &[Self], y: &mut [Self]) = pool::max::forward;
    fn max_backward(geometry: &Geometry, x: &[Self], grad_y: &[Self], grad_x: &mut [Self]) = pool::max::backward;
    fn avg_forward(geometry: &Geometry, x: &[Self], y: &mut [Self]) = pool::average::forward;
    fn avg_backward(geometry: &Geometry, grad_y: &[Self], grad_x: &mut [Self]) = pool::average::backward;
    fn norm_forward(norm: &Norm, x: &[Self], y: &mut [Self], rstd: &mut [Self]) = norm::forward;
    fn norm_backward(norm: &Norm, y: &[Self], rstd: &[Self], grad_y: &[Self], grad_x: &mut [Self]) = norm::backward;
    fn relu(x: &[Self], y: &mut [Self]) = activation::forward;
    fn relu_backward(y: &[Self], grad_y: &[Self], grad_x: &mut [Self]) = activation::backward;
    fn gelu(x: &[Self], y: &mut [Self]) = activation::gelu_forward;
    fn gelu_backward(x: &[Self], grad_y: &[Self], grad_x: &mut [Self]) = activation::gelu_input_gradient;
    fn attention(shape: &Attention, qkv: &[Self], y: &mut [Self]) = attention::forward;
    fn attention_backward(shape: &Attention, qkv: &[Self], grad_y: &[Self], grad_qkv: &mut [Self]) = attention::backward;
    fn cross_entropy(logits: &[Self], targets: &[u32], classes: usize, label_smoothing: f64) -> f64 = loss::forward;
    fn cross_entropy_backward(
        logits: &[Self], targets: &[u32], classes: usize, label_smoothing: f64, scale: f64, grad_logits: &mut [Self]
    ) = loss::backward;
}
