//! Folders of pictures and their masks.
//!
//! ```text
//! images/ in0000.png  car_01.jpg       street.png      8-bit RGB, PNG or JPEG
//! masks/  gt0000.png  car_01_mask.gif  street.png      8-bit grey, PNG, or GIF
//! ```

mod pair;
mod read;
mod set;
mod write;

pub use pair::{Pair, list, pairs};
pub use read::{Mask, Picture, check_size, read_image, read_mask};
pub(crate) use set::LAYOUT;
pub use set::read_set;
pub use write::{write_mask, write_png};
