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
    each(
        x,
        y,
        #[inline(always)]
        |x| if x < T::zero() { T::zero() } else { x },
    );
}

/// `f` of each element of `x` to `y`.
#[inline(always)]
fn each<T: Real>(x: &[T], y: &mut [T], f: impl Fn(T) -> T + Sync + Send) {
    for_each_chunk(y, CHUNK, x.len(), |i, y| {
        let x = &x[i * CHUNK..][..y.len()];
        vectorized(
            #[inline(always)]
            || {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = f(x);
                }
            },
        );
    });
}

/// `f` of each pair of elements of `a` and `b` to `out`.
#[inline(always)]
fn each_pair<T: Real>(a: &[T], b: &[T], out: &mut [T], f: impl Fn(T, T) -> T + Sync + Send) {
    for_each_chunk(out, CHUNK, a.len(), |i, out| {
        let (a, b) = (&a[i * CHUNK..][..out.len()], &b[i * CHUNK..][..out.len()]);
        vectorized(
            #[inline(always)]
            || {
                for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                    *out = f(a, b);
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
    each_pair(
        y,
        grad_y,
        grad_x,
        // "not <=", so that a NaN output lets the gradient through instead of hiding.
        #[inline(always)]
        |y, gy| if y <= T::zero() { T::zero() } else { gy },
    );
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
    each(
        x,
        y,
        #[inline(always)]
        |x| x * below(x).0,
    );
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
    each_pair(
        x,
        grad_y,
        grad_x,
        #[inline(always)]
        |x, gy| {
            let (below, density) = below(x);
            gy * (below + x * density)
        },
    );
}

/// P(X <= x) of a standard normal X, and its density at `x`.
#[inline(always)]
fn below<T: Real>(x: T) -> (T, T) {
    let (tail, density) = x.normal_tail();
    (if x > T::zero() { T::one() - tail } else { tail }, density)
}
