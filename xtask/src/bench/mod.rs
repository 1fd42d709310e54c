//! `bench`: how long things take; alone, and beside others.

mod figure;
mod own;
mod peer;
mod process;

use crate::cargo::{self, cargo};
use crate::{Failure, Outcome, failure};
use std::ffi::OsString;

/// `bench`: the crates' criterion benches, with further arguments passed to them; `bench own`: the program's figures, for the book;
/// `bench peer`: beside the peer.
pub(crate) fn run(mut arguments: Vec<OsString>) -> Outcome {
    match arguments.first().map(|a| a.to_string_lossy()) {
        Some(first) if first == "own" => own::run(arguments.drain(1..).collect()),
        Some(first) if first == "peer" => peer::run(arguments.drain(1..).collect()),
        Some(first) if first != "--" => Err(Failure::Usage(format!(
            "`bench` takes `own`, `peer`, or `--` and arguments for criterion, but got `{first}`{}",
            failure::nearest(&first, &["own", "peer"])
        ))),
        _ => cargo::run(cargo(["bench", "--package", "freqreg-bench"]).args(arguments)),
    }
}
