//! A data set as it was found.

use crate::name::Pins;
use crate::{DatasetName, Images, Result, Source, idx};

/// A data set and where it came from.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Which it is.
    pub name: DatasetName,
    /// Where it came from; [`Source::EmbeddedSample`] is not the whole set.
    pub source: Source,
    /// To train on and, by [`Images::split`], to choose by.
    pub train: Images,
    /// To be read once, at the end.
    pub test: Images,
}

impl Dataset {
    /// Puts the four files of a data set together.
    pub(crate) fn parse(
        name: DatasetName,
        source: Source,
        pins: &Pins,
        files: &[Vec<u8>; 4],
    ) -> Result<Self> {
        let train = idx::parse([pins[0].file, pins[1].file], &files[0], &files[1])?;
        let test = idx::parse([pins[2].file, pins[3].file], &files[2], &files[3])?;
        Ok(Self {
            name,
            source,
            train,
            test,
        })
    }
}
