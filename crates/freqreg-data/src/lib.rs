#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod cifar;
mod command;
mod content;
mod dataset;
mod draw;
mod error;
pub mod folder;
mod garments;
pub mod idx;
mod images;
mod load;
mod name;
mod source;
mod store;

pub use dataset::Dataset;
pub use error::{Attempt, Error, Result};
pub use garments::garments;
pub use images::Images;
pub use load::{Notify, Options, load};
pub use name::DatasetName;
pub use source::Source;

/// The number of classes of every data set for classification here; labels are 0 to 9. Of any data set,
/// [`DatasetName::classes`] tells.
pub const CLASSES: u8 = 10;
