//! `freqreg inspect`: what a model file holds.

use crate::Failure;
use crate::io::{Input, Output, another_file, facts, print};
use crate::plot;
use clap::ValueHint;
use freqreg_file::{Model, Storage, Tensor, Values};
use serde_json::{Value, json};
use std::fmt::Write;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A model file, or - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    file: Input,
    /// Print JSON instead of the table
    #[arg(long)]
    json: bool,
    /// Draw the spectrum, of every tensor the magnitudes of its kept numbers in keep order, as an SVG; with - the table goes to standard
    /// error
    #[arg(long, value_name = "OUT.svg", value_hint = ValueHint::FilePath)]
    plot: Option<Output>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if let Some(output) = &args.plot {
        another_file(&args.file, output)?;
    }
    let (model, bytes) = args.file.model()?;
    let text = match args.json {
        true => format!("{:#}\n", as_json(&model, bytes)),
        false => as_table(&model, bytes),
    };
    match &args.plot {
        None => print(&text),
        Some(output) => {
            output.text(&plot::spectrum(&model))?;
            output.beside(&text)
        }
    }
}

/// How the values of a tensor are written.
pub(crate) fn form(values: &Values) -> String {
    match values {
        Values::F16(_) => "float16".into(),
        Values::F32(_) => "float32".into(),
        Values::Quantised { step, .. } => format!("steps of {step}"),
    }
}

/// What the values of a tensor are.
fn storage(tensor: &Tensor) -> String {
    match &tensor.storage {
        Storage::Plain => "every weight".into(),
        Storage::Prefix { axes, order } if *axes == tensor.shape => order.to_string(),
        Storage::Prefix { axes, order } => format!("{order} over {}", shape(axes)),
    }
}

/// How many times fewer bytes these are.
fn ratio(times: f64) -> String {
    match times {
        t if t >= 99.5 => format!("{t:.0} times fewer than"),
        t if t >= 1.05 => format!("{t:.1} times fewer than"),
        t if t >= 1.0 => "hardly fewer than".into(),
        _ => "more than".into(),
    }
}

fn shape(shape: &[usize]) -> String {
    let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
    sizes.join("x")
}

fn weights(tensor: &Tensor) -> usize {
    tensor.shape.iter().product()
}

fn as_json(model: &Model, bytes: usize) -> Value {
    let tensors = model.tensors.iter().map(|t| {
        let (axes, order) = match &t.storage {
            Storage::Plain => (None, None),
            Storage::Prefix { axes, order } => (Some(axes), Some(order.to_string())),
        };
        let step = match &t.values {
            Values::Quantised { step, .. } => Some(step.to_f32()),
            Values::F16(_) | Values::F32(_) => None,
        };
        let number = match &t.values {
            Values::F16(_) => "float16",
            Values::F32(_) => "float32",
            Values::Quantised { .. } => "quantised",
        };
        json!({
            "name": t.name,
            "shape": t.shape,
            "axes": axes,
            "order": order,
            "weights": weights(t),
            "kept": t.values.len(),
            "number": number,
            "step": step,
            "bytes": t.values.bytes(),
        })
    });
    let mut json = facts(model, bytes);
    json["config"] = serde_json::from_str(&model.config).unwrap_or(Value::Null);
    json["tensors"] = tensors.collect();
    json
}

fn as_table(model: &Model, bytes: usize) -> String {
    let mut rows = vec![
        [
            "layer", "shape", "weights", "kept", "rate", "bytes", "numbers", "kept are",
        ]
        .map(String::from),
    ];
    let rate = |weights: usize, kept: usize| format!("{:.1}x", weights as f64 / kept.max(1) as f64);
    for t in &model.tensors {
        rows.push([
            t.name.clone(),
            shape(&t.shape),
            weights(t).to_string(),
            t.values.len().to_string(),
            rate(weights(t), t.values.len()),
            t.values.bytes().to_string(),
            form(&t.values),
            storage(t),
        ]);
    }
    rows.push([
        "all".into(),
        String::new(),
        model.weights().to_string(),
        model.kept().to_string(),
        rate(model.weights(), model.kept()),
        model.payload_bytes().to_string(),
        String::new(),
        String::new(),
    ]);
    let width = |column: usize| rows.iter().map(|r| r[column].chars().count()).max();
    let widths: [usize; 8] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let title = format!("{} {}", model.architecture, model.config);
    let mut text = format!("{}\n\n", title.trim_end());
    for row in &rows {
        let mut line = String::new();
        for (i, (cell, width)) in row.iter().zip(widths).enumerate() {
            // Writing to a string does not fail. Numbers stand on the right.
            let _ = match (2..6).contains(&i) {
                true => write!(line, "{cell:>width$}  "),
                false => write!(line, "{cell:<width$}  "),
            };
        }
        text += line.trim_end();
        text.push('\n');
    }
    let dense = 4.0 * model.weights() as f64;
    let _ = writeln!(
        text,
        "\n{bytes} bytes in all: {} {dense:.0} of the weights in float32",
        ratio(dense / bytes as f64),
    );
    text
}
