//! `freqreg pack`: ordinary weights as kept coefficients, without training.

use crate::Failure;
use crate::io::{Input, Output, another_file, another_path, facts};
use crate::table::lined_up;
use clap::ValueHint;
use clap::builder::RangedU64ValueParser;
use freqreg_dct::KeepOrder;
use freqreg_file::{
    DenseTensor, Fault, Limits, MAX_AXES, Model, NumberKind, Packed, Safetensors, Spectrum,
    pack_plain, pack_within, parse_safetensors, read_safetensors,
};
use freqreg_train::network::{codec, tidied};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A safetensors file of weights, or - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    file: Input,
    /// The model file to write, or - for standard output
    #[arg(short, long, value_name = "OUT.freq", value_hint = ValueHint::FilePath)]
    output: Output,
    /// How many coefficients of each tensor are kept: a share, as 1%, or a number of them, at most all
    #[arg(long, value_name = "SHARE%|N", allow_negative_numbers = true)]
    keep: Option<Keep>,
    /// The largest file that will do; its bytes are shared out among the tensors so that the errors of all, each in parts of its tensor, add up
    /// to little. What --keep says is the most then
    #[arg(long, value_name = "N")]
    target_bytes: Option<usize>,
    /// What single tensors keep instead, by their names: a TOML file
    #[arg(long, value_name = "FILE.toml", value_hint = ValueHint::FilePath)]
    per_layer: Option<PathBuf>,
    /// Which coefficients are kept, the first in this order: zigzag, inverse-sqrt or weights:W,W,.. with a weight for each axis
    #[arg(long, default_value = "zigzag")]
    order: KeepOrder,
    /// How the coefficients are stored: float16, float32 or bits:N (2 to 16) [default: float16; with --target-bytes whichever of 3 to 16 bits serves
    /// best]
    #[arg(long, value_name = "FORM")]
    number: Option<NumberKind>,
    /// The same as --number bits:N
    #[arg(long, value_name = "N", conflicts_with = "number", value_parser = RangedU64ValueParser::<u32>::new().range(2..=16))]
    bits: Option<u32>,
    /// Leave out the tensors of this name, in which * stands for anything; may be repeated
    #[arg(long, value_name = "NAME")]
    skip: Vec<String>,
    /// Say as JSON what was done
    #[arg(long)]
    json: bool,
}

/// How much of a tensor is kept.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(untagged, try_from = "CountOrText")]
enum Keep {
    Count(usize),
    Share(f64),
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "it must be a share, as \"10%\", or a whole number of 1 or more"
)]
enum CountOrText {
    Count(usize),
    Text(String),
}

impl TryFrom<CountOrText> for Keep {
    type Error = String;

    fn try_from(value: CountOrText) -> Result<Self, String> {
        match value {
            CountOrText::Count(n) => n.to_string().parse(),
            CountOrText::Text(text) => text.parse(),
        }
    }
}

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            let share = match text.parse::<f64>() {
                Ok(part) if part > 0.0 && part < 1.0 => format!(": the share is {}%", 100.0 * part),
                _ => String::new(),
            };
            format!(
                "`{text}` is neither a share above 0% and up to 100% nor a number of 1 or more{share}"
            )
        };
        match text.strip_suffix('%') {
            Some(share) => match share.trim().parse::<f64>() {
                Ok(share) if share > 0.0 && share <= 100.0 => Ok(Keep::Share(share / 100.0)),
                _ => Err(wrong()),
            },
            None => match text.parse() {
                Ok(n) if n > 0 => Ok(Keep::Count(n)),
                _ => Err(wrong()),
            },
        }
    }
}

impl Keep {
    /// As a number of `elements`.
    fn count(self, elements: usize) -> usize {
        match self {
            Keep::Count(n) => n.min(elements),
            Keep::Share(share) => ((share * elements as f64).round() as usize).clamp(1, elements),
        }
    }
}

/// What a file for `--per-layer` says of a tensor.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "keep, order, axes, number or dense in braces, as { keep = \"10%\" }"
)]
struct Layer {
    keep: Option<Keep>,
    /// Every weight as it is.
    #[serde(default)]
    dense: bool,
    order: Option<String>,
    axes: Option<Vec<usize>>,
    number: Option<String>,
}

impl Layer {
    /// Whether it asks for a transform: a tensor of one axis has none unless it is asked for.
    fn is_transformed(&self) -> bool {
        self.keep.is_some() || self.axes.is_some() || self.order.is_some()
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    another_file(&args.file, &args.output)?;
    if let Some(path) = &args.per_layer {
        another_path(path, &args.output)?;
    }
    if args.keep.is_none() && args.target_bytes.is_none() {
        return Err(Failure {
            message: "error: how much is kept? Give --keep, a share as 10% or a number of coefficients for each tensor, or \
                      --target-bytes, the size of the file"
                .into(),
            code: 2,
        });
    }
    let source = read(&args.file)?;
    let (skipped, tensors): (Vec<_>, Vec<_>) = source
        .tensors
        .into_iter()
        .partition(|t| args.skip.iter().any(|pattern| matches(pattern, &t.name)));
    check(args, &tensors)?;
    let idle = |pattern: &&String| !skipped.iter().any(|t| matches(pattern, &t.name));
    if let Some(pattern) = args.skip.iter().find(idle) {
        return Err(Failure {
            message: format!(
                "error: --skip {pattern}: {} has no tensor of such a name",
                args.file
            ),
            code: 1,
        });
    }
    let layers = per_layer(args, &tensors, &skipped)?;
    let mut packed: Vec<Packed> = Vec::new();
    let mut spectra = Vec::new();
    for (t, layer) in tensors.iter().zip(&layers) {
        match planned(args, t, layer)? {
            Planned::Packed(tensor) => packed.push(tensor),
            // To be decided once all are there; the place in the file is kept.
            Planned::Open(spectrum, number) => {
                spectra.push((packed.len() + spectra.len(), spectrum, number));
            }
        }
    }
    let model = |packed: &[Packed]| {
        tidied(Model {
            architecture: (source.metadata.get("architecture").cloned())
                .unwrap_or_else(|| "weights".into()),
            config: source.metadata.get("config").cloned().unwrap_or_default(),
            tensors: packed.iter().map(|p| p.tensor.clone()).collect(),
        })
    };
    if let Some(most) = args.target_bytes {
        let size = |packed: &[Packed]| Ok(codec().encode(&model(packed))?.len());
        packed = within(args, &packed, spectra, most, size)?;
    }
    let file = model(&packed);
    let bytes = args.output.model(&file)?;
    say(args, &file, bytes, &packed, &skipped)
}

fn read(file: &Input) -> Result<Safetensors, Failure> {
    let limits = Limits::default();
    match file {
        Input::File(path) if !file.is_stream() => Ok(read_safetensors(path, &limits)?),
        _ => parse_safetensors(&file.bytes()?, &limits).map_err(|e| Failure {
            message: format!("error: {file}: {e}"),
            code: 1,
        }),
    }
}

/// What is stored of a tensor: decided, or, where the size of the file is given, with what to choose from.
enum Planned {
    Packed(Packed),
    Open(Spectrum, Option<NumberKind>),
}

fn planned(args: &Args, t: &DenseTensor, layer: &Layer) -> Result<Planned, Failure> {
    let wrong = |reason: String| Failure {
        message: match &args.per_layer {
            Some(path) => format!("error: {}: tensor `{}`: {reason}", path.display(), t.name),
            None => format!("error: {}: tensor `{}`: {reason}", args.file, t.name),
        },
        code: 1,
    };
    let weights = t.values.as_deref().unwrap_or_default();
    let number = args.bits.map(NumberKind::Bits).or(args.number);
    let own = layer.number.as_deref().map(str::parse).transpose();
    let own: Option<NumberKind> = own.map_err(wrong)?;
    // A bias or the scales of a norm: few numbers, and no order among them that a wave could follow.
    if layer.dense || (t.shape.len() < 2 && !layer.is_transformed()) {
        let number = match (own, number) {
            (Some(own), _) => own,
            (None, Some(NumberKind::Float32)) => NumberKind::Float32,
            _ => NumberKind::Float16,
        };
        let plain = pack_plain(&t.name, &t.shape, weights, number);
        return Ok(Planned::Packed(
            plain.map_err(|e| unfit(args, Some(number), &e))?,
        ));
    }
    let number = own.or(number);
    let order: KeepOrder = match &layer.order {
        None => args.order.clone(),
        Some(text) => text.parse().map_err(|e| wrong(format!("order: {e}")))?,
    };
    // Even with two bits each, more could not be stored.
    let bound = args
        .target_bytes
        .map_or(weights.len(), |bytes| bytes.saturating_mul(4));
    let keep = layer.keep.or(args.keep).unwrap_or(Keep::Share(1.0));
    let keep = keep.count(weights.len()).min(bound.max(1));
    let axes = layer.axes.as_deref().unwrap_or(&t.shape);
    let spectrum = Spectrum::new(&t.name, &t.shape, axes, &order, keep, weights);
    let spectrum = spectrum.map_err(|e| match &e {
        freqreg_file::Error::Tensor { fault, .. } => match fault {
            Fault::Order(_) if layer.order.is_some() => wrong(format!("order: {fault}")),
            Fault::Axes { .. } | Fault::AxisCount { .. } | Fault::Shape { .. }
                if layer.axes.is_some() =>
            {
                wrong(format!("axes: {fault}"))
            }
            _ => unfit(args, number, &e),
        },
        _ => unfit(args, number, &e),
    })?;
    match args.target_bytes {
        Some(_) => Ok(Planned::Open(spectrum, number)),
        None => {
            let number = number.unwrap_or_default();
            let whole = spectrum.pack(spectrum.len(), number);
            let whole = whole.map_err(|e| unfit(args, Some(number), &e))?;
            Ok(Planned::Packed(whole))
        }
    }
}

/// Why a tensor could not be stored in the form that it was to have, and what to do. Without a form, it was few bits that were tried.
fn unfit(args: &Args, form: Option<NumberKind>, error: &freqreg_file::Error) -> Failure {
    let as_float32 = |tensor: &str, what: &str| {
        format!(
            "tensor `{tensor}` has numbers too large for {what}: store it as float32, by the line \"{tensor}\" = {{ number = \"float32\" }} \
             in a file for --per-layer, or all of them with --number float32"
        )
    };
    let message = match error {
        freqreg_file::Error::Tensor { tensor, fault } => match (fault, form) {
            (Fault::NotFinite { .. }, Some(NumberKind::Float16)) => {
                as_float32(tensor, "a float16, which ends at 65,504")
            }
            (Fault::NotFinite { .. }, _) => format!(
                "tensor `{tensor}` has coefficients too large even for a float32: leave it out with --skip"
            ),
            (Fault::Step { .. }, _) => as_float32(
                tensor,
                "few bits, whose steps are float16 and end at 65,504",
            ),
            _ => error.to_string(),
        },
        _ => error.to_string(),
    };
    Failure {
        message: format!("error: {}: {message}", args.file),
        code: 1,
    }
}

/// The tensors in so many bytes, those in `fixed` as they are.
fn within(
    args: &Args,
    fixed: &[Packed],
    spectra: Vec<(usize, Spectrum, Option<NumberKind>)>,
    most: usize,
    bytes: impl Fn(&[Packed]) -> freqreg_file::Result<usize>,
) -> Result<Vec<Packed>, Failure> {
    let forms: BTreeMap<String, NumberKind> = spectra
        .iter()
        .filter_map(|(_, spectrum, number)| Some((spectrum.name().into(), (*number)?)))
        .collect();
    let unfit = |e: freqreg_file::Error| {
        let form = match &e {
            freqreg_file::Error::Tensor { tensor, .. } => forms.get(tensor).copied(),
            _ => None,
        };
        unfit(args, form, &e)
    };
    // Of each the first coefficient, as small as it can be: what every file has at least.
    let mut least = fixed.to_vec();
    for (_, spectrum, number) in &spectra {
        let first = spectrum.pack(1, number.unwrap_or(NumberKind::Bits(3)));
        least.push(first.map_err(unfit)?);
    }
    let places: Vec<usize> = spectra.iter().map(|(place, ..)| *place).collect();
    let free: Vec<NumberKind> = [3, 4, 5, 6, 7, 8, 10, 12, 14, 16]
        .map(NumberKind::Bits)
        .to_vec();
    let spectra: Vec<(Spectrum, Vec<NumberKind>)> = spectra
        .into_iter()
        .map(|(_, s, number)| (s, number.map_or_else(|| free.clone(), |n| vec![n])))
        .collect();
    let together = |chosen: &[Packed]| {
        let mut all = fixed.to_vec();
        for (&place, packed) in places.iter().zip(chosen) {
            all.insert(place, packed.clone());
        }
        all
    };
    let chosen = pack_within(&spectra, most, |chosen| bytes(&together(chosen)));
    if let Some(chosen) = chosen.map_err(unfit)? {
        return Ok(together(&chosen));
    }
    let whole = match fixed.len() {
        0 => String::new(),
        n => format!(
            ", of which {} are those of {n} tensors that are stored whole",
            bytes(fixed)?
        ),
    };
    Err(Failure {
        message: format!(
            "error: {most} bytes are too few: one coefficient of each tensor takes {} bytes{whole}: give more with --target-bytes, \
             or leave tensors out by --skip",
            bytes(&least)?,
        ),
        code: 1,
    })
}

/// Refuses what can't be stored, all of it at once.
fn check(args: &Args, tensors: &[DenseTensor]) -> Result<(), Failure> {
    if tensors.is_empty() {
        return Err(Failure {
            message: format!(
                "error: {}: there is no tensor to store{}",
                args.file,
                match args.skip.is_empty() {
                    true => "",
                    false => ": --skip leaves out all that there are",
                }
            ),
            code: 1,
        });
    }
    let mut unfit = Vec::new();
    let mut broken = false;
    for t in tensors {
        let reason = match (&t.values, t.first_not_finite()) {
            (None, _) => format!("holds numbers of type {}, which are no weights", t.dtype),
            _ if t.shape.is_empty() || t.shape.contains(&0) || t.shape.len() > MAX_AXES => {
                format!(
                    "has the shape {:?}: stored is what has 1 to {MAX_AXES} axes, none of them empty",
                    t.shape
                )
            }
            (_, Some((index, value))) => {
                broken = true;
                format!("holds {value} at {:?}", indices(&t.shape, index))
            }
            _ => continue,
        };
        unfit.push(format!("tensor `{}` {reason}", t.name));
    }
    if unfit.is_empty() {
        return Ok(());
    }
    let damaged = match broken {
        true => " What is no finite number comes from a training that failed.",
        false => "",
    };
    let more = match unfit.len().saturating_sub(5) {
        0 => String::new(),
        n => format!("; and {n} more"),
    };
    unfit.truncate(5);
    Err(Failure {
        message: format!(
            "error: {}: {}{more}\nLeave out with --skip NAME what is not needed; * stands for anything.{damaged}",
            args.file,
            unfit.join("; ")
        ),
        code: 1,
    })
}

/// Where an element stands, an index for each axis.
fn indices(shape: &[usize], mut index: usize) -> Vec<usize> {
    let mut at = vec![0; shape.len()];
    for (at, &length) in at.iter_mut().zip(shape).rev() {
        (*at, index) = (index % length, index / length);
    }
    at
}

/// What `--per-layer` says of each tensor.
fn per_layer(
    args: &Args,
    tensors: &[DenseTensor],
    skipped: &[DenseTensor],
) -> Result<Vec<Layer>, Failure> {
    let Some(path) = &args.per_layer else {
        return Ok(vec![Layer::default(); tensors.len()]);
    };
    let wrong = |reason: String| Failure {
        message: format!("error: {}: {reason}", path.display()),
        code: 1,
    };
    let text = std::fs::read_to_string(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::InvalidData => wrong("it is no text; a TOML file is wanted".into()),
        _ => wrong(format!("cannot be read: {e}")),
    })?;
    let mut layers: BTreeMap<String, Layer> = toml::from_str(&text).map_err(|e| {
        wrong(format!(
            "{e}A line of such a file names a tensor, in quotes: \"conv1.weight\" = {{ keep = \"10%\" }}"
        ))
    })?;
    if let Some((name, _)) = layers.iter().find(|(_, l)| l.dense && l.is_transformed()) {
        return Err(wrong(format!(
            "tensor `{name}`: dense stores every weight as it is, so there is nothing to keep, nor a transform to have axes or an order: give one of the two"
        )));
    }
    let found = tensors
        .iter()
        .map(|t| layers.remove(&t.name).unwrap_or_default())
        .collect();
    match layers.keys().next() {
        Some(name) if skipped.iter().any(|t| t.name == *name) => {
            Err(wrong(format!("tensor `{name}` is left out by --skip")))
        }
        Some(name) => Err(wrong(format!(
            "there is no tensor `{name}` in {}",
            args.file
        ))),
        None => Ok(found),
    }
}

/// Whether a name is one of those that a pattern stands for.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    // Each part where it comes first leaves most to those behind it.
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn say(
    args: &Args,
    model: &Model,
    bytes: usize,
    packed: &[Packed],
    skipped: &[DenseTensor],
) -> Result<(), Failure> {
    let head = [
        "tensor",
        "weights",
        "kept",
        "numbers",
        "bytes",
        "energy kept",
        "error",
    ];
    let mut rows = vec![head.map(String::from)];
    let elements = |p: &Packed| p.tensor.shape.iter().product::<usize>();
    for p in packed {
        rows.push([
            p.tensor.name.clone(),
            elements(p).to_string(),
            p.tensor.values.len().to_string(),
            crate::inspect::form(&p.tensor.values),
            p.tensor.values.bytes().to_string(),
            format!("{:.3} %", 100.0 * p.energy_kept),
            format!("{:.3} %", 100.0 * p.error),
        ]);
    }
    let mut json = facts(model, bytes);
    json["output"] = args.output.argument().into();
    json["tensors"] = packed
        .iter()
        .map(|p| {
            json!({
                "name": p.tensor.name,
                "weights": elements(p),
                "kept": p.tensor.values.len(),
                "bytes": p.tensor.values.bytes(),
                "energy_kept": p.energy_kept,
                "error": p.error,
            })
        })
        .collect::<Value>();
    json["skipped"] = skipped.iter().map(|t| t.name.clone()).collect();
    let left_out = match skipped.len() {
        0 => String::new(),
        1 => "; 1 tensor left out".into(),
        n => format!("; {n} tensors left out"),
    };
    let sentence = format!(
        "{}\n{}: {} weights as {} numbers, {bytes} bytes{left_out}",
        lined_up(&rows),
        args.output,
        model.weights(),
        model.kept(),
    );
    args.output.done(args.json, &sentence, &json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, fits) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*.num_batches_tracked", "bn1.num_batches_tracked", true),
            ("*.num_batches_tracked", "bn1.running_mean", false),
            ("layer*.bn*.weight", "layer1.0.bn2.weight", true),
            ("layer*.bn*.weight", "layer1.0.conv2.weight", false),
            ("*", "", true),
            ("a*a", "a", false),
            ("*a*a", "banana", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_kept_is_a_share_or_a_number() {
        assert_eq!("1%".parse(), Ok(Keep::Share(0.01)));
        assert_eq!("100 %".parse(), Ok(Keep::Share(1.0)));
        assert_eq!("12".parse(), Ok(Keep::Count(12)));
        for wrong in ["0", "0%", "101%", "-1", "1.5", "%", "x", "NaN%"] {
            assert!(wrong.parse::<Keep>().is_err(), "{wrong}");
        }
        assert_eq!(Keep::Share(0.01).count(30), 1);
        assert_eq!(Keep::Share(1.0).count(30), 30);
        assert_eq!(Keep::Count(99).count(30), 30);
    }
}
