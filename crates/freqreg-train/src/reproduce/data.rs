//! Where the data of an experiment come from, and what tells them from any others.

use crate::Result;
use crate::experiment::Experiment;
use freqreg_data::{Dataset, DatasetName, Images};
use std::io::Write;

/// The data that an experiment runs on.
pub struct Loaded {
    /// The experiment, on the data set that was found.
    pub experiment: Experiment,
    /// The data.
    pub dataset: Dataset,
    /// The data set that the experiment is for, where that could not be had.
    pub stands_in_for: Option<DatasetName>,
}

/// Finds the data of an experiment: its own data set, or where no source has that, its stand-in. With a folder in the
/// options it must be the data set itself.
///
/// # Errors
/// No source for either, and whatever is wrong with what was found.
pub fn load(experiment: &Experiment, options: &freqreg_data::Options) -> Result<Loaded> {
    let name = experiment.dataset()?;
    let mut experiment = experiment.clone();
    let other = experiment
        .data
        .on_stand_in()
        .filter(|_| options.folder.is_none());
    match (freqreg_data::load(name, options), other) {
        (Ok(dataset), _) => Ok(Loaded {
            experiment,
            dataset,
            stands_in_for: None,
        }),
        (Err(freqreg_data::Error::NoSource { .. }), Some(other)) => {
            experiment.data = other;
            let found = experiment.dataset()?;
            let line = format!(
                "{}: can't be had; {} stands in for it",
                name.title(),
                found.title()
            );
            match &options.notify {
                Some(notify) => notify(&line),
                // Nothing is lost that matters where standard error is closed: the report says it as well.
                None => _ = writeln!(std::io::stderr(), "{line}"),
            }
            Ok(Loaded {
                dataset: freqreg_data::load(found, options)?,
                experiment,
                stands_in_for: Some(name),
            })
        }
        (Err(error), _) => Err(error.into()),
    }
}

/// A set of images by its size and the checksum of its content.
pub(super) fn fingerprint(images: &Images) -> String {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&images.pixels);
    sum.update(&images.labels);
    format!(
        "{} images of {} x {} x {}, {:08x}",
        images.count,
        images.channels,
        images.height,
        images.width,
        sum.finalize()
    )
}
