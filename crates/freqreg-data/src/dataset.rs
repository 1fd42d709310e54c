//! A data set as it was found.

use crate::name::FILES;
use crate::{DatasetName, Error, Images, Result, Source, cifar, idx};

/// A data set and where it came from.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Which it is.
    pub name: DatasetName,
    /// Where it came from; [`Source::EmbeddedSample`] is not the whole set. Of a generated set: where what it is
    /// made of came from.
    pub source: Source,
    /// To train on and, by [`Images::split`], to choose by.
    pub train: Images,
    /// To be read once, at the end.
    pub test: Images,
}

impl Dataset {
    /// Puts a data set together from its published files, in the order of [`DatasetName::pins`].
    pub(crate) fn parse(name: DatasetName, source: Source, files: &[Vec<u8>]) -> Result<Self> {
        let (train, test) = match files {
            [archive] if name == DatasetName::Cifar10 => cifar::unpack(archive)?,
            [train_images, train_labels, test_images, test_labels] => (
                idx::parse([FILES[0], FILES[1]], train_images, train_labels)?,
                idx::parse([FILES[2], FILES[3]], test_images, test_labels)?,
            ),
            _ => {
                return Err(Error::Format {
                    file: name.title().to_owned(),
                    what: "number of files",
                    expected: name.pins().len().to_string(),
                    found: files.len() as u64,
                });
            }
        };
        Ok(Self {
            name,
            source,
            train,
            test,
        })
    }
}
