//! The demonstrations of the book, as a page runs them: a network that reads digits, one that finds what is in a picture, and a
//! transform to play with, from files of one or two kilobytes each.
//!
//! Everything here is made of the crates below the layers (`freqreg-file`, `freqreg-dct`, `freqreg-kernels`), without candle, so that all of it
//! is a few hundred kilobytes of WebAssembly. It runs anywhere else as well; the tests compare it with the zoo's networks.

#![forbid(unsafe_code)]

#[cfg(target_arch = "wasm32")]
mod bindings;
mod digits;
mod error;
mod playground;
mod tables;
mod unet;

pub use digits::Digits;
pub use error::{Error, Result};
pub use playground::Playground;
pub use unet::Unet;
