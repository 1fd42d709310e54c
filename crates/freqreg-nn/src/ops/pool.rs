//! Pooling, any kernel and stride.

use super::kernel::{Differentiable, Element, Kernel, run_plain, run1, wanted, wrap};
use super::portable;
use candle_core::{Result, Shape, Tensor};
use freqreg_kernels::Pool2d;

/// The largest value in each window of x `[n, c, h, w]`; windows that do not fit are left out, as in PyTorch.
/// The gradient goes to the first maximum of a window (candle's own divides it by the window's size).
///
/// # Errors
/// A window that does not fit the input at all, with the sizes.
pub fn max_pool2d(x: &Tensor, kernel: [usize; 2], stride: [usize; 2]) -> Result<Tensor> {
    let (geometry, shape) = geometry(x, kernel, stride)?;
    if !x.device().is_cpu() {
        return portable::max_pool2d(x, kernel, stride);
    }
    run1(Pool::<true>(geometry, shape), [x])
}

/// The mean of each window of x `[n, c, h, w]`; windows that do not fit are left out.
///
/// # Errors
/// A window that does not fit the input at all, with the sizes.
pub fn avg_pool2d(x: &Tensor, kernel: [usize; 2], stride: [usize; 2]) -> Result<Tensor> {
    let (geometry, shape) = geometry(x, kernel, stride)?;
    if !x.device().is_cpu() {
        return portable::avg_pool2d(x, kernel, stride);
    }
    run1(Pool::<false>(geometry, shape), [x])
}

fn geometry(x: &Tensor, kernel: [usize; 2], stride: [usize; 2]) -> Result<(Pool2d, Shape)> {
    let (n, c, height, width) = x.dims4()?;
    let pool = Pool2d {
        planes: n * c,
        height,
        width,
        kernel,
        stride,
        padding: [0, 0],
    };
    let pool = pool.validated().map_err(wrap)?;
    let [oh, ow] = pool.output_size();
    Ok((pool, (n, c, oh, ow).into()))
}

struct Pool<const MAX: bool>(Pool2d, Shape);
struct MaxGrad(Pool2d, Shape);
struct AvgGrad(Pool2d, Shape);

impl<const MAX: bool> Kernel<1> for Pool<MAX> {
    const NAME: &'static str = if MAX { "max_pool2d" } else { "avg_pool2d" };
    fn output_shape(&self) -> Shape {
        self.1.clone()
    }
    fn run<T: Element>(&self, [x]: [&[T]; 1]) -> Result<Vec<T>> {
        let mut y = vec![T::zero(); self.0.output_len()];
        match MAX {
            true => self.0.max_forward(x, &mut y),
            false => self.0.avg_forward(x, &mut y),
        }
        .map_err(wrap)?;
        Ok(y)
    }
}

impl<const MAX: bool> Differentiable<1> for Pool<MAX> {
    fn backward(
        &self,
        [x]: [&Tensor; 1],
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<[Option<Tensor>; 1]> {
        if !wanted(x) {
            return Ok([None]);
        }
        let shape = x.shape().clone();
        let gx = match MAX {
            true => run_plain(&MaxGrad(self.0, shape), [x, grad])?,
            false => run_plain(&AvgGrad(self.0, shape), [grad])?,
        };
        Ok([Some(gx)])
    }
}

impl Kernel<2> for MaxGrad {
    const NAME: &'static str = "max_pool2d, gradient";
    fn output_shape(&self) -> Shape {
        self.1.clone()
    }
    fn run<T: Element>(&self, [x, grad]: [&[T]; 2]) -> Result<Vec<T>> {
        let mut out = vec![T::zero(); self.0.input_len()];
        self.0.max_backward(x, grad, &mut out).map_err(wrap)?;
        Ok(out)
    }
}

impl Kernel<1> for AvgGrad {
    const NAME: &'static str = "avg_pool2d, gradient";
    fn output_shape(&self) -> Shape {
        self.1.clone()
    }
    fn run<T: Element>(&self, [grad]: [&[T]; 1]) -> Result<Vec<T>> {
        let mut out = vec![T::zero(); self.0.input_len()];
        self.0.avg_backward(grad, &mut out).map_err(wrap)?;
        Ok(out)
    }
}
