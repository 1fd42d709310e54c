//! Whether the faster way is chosen: each layer of the zoo both ways.

use super::forms::network;
use crate::Failure;
use crate::io::print;
use candle_core::{DType, Device, Tensor};
use freqreg_models::Layers;
use freqreg_nn::{Execution, LayerTrace, Store, no_grad, trace};
use freqreg_train::experiment::Experiment;
use serde_json::json;
use std::collections::BTreeMap;

const CASES: [(&str, [usize; 4]); 12] = [
    ("lenet5", [64, 1, 28, 28]),
    ("alexnet-v1", [4, 3, 224, 224]),
    ("alexnet-v3", [4, 3, 224, 224]),
    ("vgg16-v1", [16, 3, 32, 32]),
    ("vgg16-v3", [16, 3, 32, 32]),
    ("resnet18-v1", [16, 3, 32, 32]),
    ("resnet18-v2", [16, 3, 32, 32]),
    ("resnet18-v3", [16, 3, 32, 32]),
    ("vit-v1", [16, 3, 32, 32]),
    ("vit-v2", [16, 3, 32, 32]),
    ("unet", [1, 3, 160, 240]),
    ("vae-v1", [64, 1, 28, 28]),
];

/// Of two times, one this much longer counts as equal: no more can be told on a machine that others use too.
const EQUAL: f64 = 1.1;

/// The least time of each layer over some repeats.
fn times(
    experiment: &str,
    execution: Execution,
    input: [usize; 4],
    repeat: usize,
) -> Result<BTreeMap<String, f64>, Failure> {
    let network = network(experiment, execution)?;
    let images = Tensor::randn(0f32, 1.0, &input, &Device::Cpu)?;
    let mut least = BTreeMap::new();
    for _ in 0..=repeat {
        let (answer, layers) = trace(|| no_grad(|| network.model.forward(&images)));
        answer?;
        for layer in layers {
            let time = least.entry(layer.name).or_insert(f64::INFINITY);
            *time = layer.seconds.min(*time);
        }
    }
    Ok(least)
}

/// Which way is chosen for each layer of its own. In double precision, in which no layer runs fused with others.
fn choices(experiment: &str, input: [usize; 4]) -> Result<Vec<LayerTrace>, Failure> {
    let e = Experiment::find(experiment)?.regularised;
    let store = Store::new(1, DType::F64, &Device::Cpu).execution(Execution::Auto);
    let layers = Layers::regularised(store.root(), &e.budgets, e.init.into());
    let model = e.model.build(layers)?;
    let images = Tensor::randn(0f64, 1.0, &input, &Device::Cpu)?;
    let (answer, layers) = trace(|| no_grad(|| model.forward(&images)));
    answer?;
    Ok(layers)
}

pub(super) fn run(repeat: usize) -> Result<(), Failure> {
    let (mut right, mut all) = (0, 0);
    for (experiment, input) in CASES {
        let spatial = times(experiment, Execution::Spatial, input, repeat)?;
        let factored = times(experiment, Execution::Factored, input, repeat)?;
        for layer in choices(experiment, input)? {
            let name = &layer.name;
            let (Some(&spatial), Some(&factored)) = (spatial.get(name), factored.get(name)) else {
                continue;
            };
            let (way, chosen, other) = match layer.way {
                Execution::Spatial => ("spatial", spatial, factored),
                _ => ("factored", factored, spatial),
            };
            let good = chosen <= other * EQUAL;
            all += 1;
            right += usize::from(good);
            let figure = json!({
                "network": experiment,
                "layer": name,
                "chosen": way,
                "spatial_s": spatial,
                "factored_s": factored,
                "right": good,
            });
            print(&format!("{figure}\n"))?;
        }
    }
    print(&format!("{}\n", json!({"layers": all, "right": right})))
}
