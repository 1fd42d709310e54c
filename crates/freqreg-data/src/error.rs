//! What can go wrong between a data set's name, or a folder of pictures, and its images. Every message is complete in itself.

use std::io;

use crate::DatasetName;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a data set, or a part of one, could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No data set has this name.
    #[error(
        "no data set is called `{found}`; there are {}",
        DatasetName::ALL.map(DatasetName::word).join(", ")
    )]
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
    /// A file is not of its format, or not of the kind wanted.
    #[error("{file}: the {what} is {found}, expected {expected}")]
    Format {
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
    #[error(
        "{found} {what} for images of {channels} x {height} x {width} (channels, height, width), expected {expected}"
    )]
    Images {
        /// What there are too few or too many of.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
        /// Values a pixel has.
        channels: usize,
        /// Pixels from top to bottom.
        height: usize,
        /// Pixels from left to right.
        width: usize,
    },
    /// A mask holds something else than 0 and 1.
    #[error("the mask of image {index} holds {found}, expected 0 (background) or 1 (foreground)")]
    MaskValue {
        /// The image.
        index: usize,
        /// The value.
        found: u8,
    },
    /// Images cannot be padded to a size.
    #[error(
        "images of {} x {} pixels (height, width) cannot be padded to {} x {}: padding only adds",
        from.0, from.1, to.0, to.1
    )]
    Padded {
        /// Height and width of the images.
        from: (usize, usize),
        /// Height and width asked for.
        to: (usize, usize),
    },
    /// Images cannot be given a number of channels.
    #[error(
        "images of {found} channels cannot be given {wanted}: only grey images (1 channel) are repeated"
    )]
    Colour {
        /// Channels of the images.
        found: usize,
        /// Channels asked for.
        wanted: usize,
    },
    /// A set cannot be generated.
    #[error("no garments can be generated: {fault}")]
    Garments {
        /// What is wrong with what was asked for.
        fault: String,
    },
    /// A picture cannot be used: it is of a kind not read here, broken or cut off.
    #[error("{file}: {fault}; {remedy}")]
    Picture {
        /// The path.
        file: String,
        /// What is wrong.
        fault: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A folder does not hold what it should.
    #[error("{folder}: {fault}; {remedy}")]
    Folder {
        /// The path of the folder.
        folder: String,
        /// What is wrong, with the name of the file at fault.
        fault: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A picture or mask has not the size of the picture that it belongs to.
    #[error(
        "{file} has {} x {} pixels (height, width), expected {} x {} as {as_in} has; scale one of them",
        found.0, found.1, expected.0, expected.1
    )]
    Size {
        /// The path of the file at fault.
        file: String,
        /// Its height and width.
        found: (usize, usize),
        /// The height and width it should have.
        expected: (usize, usize),
        /// The path of the file that has them.
        as_in: String,
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
