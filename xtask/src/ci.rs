//! `ci`: the checks that every change must pass.

use crate::cargo::{self, cargo};
use crate::{Failure, Outcome, failure, package};
use std::ffi::OsString;
use std::time::Instant;

type Stage = (&'static str, fn() -> Outcome);

const STAGES: [Stage; 6] = [
    ("test", || cargo::run(&mut cargo(["test", "--workspace"]))),
    ("fmt", || {
        cargo::run(&mut cargo(["fmt", "--all", "--check"]))
    }),
    ("clippy", || {
        cargo::run(&mut cargo([
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    }),
    ("bare", || {
        // The reader of model files, for firmware and for web pages.
        for target in ["thumbv7em-none-eabihf", "wasm32-unknown-unknown"] {
            let mut command = cargo([
                "build",
                "--package",
                "freqreg-file",
                "--no-default-features",
            ]);
            cargo::run(command.args(["--target", target]))?;
        }
        Ok(())
    }),
    ("doc", || {
        let mut command = cargo(["doc", "--no-deps", "--workspace"]);
        cargo::run(command.env("RUSTDOCFLAGS", "-D warnings"))
    }),
    ("package", || package::run(Vec::new())),
];

/// Runs the stages named, or all of them, and stops at the first that fails.
pub(crate) fn run(arguments: Vec<OsString>) -> Outcome {
    for (name, stage) in chosen(&arguments)? {
        println!("== {name}");
        let start = Instant::now();
        stage()?;
        println!("== {name}: {:.0} s", start.elapsed().as_secs_f64());
    }
    Ok(())
}

fn chosen(arguments: &[OsString]) -> Outcome<Vec<Stage>> {
    if arguments.is_empty() {
        return Ok(STAGES.to_vec());
    }
    let names = STAGES.map(|(name, _)| name);
    let find = |argument: &OsString| {
        STAGES
            .into_iter()
            .find(|(name, _)| argument == name)
            .ok_or_else(|| {
                let typed = argument.to_string_lossy();
                Failure::Usage(format!(
                    "there is no stage `{typed}`{}; the stages are {}",
                    failure::nearest(&typed, &names),
                    names.join(", ")
                ))
            })
    };
    arguments.iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arguments: &[&str]) -> Outcome<Vec<&'static str>> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        Ok(chosen(&arguments)?.iter().map(|(name, _)| *name).collect())
    }

    #[test]
    fn stages_run_in_the_order_asked_for() {
        assert_eq!(
            names(&[]).expect("all"),
            ["test", "fmt", "clippy", "bare", "doc", "package"]
        );
        assert_eq!(names(&["doc", "fmt"]).expect("two"), ["doc", "fmt"]);
        let Err(Failure::Usage(text)) = names(&["clipy"]) else {
            panic!("it was taken")
        };
        assert!(text.contains("did you mean `clippy`?"), "{text}");
    }
}
