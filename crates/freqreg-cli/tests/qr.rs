//! A model file as a QR code, read again from the picture.

use rqrr::PreparedImage;
use std::path::Path;
use std::process::{Command, Output};

fn freqreg(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_freqreg"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

/// A folder with the embedded LeNet5 in several sizes.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let lenet5 = include_bytes!("../../freqreg-train/src/tasks/lenet5.freq");
    std::fs::write(folder.path().join("lenet5.freq"), lenet5).unwrap();
    for bits in ["3", "7"] {
        let name = format!("{bits}.freq");
        let out = freqreg(
            folder.path(),
            &["quantize", "lenet5.freq", "-o", &name, "--bits", bits],
        );
        assert!(out.status.success(), "{out:?}");
    }
    folder
}

/// The picture's dark modules: `M x y h n v1 h-n z` for each run of them in a row, quiet zone included.
fn modules(svg: &str) -> (usize, Vec<bool>) {
    let between = |from: &str, to: &str| {
        let rest = &svg[svg.find(from).unwrap() + from.len()..];
        &rest[..rest.find(to).unwrap()]
    };
    let side: usize = between("viewBox=\"0 0 ", " ").parse().unwrap();
    let mut dark = vec![false; side * side];
    for run in between(" d=\"M", "\"").split('M') {
        let (place, rest) = run.split_once('h').unwrap();
        let (x, y) = place.split_once(' ').unwrap();
        let (wide, back) = rest.split_once("v1h-").unwrap();
        assert_eq!(back, format!("{wide}z"));
        let start = y.parse::<usize>().unwrap() * side + x.parse::<usize>().unwrap();
        dark[start..start + wide.parse::<usize>().unwrap()].fill(true);
    }
    (side, dark)
}

/// What a reader finds in the picture, drawn with so many pixels a module.
fn read(svg: &str, pixels: usize) -> Vec<u8> {
    let (side, dark) = modules(svg);
    let wide = side * pixels;
    let mut picture = PreparedImage::prepare_from_greyscale(wide, wide, |x, y| {
        match dark[y / pixels * side + x / pixels] {
            true => 0,
            false => 255,
        }
    });
    let codes = picture.detect_grids();
    assert_eq!(codes.len(), 1, "one code is in the picture");
    let mut bytes = Vec::new();
    codes[0].decode_to(&mut bytes).unwrap();
    bytes
}

#[test]
fn the_bytes_in_the_picture_are_those_of_the_file() {
    let folder = folder();
    for (file, level) in [
        ("3.freq", "l"),
        ("3.freq", "H"),
        ("7.freq", "l"),
        ("7.freq", "m"),
        ("7.freq", "q"),
        ("lenet5.freq", "l"),
        ("lenet5.freq", "m"),
    ] {
        let arguments = ["qr", file, "-o", "-", "--level", level, "--json"];
        let out = freqreg(folder.path(), &arguments);
        assert!(out.status.success(), "{out:?}");
        let svg = String::from_utf8(out.stdout).unwrap();
        let bytes = std::fs::read(folder.path().join(file)).unwrap();
        assert!(read(&svg, 4) == bytes, "{file} at {level}");
        let said: serde_json::Value = serde_json::from_slice(&out.stderr).unwrap();
        assert_eq!(said["file_bytes"], bytes.len());
        assert_eq!(said["level"], level.to_uppercase());
        assert_eq!(said["modules"], modules(&svg).0 - 8);
    }
}

#[test]
fn what_is_no_code_is_refused() {
    let folder = folder();
    let refused = |arguments: &[&str]| {
        let out = freqreg(folder.path(), arguments);
        assert_eq!(out.status.code(), Some(1));
        assert!(!folder.path().join("out.svg").exists());
        String::from_utf8(out.stderr).unwrap()
    };
    let said = refused(&["qr", "lenet5.freq", "-o", "out.svg", "--level", "h"]);
    for part in [
        "1800 bytes",
        "1273 fit at level H",
        "2953 at level L",
        "freqreg quantize",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let said = refused(&["qr", "nowhere.freq", "-o", "out.svg"]);
    assert!(said.contains("nowhere.freq"), "{said}");
    // A damaged file is not printed.
    let mut bytes = std::fs::read(folder.path().join("lenet5.freq")).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(folder.path().join("bad.freq"), bytes).unwrap();
    let said = refused(&["qr", "bad.freq", "-o", "out.svg"]);
    assert!(
        said.contains("bad.freq") && said.contains("damaged"),
        "{said}"
    );
}
