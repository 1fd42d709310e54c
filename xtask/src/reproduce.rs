//! `reproduce`: builds the program `freqreg` for release and becomes it.

use crate::{Failure, Outcome, cargo};
use std::ffi::OsString;
use std::process::Command;

/// Every argument is `freqreg reproduce`'s own, but for a leading `--features F`, which is for the build.
pub(crate) fn run(mut arguments: Vec<OsString>) -> Outcome {
    let features = features(&mut arguments)?;
    let program = cargo::build_freqreg(features)?;
    become_program(Command::new(program).arg("reproduce").args(arguments))
}

/// Takes a leading `--features F` off the arguments.
fn features(arguments: &mut Vec<OsString>) -> Outcome<Option<OsString>> {
    if arguments.first().is_none_or(|first| first != "--features") {
        return Ok(None);
    }
    if arguments.len() < 2 {
        return Err(Failure::Usage(
            "`--features` needs a value, for instance `--features cuda`".into(),
        ));
    }
    Ok(arguments.drain(..2).nth(1))
}

/// The program takes this one's place, so that Ctrl-C, the terminal and the exit status are its own.
#[cfg(unix)]
fn become_program(command: &mut Command) -> Outcome {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(cargo::not_started(command, &error))
}

/// Where a program cannot be replaced, its exit status is passed on.
#[cfg(not(unix))]
fn become_program(command: &mut Command) -> Outcome {
    let status = command
        .status()
        .map_err(|e| cargo::not_started(command, &e))?;
    std::process::exit(status.code().unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(arguments: &[&str]) -> (Option<OsString>, Vec<OsString>) {
        let mut arguments = arguments.iter().map(OsString::from).collect();
        let features = features(&mut arguments).expect("well formed");
        (features, arguments)
    }

    #[test]
    fn only_leading_features_are_for_the_build() {
        assert_eq!(
            split(&["lenet5", "--quick"]),
            (None, vec!["lenet5".into(), "--quick".into()])
        );
        assert_eq!(
            split(&["--features", "cuda", "lenet5"]),
            (Some("cuda".into()), vec!["lenet5".into()])
        );
        assert_eq!(split(&["lenet5", "--features", "x"]).1.len(), 3);
        assert!(matches!(
            features(&mut vec!["--features".into()]),
            Err(Failure::Usage(_))
        ));
    }
}
