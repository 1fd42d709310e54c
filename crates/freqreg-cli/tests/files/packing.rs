//! Ordinary weights as a model file, and back.

use super::*;

/// The tensors of a safetensors file of float32.
fn tensors(folder: &Path, file: &str) -> std::collections::BTreeMap<String, Vec<f32>> {
    let read = freqreg_file::read_safetensors(folder.join(file), &Default::default()).unwrap();
    let values = read.tensors.into_iter();
    values.map(|t| (t.name, t.values.unwrap())).collect()
}

#[test]
fn ordinary_weights_are_packed_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| good(&freqreg(folder.path(), arguments));
    let given = [
        ("a.bias", &[20][..], smooth(1, 20)),
        ("a.weight", &[40, 30][..], smooth(40, 30)),
        ("b.weight", &[6, 5, 3, 3][..], smooth(18, 15)),
    ];
    std::fs::write(folder.path().join("in.safetensors"), safetensors(&given)).unwrap();
    let whole = [
        "pack",
        "in.safetensors",
        "-o",
        "all.freq",
        "--keep",
        "100%",
        "--number",
        "float32",
    ];
    let said = run(&whole);
    assert!(said.contains("1490 weights as 1490 numbers"), "{said}");
    run(&["unpack", "all.freq", "-o", "back.safetensors"]);
    let back = tensors(folder.path(), "back.safetensors");
    for (name, _, values) in &given {
        let largest = values.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        let off = values.iter().zip(&back[*name]).map(|(a, b)| (a - b).abs());
        let off = off.fold(0.0, f32::max) / largest;
        assert!(off <= 1e-6, "{name}: {off}");
    }

    // A tenth, in fewer bits; one tensor otherwise.
    std::fs::write(
        folder.path().join("layers.toml"),
        r#""b.weight" = { keep = 7, order = "weights:1,1,2,2", number = "float16" }"#,
    )
    .unwrap();
    let said: Value = serde_json::from_str(&run(&[
        "pack",
        "in.safetensors",
        "-o",
        "few.freq",
        "--keep",
        "10%",
        "--bits",
        "6",
        "--per-layer",
        "layers.toml",
        "--skip",
        "*.bias",
        "--json",
    ]))
    .unwrap();
    let shown = inspected(folder.path(), "few.freq");
    let of = |i: usize| (&shown["tensors"][i]["kept"], &shown["tensors"][i]["order"]);
    assert_eq!(of(0), (&120.into(), &"zigzag".into()));
    assert_eq!(of(1), (&7.into(), &"weights:1,1,2,2".into()));
    assert_eq!(shown["tensors"][0]["number"], "quantised");
    assert_eq!(said["skipped"], serde_json::json!(["a.bias"]));
    let energy = said["tensors"][0]["energy_kept"].as_f64().unwrap();
    let error = said["tensors"][0]["error"].as_f64().unwrap();
    // Smooth along both axes, it needs few of them.
    assert!(energy > 0.99 && error < 0.1, "{energy} {error}");

    // Within some bytes, and through pipes.
    let piped = format!(
        "{0} pack - -o - --target-bytes 300 < in.safetensors | {0} inspect - --json",
        env!("CARGO_BIN_EXE_freqreg")
    );
    let out = Command::new("sh")
        .args(["-c", &piped])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let shown: Value = serde_json::from_slice(&out.stdout).unwrap();
    let bytes = shown["file_bytes"].as_u64().unwrap();
    assert!((250..=300).contains(&bytes), "{bytes}");
    assert_eq!(shown["tensors"][0]["number"], "float16");
}

#[test]
fn what_cannot_be_packed_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| freqreg(folder.path(), arguments);
    let mut bad = smooth(2, 3);
    bad[4] = f32::NAN;
    let bytes = safetensors(&[("a.weight", &[2, 3], bad), ("n", &[], vec![1.0])]);
    std::fs::write(folder.path().join("in.safetensors"), bytes).unwrap();
    let pack = |more: &[&str]| run(&[&["pack", "in.safetensors", "-o", "out.freq"], more].concat());
    let said = refused(&pack(&["--keep", "1%"]), 1);
    assert!(
        said.contains("`a.weight` holds NaN at [1, 1]") && said.contains("`n`"),
        "{said}"
    );
    let said = refused(&pack(&["--keep", "1%", "--skip", "*"]), 1);
    assert!(said.contains("no tensor"), "{said}");
    let said = refused(&pack(&["--keep", "0%"]), 2);
    assert!(said.contains("0%"), "{said}");
    let said = refused(&pack(&["--keep", "0.25"]), 2);
    assert!(said.contains("the share is 25%"), "{said}");
    let said = refused(&pack(&[]), 2);
    assert!(
        said.contains("--keep") && said.contains("--target-bytes"),
        "{said}"
    );

    let bytes = safetensors(&[("a.weight", &[2, 3], smooth(2, 3))]);
    std::fs::write(folder.path().join("in.safetensors"), bytes).unwrap();
    let said = refused(&pack(&["--target-bytes", "10"]), 1);
    assert!(
        said.contains("10 bytes") && !said.contains("stored whole"),
        "{said}"
    );
    for (text, part) in [
        ("b = { keep = 3 }", "no tensor `b`"),
        (r#""a.weight" = { keep = 3, order = "zagzig" }"#, "zagzig"),
        (r#""a.weight" = { keep = 3, axes = [7] }"#, "[7]"),
        (r#""a.weight" = { keep = "200%" }"#, "200%"),
        (r#""a.weight" = { keeps = 3 }"#, "keeps"),
        (r#""a.weight" = { keep = -3 }"#, "a share, as"),
        (r#""a.weight" = "10%""#, "in braces"),
        ("a.weight = { keep = 3 }", "in quotes"),
        (
            r#""a.weight" = { keep = 3, dense = true }"#,
            "one of the two",
        ),
        (
            r#""a.weight" = { dense = true, order = "zigzag" }"#,
            "one of the two",
        ),
        (r#""a.weight" = { axes = [7] }"#, "layers.toml"),
    ] {
        std::fs::write(folder.path().join("layers.toml"), text).unwrap();
        let said = refused(&pack(&["--keep", "50%", "--per-layer", "layers.toml"]), 1);
        assert!(said.contains(part), "{said}");
    }
    let text = r#""a.weight" = { keep = 3 }"#;
    std::fs::write(folder.path().join("layers.toml"), text).unwrap();
    let bytes = safetensors(&[
        ("a.weight", &[2, 3], smooth(2, 3)),
        ("b", &[2, 3], smooth(2, 3)),
    ]);
    std::fs::write(folder.path().join("two.safetensors"), bytes).unwrap();
    let line = "pack two.safetensors -o out.freq --keep 50% --skip a* --per-layer layers.toml";
    let said = refused(&run(&line.split(' ').collect::<Vec<_>>()), 1);
    assert!(said.contains("left out by --skip"), "{said}");
    std::fs::write(folder.path().join("layers.toml"), [0xff, 0xfe]).unwrap();
    let said = refused(&pack(&["--keep", "50%", "--per-layer", "layers.toml"]), 1);
    assert!(said.contains("no text"), "{said}");
    let said = refused(&pack(&["--keep", "50%", "--skip", "b*"]), 1);
    assert!(said.contains("no tensor of such a name"), "{said}");
    let said = refused(&pack(&["--keep", "-5"]), 2);
    assert!(said.contains("neither a share"), "{said}");

    let large = safetensors(&[
        ("a.weight", &[2, 3], vec![1e30; 6]),
        ("b", &[1], vec![1e30]),
    ]);
    std::fs::write(folder.path().join("in.safetensors"), large).unwrap();
    let said = refused(&pack(&["--keep", "50%"]), 1);
    assert!(said.contains("--number float32"), "{said}");
    let said = refused(&pack(&["--keep", "50%", "--skip", "a*"]), 1);
    assert!(said.contains("--number float32"), "{said}");
    let said = refused(&pack(&["--target-bytes", "500", "--number", "float16"]), 1);
    assert!(said.contains("--per-layer"), "{said}");
    // What is stored whole beside few bits has no option of its own.
    let said = refused(&pack(&["--keep", "50%", "--bits", "8", "--skip", "a*"]), 1);
    assert!(said.contains(r#""b" = { number = "float32" }"#), "{said}");
    let said = refused(&pack(&["--keep", "50%", "--bits", "8"]), 1);
    assert!(
        said.contains("few bits") && said.contains("float32"),
        "{said}"
    );
    assert!(!folder.path().join("out.freq").exists());
    good(&pack(&["--keep", "50%", "--number", "float32"]));

    let largest = safetensors(&[("a.weight", &[2, 3], vec![3e38; 6])]);
    std::fs::write(folder.path().join("in.safetensors"), largest).unwrap();
    let said = refused(&pack(&["--keep", "50%", "--number", "float32"]), 1);
    assert!(
        said.contains("`a.weight`") && said.contains("--skip"),
        "{said}"
    );
}

#[test]
fn an_order_of_its_own_is_heeded_in_a_tensor_of_one_axis() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| freqreg(folder.path(), arguments);
    let bytes = safetensors(&[("positions", &[64], smooth(8, 8))]);
    std::fs::write(folder.path().join("in.safetensors"), bytes).unwrap();
    let pack = "pack in.safetensors -o out.freq --keep 10% --per-layer layers.toml";
    let pack = || run(&pack.split(' ').collect::<Vec<_>>());
    let layers = |text: &str| std::fs::write(folder.path().join("layers.toml"), text).unwrap();
    layers("positions = { axes = [8, 8] }");
    good(&pack());
    let shown = inspected(folder.path(), "out.freq");
    assert_eq!(shown["tensors"][0]["kept"], 6);
    layers("positions = { order = \"zagzig\" }");
    assert!(refused(&pack(), 1).contains("zagzig"));
}

#[test]
fn a_form_of_numbers_is_obeyed_where_all_are_stored_too() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| freqreg(folder.path(), arguments);
    let weights = smooth(16, 16);
    let bias = weights[..64].to_vec();
    let bytes = safetensors(&[("a.weight", &[16, 16], weights), ("a.bias", &[64], bias)]);
    std::fs::write(folder.path().join("in.safetensors"), bytes).unwrap();
    let layers = r#"
"a.weight" = { dense = true, number = "bits:4" }
"a.bias" = { number = "bits:6" }
"#;
    std::fs::write(folder.path().join("layers.toml"), layers).unwrap();
    let pack = "pack in.safetensors -o out.freq --keep 10% --per-layer layers.toml";
    good(&run(&pack.split(' ').collect::<Vec<_>>()));
    let shown = inspected(folder.path(), "out.freq");
    for tensor in shown["tensors"].as_array().unwrap() {
        assert_eq!(tensor["number"], "quantised", "{tensor}");
        assert_eq!(tensor["kept"], tensor["weights"]);
    }
}
