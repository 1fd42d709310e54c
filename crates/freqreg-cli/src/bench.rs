//! `freqreg bench`: how long a synthesis, a training step and a network's answer take, one JSON object a line for each figure.

mod forms;
mod growth;
mod layers;

use crate::Failure;
use candle_core::{Device, Tensor};
use clap::ValueEnum;
use clap::builder::RangedU64ValueParser;
use freqreg_dct::{KeepOrder, Plan};
use freqreg_models::{Architecture, Budgets, LayerKeep, Lenet5Config};
use freqreg_nn::{Init, no_grad, ops};
use freqreg_train::experiment::{Experiment, Optimiser as Settings};
use freqreg_train::network::Network;
use freqreg_train::optimiser::Optimiser;
use serde_json::json;
use std::time::Instant;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to time
    work: Work,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    threads: Option<usize>,
    /// Repeats, of which the median counts; four times as many are made where each takes only milliseconds
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    repeat: usize,
    /// Of `forms` and `growth`, only the figures that say this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Work {
    /// From 33 coefficients to a weight of 1024 x 1024 x 3 x 3
    Synth,
    /// A training step of LeNet5 (20, 50, 500, 10), batch 128, dense and regularised
    Lenet,
    /// The answer of a UNet with 33 kept in each layer (the released one's shape) to one picture of 640 x 959
    Unet,
    /// A training step of ResNet18 with 2,688 kept (`resnet18-v3`), batch 128
    Resnet18,
    /// The answers of ResNet18 (`resnet18-v3`) and VGG16 (`vgg16-v3`) to 1 and to 64 pictures of 32 x 32
    Infer,
    /// Answers and training steps with weights rebuilt, through their factors, and fused
    Forms,
    /// How time and memory grow with the size of a picture, with channels, with numbers kept, and with threads
    Growth,
    /// Each layer of the zoo with its weight rebuilt and through its factors, and which of the two is chosen
    Layers,
    /// The first five, beside which PyTorch can be timed
    All,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()?;
    }
    let asked = |work| args.work == work || args.work == Work::All;
    match args.work {
        Work::Forms => return apart(args, "forms", forms::all()),
        Work::Growth => return apart(args, "growth", growth::all()),
        Work::Layers => return layers::run(args.repeat),
        _ => {}
    }
    let often = 4 * args.repeat;
    if asked(Work::Synth) {
        synthesis(often)?;
    }
    if asked(Work::Lenet) {
        lenet(often)?;
    }
    if asked(Work::Unet) {
        let what = "unet_fr 640x959 forward";
        answer(what, "unet", [1, 3, 640, 959], args.repeat)?;
    }
    if asked(Work::Resnet18) {
        resnet18(args.repeat.div_ceil(2).max(2))?;
    }
    if asked(Work::Infer) {
        for (name, network) in [("resnet18-v3", "resnet18"), ("vgg16-v3", "vgg16")] {
            for batch in [1, 64] {
                let what = format!("{network} forward, batch {batch}");
                answer(&what, name, [batch, 3, 32, 32], often)?;
            }
        }
    }
    Ok(())
}

/// How long something took.
struct Timing {
    /// Seconds: the median, and the least.
    median: f64,
    least: f64,
    repeat: usize,
}

/// Runs `work` once unmeasured, then `repeat` times.
fn measure<T>(
    repeat: usize,
    mut work: impl FnMut() -> Result<T, Failure>,
) -> Result<Timing, Failure> {
    work()?;
    let mut seconds = Vec::with_capacity(repeat);
    for _ in 0..repeat {
        let start = Instant::now();
        work()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(Timing {
        median: (seconds[(repeat - 1) / 2] + seconds[repeat / 2]) / 2.0,
        least: seconds[0],
        repeat,
    })
}

/// Measures `work`, and prints the figure with `more` about it.
fn time_with<T>(
    what: &str,
    more: &[(&str, serde_json::Value)],
    repeat: usize,
    work: impl FnMut() -> Result<T, Failure>,
) -> Result<(), Failure> {
    let timing = measure(repeat, work)?;
    let mut figure = json!({
        "what": what,
        "median_s": timing.median,
        "min_s": timing.least,
        "repeat": timing.repeat,
        "threads": rayon::current_num_threads(),
        "peak_rss_mb": peak_rss_mb(),
    });
    for (key, value) in more {
        figure[*key] = value.clone();
    }
    crate::io::print(&format!("{figure}\n"))
}

fn time<T>(
    what: &str,
    repeat: usize,
    work: impl FnMut() -> Result<T, Failure>,
) -> Result<(), Failure> {
    time_with(what, &[], repeat, work)
}

/// A weight in memory of its own each time, as a training step needs it.
fn synthesis(repeat: usize) -> Result<(), Failure> {
    let plan = Plan::<f32>::new(&[1024, 1024, 3, 3], &KeepOrder::Zigzag, 33)?;
    let coefficients: Vec<f32> = (1..=33).map(|i| 1.0 / i as f32).collect();
    time("synthesis 1024x1024x3x3, 33 kept", repeat, || {
        Ok(plan.synthesize(&coefficients)?)
    })
}

const BATCH: usize = 128;

fn lenet(repeat: usize) -> Result<(), Failure> {
    let config = Lenet5Config {
        input: [1, 28, 28],
        channels: [20, 50],
        hidden: 500,
        classes: 10,
        norm: Default::default(),
        pool: Default::default(),
        biases: ["conv1", "conv2", "fc1", "fc2"].map(String::from).into(),
    };
    let architecture = Architecture::Lenet5(config);
    let device = Device::Cpu;
    // Convolutions at the paper's floor. Linear layers first with every coefficient, trainable and transformed
    // in each step, then at the budgets that the network of 776 numbers gives them.
    let full = budgets([128, 128, 400_000, 5_000]);
    let cut = budgets([128, 128, 280, 144]);
    let dense = Network::dense(&architecture, 1, &device)?;
    let regularised =
        |budgets| Network::regularised(&architecture, budgets, Init::Paper, 1, &device);
    let input = [BATCH, 1, 28, 28];
    for (kind, network) in [
        ("dense", dense),
        ("regularised", regularised(&full)?),
        ("regularised, linear layers cut too", regularised(&cut)?),
    ] {
        let what = format!("lenet5 training step, batch {BATCH}, {kind}");
        step(&what, &network, input, repeat)?;
    }
    Ok(())
}

/// The regularised network of an experiment, as it starts.
fn regularised(experiment: &str) -> Result<Network, Failure> {
    let e = Experiment::find(experiment)?.regularised;
    let network = Network::regularised(&e.model, &e.budgets, e.init.into(), 1, &Device::Cpu)?;
    Ok(network)
}

fn resnet18(repeat: usize) -> Result<(), Failure> {
    let network = regularised("resnet18-v3")?;
    let what = format!("resnet18 training step, batch {BATCH}, regularised");
    step(&what, &network, [BATCH, 3, 32, 32], repeat)
}

/// Forward on pictures of noise, without gradients.
fn answer(what: &str, experiment: &str, input: [usize; 4], repeat: usize) -> Result<(), Failure> {
    let network = regularised(experiment)?;
    let images = Tensor::randn(0f32, 1.0, &input, &Device::Cpu)?;
    time(what, repeat, || {
        Ok(no_grad(|| network.model.forward(&images))?)
    })
}

/// The counts of `conv1`, `conv2`, `fc1` and `fc2`.
fn budgets(counts: [usize; 4]) -> Budgets {
    let keep = |count| LayerKeep {
        keep: Some(count),
        ..LayerKeep::default()
    };
    let names = ["conv1", "conv2", "fc1", "fc2"].map(String::from);
    names.into_iter().zip(counts.map(keep)).collect()
}

/// Forward, backward and Adam on one batch of noise.
fn step(what: &str, network: &Network, input: [usize; 4], repeat: usize) -> Result<(), Failure> {
    step_with(what, &[], network, input, repeat)
}

fn step_with(
    what: &str,
    more: &[(&str, serde_json::Value)],
    network: &Network,
    input: [usize; 4],
    repeat: usize,
) -> Result<(), Failure> {
    let images = Tensor::randn(0f32, 1.0, &input, &Device::Cpu)?;
    let labels: Vec<u32> = (0..input[0] as u32).map(|i| i % 10).collect();
    let adam = Settings::Adam {
        beta1: 0.9,
        beta2: 0.999,
        decay: 0.0,
    };
    let mut optimiser = Optimiser::new(adam, network.parameters.clone());
    time_with(what, more, repeat, || {
        let output = network.model.forward(&images)?;
        // A classifier's loss; of anything else, a number that every output has a part in.
        let loss = match output.dims() {
            [_, _] => ops::cross_entropy(&output, &labels, 0.0)?,
            _ => output.sqr()?.mean_all()?,
        };
        Ok(optimiser.step(&loss.backward()?, 1e-3)?)
    })
}

/// A figure that is measured in a process of its own, so that the memory it says is its own: its name, and how it is measured.
type Figure = (String, Box<dyn Fn(&str, usize) -> Result<(), Failure>>);

/// Measures those of `figures` that are asked for, each in a process of its own.
fn apart(args: &Args, work: &str, figures: Vec<Figure>) -> Result<(), Failure> {
    let asked = |name: &str| args.only.as_ref().is_none_or(|only| name.contains(only));
    let figures: Vec<Figure> = figures
        .into_iter()
        .filter(|(name, _)| asked(name))
        .collect();
    match &figures[..] {
        [] => Err(Failure {
            message: format!(
                "error: no figure of `{work}` says `{}`",
                args.only.as_deref().unwrap_or_default()
            ),
            code: 2,
        }),
        [(name, measure)] => measure(name, args.repeat),
        _ => {
            for (name, _) in figures {
                let mut one = std::process::Command::new(std::env::current_exe()?);
                one.args(["bench", work, "--only", &name]);
                one.args(["--repeat", &args.repeat.to_string()]);
                if let Some(threads) = args.threads {
                    one.args(["--threads", &threads.to_string()]);
                }
                let status = one.status()?;
                if !status.success() {
                    return Err(Failure {
                        message: format!("error: {name}: ended with {status}"),
                        code: 1,
                    });
                }
            }
            Ok(())
        }
    }
}

/// The most resident memory this process has held, in MiB, where the system tells (Linux).
fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((kib / 1024.0).round())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_that_is_timed_can_be_made() {
        lenet(1).map_err(|f| f.message).expect("it runs");
        let small = [1, 3, 32, 32];
        answer("", "unet", small, 1)
            .map_err(|f| f.message)
            .expect("it runs");
    }
}
