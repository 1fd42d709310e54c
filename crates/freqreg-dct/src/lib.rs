#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

#[cfg(feature = "std")]
mod basis;
#[cfg(feature = "std")]
pub mod cost;
#[cfg(feature = "std")]
mod dct;
mod enumerate;
mod error;
#[cfg(feature = "std")]
mod expansion;
#[cfg(feature = "std")]
mod factors;
#[cfg(feature = "std")]
mod fast;
#[cfg(feature = "std")]
mod fold;
mod levels;
mod order;
#[cfg(feature = "std")]
mod plan;
#[cfg(feature = "std")]
mod pool;
mod prefix;
#[cfg(feature = "std")]
mod real;
mod shape;

#[cfg(feature = "std")]
pub use basis::Basis;
#[cfg(feature = "std")]
pub use dct::Dct;
pub use error::Error;
#[cfg(feature = "std")]
pub use factors::Factors;
pub use order::KeepOrder;
#[cfg(feature = "std")]
pub use plan::{Plan, Way};
pub use prefix::Prefix;
#[cfg(feature = "std")]
pub use real::Real;
