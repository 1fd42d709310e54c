//! The programs that look into model files and change them, as a user runs them.

mod packing;
mod pipes;
mod updates;

use freqreg_file::{Model, Values};
use freqreg_train::network::codec;
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
fn weights_beyond_float32_and_names_that_a_terminal_would_obey_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let model = Model {
        architecture: "\u{1b}[2J".into(),
        config: "{}".into(),
        tensors: vec![freqreg_file::Tensor {
            name: "bell\u{9b}".into(),
            shape: vec![4],
            storage: freqreg_file::Storage::Prefix {
                axes: vec![4],
                order: freqreg_dct::KeepOrder::Zigzag,
            },
            values: Values::F32(vec![3e38; 4]),
        }],
    };
    std::fs::write(folder.path().join("huge.freq"), model.to_bytes().unwrap()).unwrap();
    let shown = good(&freqreg(folder.path(), &["inspect", "huge.freq"]));
    assert!(
        shown.contains(r"\u001b[2J") && shown.contains(r"bell\u009b"),
        "{shown}"
    );
    let json = inspected(folder.path(), "huge.freq");
    assert_eq!(json["tensors"][0]["name"], "bell\u{9b}");
    let out = ["unpack", "huge.freq", "-o", "out.safetensors"];
    let said = refused(&freqreg(folder.path(), &out), 1);
    assert!(
        said.contains(r"bell\u009b") && said.contains("weight 0 would be inf"),
        "{said}"
    );
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1);
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
    let weights = safetensors(&[("a", &[2, 3], smooth(2, 3))]);
    std::fs::write(folder.path().join("weights"), weights).unwrap();
    std::fs::write(folder.path().join("empty"), "").unwrap();
    for (file, kind) in [("weights", "freqreg pack"), ("empty", "is empty")] {
        let said = refused(&run(&["inspect", file]), 1);
        assert!(said.contains(kind), "{said}");
    }
    for (file, kind) in [("text", "begins with"), ("empty", "is empty")] {
        let said = refused(&run(&["pack", file, "-o", "out.freq", "--keep", "1%"]), 1);
        assert!(said.contains(kind), "{said}");
    }
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

#[test]
fn the_spectrum_is_a_picture_with_a_chart_for_each_tensor() {
    let folder = tempfile::tempdir().unwrap();
    let table = good(&freqreg(folder.path(), &["inspect", UNET]));
    let arguments = ["inspect", UNET, "--plot", "unet.svg"];
    assert_eq!(good(&freqreg(folder.path(), &arguments)), table);
    let svg = std::fs::read_to_string(folder.path().join("unet.svg")).unwrap();
    assert_eq!(svg.matches("<g ").count(), 23);
    // None of the 759 numbers is zero: each is a bar.
    assert_eq!(svg.matches(" 128V").count(), 759);
    assert!(svg.contains("role=\"img\"") && svg.contains("inc.conv1.weight: 33 of 1728, zigzag;"));

    let out = freqreg(folder.path(), &["inspect", UNET, "--plot", "-", "--json"]);
    assert_eq!(good(&out), svg);
    let json: Value = serde_json::from_slice(&out.stderr).unwrap();
    assert_eq!(json["kept"], 759);
    let nowhere = ["inspect", UNET, "--plot", "nowhere/unet.svg"];
    assert!(refused(&freqreg(folder.path(), &nowhere), 1).contains("nowhere/unet.svg"));
}

/// The embedded LeNet5, and the same with other numbers in its last layer.
fn two_lenets(folder: &Path) -> (Model, Model) {
    let old = codec()
        .decode(include_bytes!(
            "../../../freqreg-train/src/tasks/lenet5.freq"
        ))
        .unwrap();
    let mut new = old.clone();
    let last = new.tensors.last_mut().unwrap();
    let Values::F16(values) = &mut last.values else {
        panic!("{:?}", last.values)
    };
    values.iter_mut().for_each(|v| *v = -*v);
    codec().write(&old, folder.join("old.freq")).unwrap();
    codec().write(&new, folder.join("new.freq")).unwrap();
    (old, new)
}

/// A safetensors file of float32 tensors, as any other program might write it.
fn safetensors(tensors: &[(&str, &[usize], Vec<f32>)]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape, values) in tensors {
        let start = data.len();
        data.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        let row = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]});
        header.insert((*name).into(), row);
    }
    let header = Value::from(header).to_string();
    [
        &(header.len() as u64).to_le_bytes()[..],
        header.as_bytes(),
        &data,
    ]
    .concat()
}

/// Weights that are smooth, as those of trained networks rarely are.
fn smooth(rows: usize, columns: usize) -> Vec<f32> {
    let at = |i: usize| (0.2 * (i / columns) as f32).sin() + (0.1 * (i % columns) as f32).cos();
    (0..rows * columns).map(at).collect()
}

#[test]
fn what_is_read_is_not_written_over_by_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let run = |line: &str| freqreg(folder.path(), &line.split(' ').collect::<Vec<_>>());
    two_lenets(folder.path());
    let before = std::fs::read(folder.path().join("old.freq")).unwrap();
    for line in [
        "inspect old.freq --plot old.freq",
        "qr old.freq -o ./old.freq",
        "unpack old.freq -o old.freq",
        "pack old.freq -o old.freq --keep 10%",
        "import old.freq -o old.freq",
        "diff old.freq new.freq -o old.freq",
        "diff new.freq old.freq -o old.freq",
        "patch new.freq old.freq -o old.freq",
        "pack new.freq -o old.freq --keep 10% --per-layer old.freq",
    ] {
        let said = refused(&run(line), 2);
        assert!(said.contains("would be lost"), "{said}");
    }
    assert!(std::fs::read(folder.path().join("old.freq")).unwrap() == before);
    // A model in place of itself is another matter.
    good(&run("quantize old.freq -o old.freq --bits 8"));
    good(&run("diff old.freq new.freq -o update.freq"));
    let said = refused(&run("unpack update.freq -o weights.safetensors"), 1);
    assert!(said.contains("patch"), "{said}");
}

#[test]
fn bits_go_to_the_tensors_that_need_them() {
    let folder = tempfile::tempdir().unwrap();
    let lenet5 = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../freqreg-train/src/tasks/lenet5.freq"
    );
    // On the sample that comes along.
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_freqreg"))
            .current_dir(folder.path())
            .env("FREQREG_OFFLINE", "1")
            .env("FREQREG_DATA", folder.path().join("cache"))
            .args(arguments)
            .output()
            .unwrap()
    };
    let quantize = |more: &[&str]| -> Value {
        let command = [
            "quantize", lenet5, "-o", "out.freq", "--data", "lenet5", "--json",
        ];
        serde_json::from_str(&good(&run(&[&command[..], more].concat()))).unwrap()
    };
    let even = quantize(&["--bits", "5"]);
    let bytes = even["file_bytes"].as_u64().unwrap();
    let shared = quantize(&["--target-bytes", &bytes.to_string(), "--test"]);
    assert!(shared["file_bytes"].as_u64().unwrap() <= bytes);
    let loss = |json: &Value, part: &str| json[part]["loss"].as_f64().unwrap();
    let (a, b) = (loss(&even, "validation"), loss(&shared, "validation"));
    assert!(b < 0.8 * a, "{b} where an even split loses {a}");
    assert!(shared["test"]["score"].as_f64().unwrap() > 0.9);
    assert!(even["test"].is_null());

    std::fs::remove_file(folder.path().join("out.freq")).unwrap();
    let refuse = |file: &str, more: &[&str], code| {
        refused(
            &run(&[&["quantize", file, "-o", "out.freq"], more].concat()),
            code,
        )
    };
    let said = refuse(lenet5, &["--data", "lenet5", "--target-bytes", "100"], 1);
    assert!(said.contains("100 bytes"), "{said}");
    let said = refuse(UNET, &["--data", "lenet5"], 1);
    assert!(said.contains("Segmentation"), "{said}");
    // The same images, but larger than the network takes them.
    let recipe = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../models/experiments/lenet5.toml"
    );
    let larger = std::fs::read_to_string(recipe)
        .unwrap()
        .replace("validation = 5000", "validation = 5000\npad = 32");
    std::fs::write(folder.path().join("larger.toml"), larger).unwrap();
    let said = refuse(lenet5, &["--data", "larger.toml"], 1);
    assert!(said.contains("28, 28") && said.contains("32, 32"), "{said}");
    refuse(lenet5, &["--target-bytes", "700"], 2);
    refuse(lenet5, &["--test"], 2);
    refuse(
        lenet5,
        &["--data", "lenet5", "--target-bytes", "700", "--bits", "6"],
        2,
    );
    assert!(!folder.path().join("out.freq").exists());
}
