//! The tasks of the project, run as `cargo xtask TASK`: one module a task.
//!
//! A thin runner: it starts cargo, the program `freqreg` and other tools, and computes nothing itself.

#![forbid(unsafe_code)]

mod bench;
mod cargo;
mod ci;
mod docs;
mod failure;
mod figures;
mod package;
mod reproduce;
mod results;

use failure::{Failure, Outcome};
use std::ffi::OsString;
use std::process::ExitCode;

const HELP: &str = "\
Usage: cargo xtask TASK [ARGUMENT...]

  reproduce NAME ...   train an experiment, from data to report (`reproduce --list` names them all)
  bench                the benchmarks of the transform, the kernels and the layers
  bench own            the figures of the book: forms of execution, growth, the choice between forms
  bench peer ...       our times beside those of a program in Python (`bench peer --help`)
  ci [STAGE...]        the checks that every change must pass: test, fmt, clippy, bare, doc, package
  docs                 the API documentation and the book
  figures              draws the pictures of the book anew
  results              fills the tables and draws the plots of the book from the committed reports
  package              checks that every crate can be published
";

const TASKS: [&str; 7] = [
    "reproduce",
    "bench",
    "ci",
    "docs",
    "figures",
    "results",
    "package",
];

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let task = arguments.next().unwrap_or_else(|| "help".into());
    match run(&task.to_string_lossy(), arguments.collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", failure.text());
            failure.code()
        }
    }
}

fn run(task: &str, arguments: Vec<OsString>) -> Outcome {
    match task {
        "reproduce" => reproduce::run(arguments),
        "bench" => bench::run(arguments),
        "ci" => ci::run(arguments),
        "docs" => docs::run(arguments),
        "figures" => figures::run(arguments),
        "results" => results::run(arguments),
        "package" => package::run(arguments),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(Failure::Usage(format!(
            "there is no task `{other}`{}; `cargo xtask` lists them all",
            failure::nearest(other, &TASKS)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_listed_in_the_help_and_the_help_lists_no_other() {
        let listed: Vec<&str> = HELP
            .lines()
            .filter_map(|l| l.strip_prefix("  ")?.split_whitespace().next())
            .filter(|&name| name != "peer")
            .collect();
        for task in TASKS {
            assert!(listed.contains(&task), "{task}");
        }
        assert!(listed.iter().all(|name| TASKS.contains(name)), "{listed:?}");
    }

    #[test]
    fn a_mistyped_task_is_refused_with_the_nearest_one() {
        let Err(Failure::Usage(text)) = run("reprodcue", vec![]) else {
            panic!("it ran")
        };
        assert!(
            text.contains("reprodcue") && text.contains("reproduce"),
            "{text}"
        );
    }
}
