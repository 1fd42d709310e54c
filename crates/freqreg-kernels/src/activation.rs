//! Activations, element by element.

use crate::error::{Result, length};
use crate::parallel::{CHUNK, for_each_chunk};
use crate::real::Real;
use crate::simd::vectorized;

/// Writes `max(x, 0)` to `y`; NaN stays NaN.
///
/// # Errors
/// If the lengths differ.
pub fn relu<T: Real>(x: &[T], y: &mut [T]) -> Result<()> {
    length("output", y, x.len())?;
    T::relu(x, y);
    Ok(())
}

pub(crate) fn forward<T: Real>(x: &[T], y: &mut [T]) {
    for_each_chunk(y, CHUNK, x.len(), |i, y| {
        let x = &x[i * CHUNK..][..y.len()];
        vectorized(
            #[inline(always)]
            || {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = if x < T::zero() { T::zero() } else { x };
                }
            },
        );
    });
}

/// Writes the gradient with respect to the input to `grad_x`: `grad_y` where the output `y` is positive, else 0 (also at 0).
///
/// # Errors
/// If the lengths differ.
pub fn relu_backward<T: Real>(y: &[T], grad_y: &[T], grad_x: &mut [T]) -> Result<()> {
    length("output gradient", grad_y, y.len())?;
    length("input gradient", grad_x, y.len())?;
    T::relu_backward(y, grad_y, grad_x);
    Ok(())
}

pub(crate) fn backward<T: Real>(y: &[T], grad_y: &[T], grad_x: &mut [T]) {
    for_each_chunk(grad_x, CHUNK, y.len(), |i, grad_x| {
        let (y, grad_y) = (
            &y[i * CHUNK..][..grad_x.len()],
            &grad_y[i * CHUNK..][..grad_x.len()],
        );
        vectorized(
            #[inline(always)]
            || {
                for ((gx, &y), &gy) in grad_x.iter_mut().zip(y).zip(grad_y) {
                    // "not <=", so that a NaN output lets the gradient through instead of hiding.
                    *gx = if y <= T::zero() { T::zero() } else { gy };
                }
            },
        );
    });
}

/// Writes `x P(X <= x)` for a standard normal X to `y`: the Gaussian error linear unit (Hendrycks & Gimpel 2016) in its exact form.
///
/// # Errors
/// If the lengths differ.
///
/// ```
/// let mut y = [0f32; 3];
/// freqreg_kernels::gelu(&[-1.0, 0.0, 1.0], &mut y)?;
/// assert!((y[0] + 0.158_655).abs() < 1e-6 && y[1] == 0.0 && (y[2] - 0.841_345).abs() < 1e-6);
/// # Ok::<(), freqreg_kernels::Error>(())
/// ```
pub fn gelu<T: Real>(x: &[T], y: &mut [T]) -> Result<()> {
    length("output", y, x.len())?;
    T::gelu(x, y);
    Ok(())
}

pub(crate) fn gelu_forward<T: Real>(x: &[T], y: &mut [T]) {
    for_each_chunk(y, CHUNK, x.len(), |i, y| {
        let x = &x[i * CHUNK..][..y.len()];
        vectorized(
            #[inline(always)]
            || {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = x * below(x).0;
                }
            },
        );
    });
}

/// Writes the gradient of [`gelu`] with respect to its input `x` to `grad_x`.
///
/// # Errors
/// If the lengths differ.
pub fn gelu_backward<T: Real>(x: &[T], grad_y: &[T], grad_x: &mut [T]) -> Result<()> {
    length("output gradient", grad_y, x.len())?;
    length("input gradient", grad_x, x.len())?;
    T::gelu_backward(x, grad_y, grad_x);
    Ok(())
}

pub(crate) fn gelu_input_gradient<T: Real>(x: &[T], grad_y: &[T], grad_x: &mut [T]) {
    for_each_chunk(grad_x, CHUNK, x.len(), |i, grad_x| {
        let (x, grad_y) = (
            &x[i * CHUNK..][..grad_x.len()],
            &grad_y[i * CHUNK..][..grad_x.len()],
        );
        vectorized(
            #[inline(always)]
            || {
                for ((gx, &x), &gy) in grad_x.iter_mut().zip(x).zip(grad_y) {
                    let (below, density) = below(x);
                    *gx = gy * (below + x * density);
                }
            },
        );
    });
}

/// P(X <= x) of a standard normal X, and its density at `x`.
#[inline(always)]
fn below<T: Real>(x: T) -> (T, T) {
    let (tail, density) = x.normal_tail();
    (if x > T::zero() { T::one() - tail } else { tail }, density)
}
