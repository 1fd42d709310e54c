#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod against;
pub mod budget;
mod checkpoint;
pub mod communicator;
mod error;
mod exchange;
pub mod experiment;
mod hold;
pub mod images;
pub mod import;
pub mod index;
pub mod network;
pub mod optimiser;
pub mod page;
pub mod report;
pub mod reproduce;
pub mod segmenter;
pub mod sensitivity;
pub mod tasks;
pub mod train;

pub use error::{Error, Result};
