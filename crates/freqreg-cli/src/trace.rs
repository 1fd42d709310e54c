//! What each layer did, as a table, beside what the machine can do.

use freqreg_kernels::{Mat, MatMut, matmul};
use freqreg_nn::{Execution, LayerTrace};
use rayon::prelude::*;
use std::fmt::Write;
use std::time::Instant;

/// What the machine reaches where nothing stands in the way.
pub(crate) struct Peak {
    /// Multiply-adds a second, in a product of large matrices.
    multiplications: f64,
    /// Bytes read and written a second, in a copy beyond every cache.
    bytes: f64,
}

impl Peak {
    /// Measures it, in a fraction of a second.
    pub(crate) fn measure() -> Self {
        const SIDE: usize = 768;
        let (a, b) = (vec![0.5f32; SIDE * SIDE], vec![0.25f32; SIDE * SIDE]);
        let mut c = vec![0f32; SIDE * SIDE];
        let product = best(|| {
            let (a, b) = (
                Mat::new(&a, SIDE, SIDE, SIDE),
                Mat::new(&b, SIDE, SIDE, SIDE),
            );
            matmul(MatMut::new(&mut c, SIDE, SIDE, SIDE), a, b, false);
        });
        const LEN: usize = 1 << 24;
        let from = vec![1f32; LEN];
        let mut to = vec![0f32; LEN];
        let copy = best(|| {
            let parts = to.par_chunks_mut(LEN / 64).zip(from.par_chunks(LEN / 64));
            parts.for_each(|(to, from)| to.copy_from_slice(from));
        });
        Peak {
            multiplications: (SIDE * SIDE * SIDE) as f64 / product,
            bytes: 8.0 * LEN as f64 / copy,
        }
    }

    /// The share of its time that a layer would need if it reached the machine's peak.
    fn share(&self, layer: &LayerTrace) -> f64 {
        let least = (layer.multiplications / self.multiplications).max(layer.bytes / self.bytes);
        least / layer.seconds
    }
}

fn best(mut work: impl FnMut()) -> f64 {
    let time = |_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    (0..5).map(time).fold(f64::INFINITY, f64::min)
}

/// The layers' table; `seconds` is the whole answer's time.
pub(crate) fn table(layers: &[LayerTrace], peak: &Peak, seconds: f64) -> String {
    let width = layers
        .iter()
        .map(|l| l.name.len())
        .max()
        .unwrap_or(0)
        .max(5);
    let mut text = format!(
        "{:width$}  way         ms     10^6 mult.       MB   of the peak\n",
        "layer"
    );
    let mut sum = LayerTrace {
        name: "all layers".into(),
        way: Execution::Auto,
        seconds: 0.0,
        multiplications: 0.0,
        bytes: 0.0,
    };
    let mut line = |layer: &LayerTrace, way: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:width$}  {way:8} {:6.2}  {:13.1}  {:7.1}  {:10.0} %",
            layer.name,
            layer.seconds * 1e3,
            layer.multiplications / 1e6,
            layer.bytes / 1e6,
            100.0 * peak.share(layer)
        );
    };
    for layer in layers {
        let way = match layer.way {
            Execution::Spatial | Execution::Auto => "spatial",
            Execution::Factored => "factored",
            Execution::Fused => "fused",
        };
        line(layer, way);
        sum.seconds += layer.seconds;
        sum.multiplications += layer.multiplications;
        sum.bytes += layer.bytes;
    }
    line(&sum, "");
    let _ = writeln!(
        text,
        "{:width$}           {:6.2}  norms, pools and all else\n\
         the peak: {:.0} * 10^9 multiply-adds and {:.1} GB a second, measured now on {} threads",
        "the rest",
        (seconds - sum.seconds) * 1e3,
        peak.multiplications / 1e9,
        peak.bytes / 1e9,
        rayon::current_num_threads()
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_that_of_whichever_limit_is_nearer() {
        let peak = Peak {
            multiplications: 1e9,
            bytes: 1e8,
        };
        let layer = LayerTrace {
            name: "up1.conv1.weight".into(),
            way: Execution::Fused,
            seconds: 0.01,
            multiplications: 5e6,
            bytes: 2e5,
        };
        assert!((peak.share(&layer) - 0.5).abs() < 1e-12);
        let slow = LayerTrace {
            bytes: 1e6,
            ..layer.clone()
        };
        assert!((peak.share(&slow) - 1.0).abs() < 1e-12);
        let text = table(&[layer, slow], &peak, 0.025);
        for part in [
            "up1.conv1.weight  fused",
            "50 %",
            "100 %",
            "all layers",
            "5.00  norms",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }
}
