#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod basis;
pub mod cost;
mod dct;
mod enumerate;
mod error;
mod expansion;
mod factors;
mod fold;
mod levels;
mod order;
mod plan;
mod pool;
mod prefix;
mod real;
mod shape;

pub use basis::Basis;
pub use dct::Dct;
pub use error::Error;
pub use factors::Factors;
pub use order::KeepOrder;
pub use plan::{Plan, Way};
pub use prefix::Prefix;
pub use real::Real;
