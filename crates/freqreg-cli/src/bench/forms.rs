//! The same network with its weights rebuilt, through their factors, and fused.

use super::{Figure, regularised, step_with, time_with};
use crate::Failure;
use candle_core::{Device, Tensor};
use freqreg_nn::{Execution, no_grad};
use freqreg_train::experiment::NumberKind;
use freqreg_train::network::Network;
use serde_json::json;

/// The forms, by name.
const FORMS: [(&str, Execution); 4] = [
    ("auto", Execution::Auto),
    ("fused", Execution::Fused),
    ("factored", Execution::Factored),
    ("spatial", Execution::Spatial),
];

/// An experiment, and the sizes of its answer and of its training step.
#[derive(Clone, Copy)]
struct Case {
    experiment: &'static str,
    answer: [usize; 4],
    step: [usize; 4],
}

const CASES: [Case; 4] = [
    Case {
        experiment: "unet",
        answer: [1, 3, 320, 480],
        step: [2, 3, 160, 240],
    },
    Case {
        experiment: "resnet18-v3",
        answer: [64, 3, 32, 32],
        step: [128, 3, 32, 32],
    },
    Case {
        experiment: "vgg16-v3",
        answer: [64, 3, 32, 32],
        step: [128, 3, 32, 32],
    },
    Case {
        experiment: "lenet5",
        answer: [64, 1, 28, 28],
        step: [128, 1, 28, 28],
    },
];

/// The regularised network of an experiment whose layers run as `execution` says.
pub(super) fn network(experiment: &str, execution: Execution) -> Result<Network, Failure> {
    let file = regularised(experiment)?.to_file(NumberKind::Float32)?;
    Ok(Network::from_file_with(&file, &Device::Cpu, execution)?)
}

/// Every figure.
pub(super) fn all() -> Vec<Figure> {
    let mut figures: Vec<Figure> = Vec::new();
    for case in CASES {
        for (form, execution) in FORMS {
            let name = case.experiment;
            let about = move |work: &str, input: [usize; 4]| {
                [
                    ("network", json!(name)),
                    ("form", json!(form)),
                    ("work", json!(work)),
                    ("input", json!(input)),
                ]
            };
            let answer = move |what: &str, repeat| {
                let network = network(name, execution)?;
                let images = Tensor::randn(0f32, 1.0, &case.answer, &Device::Cpu)?;
                time_with(what, &about("answer", case.answer), repeat, || {
                    Ok(no_grad(|| network.model.forward(&images))?)
                })
            };
            let step = move |what: &str, repeat| {
                let network = network(name, execution)?;
                step_with(what, &about("step", case.step), &network, case.step, repeat)
            };
            figures.push((format!("{name}, answer, {form}"), Box::new(answer)));
            figures.push((format!("{name}, training step, {form}"), Box::new(step)));
        }
    }
    figures
}
