//! Standard input and output in the place of files.

use super::*;

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
    // A device has no length of its own.
    let arguments = ["unpack", "small.freq", "-o", "/dev/null", "--json"];
    let said: Value = serde_json::from_str(&good(&freqreg(folder.path(), &arguments))).unwrap();
    assert_eq!(said["output_bytes"], out.stdout.len());
}

#[test]
fn a_pipe_with_a_path_is_read_from_its_beginning_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let weights: Vec<f32> = (0..64).map(|i| i as f32).collect();
    let bytes = safetensors(&[("a.weight", &[8, 8], weights)]);
    let arguments = ["pack", "/dev/stdin", "-o", "out.freq", "--keep", "50%"];
    good(&piped(folder.path(), &bytes, &arguments));
    let said = refused(
        &freqreg(folder.path(), &["import", ".", "-o", "unet.freq"]),
        1,
    );
    assert!(
        said.contains("directory") && !said.contains("damaged"),
        "{said}"
    );
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
