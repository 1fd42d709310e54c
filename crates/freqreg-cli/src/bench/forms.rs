//! The same network with its weights rebuilt, through their factors, and fused.

use super::{forget_peak, regularised, step_with, time_with};
use crate::Failure;
use candle_core::{Device, Tensor};
use freqreg_nn::{Execution, no_grad};
use freqreg_train::experiment::NumberKind;
use freqreg_train::network::Network;
use serde_json::json;

/// The forms, by name, those that take least memory first.
pub(super) const FORMS: [(&str, Execution); 4] = [
    ("auto", Execution::Auto),
    ("fused", Execution::Fused),
    ("factored", Execution::Factored),
    ("spatial", Execution::Spatial),
];

/// An experiment, and the sizes of its answer and of its training step.
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

pub(super) fn run(repeat: usize) -> Result<(), Failure> {
    for case in CASES {
        for (form, execution) in FORMS {
            let network = network(case.experiment, execution)?;
            let about = |work: &str, input: [usize; 4]| {
                [
                    ("network", json!(case.experiment)),
                    ("form", json!(form)),
                    ("work", json!(work)),
                    ("input", json!(input)),
                ]
            };
            let name = case.experiment;
            let images = Tensor::randn(0f32, 1.0, &case.answer, &Device::Cpu)?;
            forget_peak();
            let what = format!("{name}, answer, {form}");
            time_with(&what, &about("answer", case.answer), repeat, || {
                Ok(no_grad(|| network.model.forward(&images))?)
            })?;
            forget_peak();
            let what = format!("{name}, training step, {form}");
            let about = about("step", case.step);
            step_with(&what, &about, &network, case.step, repeat)?;
        }
    }
    Ok(())
}
