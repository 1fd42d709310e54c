//! The ordinary network's part of a report, taken from the report of another run where training it again would only make the same once more.

use super::{Run, device_name};
use crate::report::{DataReport, NetworkReport, Pictures, Report};
use crate::train::{self, Trained};
use crate::{Error, Result};
use serde::Serialize;
use serde_json::{Map, Value};

/// Where the ordinary network's part comes from.
pub(super) enum Dense<'a> {
    Trained(Trained),
    From(&'a Report),
}

/// What a report has of the ordinary network.
pub(super) struct DensePart {
    pub(super) report: NetworkReport,
    pub(super) pictures: Pictures,
    pub(super) from: Option<String>,
    pub(super) exchanged: usize,
    pub(super) seconds: f64,
    /// Seconds of the training that this run's clock did not see.
    pub(super) seconds_before: f64,
}

impl Run<'_> {
    pub(super) fn dense_part(&self, done: Dense<'_>) -> Result<DensePart> {
        Ok(match done {
            Dense::Trained(trained) => {
                let training = &self.experiment.dense.training;
                let (report, pictures) = self.measure("dense.freq", training, trained.history)?;
                DensePart {
                    report,
                    pictures,
                    from: None,
                    exchanged: trained.exchanged,
                    seconds: trained.seconds,
                    seconds_before: trained.seconds_before,
                }
            }
            Dense::From(other) => DensePart {
                report: other.dense.clone(),
                pictures: Pictures::default(),
                // Where that one had taken it from a third, that is where it comes from.
                from: Some(other.dense_from.clone().unwrap_or_else(|| other.command())),
                exchanged: 0,
                seconds: other.seconds.dense,
                seconds_before: 0.0,
            },
        })
    }

    /// Whether the ordinary network of `other` is the one that this run would train, as far as a report tells.
    ///
    /// # Errors
    /// [`Error::Setting`] with the first thing that differs.
    pub(super) fn check_dense_from(&self, other: &Report, data: &DataReport) -> Result<()> {
        match self.difference(other, data)? {
            None => Ok(()),
            Some(reason) => Err(Error::Setting(format!(
                "the ordinary network can't be taken from the report of `{}`: {reason}; leave out --dense-from to train it here",
                other.command()
            ))),
        }
    }

    fn difference(&self, other: &Report, data: &DataReport) -> Result<Option<String>> {
        let dense = &self.experiment.dense;
        let differs = |what: &str, theirs: String, own: String| {
            (theirs != own).then(|| format!("its {what} is {theirs}, here it is {own}"))
        };
        let images = |d: &DataReport| {
            let sample = if d.sample { ", the sample" } else { "" };
            format!(
                "{}{sample} ({} for training, {} for validation, {} for the test)",
                d.name, d.train, d.validation, d.test
            )
        };
        if self.experiment.regularised.prune.is_some() {
            return Ok(Some(
                "pruning begins with the ordinary network's weights, which a report does not have"
                    .into(),
            ));
        }
        let network: &NetworkReport = &other.dense;
        let (their_seed, seed) = (other.seed.to_string(), self.options.seed.to_string());
        // Each of several processes has a GPU of its own.
        let kind = |device: &str| device.split(':').next().unwrap_or_default().to_string();
        let device = kind(&device_name(&self.options.device));
        let first = differs("seed", their_seed, seed)
            .or_else(|| differs("device", kind(&other.device), device))
            .or_else(|| differs("data set", images(&other.data), images(data)))
            .or_else(|| setting_that_differs("network", &network.model, &dense.model));
        if first.is_some() {
            return Ok(first);
        }
        if let (Some(theirs), Some(own)) = (&other.data.content, &data.content)
            && theirs != own
        {
            return Ok(Some(format!(
                "its images are {theirs}, and here they are {own}"
            )));
        }
        if let Some(theirs) = &network.training
            && let found @ Some(_) = setting_that_differs("training", theirs, &dense.training)
        {
            return Ok(found);
        }
        if tells_all(other) {
            return Ok(None);
        }
        // Reports did not always tell how a network was trained and on what images exactly; what else they tell must do then.
        let changed = |changes: &[String]| {
            let of_dense = |change: &&String| {
                let key = change.trim_start_matches("--set ");
                key.starts_with("dense.") || key.starts_with("data.")
            };
            let changed: Vec<&str> = changes
                .iter()
                .filter(of_dense)
                .map(String::as_str)
                .collect();
            match changed.is_empty() {
                true => "none".into(),
                false => changed.join(" "),
            }
        };
        let (theirs, own) = (changed(&other.changes), changed(&self.options.changes));
        if let found @ Some(_) = differs("list of changes to `dense` and `data`", theirs, own) {
            return Ok(found);
        }
        let (per_epoch, steps) = train::steps("dense", &dense.training, &self.train)?;
        let same = network.history.len() == dense.training.epochs
            && network.history.iter().zip(1..).all(|(epoch, n)| {
                let rate = dense.training.rate.at(n * per_epoch - 1, steps);
                epoch.step == n * per_epoch && (epoch.rate - rate).abs() <= 1e-9 * rate
            });
        Ok((!same).then(|| {
            "the steps and learning rates in its history are not those of `dense.training`".into()
        }))
    }
}

/// What is said of an ordinary network that is not trained again.
pub(super) fn notice(report: &Report) -> String {
    format!(
        "dense: taken from the report of `{}`, not trained again{}",
        report.command(),
        match tells_all(report) {
            true => "",
            false =>
                "; it does not tell all of how that was trained, so its network, steps and learning rates were compared",
        }
    )
}

/// Whether a report tells all that makes its ordinary network what it is.
fn tells_all(report: &Report) -> bool {
    report.data.content.is_some() && report.dense.training.is_some()
}

/// The first of their settings, in the order of the alphabet, that two things of a kind do not have in common.
fn setting_that_differs<T: Serialize>(what: &str, theirs: &T, own: &T) -> Option<String> {
    let settings = |of: &T| match serde_json::to_value(of) {
        Ok(Value::Object(settings)) => settings,
        _ => Map::new(),
    };
    let (theirs, own) = (settings(theirs), settings(own));
    let mut keys: Vec<&String> = theirs.keys().chain(own.keys()).collect();
    keys.sort_unstable();
    let key = keys
        .into_iter()
        .find(|&key| theirs.get(key) != own.get(key))?;
    let show = |settings: &Map<String, Value>| match settings.get(key) {
        Some(value) => value.to_string(),
        None => "absent".into(),
    };
    Some(format!(
        "the {what}'s `{key}` is {} there, and here {}",
        show(&theirs),
        show(&own)
    ))
}
