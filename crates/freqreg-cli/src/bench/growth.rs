//! How time and memory grow.

use super::forms::network;
use super::{Figure, regularised, time_with};
use crate::Failure;
use candle_core::{DType, Device, Tensor};
use candle_nn::Conv2dConfig;
use freqreg_nn::{
    BatchStatNorm, Conv2d, Execution, FeatureMap, Keep, Store, conv2d_no_bias, no_grad,
};
use serde_json::json;

/// Every figure.
pub(super) fn all() -> Vec<Figure> {
    let mut figures = pictures();
    let channels = [32, 64, 128, 256, 512].map(|channels| (channels, 33));
    figures.extend(blocks("channels", &channels));
    let kept = [1, 8, 64, 512, 4096, 32_768].map(|kept| (128, kept));
    figures.extend(blocks("kept", &kept));
    figures.extend(threads());
    figures
}

/// A UNet's answer to square pictures.
fn pictures() -> Vec<Figure> {
    let figure = |side: usize| -> Figure {
        let measure = move |what: &str, repeat: usize| {
            let network = network("unet", Execution::Auto)?;
            let picture = Tensor::randn(0f32, 1.0, (1, 3, side, side), &Device::Cpu)?;
            let about = [("by", json!("pixels")), ("size", json!(side * side))];
            time_with(what, &about, repeat, || {
                Ok(no_grad(|| network.model.forward(&picture))?)
            })
        };
        (
            format!("unet, answer to {side} x {side}"),
            Box::new(measure),
        )
    };
    [256, 512, 1024, 2048, 4096].map(figure).into()
}

/// Convolutions of 3 x 3, one after the other.
fn convolutions(
    channels: usize,
    kept: usize,
    execution: Execution,
) -> Result<Vec<Conv2d>, Failure> {
    let store = Store::new(1, DType::F32, &Device::Cpu).execution(execution);
    let config = Conv2dConfig {
        padding: 1,
        ..Conv2dConfig::default()
    };
    let conv = |i: usize| {
        let builder = store.root().pp(format!("conv{i}"));
        conv2d_no_bias(channels, channels, 3, config, Keep::count(kept), builder)
    };
    Ok((0..3).map(conv).collect::<Result<_, _>>()?)
}

/// Three of them with norms and ReLUs between.
fn block(layers: &[Conv2d], x: &Tensor) -> candle_core::Result<Tensor> {
    let mut x: FeatureMap = x.clone().into();
    for layer in layers {
        x = BatchStatNorm.forward_map(&layer.forward_map(&x)?)?.relu()?;
    }
    x.global_mean()
}

fn blocks(by: &'static str, sizes: &[(usize, usize)]) -> Vec<Figure> {
    let mut figures: Vec<Figure> = Vec::new();
    for &(channels, kept) in sizes {
        for (form, execution) in [("auto", Execution::Auto), ("spatial", Execution::Spatial)] {
            let size = if by == "channels" { channels } else { kept };
            let measure = move |what: &str, repeat: usize| {
                let layers = convolutions(channels, kept, execution)?;
                let x = Tensor::randn(0f32, 1.0, (4, channels, 48, 48), &Device::Cpu)?;
                let about = [
                    ("by", json!(by)),
                    ("size", json!(size)),
                    ("form", json!(form)),
                ];
                time_with(what, &about, repeat, || Ok(no_grad(|| block(&layers, &x))?))
            };
            let name = format!("3 convolutions by {by}: {channels} channels, {kept} kept, {form}");
            figures.push((name, Box::new(measure)));
        }
    }
    figures
}

/// With one thread, and with each further one.
fn threads() -> Vec<Figure> {
    let figure = |threads: usize| -> Figure {
        let measure = move |what: &str, repeat: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build()?.install(|| {
                let network = regularised("unet")?;
                let picture = Tensor::randn(0f32, 1.0, (1, 3, 640, 959), &Device::Cpu)?;
                let about = [("by", json!("threads")), ("size", json!(threads))];
                time_with(what, &about, repeat, || {
                    Ok(no_grad(|| network.model.forward(&picture))?)
                })
            })
        };
        (
            format!("unet, answer to 640 x 959, threads: {threads}"),
            Box::new(measure),
        )
    };
    (1..=rayon::current_num_threads()).map(figure).collect()
}
