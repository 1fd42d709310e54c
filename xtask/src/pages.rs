//! `pages`: fills the tables and draws the pictures of the book's pages on the networks.

use crate::cargo::{self, cargo, root};
use crate::{Outcome, failure};
use std::ffi::OsString;

pub(crate) fn run(arguments: Vec<OsString>) -> Outcome {
    failure::no_arguments("pages", &arguments)?;
    cargo::run(
        cargo([
            "run",
            "--quiet",
            "--package",
            "freqreg-docs",
            "--bin",
            "pages",
            "--",
        ])
        .arg(root().join("docs")),
    )
}
