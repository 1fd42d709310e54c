//! How layers run, and whether gradients are wanted: neither changes what a layer computes.

use std::cell::Cell;

/// How a layer with a prefix of coefficients runs. The result is the same up to rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Execution {
    /// The spatial weight is rebuilt and used as in an ordinary layer.
    Spatial,
    /// The weight is never built: project, small layer, expand. Where the transform's axes do not allow it
    /// (a convolution whose [`crate::Keep::axes`] are not those of its weight, a linear layer whose first axis is not its
    /// outputs), and for dense layers, as `Spatial`.
    Factored,
    /// As `Factored`, and where layers hand on a [`crate::FeatureMap`], together with the layers around it: norms, ReLUs, pools and sums are
    /// computed between the expansion of one convolution and the projection of the next for a few pixels at a time, and once more for
    /// the gradients. On the CPU, in f32. A layer with a bias only where no gradients are wanted ([`no_grad`]).
    Fused,
    /// Whichever takes fewer operations for the input at hand.
    #[default]
    Auto,
}

thread_local! {
    static GRADIENTS: Cell<bool> = const { Cell::new(true) };
}

/// Runs `f` without recording what gradients would need, for evaluation: every parameter used in it counts as a
/// constant, so that no intermediate result is held longer than it is needed. It concerns this thread alone.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use candle_nn::Module;
/// use freqreg_nn::{Keep, Store, linear, no_grad};
/// let store = Store::new(1, DType::F32, &Device::Cpu);
/// let layer = linear(4, 3, Keep::count(5), store.root())?;
/// let x = Tensor::ones((1, 4), DType::F32, &Device::Cpu)?;
/// assert!(layer.forward(&x)?.track_op());
/// assert!(!no_grad(|| layer.forward(&x))?.track_op());
/// # Ok::<(), freqreg_nn::Error>(())
/// ```
pub fn no_grad<R>(f: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            GRADIENTS.set(self.0);
        }
    }
    let _restore = Restore(GRADIENTS.replace(false));
    f()
}

/// Whether gradients are recorded on this thread.
pub(crate) fn gradients() -> bool {
    GRADIENTS.get()
}
