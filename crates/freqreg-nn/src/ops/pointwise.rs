//! Activations, and the loss.

use super::kernel::{Differentiable, Element, Kernel, run_plain, run1, wanted, wrap};
use candle_core::{D, Result, Shape, Tensor, bail};

/// max(x, 0), with gradient 0 at 0 (candle's is 1 there).
///
/// # Errors
/// What candle reports.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() {
        run1(Relu(x.shape().clone()), [x])
    } else {
        super::portable::relu(x)
    }
}

struct Relu(Shape);
struct ReluGrad(Shape);

impl Kernel<1> for Relu {
    const NAME: &'static str = "relu";
    fn output_shape(&self) -> Shape {
        self.0.clone()
    }
    fn run<T: Element>(&self, [x]: [&[T]; 1]) -> Result<Vec<T>> {
        let mut y = vec![T::zero(); x.len()];
        freqreg_kernels::relu(x, &mut y).map_err(wrap)?;
        Ok(y)
    }
}

impl Differentiable<1> for Relu {
    fn backward(
        &self,
        [x]: [&Tensor; 1],
        y: &Tensor,
        grad: &Tensor,
    ) -> Result<[Option<Tensor>; 1]> {
        let gx = wanted(x).then(|| run_plain(&ReluGrad(self.0.clone()), [y, grad]));
        Ok([gx.transpose()?])
    }
}

impl Kernel<2> for ReluGrad {
    const NAME: &'static str = "relu, gradient";
    fn output_shape(&self) -> Shape {
        self.0.clone()
    }
    fn run<T: Element>(&self, [y, grad]: [&[T]; 2]) -> Result<Vec<T>> {
        let mut out = vec![T::zero(); y.len()];
        freqreg_kernels::relu_backward(y, grad, &mut out).map_err(wrap)?;
        Ok(out)
    }
}

/// The Gaussian error linear unit (Hendrycks & Gimpel 2016) in its exact form: x times the probability that a standard normal
/// variable is at most x.
///
/// # Errors
/// What candle reports.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() {
        run1(Gelu(x.shape().clone()), [x])
    } else {
        super::portable::gelu(x)
    }
}

struct Gelu(Shape);
struct GeluGrad(Shape);

impl Kernel<1> for Gelu {
    const NAME: &'static str = "gelu";
    fn output_shape(&self) -> Shape {
        self.0.clone()
    }
    fn run<T: Element>(&self, [x]: [&[T]; 1]) -> Result<Vec<T>> {
        let mut y = vec![T::zero(); x.len()];
        freqreg_kernels::gelu(x, &mut y).map_err(wrap)?;
        Ok(y)
    }
}

impl Differentiable<1> for Gelu {
    fn backward(
        &self,
        [x]: [&Tensor; 1],
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<[Option<Tensor>; 1]> {
        let gx = wanted(x).then(|| run_plain(&GeluGrad(self.0.clone()), [x, grad]));
        Ok([gx.transpose()?])
    }
}

impl Kernel<2> for GeluGrad {
    const NAME: &'static str = "gelu, gradient";
    fn output_shape(&self) -> Shape {
        self.0.clone()
    }
    fn run<T: Element>(&self, [x, grad]: [&[T]; 2]) -> Result<Vec<T>> {
        let mut out = vec![T::zero(); x.len()];
        freqreg_kernels::gelu_backward(x, grad, &mut out).map_err(wrap)?;
        Ok(out)
    }
}

/// The mean cross entropy of `logits` `[n, classes]` against the classes `targets` (n numbers below
/// `classes`), a scalar tensor. With label `smoothing` s, the target distribution is 1 - s on the class plus
/// s spread evenly over all.
///
/// # Errors
/// A target that is no class, or a number of targets other than n.
pub fn cross_entropy(logits: &Tensor, targets: &[u32], smoothing: f64) -> Result<Tensor> {
    let (n, classes) = logits.dims2()?;
    if targets.len() != n {
        bail!(
            "cross_entropy: {n} rows of logits, {} targets",
            targets.len()
        );
    }
    if n == 0 || classes == 0 || !(0.0..=1.0).contains(&smoothing) {
        bail!(
            "cross_entropy: needs rows, classes and a smoothing of 0 to 1, found logits {:?} and {smoothing}",
            logits.dims()
        );
    }
    let mut p = vec![smoothing / classes as f64; n * classes];
    for (row, &t) in p.chunks_exact_mut(classes).zip(targets) {
        let Some(hit) = row.get_mut(t as usize) else {
            bail!(
                "cross_entropy: target {t}, but there are {classes} classes (0 to {})",
                classes - 1
            )
        };
        *hit += 1.0 - smoothing;
    }
    let p = Tensor::from_vec(p, (n, classes), logits.device())?.to_dtype(logits.dtype())?;
    soft_cross_entropy(logits, &p)
}

/// The mean cross entropy of `logits` `[n, classes]` against target distributions of the same shape.
///
/// # Errors
/// Shapes that differ.
pub fn soft_cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    // candle's fused softmax has no backward; these few small operations have.
    let log_p = log_softmax(logits)?;
    (log_p * targets)?.sum_all()? / -(logits.dim(0)? as f64)
}

fn log_softmax(x: &Tensor) -> Result<Tensor> {
    // The shift cancels in the result and in its gradient, so the maximum is a constant here.
    let shifted = x.broadcast_sub(&x.detach().max_keepdim(D::Minus1)?)?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    shifted.broadcast_sub(&log_sum)
}
