//! How time and memory grow.

use super::forms::network;
use super::{forget_peak, regularised, time_with};
use crate::Failure;
use candle_core::{DType, Device, Tensor};
use candle_nn::Conv2dConfig;
use freqreg_nn::{
    BatchStatNorm, Conv2d, Execution, FeatureMap, Keep, Store, conv2d_no_bias, no_grad,
};
use serde_json::json;

pub(super) fn run(repeat: usize) -> Result<(), Failure> {
    pictures(repeat)?;
    channels(repeat)?;
    kept(repeat)?;
    threads(repeat)
}

/// A UNet's answer to square pictures.
fn pictures(repeat: usize) -> Result<(), Failure> {
    let network = network("unet", Execution::Auto)?;
    for side in [256, 512, 1024, 2048, 4096] {
        let picture = Tensor::randn(0f32, 1.0, (1, 3, side, side), &Device::Cpu)?;
        forget_peak();
        let about = [("by", json!("pixels")), ("size", json!(side * side))];
        let what = format!("unet, answer to {side} x {side}");
        time_with(&what, &about, repeat.min(3), || {
            Ok(no_grad(|| network.model.forward(&picture))?)
        })?;
    }
    Ok(())
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

fn blocks(
    by: &str,
    sizes: &[(usize, usize)],
    forms: &[(&str, Execution)],
    repeat: usize,
) -> Result<(), Failure> {
    for &(channels, kept) in sizes {
        let x = Tensor::randn(0f32, 1.0, (4, channels, 48, 48), &Device::Cpu)?;
        for &(form, execution) in forms {
            let layers = convolutions(channels, kept, execution)?;
            forget_peak();
            let size = if by == "channels" { channels } else { kept };
            let about = [
                ("by", json!(by)),
                ("size", json!(size)),
                ("form", json!(form)),
            ];
            let what = format!("3 convolutions of {channels} channels, {kept} kept, {form}");
            time_with(&what, &about, repeat, || {
                Ok(no_grad(|| block(&layers, &x))?)
            })?;
        }
    }
    Ok(())
}

fn channels(repeat: usize) -> Result<(), Failure> {
    let sizes = [32, 64, 128, 256, 512].map(|channels| (channels, 33));
    let forms = [("auto", Execution::Auto), ("spatial", Execution::Spatial)];
    blocks("channels", &sizes, &forms, repeat)
}

fn kept(repeat: usize) -> Result<(), Failure> {
    let sizes = [1, 8, 64, 512, 4096, 32_768].map(|kept| (128, kept));
    let forms = [("auto", Execution::Auto), ("spatial", Execution::Spatial)];
    blocks("kept", &sizes, &forms, repeat)
}

/// With one thread, and with each further one.
fn threads(repeat: usize) -> Result<(), Failure> {
    let most = rayon::current_num_threads();
    let network = regularised("unet")?;
    let picture = Tensor::randn(0f32, 1.0, (1, 3, 640, 959), &Device::Cpu)?;
    for threads in 1..=most {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()?;
        pool.install(|| {
            let about = [("by", json!("threads")), ("size", json!(threads))];
            let what = format!("unet, answer to 640 x 959, {threads} threads");
            time_with(&what, &about, repeat, || {
                Ok(no_grad(|| network.model.forward(&picture))?)
            })
        })?;
    }
    Ok(())
}
