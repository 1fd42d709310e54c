//! The manual, the help and the completions: that they are there, that a shell and a pager can use them, and that the examples do what they say.

use freqreg_data::folder::{Mask, write_mask, write_png};
use std::path::Path;
use std::process::{Command, Output};

fn freqreg(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_freqreg"))
        .args(arguments)
        .output()
        .unwrap()
}

fn good(output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands that the help names.
fn commands() -> Vec<String> {
    let help = good(freqreg(&["-h"]));
    let list = help.split("Commands:\n").nth(1).unwrap();
    let names = list
        .lines()
        .take_while(|line| !line.is_empty())
        // A line that goes on is further in.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    let names: Vec<String> = names.filter(|n| *n != "help").map(String::from).collect();
    assert!(names.len() >= 11, "{names:?}");
    names
}

/// The command lines of a command's help.
fn examples(command: &str) -> Vec<String> {
    let help = good(freqreg(&[command, "--help"]));
    let lines = help.lines().filter_map(|l| l.strip_prefix("    $ "));
    lines.map(String::from).collect()
}

#[test]
fn every_command_has_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("new/pages");
    let said = good(freqreg(&["man", "-o", pages.to_str().unwrap()]));
    let commands = commands();
    assert!(
        said.contains(&format!("{} pages", commands.len() + 1)),
        "{said}"
    );
    let names = commands.iter().map(|c| format!("freqreg-{c}"));
    for name in names.chain(["freqreg".to_string()]) {
        let page = std::fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
        for part in [
            "SH NAME",
            "SH SYNOPSIS",
            "SH DESCRIPTION",
            "SH OPTIONS",
            "SH EXAMPLES",
            "SH \"EXIT STATUS\"",
        ] {
            assert!(page.contains(part), "{name} lacks {part}:\n{page}");
        }
        assert!(page.contains("130"), "{name}");
    }
    let first = std::fs::read_to_string(pages.join("freqreg.1")).unwrap();
    assert_eq!(good(freqreg(&["man"])), first);
    // Each of the commands is named there.
    assert!(
        commands
            .iter()
            .all(|c| first.contains(&format!("freqreg\\-{c}"))),
        "{first}"
    );

    let out = freqreg(&["man", "-o", "/dev/null/pages"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("/dev/null/pages"));
}

#[test]
fn a_shell_completes_with_the_script() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = good(freqreg(&["completions", shell]));
        assert!(commands().iter().all(|c| script.contains(c)), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("freqreg.bash");
    std::fs::write(&path, good(freqreg(&["completions", "bash"]))).unwrap();
    let complete = |words: &str, place: usize| {
        let last = words.split(' ').next_back().unwrap();
        let script = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD={place}; _freqreg freqreg '{last}' ''; echo \"${{COMPREPLY[@]}}\"",
            path.display()
        );
        good(Command::new("bash").args(["-c", &script]).output().unwrap())
    };
    assert_eq!(complete("freqreg insp", 1), "inspect\n");
    assert_eq!(complete("freqreg inspect --pl", 2), "--plot\n");
    assert_eq!(complete("freqreg quantize --b", 2), "--bits\n");
    assert_eq!(freqreg(&["completions", "tcl"]).status.code(), Some(2));
}

/// Not replayed: what trains or times for long, and what needs a file of the paper's authors.
const NOT_HERE: [&str; 5] = [
    "freqreg reproduce lenet5 ",
    "freqreg bench lenet ",
    "freqreg bench synth",
    "unet_fr.pt",
    "man -l",
];

#[test]
fn the_examples_do_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let mut run = 0;
    for command in commands() {
        let examples = examples(&command);
        assert!(!examples.is_empty(), "{command}");
        for line in examples {
            if NOT_HERE.iter().any(|part| line.contains(part)) {
                continue;
            }
            good(in_shell(folder.path(), &line));
            run += 1;
        }
    }
    assert!(run >= 16, "{run}");
    for made in [
        "unet.svg",
        "unet7.freq",
        "lenet5.svg",
        "update.freq",
        "found/a_mask.png",
        "runs/table.md",
        "runs/plot.svg",
        "jobs.sh",
    ] {
        assert!(folder.path().join(made).exists(), "{made}");
    }
}

/// What the examples begin with.
fn fill(folder: &Path) {
    let lenet5 = include_bytes!("../../freqreg-train/src/tasks/lenet5.freq");
    let unet = include_bytes!("../../freqreg-train/tests/golden/unet.freq");
    for (name, bytes) in [
        ("lenet5.freq", &lenet5[..]),
        ("unet.freq", unet),
        ("old.freq", lenet5),
    ] {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    good(in_shell(folder, "freqreg quantize old.freq -o new.freq"));
    good(in_shell(
        folder,
        "freqreg unpack old.freq -o weights.safetensors",
    ));
    // The sample, an epoch of it.
    let grid = "experiments = ['lenet5']\nseeds = [1, 2]\narguments = ['--quick']\n[set]\n\
                'regularised.budgets.fc1.keep' = [64]\n";
    std::fs::write(folder.join("grid.toml"), grid).unwrap();
    std::fs::create_dir_all(folder.join(".config/fish/completions")).unwrap();
    let (height, width) = (20, 24);
    for name in ["images", "masks"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    let pixels: Vec<u8> = (0..3 * height * width).map(|i| (i % 251) as u8).collect();
    write_png(&folder.join("images/a.png"), 3, height, width, &pixels).unwrap();
    let mask = Mask {
        height,
        width,
        values: (0..height * width).map(|i| u8::from(i % 2 == 0)).collect(),
    };
    write_mask(&folder.join("masks/a_mask.png"), &mask).unwrap();
}

/// A command line as a user types it, in a home of its own.
fn in_shell(folder: &Path, line: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_freqreg"));
    let mut places = vec![program.parent().unwrap().to_path_buf()];
    places.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    Command::new("bash")
        .args(["-o", "pipefail", "-c", line])
        .current_dir(folder)
        .env("HOME", folder)
        // Data are the sample that comes along.
        .env("FREQREG_OFFLINE", "1")
        .env("FREQREG_DATA", folder.join("data"))
        .env("PATH", std::env::join_paths(places).unwrap())
        .output()
        .unwrap()
}
