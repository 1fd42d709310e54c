//! The examples of the book and of the project's README, compiled and run as tests.

#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("src/method.md")]
mod method {}
