//! Cargo and other programs, started and judged by how they end.

use crate::{Failure, Outcome};
use serde_json::Value;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The cargo that runs this program, with its arguments.
pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    // What cargo tells this program of its own package would make build scripts that read the same variables run again,
    // and everything behind them compile again.
    let of_package =
        |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(of_package) {
            command.env_remove(name);
        }
    }
    command
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    // What cargo says now: a program in a folder of builds that several clones share may have been compiled in another one.
    let compiled = || env!("CARGO_MANIFEST_DIR").into();
    let own = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(compiled, PathBuf::from);
    own.parent().map(PathBuf::from).unwrap_or(own)
}

/// The folder of what is built.
///
/// Cargo itself is asked: it may come from the environment or from a configuration file.
pub(crate) fn target() -> Outcome<PathBuf> {
    let metadata = read(&mut cargo([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
    ]))?;
    let metadata: Value = serde_json::from_str(&metadata)
        .map_err(|e| Failure::Failed(format!("what cargo says of the workspace: {e}")))?;
    match metadata["target_directory"].as_str() {
        Some(folder) => Ok(folder.into()),
        None => Err(Failure::Failed("cargo names no target folder".into())),
    }
}

/// Runs a program to its end; it writes where this one writes.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|e| not_started(command, &e))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Failure::Failed(format!(
            "{} ended with status {code}",
            shown(command)
        ))),
        None => Err(Failure::Failed(format!(
            "{} was stopped: {status}",
            shown(command)
        ))),
    }
}

/// Runs a program to its end and returns what it wrote to its standard output.
pub(crate) fn read(command: &mut Command) -> Outcome<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| not_started(command, &e))?;
    if !output.status.success() {
        return Err(Failure::Failed(format!(
            "{} failed: {}",
            shown(command),
            output.status
        )));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| Failure::Failed(format!("{} wrote no UTF-8", shown(command))))
}

/// Builds the program `freqreg` for release and says where it is.
///
/// Cargo itself is asked for the place: a target folder may come from the environment or from a
/// configuration file.
pub(crate) fn build_freqreg(features: Option<OsString>) -> Outcome<PathBuf> {
    let manifest = root().join("Cargo.toml");
    let mut command = cargo([
        "build",
        "--release",
        "--package",
        "freqreg-cli",
        "--bin",
        "freqreg",
    ]);
    command
        .args([
            "--message-format",
            "json-render-diagnostics",
            "--manifest-path",
        ])
        .arg(manifest);
    if let Some(features) = features {
        command.arg("--features").arg(features);
    }
    executable(&read(&mut command)?).ok_or_else(|| {
        Failure::Failed("cargo built `freqreg` but did not say where it put it".into())
    })
}

/// The program among cargo's messages, one JSON object a line.
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "freqreg")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// A command as one would type it, for messages.
pub(crate) fn shown(command: &Command) -> String {
    let mut text = format!("`{}", command.get_program().display());
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text + "`"
}

pub(crate) fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("cannot start {}: {error}", shown(command)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_the_messages_of_its_libraries() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}
warning: not JSON
{"reason":"compiler-artifact","target":{"name":"freqreg"},"executable":"/t/release/freqreg"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages), Some("/t/release/freqreg".into()));
        assert_eq!(executable("{}"), None);
    }

    #[test]
    fn a_program_that_fails_is_named_with_its_status() {
        let Err(Failure::Failed(text)) = run(&mut cargo(["no-such-command"])) else {
            panic!("it ran")
        };
        assert!(
            text.contains("no-such-command") && text.contains("101"),
            "{text}"
        );
        let Err(Failure::Failed(text)) = run(&mut Command::new("no-such-program")) else {
            panic!("it ran")
        };
        assert!(text.contains("no-such-program"), "{text}");
    }
}
