//! That every command that the documentation shows is one.

use crate::Cli;
use clap::Parser;
use clap::error::ErrorKind;
use std::path::{Path, PathBuf};

/// Tasks that take no arguments of the program's.
const TASKS: [&str; 7] = [
    "bench",
    "ci",
    "docs",
    "figures",
    "results",
    "package",
    "reproduce",
];
/// Programs of others, with which commands may begin.
const OTHERS: [&str; 11] = [
    "git", "cd", "mkdir", "apt-get", "rustup", "pip", "python3", "pip3", "unzip", "mpirun",
    "sbatch",
];

fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                pages(&path, found);
            }
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// The words of a command as a shell has them, without its comment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '\'' => (quoted, any) = (!quoted, true),
            '#' if !quoted && !any => break,
            ' ' if !quoted => {
                if any {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => {
                word.push(c);
                any = true;
            }
        }
    }
    if any {
        words.push(word);
    }
    words
}

/// What is wrong with a command.
fn fault(line: &str) -> Option<String> {
    let mut words = words(line);
    if words.is_empty() {
        return None;
    }
    let program = words.remove(0);
    match (program.as_str(), words.first().map(String::as_str)) {
        ("freqreg" | "target/release/freqreg", _) => {
            // What is behind a pipe or a redirection is the shell's.
            let own = words
                .iter()
                .take_while(|w| !["|", ">", "<", "&&"].contains(&w.as_str()));
            parsed(own.cloned())
        }
        ("cargo", Some("xtask")) => match words.get(1).map(String::as_str) {
            Some("reproduce") => {
                // Cargo's own; the task hands it on.
                let mut own = words[1..].to_vec();
                if let Some(at) = own.iter().position(|w| w == "--features") {
                    own.drain(at..(at + 2).min(own.len()));
                }
                parsed(own.into_iter())
            }
            Some(task) if TASKS.contains(&task) => None,
            other => Some(format!("there is no task {other:?}")),
        },
        (
            "cargo",
            Some("build" | "test" | "add" | "install" | "new" | "bench" | "run" | "+nightly"),
        ) => None,
        (other, _) if OTHERS.contains(&other) => None,
        (other, _) => Some(format!("nothing is known of a program `{other}`")),
    }
}

fn parsed(arguments: impl Iterator<Item = String>) -> Option<String> {
    match Cli::try_parse_from(std::iter::once("freqreg".to_string()).chain(arguments)) {
        Ok(_) => None,
        // `--help` is a command as well; and prose may name one without what it is given.
        Err(e) if e.exit_code() == 0 || e.kind() == ErrorKind::MissingRequiredArgument => None,
        Err(e) => Some(e.to_string()),
    }
}

#[test]
fn every_command_shown_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    pages(&root, &mut files);
    let (mut commands, mut wrong) = (0, String::new());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for block in text.split("```sh\n").skip(1) {
            for line in block.split("```").next().unwrap().lines() {
                commands += 1;
                if let Some(fault) = fault(line) {
                    wrong += &format!("{}: {line}\n  {fault}\n", file.display());
                }
            }
        }
        // In running text: between backticks, but for what has a place for something else in it.
        for part in text.split('`').skip(1).step_by(2) {
            let shown = ["freqreg ", "cargo xtask "]
                .iter()
                .any(|p| part.starts_with(p));
            let whole = !part.contains('\n') && !part.contains("..") && !part.contains('…');
            let place = part
                .split(' ')
                .any(|w| w.len() > 1 && w.chars().all(|c| c.is_ascii_uppercase()));
            if shown && whole && !place {
                commands += 1;
                if let Some(fault) = fault(part) {
                    wrong += &format!("{}: {part}\n  {fault}\n", file.display());
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(commands > 40, "{commands}");
}

#[test]
fn what_is_no_command_is_found() {
    for line in [
        "freqreg inspekt model.freq",
        "freqreg pack a.safetensors --kep 3",
        "cargo xtask reproducee lenet5",
        "cargo xtask reproduce lenet5 --sed 3",
        "feqreg help",
    ] {
        assert!(fault(line).is_some(), "{line}");
    }
    for line in [
        "",
        "# nothing",
        "freqreg inspect 'a b.freq' --json # so",
        "freqreg --help",
    ] {
        assert_eq!(fault(line), None, "{line}");
    }
}
