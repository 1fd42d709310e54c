//! `x Wᵀ + b`.

use super::{affine, portable};
use candle_core::{Result, Tensor, bail};

/// `x Wᵀ + b` for x `[.., in]`, w `[out, in]`, b `[out]`; the result has shape `[.., out]`.
///
/// # Errors
/// Where the last axis of `x` is not the weight's `in`, with both shapes.
pub fn linear(x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (features_out, features_in) = w.dims2()?;
    let mut shape = x.dims().to_vec();
    let Some(last) = shape.last_mut().filter(|last| **last == features_in) else {
        bail!(
            "linear: the input of shape {:?} must end in the {features_in} features that the weight {:?} takes",
            x.dims(),
            w.dims()
        );
    };
    *last = features_out;
    let rows = x.elem_count() / features_in.max(1);
    let x = x.reshape((rows, features_in))?;
    let y = if x.device().is_cpu() {
        let geometry = freqreg_kernels::Linear {
            rows,
            features_in,
            features_out,
        };
        affine::apply(geometry, &x, w, bias)?
    } else {
        portable::linear(&x, w, bias)?
    };
    y.reshape(shape)
}
