//! What each layer did, for whoever asks.

use crate::Execution;
use std::cell::RefCell;
use std::time::Instant;

/// One layer's part of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerTrace {
    /// The path of the layer's weight, as `up1.conv2.weight`.
    pub name: String,
    /// How it ran: never [`Execution::Auto`].
    pub way: Execution,
    /// How long that took. A fused layer's expansion is computed by the layers that read it, and counts there.
    pub seconds: f64,
    /// Multiplications.
    pub multiplications: f64,
    /// Bytes of activations and weights read and written, each once.
    pub bytes: f64,
}

thread_local! {
    static LAYERS: RefCell<Option<Vec<LayerTrace>>> = const { RefCell::new(None) };
}

/// Runs `f` and says what the layers on this thread did in it, in the order in which they ended.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use candle_nn::Module;
/// use freqreg_nn::{Execution, Keep, Store, linear_no_bias, trace};
/// let store = Store::new(1, DType::F32, &Device::Cpu);
/// let layer = linear_no_bias(400, 300, Keep::count(5), store.root().pp("fc"))?;
/// let x = Tensor::ones((7, 400), DType::F32, &Device::Cpu)?;
/// let (y, layers) = trace(|| layer.forward(&x));
/// assert_eq!((layers.len(), &layers[0].name[..]), (1, "fc.weight"));
/// // Five coefficients lie in a box of 3 x 2 or 2 x 3: far fewer multiplications than 7 x 400 x 300.
/// assert_eq!(layers[0].way, Execution::Factored);
/// assert!(layers[0].multiplications < 15_000.0);
/// # y?;
/// # Ok::<(), freqreg_nn::Error>(())
/// ```
pub fn trace<R>(f: impl FnOnce() -> R) -> (R, Vec<LayerTrace>) {
    struct Restore(Option<Vec<LayerTrace>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            LAYERS.set(self.0.take());
        }
    }
    let _restore = Restore(LAYERS.replace(Some(Vec::new())));
    let result = f();
    (result, LAYERS.take().unwrap_or_default())
}

/// Runs a layer, as a part of the trace if there is one.
pub(crate) fn layer<R>(name: &str, f: impl FnOnce() -> R) -> R {
    let place = LAYERS.with_borrow_mut(|layers| {
        let layers = layers.as_mut()?;
        layers.push(LayerTrace {
            name: name.into(),
            way: Execution::Spatial,
            seconds: 0.0,
            multiplications: 0.0,
            bytes: 0.0,
        });
        Some(layers.len() - 1)
    });
    let start = place.map(|_| Instant::now());
    let result = f();
    if let (Some(place), Some(start)) = (place, start) {
        LAYERS.with_borrow_mut(|layers| {
            if let Some(layer) = layers.as_mut().and_then(|l| l.get_mut(place)) {
                layer.seconds = start.elapsed().as_secs_f64();
            }
        });
    }
    result
}

/// How the layer that is running does so.
pub(crate) fn way(way: Execution) {
    last(|layer| layer.way = way);
}

/// Work of the layer that is running: multiplications, and numbers of four bytes that are read or written.
pub(crate) fn work(multiplications: f64, numbers: f64) {
    last(|layer| {
        layer.multiplications += multiplications;
        layer.bytes += 4.0 * numbers;
    });
}

fn last(f: impl FnOnce(&mut LayerTrace)) {
    LAYERS.with_borrow_mut(|layers| {
        if let Some(layer) = layers.as_mut().and_then(|l| l.last_mut()) {
            f(layer);
        }
    });
}
