//! An experiment: a TOML file that says which network is trained on which data, and how. Unknown keys are
//! refused. A variation is a copy of the file.

mod training;

pub use training::{
    DecayKind, InitKind, Optimiser, Prune, Rate, RateShape, Share, Shrink, Training,
};

use crate::report::PaperClaim;
use crate::{Error, Result};
use freqreg_data::DatasetName;
pub use freqreg_file::NumberKind;
use freqreg_models::{Architecture, Budgets, Task};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Everything that determines a run, but for its seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The name: that of the file.
    #[serde(skip)]
    pub name: String,
    /// What it is, in a line.
    pub title: String,
    /// The data.
    pub data: Data,
    /// The ordinary network, to compare with.
    pub dense: Dense,
    /// The regularised network.
    pub regularised: Regularised,
    /// What the paper prints of it.
    #[serde(default)]
    pub paper: Option<PaperClaim>,
    /// What `--quick` puts in the place of the real lengths.
    pub quick: Lengths,
    /// What `--full` puts in their place; without it `--full` changes nothing.
    #[serde(default)]
    pub full: Option<Lengths>,
}

/// Which data, and how pixels become numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// `mnist`, `fashion-mnist`, `cifar10`, `garments` or `carvana`. Grey images serve a network that takes colours.
    pub name: String,
    /// How many training images are held out for every choice.
    pub validation: usize,
    /// A pixel p of 0 to 255 enters the network as (p / 255 - mean) / deviation.
    pub mean: f64,
    /// See `mean`.
    pub deviation: f64,
    /// Images are widened to this height and width by a black border.
    #[serde(default)]
    pub pad: Option<usize>,
    /// Images are brought to this height and width by bilinear interpolation.
    #[serde(default)]
    pub resize: Option<usize>,
    /// How many of the training images are used, the first ones; absent: all.
    #[serde(default)]
    pub train: Option<usize>,
    /// How many of the test images are used, the first ones; absent: all.
    #[serde(default)]
    pub test: Option<usize>,
    /// What is taken where this data set can't be had. The report says so.
    #[serde(default)]
    pub stand_in: Option<StandIn>,
}

/// A data set in the place of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandIn {
    /// As [`Data::name`].
    pub name: String,
    /// As [`Data::mean`].
    pub mean: f64,
    /// As [`Data::deviation`].
    pub deviation: f64,
    /// As [`Data::pad`].
    #[serde(default)]
    pub pad: Option<usize>,
}

impl Data {
    /// The same experiment on its stand-in; `None` if it has none.
    pub fn on_stand_in(&self) -> Option<Data> {
        let other = self.stand_in.as_ref()?;
        Some(Data {
            name: other.name.clone(),
            mean: other.mean,
            deviation: other.deviation,
            pad: other.pad,
            stand_in: None,
            ..self.clone()
        })
    }
}

/// The ordinary network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    /// Its shape.
    pub model: Architecture,
    /// How it is trained.
    pub training: Training,
}

/// The regularised network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regularised {
    /// Its shape.
    pub model: Architecture,
    /// What each layer keeps in the end.
    pub budgets: Budgets,
    /// How coefficients start.
    #[serde(default)]
    pub init: InitKind,
    /// How the numbers are stored.
    #[serde(default, with = "as_text")]
    pub number: NumberKind,
    /// In so many of the last epochs the network computes with its numbers as `number = "bits:N"` will store them, so that it learns to do with
    /// them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub quantised_epochs: usize,
    /// Magnitude pruning, for comparison: the network begins as the trained ordinary one, and loses its smallest weights while it trains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune: Option<Prune>,
    /// How budgets shrink to what they are in the end.
    pub shrink: Shrink,
    /// Of the budgets only the sum counts: what each layer keeps of it is measured while they shrink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// How it is trained.
    pub training: Training,
}

/// What stands in a file as it is printed.
mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::fmt::Display;
    use std::str::FromStr;

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(Error::custom)
    }
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// Other lengths than those of the experiment itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lengths {
    /// Epochs of the ordinary network.
    pub dense_epochs: usize,
    /// Epochs of the regularised network.
    pub regularised_epochs: usize,
    /// Training images, the first ones; absent: all.
    #[serde(default)]
    pub train: Option<usize>,
    /// Validation images; absent: as in the experiment.
    #[serde(default)]
    pub validation: Option<usize>,
    /// Test images, the first ones; absent: all.
    #[serde(default)]
    pub test: Option<usize>,
}

/// Which lengths a run has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Minutes, to see that everything works: its numbers are no result.
    Quick,
    /// What a laptop does overnight at most.
    #[default]
    Default,
    /// The paper's scale, for a GPU.
    Full,
}

impl Experiment {
    /// Reads an experiment by the name of one that comes along, or by the path of a TOML file.
    ///
    /// # Errors
    /// A name that is unknown (with the nearest), a file that can't be read, and whatever is wrong in it.
    pub fn find(name: &str) -> Result<Self> {
        Self::find_with(name, &[])
    }

    /// As [`Experiment::find`], with some of its settings changed, each as in `regularised.training.rate.peak=0.02`: what stands there is replaced
    /// by the value, which is TOML, or else a string.
    ///
    /// # Errors
    /// As [`Experiment::find`]; a change that is no key and value, or names what an experiment doesn't have.
    pub fn find_with(name: &str, changes: &[String]) -> Result<Self> {
        let known = freqreg_models::EXPERIMENTS;
        if let Some((_, text)) = known.iter().find(|(n, _)| *n == name) {
            return Self::changed(name, text, changes);
        }
        let path = Path::new(name);
        if path.extension().is_some_and(|e| e == "toml") {
            let text = std::fs::read_to_string(path).map_err(|cause| Error::Io {
                action: "read",
                path: path.into(),
                cause,
            })?;
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            return Self::changed(&stem, &text, changes);
        }
        let likeness = |n: &str| strsim::jaro_winkler(n, name);
        let nearest = known
            .iter()
            .map(|(n, _)| *n)
            .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
            .filter(|n| likeness(n) > 0.7);
        Err(Error::UnknownExperiment {
            name: name.into(),
            nearest: nearest.map(str::to_string),
        })
    }

    /// Reads an experiment from its text.
    ///
    /// # Errors
    /// [`Error::Experiment`] with the line and the reason.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let refuse = |reason: String| Error::Experiment {
            name: name.into(),
            reason,
        };
        let mut this: Experiment = toml::from_str(text).map_err(|e| refuse(e.to_string()))?;
        this.name = name.into();
        this.validate()?;
        Ok(this)
    }

    /// Reads an experiment from its text, with changes.
    fn changed(name: &str, text: &str, changes: &[String]) -> Result<Self> {
        // What is wrong in the text alone is said with its line.
        let plain = Self::parse(name, text);
        if changes.is_empty() {
            return plain;
        }
        let refuse = |reason: String| Error::Experiment {
            name: name.into(),
            reason,
        };
        let mut table: toml::Table = match plain {
            Ok(_) => toml::from_str(text).map_err(|e| refuse(e.to_string()))?,
            Err(e) => return Err(e),
        };
        for change in changes {
            set(&mut table, change).map_err(|e| refuse(format!("--set {change}: {e}")))?;
        }
        let all = changes.join(", ");
        let mut this: Experiment = table
            .try_into()
            .map_err(|e: toml::de::Error| refuse(format!("with {all}: {}", e.message())))?;
        this.name = name.into();
        this.validate()?;
        Ok(this)
    }

    /// Every experiment that comes along, with its title.
    pub fn list() -> Vec<(&'static str, String)> {
        freqreg_models::EXPERIMENTS
            .iter()
            .map(|(name, text)| match Self::parse(name, text) {
                Ok(e) => (*name, e.title),
                Err(e) => (*name, e.to_string()),
            })
            .collect()
    }

    /// The same experiment in the lengths of a preset.
    pub fn in_lengths(mut self, preset: Preset) -> Self {
        let lengths = match preset {
            Preset::Quick => self.quick.clone(),
            Preset::Default => return self,
            Preset::Full => match self.full.clone() {
                Some(full) => full,
                None => return self,
            },
        };
        self.dense.training.epochs = lengths.dense_epochs;
        self.regularised.training.epochs = lengths.regularised_epochs;
        (self.data.train, self.data.test) = (lengths.train, lengths.test);
        self.data.validation = lengths.validation.unwrap_or(self.data.validation);
        self
    }

    /// The data set.
    ///
    /// # Errors
    /// [`Error::Experiment`] for a name that is none.
    pub fn dataset(&self) -> Result<DatasetName> {
        self.data.name.parse().map_err(|e| Error::Experiment {
            name: self.name.clone(),
            reason: format!("data.name: {e}"),
        })
    }

    /// Checks what its text alone does not make sure of; to be called again where it was changed.
    ///
    /// # Errors
    /// [`Error::Experiment`] with the reason.
    pub fn validate(&self) -> Result<()> {
        self.check().map_err(|reason| Error::Experiment {
            name: self.name.clone(),
            reason,
        })
    }

    fn check(&self) -> Result<(), String> {
        self.validate_data(&self.data, "data")?;
        if let Some(other) = self.data.on_stand_in() {
            self.validate_data(&other, "data.stand_in")?;
        }
        if self.data.validation == 0 {
            return Err(
                "data.validation must be 1 or more: choices need images that were not trained on"
                    .into(),
            );
        }
        for (part, lengths) in [("quick", Some(&self.quick)), ("full", self.full.as_ref())] {
            let Some(l) = lengths else { continue };
            let counts = [
                Some(l.dense_epochs),
                Some(l.regularised_epochs),
                l.train,
                l.validation,
                l.test,
            ];
            if counts.contains(&Some(0)) {
                return Err(format!("every number in [{part}] must be 1 or more"));
            }
        }
        if self.dense.model.task() != self.regularised.model.task() {
            return Err("dense.model and regularised.model are for different tasks".into());
        }
        let regularised = &self.regularised;
        if regularised.quantised_epochs > 0 && !matches!(regularised.number, NumberKind::Bits(_)) {
            return Err(
                "regularised.quantised_epochs needs a regularised.number of \"bits:N\"".into(),
            );
        }
        if regularised.quantised_epochs > regularised.training.epochs {
            return Err(
                "regularised.quantised_epochs must be at most regularised.training.epochs".into(),
            );
        }
        if let Some(prune) = &regularised.prune {
            if !(0.0..=1.0).contains(&prune.over) || prune.keep == 0 {
                return Err(
                    "regularised.prune.keep must be 1 or more and regularised.prune.over 0 to 1"
                        .into(),
                );
            }
            if regularised.model != self.dense.model {
                return Err(
                    "regularised.prune begins with the trained ordinary network: regularised.model must be dense.model"
                        .into(),
                );
            }
            if let Some((layer, _)) = regularised.budgets.iter().find(|(_, keep)| !keep.dense) {
                return Err(format!(
                    "regularised.prune is for ordinary layers: regularised.budgets.{layer} must be {{ dense = true }}"
                ));
            }
        }
        if let Some(share) = &regularised.share
            && (share.times == 0 || share.images == 0)
        {
            return Err("regularised.share: times and images must be 1 or more".into());
        }
        let shrink = &self.regularised.shrink;
        let rates = [
            ("drop_rate", shrink.drop_rate),
            ("min_rate", shrink.min_rate),
        ];
        for (key, rate) in rates {
            if rate.is_some_and(|r| !(0.0..=1.0).contains(&r)) {
                return Err(format!("regularised.shrink.{key} must be 0 to 1"));
            }
            if rate.is_some() && shrink.decay != DecayKind::Paper {
                return Err(format!(
                    "regularised.shrink.{key} belongs to decay = \"paper\" alone"
                ));
            }
        }
        if !(0.0..=1.0).contains(&self.regularised.shrink.over) {
            return Err("regularised.shrink.over must be 0 to 1".into());
        }
        if self
            .regularised
            .shrink
            .start
            .is_some_and(|s| s.is_nan() || s < 1.0)
        {
            return Err("regularised.shrink.start must be 1 or more".into());
        }
        for (part, t) in [
            ("dense", &self.dense.training),
            ("regularised", &self.regularised.training),
        ] {
            let at_least_one = [("epochs", t.epochs), ("batch", t.batch)];
            if let Some((key, _)) = at_least_one.iter().find(|(_, n)| *n == 0) {
                return Err(format!("{part}.training.{key} must be 1 or more"));
            }
            if !(t.rate.peak.is_finite() && t.rate.peak > 0.0) {
                return Err(format!("{part}.training.rate.peak must be above 0"));
            }
            if !(0.0..1.0).contains(&t.rate.warmup) {
                return Err(format!(
                    "{part}.training.rate.warmup must be 0 or more and below 1"
                ));
            }
            let (in_unit, decay) = match t.optimiser {
                Optimiser::Adam {
                    beta1,
                    beta2,
                    decay,
                } => ([beta1, beta2], decay),
                Optimiser::Sgd { momentum, decay } => ([momentum, 0.0], decay),
            };
            if in_unit.iter().any(|b| !(0.0..1.0).contains(b)) || !(0.0..1e6).contains(&decay) {
                return Err(format!(
                    "{part}.training.optimiser: beta1, beta2 and momentum must be 0 or more and below 1, decay 0 or more"
                ));
            }
            if !(0.0..1.0).contains(&t.smoothing) {
                return Err(format!(
                    "{part}.training.smoothing must be 0 or more and below 1"
                ));
            }
        }
        Ok(())
    }

    fn validate_data(&self, data: &Data, at: &str) -> Result<(), String> {
        data.name
            .parse::<DatasetName>()
            .map_err(|e| format!("{at}.name: {e}"))?;
        let ends = [0.0, 1.0].map(|p| ((p - data.mean) / data.deviation) as f32);
        if data.deviation <= 0.0 || ends.iter().any(|x| !x.is_finite()) {
            return Err(format!(
                "{at}.mean must be a number and {at}.deviation a number well above 0"
            ));
        }
        let sizes = [data.pad, data.resize];
        if sizes
            .iter()
            .flatten()
            .any(|size| !(1..=4096).contains(size))
        {
            return Err(format!("{at}: pad and resize must be 1 to 4096"));
        }
        if [data.train, data.test].contains(&Some(0)) {
            return Err(format!("{at}: train and test must be 1 or more"));
        }
        // These tasks take pixels in a range of their own.
        let range = match self.regularised.model.task() {
            Task::Autoencoding | Task::Segmentation => {
                Some(([0.0, 1.0], "mean = 0 and deviation = 1"))
            }
            Task::Generation => Some(([-1.0, 1.0], "mean = 0.5 and deviation = 0.5")),
            Task::Classification => None,
        };
        match range {
            Some((range, give)) if ends != range => Err(format!(
                "{at}: this network takes pixels from {} to {}: give {give}",
                range[0], range[1]
            )),
            _ => Ok(()),
        }
    }
}

/// Puts a value into a table as `key=value` says; the key is one of TOML, dotted and quoted as there.
fn set(table: &mut toml::Table, change: &str) -> std::result::Result<(), String> {
    let (key, value) = change
        .split_once('=')
        .ok_or("a change is KEY=VALUE, as regularised.training.rate.peak=0.02")?;
    // Both are read by what reads TOML, so that quotes and dots mean here what they mean there.
    let mut keys: toml::Table =
        toml::from_str(&format!("{key} = 0")).map_err(|_| format!("`{key}` is no key"))?;
    let mut path = Vec::new();
    while let Some((key, below)) = keys.into_iter().next() {
        path.push(key);
        keys = match below {
            toml::Value::Table(below) => below,
            _ => toml::Table::new(),
        };
    }
    let value = match toml::from_str::<toml::Table>(&format!("value = {value}")) {
        Ok(read) => read["value"].clone(),
        Err(_) => toml::Value::String(value.trim().into()),
    };
    let last = path.pop().ok_or_else(|| format!("`{key}` is no key"))?;
    let mut at = table;
    for key in path {
        let below = at
            .entry(key.clone())
            .or_insert_with(|| toml::Table::new().into());
        at = below
            .as_table_mut()
            .ok_or_else(|| format!("`{key}` is no table"))?;
    }
    at.insert(last, value);
    Ok(())
}
