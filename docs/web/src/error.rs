//! What can be wrong with what a page hands over.

/// An error, as a sentence for whoever reads the page.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model file.
    #[error("the model file: {0}")]
    File(#[from] freqreg_file::Error),
    /// A transform.
    #[error(transparent)]
    Transform(#[from] freqreg_dct::Error),
    /// Shapes that do not fit.
    #[error(transparent)]
    Kernel(#[from] freqreg_kernels::Error),
    /// A model that is not what the demonstration runs.
    #[error("the model file holds {found}, and this runs {wanted}")]
    Model {
        /// What runs.
        wanted: &'static str,
        /// What it holds.
        found: String,
    },
    /// Something of a wrong size.
    #[error("{what}: {found} were given, {wanted} are wanted")]
    Size {
        /// Of what.
        what: &'static str,
        /// How many are wanted.
        wanted: String,
        /// How many there are.
        found: usize,
    },
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

pub(crate) fn size(what: &'static str, found: usize, wanted: usize) -> Result<()> {
    match found == wanted {
        true => Ok(()),
        false => Err(Error::Size {
            what,
            wanted: wanted.to_string(),
            found,
        }),
    }
}
