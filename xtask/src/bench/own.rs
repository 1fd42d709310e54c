//! `bench own`: the program's own figures, as the book shows them.

use super::process::measure;
use crate::cargo::{self, root};
use crate::{Failure, Outcome};
use lexopt::prelude::*;
use std::ffi::OsString;
use std::process::Command;

const HELP: &str = "\
Usage: cargo xtask bench own [--repeat N]

Runs `freqreg bench` for the forms of execution, for growth and for the choice between forms, and writes what it prints to
docs/bench, where `cargo xtask results` finds it. A few minutes; nothing else should be running.

  --repeat N      repeats of which the median is taken (5)
";

/// The works, which are also the files' names.
const WORKS: [&str; 3] = ["forms", "growth", "layers"];

pub(super) fn run(arguments: Vec<OsString>) -> Outcome {
    let mut repeat: usize = 5;
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("repeat") => repeat = parser.value()?.parse()?,
            Long("help") | Short('h') => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let freqreg = cargo::build_freqreg(None)?;
    for work in WORKS {
        eprintln!("{work}");
        let mut command = Command::new(&freqreg);
        command.args(["bench", work, "--repeat", &repeat.to_string()]);
        let figures = measure(&mut command)?.output;
        let path = root().join("docs/bench").join(format!("{work}.jsonl"));
        std::fs::write(&path, figures)
            .map_err(|e| Failure::Failed(format!("cannot write {}: {e}", path.display())))?;
        println!("{}", path.display());
    }
    Ok(())
}
