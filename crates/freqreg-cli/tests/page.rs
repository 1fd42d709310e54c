//! The book's pages on model files: what they show of a terminal is what a terminal shows.

use freqreg_file::Values;
use freqreg_train::network::{codec, tidied};
use std::path::Path;
use std::process::Command;

const PAGE: &str = include_str!("../../../docs/src/files.md");
const ELSEWHERE: &str = include_str!("../../../docs/src/elsewhere.md");
const START: &str = include_str!("../../../docs/src/start.md");
const QR: &str = include_str!("../../../docs/src/img/unet-qr.svg");
const SPECTRUM: &str = include_str!("../../../docs/src/img/spectrum.svg");

/// The folder that the page speaks of: the released UNet, LeNet5, and LeNet5 with other numbers in its last layer.
fn desk() -> tempfile::TempDir {
    let desk = tempfile::tempdir().unwrap();
    let save = |model, name| {
        codec()
            .write(&tidied(model), desk.path().join(name))
            .unwrap()
    };
    let read = |bytes: &[u8]| codec().decode(bytes).unwrap();
    save(
        read(include_bytes!("../../freqreg-train/tests/golden/unet.freq")),
        "unet.freq",
    );
    let lenet5 = read(include_bytes!("../../freqreg-train/src/tasks/lenet5.freq"));
    let mut other = lenet5.clone();
    let last = other.tensors.last_mut().unwrap();
    let Values::F16(values) = &mut last.values else {
        panic!("{:?}", last.values)
    };
    values.rotate_left(1);
    save(lenet5, "lenet5.freq");
    save(other, "better.freq");
    desk
}

/// What a terminal shows of a command, without what spaces are at the ends of lines.
fn shown(folder: &Path, command: &str) -> Vec<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_freqreg"));
    let mut places = vec![program.parent().unwrap().to_path_buf()];
    places.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    let out = Command::new("bash")
        .args(["-c", &format!("exec 2>&1; {command}")])
        .current_dir(folder)
        .env("PATH", std::env::join_paths(places).unwrap())
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().map(|l| l.trim_end().to_string()).collect()
}

/// Whether the lines are those expected, of which `...` stands for any number of them.
fn fits(expected: &[&str], lines: &[String]) -> bool {
    match expected {
        [] => lines.is_empty(),
        ["...", rest @ ..] => (0..=lines.len()).any(|i| fits(rest, &lines[i..])),
        [first, rest @ ..] => lines.first().is_some_and(|l| l == first) && fits(rest, &lines[1..]),
    }
}

/// Runs the commands of a page's blocks one after the other; how many they were, after all showed what the page says.
fn replay(page: &str, folder: &Path) -> usize {
    let mut commands = 0;
    let mut wrong = String::new();
    for block in page.split("```console\n").skip(1) {
        let block = block.split("```").next().unwrap();
        for part in format!("\n{block}").split("\n$ ").skip(1) {
            let (command, output) = part.split_once('\n').unwrap_or((part, ""));
            let expected: Vec<&str> = output.trim_end().lines().map(str::trim_end).collect();
            let lines = shown(folder, command);
            if !fits(&expected, &lines) {
                wrong += &format!(
                    "\n$ {command}\n{}\ninstead of\n{}\n",
                    lines.join("\n"),
                    expected.join("\n")
                );
            }
            commands += 1;
        }
    }
    assert!(wrong.is_empty(), "a terminal shows{wrong}");
    commands
}

#[test]
#[ignore = "fetches weights from the Python registry; .ci/run has a stage for it"]
fn the_walk_with_weights_from_elsewhere_goes_so() {
    let folder = tempfile::tempdir().unwrap();
    let commands = replay(ELSEWHERE, folder.path());
    assert!(commands >= 10, "{commands}");
}

#[test]
fn the_page_shows_what_a_terminal_shows() {
    let desk = desk();
    let commands = replay(PAGE, desk.path());
    assert!(commands >= 10, "{commands}");
    // The picture on the page is the one that a command there draws.
    let svg = std::fs::read_to_string(desk.path().join("spectrum.svg")).unwrap();
    assert!(
        svg == SPECTRUM,
        "docs/src/img/spectrum.svg is not what `freqreg inspect lenet5.freq --plot spectrum.svg` draws"
    );
}

#[test]
fn what_one_starts_with_works() {
    let desk = tempfile::tempdir().unwrap();
    let lenet5 = include_bytes!("../../../docs/web/models/lenet5.freq");
    std::fs::write(desk.path().join("model.freq"), lenet5).unwrap();
    let block = START.split("## What the file can do").nth(1).unwrap();
    let block = block.split("```sh\n").nth(1).unwrap();
    let mut commands = 0;
    for line in block.split("```").next().unwrap().lines() {
        let offline = format!("FREQREG_OFFLINE=1 FREQREG_DATA=none {line} || echo FAILED");
        let offline = match line.split_once('#') {
            Some((command, _)) => {
                format!("FREQREG_OFFLINE=1 FREQREG_DATA=none {command} || echo FAILED")
            }
            None => offline,
        };
        let said = shown(desk.path(), &offline);
        assert!(said.iter().all(|l| l != "FAILED"), "{line}: {said:#?}");
        commands += 1;
    }
    assert_eq!(commands, 4);
    for file in ["model.safetensors", "small.freq", "model.svg"] {
        assert!(desk.path().join(file).exists(), "{file}");
    }
}

#[test]
fn the_code_on_the_page_is_the_released_unet() {
    let desk = tempfile::tempdir().unwrap();
    let unet = include_bytes!("../../../docs/web/models/unet.freq");
    std::fs::write(desk.path().join("unet.freq"), unet).unwrap();
    shown(desk.path(), "freqreg qr unet.freq -o unet-qr.svg");
    let drawn = std::fs::read_to_string(desk.path().join("unet-qr.svg")).unwrap();
    assert!(drawn == QR, "docs/src/img/unet-qr.svg is another model's");
}

#[test]
fn dots_stand_for_any_lines_and_nothing_else_does() {
    let lines = ["a", "b", "c"].map(String::from);
    for expected in [
        &["a", "b", "c"][..],
        &["a", "...", "c"],
        &["...", "a", "b", "c"],
        &["..."],
    ] {
        assert!(fits(expected, &lines), "{expected:?}");
    }
    for expected in [&[][..], &["a", "b"], &["a", "...", "b"], &["b", "..."]] {
        assert!(!fits(expected, &lines), "{expected:?}");
    }
}
