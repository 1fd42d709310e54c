//! `results`: fills the tables and draws the plots of the book from the committed reports.

use crate::cargo::{self, cargo, root};
use crate::{Outcome, failure};
use std::ffi::OsString;

pub(crate) fn run(arguments: Vec<OsString>) -> Outcome {
    failure::no_arguments("results", &arguments)?;
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
