//! Batches that several processes share: each holds some of the samples, and statistics of the batch are those of all of them.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};
use std::cell::RefCell;
use std::rc::Rc;

/// Replaces values by their sums over all processes that share a batch, the same on each.
pub type SumOverBatch =
    dyn Fn(&mut [f32]) -> std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;

thread_local! {
    static SUM: RefCell<Option<Rc<SumOverBatch>>> = const { RefCell::new(None) };
}

/// Runs `f`, a forward pass with what goes back through it, on a part of a batch whose other parts are with other processes, which run
/// the same. What depends on the batch as a whole ([`super::normalize_batch`], [`crate::BatchStatNorm`]) then adds up what it needs by
/// `sum`, in f32, forward and backward: if every process scales its loss by its share of the samples, gradients add up to those of the whole
/// batch. What takes each sample on its own is as without it. It concerns this thread alone.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use freqreg_nn::ops::{normalize_batch, shared_batch};
/// use std::rc::Rc;
/// let x = Tensor::new(&[[[1f32]], [[3.0]]], &Device::Cpu)?;
/// // There is no other process here: the sum over all is what this one has.
/// let y = shared_batch(Rc::new(|_| Ok(())), || normalize_batch(&x, 1e-5))?;
/// let y: Vec<f32> = y.flatten_all()?.to_vec1()?;
/// assert!((y[0] + 1.0).abs() < 1e-4 && (y[1] - 1.0).abs() < 1e-4);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn shared_batch<R>(sum: Rc<SumOverBatch>, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<Rc<SumOverBatch>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SUM.set(self.0.take());
        }
    }
    let _restore = Restore(SUM.replace(Some(sum)));
    f()
}

/// Whether the batch at hand is a part of one.
pub(crate) fn is_shared() -> bool {
    SUM.with_borrow(Option::is_some)
}

fn sum(values: &mut [f32]) -> Result<()> {
    match SUM.with_borrow(Clone::clone) {
        Some(sum) => sum(values).map_err(|e| candle_core::Error::Msg(e.to_string())),
        None => bail!("a batch that was shared in the forward pass is not in the backward one"),
    }
}

/// The sum over all processes; the gradient is the sum of the gradients over all processes.
struct SumOver;

impl CustomOp1 for SumOver {
    fn name(&self) -> &'static str {
        "sum over processes"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut values = super::kernel::slice::<f32>(s, l, self.name())?.to_vec();
        sum(&mut values)?;
        Ok((CpuStorage::F32(values), l.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let mut values: Vec<f32> = grad.flatten_all()?.to_vec1()?;
        sum(&mut values)?;
        Ok(Some(Tensor::from_vec(values, grad.shape(), grad.device())?))
    }
}

/// Each channel of x `[n, channels, inner]` to mean 0 and variance 1 over the samples of all processes.
pub(super) fn normalize(
    x: &Tensor,
    [outer, channels, inner]: [usize; 3],
    eps: f64,
) -> Result<Tensor> {
    if x.dtype() != DType::F32 {
        bail!(
            "a batch that processes share is one of f32, not of {:?}",
            x.dtype()
        );
    }
    // Sums are a few numbers a channel: on a GPU they go by the host.
    let over_all = |t: &Tensor| -> Result<Tensor> {
        let host = t.to_device(&candle_core::Device::Cpu)?.contiguous()?;
        host.apply_op1(SumOver)?.to_device(x.device())
    };
    let t = x.reshape((outer, channels, inner))?;
    let count = Tensor::new(&[(outer * inner) as f32], x.device())?;
    let sums = t.sum(2)?.sum(0)?;
    // The number of samples goes along: parts may differ.
    let all = over_all(&Tensor::cat(&[&sums, &count], 0)?)?;
    let count = all.narrow(0, channels, 1)?.detach();
    let mean = all.narrow(0, 0, channels)?.broadcast_div(&count)?;
    let centred = t.broadcast_sub(&mean.reshape((1, channels, 1))?)?;
    let squares = over_all(&centred.sqr()?.sum(2)?.sum(0)?)?;
    let variance = squares.broadcast_div(&count)?;
    let deviation = (variance + eps)?.sqrt()?.reshape((1, channels, 1))?;
    centred.broadcast_div(&deviation)?.reshape(x.shape())
}

#[cfg(test)]
mod tests {
    use super::super::normalize_batch;
    use super::*;
    use candle_core::{Device, Var};
    use std::sync::{Arc, Barrier, Mutex};

    fn numbers(count: usize, phase: f32) -> Vec<f32> {
        (0..count)
            .map(|i| (i as f32 * 0.7 + phase).sin() * 2.0 + 0.3)
            .collect()
    }

    /// A weighted sum of the normalised values, and its gradient.
    fn run(x: &[f32], weights: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let shape = (x.len() / 12, 3, 2, 2);
        let x = Var::from_tensor(&Tensor::from_slice(x, shape, &Device::Cpu).unwrap()).unwrap();
        let w = Tensor::from_slice(weights, shape, &Device::Cpu).unwrap();
        let y = normalize_batch(&x, 1e-5).unwrap();
        let loss = (&y * w).unwrap().sum_all().unwrap();
        let gradient = loss.backward().unwrap().remove(&x).unwrap();
        let flat = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        (flat(y), flat(gradient))
    }

    #[test]
    fn parts_of_a_batch_are_normalised_and_differentiated_as_the_whole() {
        let (x, w) = (numbers(60, 0.0), numbers(60, 1.0));
        let (y, gradient) = run(&x, &w);
        // Two samples here, three there.
        let (barrier, total) = (Arc::new(Barrier::new(2)), Arc::new(Mutex::new(Vec::new())));
        let parts = std::thread::scope(|scope| {
            let parts = [0..24, 24..60].map(|part| {
                let (barrier, total) = (barrier.clone(), total.clone());
                let (x, w) = (&x[part.clone()], &w[part]);
                scope.spawn(move || {
                    let sum = move |values: &mut [f32]| {
                        let mut all = total.lock().unwrap();
                        all.resize(values.len(), 0.0);
                        all.iter_mut().zip(&*values).for_each(|(a, v)| *a += v);
                        drop(all);
                        barrier.wait();
                        values.copy_from_slice(&total.lock().unwrap());
                        if barrier.wait().is_leader() {
                            total.lock().unwrap().clear();
                        }
                        barrier.wait();
                        Ok(())
                    };
                    shared_batch(Rc::new(sum), || run(x, w))
                })
            });
            parts.map(|p| p.join().unwrap())
        });
        let [(ya, ga), (yb, gb)] = parts;
        for (all, parts) in [(y, [ya, yb]), (gradient, [ga, gb])] {
            for (a, b) in all.iter().zip(parts.concat()) {
                assert!((a - b).abs() < 1e-5, "{a} {b}");
            }
        }
    }

    #[test]
    fn what_is_left_of_a_shared_batch_is_nothing() {
        let alone = || {
            shared_batch(Rc::new(|_| Err("the other process is gone".into())), || {
                let x = Tensor::new(&[[1f32], [2.0]], &Device::Cpu).unwrap();
                normalize_batch(&x, 1e-5)
            })
        };
        let error = alone().unwrap_err().to_string();
        assert!(error.contains("the other process is gone"), "{error}");
        assert!(!is_shared());
    }
}
