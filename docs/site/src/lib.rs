//! The project's site: the book with its demonstrations, and the API documentation, as files that any web server can hand out.

#![forbid(unsafe_code)]

mod build;
pub mod serve;

pub use build::{Parts, build};
