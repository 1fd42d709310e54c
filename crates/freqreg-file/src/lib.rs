#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

#[cfg(feature = "std")]
mod allocate;
mod codec;
mod coder;
mod decode;
#[cfg(feature = "std")]
mod dense;
#[cfg(feature = "std")]
mod encode;
mod error;
#[cfg(feature = "std")]
mod fs;
mod limits;
mod model;
#[cfg(feature = "std")]
mod number;
#[cfg(feature = "std")]
mod pack;
mod packed;
#[cfg(feature = "std")]
mod pt;
#[cfg(feature = "std")]
mod safetensors;
#[cfg(feature = "std")]
mod update;
mod wire;

#[cfg(feature = "std")]
pub use allocate::{Point, allocate};
pub use codec::{Codec, Tables};
pub use error::{Error, Fault, Result};
#[cfg(feature = "std")]
pub use fs::write_atomically;
pub use limits::Limits;
pub use model::{MAX_AXES, Model, Storage, Tensor, Values};
#[cfg(feature = "std")]
pub use number::NumberKind;
#[cfg(feature = "std")]
pub use pack::{Packed, Spectrum, pack_plain, pack_within};
#[cfg(feature = "std")]
pub use pt::{PtFault, PtTensor, PtType, PtValues, import_prefixes, parse_pt, read_pt};
#[cfg(feature = "std")]
pub use safetensors::{
    DenseTensor, Safetensors, SafetensorsFault, parse_safetensors, read_safetensors,
};
#[cfg(feature = "std")]
pub use update::UpdateFault;

/// The newest version of the format that this crate reads, and the one it writes.
pub const VERSION: u8 = wire::VERSION;
