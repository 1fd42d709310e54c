//! `freqreg quantize`: the numbers of a model file in fewer bits.

use crate::Failure;
use crate::io::{Input, Output, facts};
use crate::progress::tries;
use clap::ValueHint;
use clap::builder::RangedU64ValueParser;
use freqreg_file::{Model, Tensor};
use freqreg_train::experiment::Experiment;
use freqreg_train::network::{Network, codec, tidied};
use freqreg_train::reproduce::{Yardstick, device, load};
use freqreg_train::sensitivity::share_out;
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A model file, or - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    file: Input,
    /// The model file to write, or - for standard output
    #[arg(short, long, value_name = "OUT.freq", value_hint = ValueHint::FilePath)]
    output: Output,
    /// About how many bits a number takes, coded, 2 to 16
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = RangedU64ValueParser::<u32>::new().range(2..=16))]
    bits: u32,
    /// The part of a step that counts as nothing: 0.5 rounds to the nearest, more makes smaller files of less accurate numbers
    #[arg(long, value_name = "PART", default_value_t = 0.5, value_parser = dead_zone)]
    dead: f32,
    /// Measure the network before and after on the validation images of this experiment (see reproduce --list)
    #[arg(long, value_name = "EXPERIMENT")]
    data: Option<String>,
    /// Folder with the data set's files, plain or gzipped; nothing else is tried then
    #[arg(long, value_name = "DIR", requires = "data", value_hint = ValueHint::DirPath)]
    data_folder: Option<PathBuf>,
    /// The largest file that will do: each tensor gets bits of its own, 2 to 12, by how much the validation loss grows without them
    #[arg(long, value_name = "N", requires = "data", conflicts_with = "bits")]
    target_bytes: Option<usize>,
    /// Measure on the test images too: for the end, when everything is chosen
    #[arg(long, requires = "data")]
    test: bool,
    /// Say as JSON what was done
    #[arg(long)]
    json: bool,
}

/// Pixels that a tensor's bits are chosen by, of 2,000 images of MNIST for one: each form of each tensor is tried on them.
const TRIED_ON: usize = 2000 * 28 * 28;

fn dead_zone(text: &str) -> Result<f32, String> {
    let part: f32 = text.parse().map_err(|_| "no number".to_string())?;
    match (0.5..1.0).contains(&part) {
        true => Ok(part),
        false => Err("it must be at least 0.5 and below 1".into()),
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let (model, before) = args.file.model()?;
    if let Some(network) = model.update_of() {
        return Err(Failure {
            message: format!(
                "error: {} is an update of a `{network}`, and makes one certain model with all its bits: quantise that model, and then use diff",
                args.file
            ),
            code: 1,
        });
    }
    let model = tidied(model);
    if args.data.is_some() {
        // What holds no network can't be measured: found out before data are looked for.
        Network::from_file(&model, &device("cpu")?).map_err(|e| Failure {
            message: format!("error: {}: {e}", args.file),
            code: 1,
        })?;
    }
    let yardstick = args
        .data
        .as_deref()
        .map(|name| yardstick(args, name))
        .transpose()?;
    let small = match (args.target_bytes, &yardstick) {
        (Some(most), Some(yardstick)) => within(args, &model, most, yardstick)?,
        _ => {
            let tensors = model
                .tensors
                .iter()
                .map(|t| in_bits(t, args.bits, args.dead));
            Model {
                tensors: tensors.collect::<Result<_, _>>()?,
                ..model.clone()
            }
        }
    };
    // Before anything is written: what can't be measured is an error.
    let mut measured = Vec::new();
    if let Some(yardstick) = &yardstick {
        let validation = |model| yardstick.validation(model);
        measured.push(("validation", validation(&model)?, validation(&small)?));
        if args.test {
            measured.push(("test", yardstick.test(&model)?, yardstick.test(&small)?));
        }
    }
    let after = args.output.model(&small)?;
    let bits = match args.target_bytes {
        None => format!("about {} bits", args.bits),
        Some(_) => "2 to 12 bits".into(),
    };
    let mut sentence = format!(
        "{}: {} numbers of {bits}, {after} bytes ({} had {before})",
        args.output,
        small.kept(),
        args.file,
    );
    let mut json = facts(&small, after);
    json["output"] = args.output.argument().into();
    json["file_bytes_before"] = before.into();
    for (part, a, b) in measured {
        let Some(metric) = yardstick.as_ref().map(Yardstick::metric) else {
            continue;
        };
        sentence += &format!(
            "\n{part}: {} {}, before {}",
            metric.name(),
            metric.show(b.score),
            metric.show(a.score)
        );
        json[part] = json!({
            "metric": metric,
            "score": b.score,
            "score_before": a.score,
            "loss": b.loss(metric),
            "loss_before": a.loss(metric),
        });
    }
    args.output.done(args.json, &sentence, &json)
}

fn in_bits(tensor: &Tensor, bits: u32, dead: f32) -> Result<Tensor, Failure> {
    let values = tensor.values.in_bits(bits, dead);
    Ok(Tensor {
        values: values.map_err(|fault| Failure {
            message: format!("error: tensor `{}`: {fault}", tensor.name),
            code: 1,
        })?,
        ..tensor.clone()
    })
}

/// The images to measure on.
fn yardstick(args: &Args, name: &str) -> Result<Yardstick, Failure> {
    let options = freqreg_data::Options {
        folder: args.data_folder.clone(),
        ..freqreg_data::Options::default()
    };
    let loaded = load(&Experiment::find(name)?, &options)?;
    Ok(Yardstick::new(&loaded, 1, &device("cpu")?)?)
}

/// Every tensor in as many bits as serve best, the file in so many bytes.
fn within(
    args: &Args,
    model: &Model,
    most: usize,
    yardstick: &Yardstick,
) -> Result<Model, Failure> {
    let ways = model.tensors.iter().map(|t| {
        let forms = [2, 3, 4, 5, 6, 7, 8, 10, 12].map(|bits| in_bits(t, bits, args.dead));
        forms.into_iter().collect::<Result<Vec<_>, _>>()
    });
    let ways = ways.collect::<Result<Vec<_>, _>>()?;
    let metric = yardstick.metric();
    // The best form of each tensor is tried in all of them at once.
    let bar = tries(1 + ways.iter().map(|w| w.len() - 1).sum::<usize>());
    let found = share_out(
        model,
        &ways,
        |t| t.values.bytes() as f64,
        |m| {
            let loss = yardstick.glance(m, TRIED_ON)?.loss(metric);
            bar.inc(1);
            Ok(loss)
        },
        |m| Ok(codec().encode(m)?.len() <= most),
    );
    bar.finish_and_clear();
    found?.ok_or_else(|| Failure {
        message: format!(
            "error: with 2 bits for every number the file still takes more than {most} bytes: give more with --target-bytes, or train a \
             network that keeps fewer numbers"
        ),
        code: 1,
    })
}
