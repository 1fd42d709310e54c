#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod command;
mod content;
mod dataset;
mod error;
pub mod idx;
mod images;
mod load;
mod name;
mod source;

pub use dataset::Dataset;
pub use error::{Attempt, Error, Result};
pub use images::Images;
pub use load::{Notify, Options, load};
pub use name::DatasetName;
pub use source::Source;

/// The number of classes of every data set here; labels are 0 to 9.
pub const CLASSES: u8 = 10;
