//! Normalisation without stored numbers: no weight, no bias, no running statistics.

use super::kernel::{Differentiable, Element, Kernel, run_plain, run1, wanted, wrap};
use super::{portable, shared};
use candle_core::{Result, Shape, Tensor, bail};
use freqreg_kernels::Norm;
use std::sync::OnceLock;

/// Each channel of x `[n, c, ..]` to mean 0 and variance 1 over the batch **that is given** and all its
/// positions (biased variance), as the authors' released UNet does, at evaluation too. Within [`super::shared_batch`]
/// the batch is what all processes hold of it.
///
/// # Errors
/// An input of fewer than two axes.
pub fn normalize_batch(x: &Tensor, eps: f64) -> Result<Tensor> {
    let [n, c, rest @ ..] = x.dims() else {
        bail!(
            "normalize_batch: needs [n, c, ..], found shape {:?}",
            x.dims()
        )
    };
    let inner = rest.iter().product();
    if shared::is_shared() {
        return shared::normalize(x, [*n, *c, inner], eps);
    }
    apply(x, *n, *c, inner, eps)
}

/// Each of `groups` groups of channels of each sample of x `[n, c, ..]` to mean 0 and variance 1: group norm;
/// with one group, layer norm over all but the first axis. A sample's result depends on that sample alone.
///
/// # Errors
/// An input without axes, or `groups` that do not divide its channels.
pub fn normalize_groups(x: &Tensor, groups: usize, eps: f64) -> Result<Tensor> {
    let [n, rest @ ..] = x.dims() else {
        bail!("normalize_groups: needs [n, c, ..], found a scalar")
    };
    let channels = rest.first().copied().unwrap_or(1);
    if groups == 0 || !channels.is_multiple_of(groups) {
        bail!(
            "normalize_groups: {groups} groups do not divide the {channels} channels of shape {:?}",
            x.dims()
        );
    }
    let len = rest.iter().product::<usize>() / groups;
    apply(x, 1, n * groups, len, eps)
}

fn apply(x: &Tensor, outer: usize, channels: usize, inner: usize, eps: f64) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return portable::normalize(x, [outer, channels, inner], eps);
    }
    let geometry = Norm {
        outer,
        channels,
        inner,
        eps,
    };
    let op = Normalize {
        geometry: geometry.validated().map_err(wrap)?,
        shape: x.shape().clone(),
        rstd: OnceLock::new(),
    };
    run1(op, [x])
}

struct Normalize {
    geometry: Norm,
    shape: Shape,
    /// 1 / standard deviation of each channel, left by the forward pass for the backward one.
    rstd: OnceLock<Vec<f64>>,
}

struct NormalizeGrad<'a>(&'a Normalize);

impl Kernel<1> for Normalize {
    const NAME: &'static str = "normalize";
    fn output_shape(&self) -> Shape {
        self.shape.clone()
    }
    fn run<T: Element>(&self, [x]: [&[T]; 1]) -> Result<Vec<T>> {
        let mut y = vec![T::zero(); x.len()];
        let mut rstd = vec![T::zero(); self.geometry.channels];
        self.geometry.forward(x, &mut y, &mut rstd).map_err(wrap)?;
        // One forward pass an operation, so the cell is empty.
        let _ = self.rstd.set(rstd.into_iter().map(|r| r.widen()).collect());
        Ok(y)
    }
}

impl Differentiable<1> for Normalize {
    fn backward(
        &self,
        [x]: [&Tensor; 1],
        y: &Tensor,
        grad: &Tensor,
    ) -> Result<[Option<Tensor>; 1]> {
        let gx = wanted(x).then(|| run_plain(&NormalizeGrad(self), [y, grad]));
        Ok([gx.transpose()?])
    }
}

impl Kernel<2> for NormalizeGrad<'_> {
    const NAME: &'static str = "normalize, gradient";
    fn output_shape(&self) -> Shape {
        self.0.shape.clone()
    }
    fn run<T: Element>(&self, [y, grad]: [&[T]; 2]) -> Result<Vec<T>> {
        let Some(rstd) = self.0.rstd.get() else {
            bail!("normalize: backward before forward")
        };
        let rstd: Vec<T> = rstd.iter().map(|&r| T::narrow(r)).collect();
        let mut out = vec![T::zero(); y.len()];
        let geometry = &self.0.geometry;
        geometry.backward(y, &rstd, grad, &mut out).map_err(wrap)?;
        Ok(out)
    }
}
