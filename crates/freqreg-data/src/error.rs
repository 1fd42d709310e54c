//! What can go wrong between a data set's name and its images. Every message is complete in itself.

use std::io;

use crate::DatasetName;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a data set, or a part of one, could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No data set has this name.
    #[error("no data set is called `{found}`; there are mnist and fashion-mnist")]
    UnknownName {
        /// The word given.
        found: String,
    },
    /// A file could not be read, fetched or written.
    #[error("{file}: {cause}")]
    Io {
        /// The path or address.
        file: String,
        /// What the system said.
        cause: io::Error,
    },
    /// A file is there neither plain nor with `.gz` behind its name.
    #[error("{file}: there is no such file, and none with .gz behind its name")]
    Missing {
        /// The path of the plain file.
        file: String,
    },
    /// A file is not the published one.
    #[error(
        "{file}: not the published file: {found_bytes} bytes with SHA-256 {found}, \
         expected {expected_bytes} bytes with {expected} (uncompressed)"
    )]
    Content {
        /// The path or address.
        file: String,
        /// SHA-256 of the published file, uncompressed, in hex.
        expected: String,
        /// SHA-256 of the file found, uncompressed, in hex.
        found: String,
        /// Length of the published file.
        expected_bytes: u64,
        /// Length of the file found.
        found_bytes: u64,
    },
    /// A file is longer than the published one; it was not read further.
    #[error(
        "{file}: not the published file: it has more than the expected {expected_bytes} bytes (uncompressed)"
    )]
    TooLong {
        /// The path or address.
        file: String,
        /// Length of the published file.
        expected_bytes: u64,
    },
    /// A file is no IDX file, or not one of the kind wanted.
    #[error("{file}: the {what} is {found}, expected {expected}")]
    Idx {
        /// The path or address.
        file: String,
        /// The field at fault.
        what: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: u64,
    },
    /// The parts of [`Images`](crate::Images) do not fit together.
    #[error("{found} {what} for images of {height} x {width} pixels, expected {expected}")]
    Images {
        /// What there are too few or too many of.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
        /// Pixels from top to bottom.
        height: usize,
        /// Pixels from left to right.
        width: usize,
    },
    /// An image was asked for that is not there.
    #[error("image {index} was asked for, and there are {count}")]
    Index {
        /// The index.
        index: usize,
        /// How many images there are.
        count: usize,
    },
    /// More images were asked for validation than there are.
    #[error("{wanted} images were asked for validation, and there are {count}")]
    Split {
        /// How many were asked for.
        wanted: usize,
        /// How many images there are.
        count: usize,
    },
    /// A program of the machine, such as a package manager, failed.
    #[error("`{command}` {what}")]
    Command {
        /// The command line.
        command: String,
        /// What happened, with the last line the program wrote.
        what: String,
    },
    /// Every source failed.
    #[error(
        "{} cannot be had from any source; give a folder that holds its files.{}",
        name.title(),
        attempts.iter().map(|a| format!("\n  {}: {}", a.source, a.error)).collect::<String>()
    )]
    NoSource {
        /// The data set.
        name: DatasetName,
        /// Every source that was tried, and why it failed.
        attempts: Vec<Attempt>,
    },
}

/// A source that was tried in vain.
#[derive(Debug)]
pub struct Attempt {
    /// The source, in words.
    pub source: String,
    /// Why it failed, or why it was passed over.
    pub error: String,
}
