//! `figures`: draws the pictures of the book with the project's own transform.

use crate::cargo::{self, cargo, root};
use crate::{Outcome, failure};
use std::ffi::OsString;

pub(crate) fn run(arguments: Vec<OsString>) -> Outcome {
    failure::no_arguments("figures", &arguments)?;
    let folder = root().join("docs").join("src").join("img");
    cargo::run(
        cargo([
            "run",
            "--quiet",
            "--package",
            "freqreg-docs",
            "--bin",
            "figures",
            "--",
        ])
        .arg(folder),
    )
}
