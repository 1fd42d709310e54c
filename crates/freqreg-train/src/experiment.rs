//! An experiment: a TOML file that says which network is trained on which data, and how. Unknown keys are
//! refused. A variation is a copy of the file.

mod check;
mod training;

pub use training::{
    DecayKind, InitKind, Optimiser, Prune, Rate, RateShape, Share, Shrink, Training,
};

use crate::report::PaperClaim;
use crate::{Error, Result};
use freqreg_data::DatasetName;
pub use freqreg_file::NumberKind;
use freqreg_models::{Architecture, Budgets};
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

impl std::fmt::Display for Preset {
    /// Its table in an experiment's file.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Preset::Quick => "quick",
            Preset::Default => "default",
            Preset::Full => "full",
        })
    }
}

impl Experiment {
    /// Reads an experiment by the name of one that comes along, or by the path of a TOML file.
    ///
    /// # Errors
    /// A name that is unknown (with the nearest), a file that can't be read, one that has the name of an experiment that comes along and
    /// differs from it, and whatever is wrong in it.
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
            if let Some((known, own)) = known.iter().find(|(n, _)| *n == stem)
                && *own != text
            {
                return Err(Error::Experiment {
                    name: name.into(),
                    reason: format!(
                        "it is not the `{known}` that comes along, but would go by its name in every report and folder of results: give the file another name"
                    ),
                });
            }
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

    /// What a preset puts in the place of the lengths; `None` where it changes nothing.
    pub fn lengths(&self, preset: Preset) -> Option<&Lengths> {
        match preset {
            Preset::Quick => Some(&self.quick),
            Preset::Default => None,
            Preset::Full => self.full.as_ref(),
        }
    }

    /// The same experiment in the lengths of a preset.
    ///
    /// # Errors
    /// [`Error::Experiment`] where the rest of it does not go with these lengths.
    pub fn in_lengths(mut self, preset: Preset) -> Result<Self> {
        let Some(lengths) = self.lengths(preset).cloned() else {
            return Ok(self);
        };
        self.dense.training.epochs = lengths.dense_epochs;
        self.regularised.training.epochs = lengths.regularised_epochs;
        (self.data.train, self.data.test) = (lengths.train, lengths.test);
        self.data.validation = lengths.validation.unwrap_or(self.data.validation);
        self.check().map_err(|reason| Error::Experiment {
            name: self.name.clone(),
            reason: format!("with the lengths of [{preset}]: {reason}"),
        })?;
        Ok(self)
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
