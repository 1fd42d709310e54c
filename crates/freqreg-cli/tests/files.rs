//! The programs that look into model files and change them, as a user runs them.

use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The released UNet in version 1 of the format.
const UNET: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../freqreg-train/tests/golden/unet.freq"
);

fn freqreg(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_freqreg"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

fn good(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The first line of what a program that failed as a user's mistake said.
fn refused(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn inspected(folder: &Path, file: &str) -> Value {
    serde_json::from_str(&good(&freqreg(folder, &["inspect", file, "--json"]))).unwrap()
}

#[test]
fn a_file_is_shown_as_a_table_and_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let json = inspected(folder.path(), UNET);
    assert_eq!(
        (&json["kept"], &json["payload_bytes"], &json["file_bytes"]),
        (&759.into(), &1518.into(), &2209.into())
    );
    let first = &json["tensors"][0];
    assert_eq!(
        (
            &first["name"],
            &first["kept"],
            &first["number"],
            &first["order"]
        ),
        (
            &"inc.conv1.weight".into(),
            &33.into(),
            &"float16".into(),
            &"zigzag".into()
        )
    );
    assert_eq!(json["config"]["width"], 64);
    let table = good(&freqreg(folder.path(), &["inspect", UNET]));
    let lines: Vec<&str> = table.lines().collect();
    // What it is, a heading, 23 tensors, their sum, and the bytes.
    assert_eq!(lines.len(), 2 + 1 + 23 + 1 + 2);
    assert!(lines[3].starts_with("inc.conv1.weight") && lines[3].contains("64x3x3x3"));
    assert!(lines[26].contains("31024960") && lines[26].contains("759"));
    assert!(lines[28].starts_with("2209 bytes in all"));
}

#[test]
fn the_released_unet_fits_into_a_kilobyte() {
    let folder = tempfile::tempdir().unwrap();
    let quantize = |bits: &str, output: &str| {
        good(&freqreg(
            folder.path(),
            &["quantize", UNET, "-o", output, "--bits", bits],
        ))
    };
    let said = quantize("9", "nine.freq");
    assert!(said.contains("759 numbers of about 9 bits"), "{said}");
    quantize("6", "six.freq");
    let (nine, six) = (
        inspected(folder.path(), "nine.freq"),
        inspected(folder.path(), "six.freq"),
    );
    let bytes = |json: &Value| json["file_bytes"].as_u64().unwrap();
    assert!(
        bytes(&nine) <= 960 && bytes(&six) < 680,
        "{} and {}",
        bytes(&nine),
        bytes(&six)
    );
    assert_eq!(nine["tensors"][5]["number"], "quantised");
    assert!(nine["tensors"][5]["step"].as_f64().unwrap() > 0.0);
    // What is quantised once can be so again, into the file that it came from.
    good(&freqreg(
        folder.path(),
        &[
            "quantize",
            "nine.freq",
            "-o",
            "nine.freq",
            "--bits",
            "4",
            "--dead",
            "0.6",
        ],
    ));
    assert!(bytes(&inspected(folder.path(), "nine.freq")) < bytes(&six));
}

#[test]
fn unpacked_it_is_every_weight_in_float32() {
    let folder = tempfile::tempdir().unwrap();
    let said = good(&freqreg(
        folder.path(),
        &["unpack", UNET, "-o", "unet.safetensors"],
    ));
    assert!(said.contains("31024960 weights from 759 numbers"), "{said}");
    let bytes = std::fs::read(folder.path().join("unet.safetensors")).unwrap();
    // The length of a header, the header, and the weights.
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert_eq!(bytes.len(), 8 + header + 4 * 31_024_960);
    let header: Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let first = &header["inc.conv1.weight"];
    assert_eq!(first["dtype"], "F32");
    assert_eq!(first["shape"], serde_json::json!([64, 3, 3, 3]));
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| freqreg(folder.path(), arguments);
    for file in ["none.freq", "."] {
        let said = refused(&run(&["inspect", file]), 1);
        assert!(said.contains("cannot read"), "{said}");
    }
    std::fs::write(folder.path().join("text"), "no model").unwrap();
    let said = refused(&run(&["quantize", "text", "-o", "out.freq"]), 1);
    assert!(said.contains("text: not a .freq file"), "{said}");
    for wrong in [
        ["--bits", "1"],
        ["--bits", "17"],
        ["--dead", "0.4"],
        ["--dead", "1"],
    ] {
        let arguments = [&["quantize", UNET, "-o", "out.freq"], &wrong[..]].concat();
        refused(&run(&arguments), 2);
    }
    refused(&run(&["quantize", UNET]), 2);
    let said = refused(&run(&["quantize", UNET, "-o", "nowhere/out.freq"]), 1);
    assert!(said.contains("nowhere/out.freq"), "{said}");
    assert!(!folder.path().join("out.freq").exists());
}

/// Runs the program with these bytes on its standard input.
fn piped(folder: &Path, input: &[u8], arguments: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_freqreg"))
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_minus_is_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let unet = std::fs::read(UNET).unwrap();
    let run = |arguments: &[&str]| piped(folder.path(), &unet, arguments);

    let table = good(&freqreg(folder.path(), &["inspect", UNET]));
    assert_eq!(good(&run(&["inspect", "-"])), table);
    assert_eq!(good(&run(&["inspect", "/dev/stdin"])), table);

    // What was done is said beside the bytes, not among them.
    let small = quantised_unet(folder.path());
    let out = piped(folder.path(), &small, &["unpack", "-", "-o", "-", "--json"]);
    assert!(out.status.success());
    let said: Value = serde_json::from_slice(&out.stderr).unwrap();
    assert_eq!(said["output"], "-");
    assert_eq!(said["output_bytes"], out.stdout.len());
    assert_eq!(said["file_bytes"], small.len());
    std::fs::write(folder.path().join("small.freq"), &small).unwrap();
    let said = good(&freqreg(
        folder.path(),
        &["unpack", "small.freq", "-o", "out", "--json"],
    ));
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&said["output"], &said["kept"], &said["weights"]),
        (&"out".into(), &759.into(), &31_024_960.into())
    );
    assert!(std::fs::read(folder.path().join("out")).unwrap() == out.stdout);
}

/// The released UNet in few bytes.
fn quantised_unet(folder: &Path) -> Vec<u8> {
    let arguments = ["quantize", UNET, "-o", "few.freq", "--bits", "8"];
    good(&freqreg(folder, &arguments));
    std::fs::read(folder.join("few.freq")).unwrap()
}

#[test]
fn a_pipe_that_can_not_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let run =
        |input: &[u8], arguments: &[&str]| refused(&piped(folder.path(), input, arguments), 1);
    for command in ["inspect", "unpack", "import"] {
        let arguments = match command {
            "inspect" => vec![command, "-"],
            _ => vec![command, "-", "-o", "out"],
        };
        for input in [&b"no model"[..], b""] {
            let said = run(input, &arguments);
            assert!(said.starts_with("error: standard input: "), "{said}");
        }
    }
    assert!(!folder.path().join("out").exists());
    let cut = &std::fs::read(UNET).unwrap()[..2000];
    assert!(run(cut, &["inspect", "-"]).contains("cut short"));

    // A disk that is full.
    let out = Command::new(env!("CARGO_BIN_EXE_freqreg"))
        .args(["inspect", UNET])
        .stdout(File::options().write(true).open("/dev/full").unwrap())
        .output()
        .unwrap();
    let said = refused(&out, 1);
    assert!(
        said.starts_with("error: cannot write standard output: "),
        "{said}"
    );
}

#[test]
fn who_closes_a_pipe_has_read_enough() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["inspect", UNET][..], &["unpack", UNET, "-o", "-"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_freqreg"))
            .current_dir(folder.path())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
    }
}
