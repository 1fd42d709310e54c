//! What can't be run is refused before anything is written.

use super::*;

#[test]
fn a_network_that_does_not_fit_the_data_is_refused_before_training() {
    let desk = Desk::new();
    desk.good(&["tiny.toml", "--out", "r", "--quick"]);
    let wrong = [
        (
            "hidden = 16, norm",
            "classes = 5, hidden = 16, norm",
            "regularised.model",
        ),
        (
            "hidden = 16 }",
            "input = [1, 32, 32], hidden = 16 }",
            "dense.model",
        ),
    ];
    for (from, to, part) in wrong {
        desk.toml("wrong.toml", |t| t.replace(from, to));
        let e = desk.bad(&["wrong.toml", "--out", "r"], 1);
        assert!(e.contains(part), "{e}");
        assert!(desk.path("r/report.json").exists());
    }
    let huge = |t: &str| {
        t.replace(
            "channels = [4, 8], hidden = 16 }",
            "channels = [1000000, 1000000], hidden = 16 }",
        )
    };
    desk.toml("huge.toml", huge);
    let e = desk.bad(&["huge.toml", "--out", "r"], 1);
    assert!(
        e.contains("conv2.weight") && e.contains("4294967296"),
        "{e}"
    );
}

#[test]
fn a_file_that_would_pass_for_an_experiment_that_comes_along_is_refused() {
    let desk = Desk::new();
    desk.toml("lenet5.toml", |t| format!("# Mine.\n{t}"));
    let e = desk.bad(&["lenet5.toml", "--quick"], 1);
    assert!(
        e.contains("lenet5.toml") && e.contains("another name"),
        "{e}"
    );
    // Masks can't be brought to another size.
    let e = desk.bad(&["unet", "--set", "data.resize=64", "--quick"], 1);
    assert!(e.contains("data.resize") && e.contains("masks"), "{e}");
}

#[test]
fn two_budgets_for_the_same_are_refused() {
    let desk = Desk::new();
    for (first, second, what) in [
        ("conv1=5", "conv1=6", "`conv1`"),
        ("300", "321", "all layers"),
    ] {
        let e = desk.bad(&["tiny.toml", "--budget", first, "--budget", second], 2);
        assert!(e.contains(second) && e.contains(what), "{e}");
    }
}

#[test]
fn unknown_names_are_answered_with_the_nearest() {
    let desk = Desk::new();
    let e = desk.bad(&["lenet"], 1);
    assert!(
        e.contains("`lenet`") && e.contains("did you mean `lenet5`"),
        "{e}"
    );
    let e = desk.bad(&["nothing-like-it.toml"], 1);
    assert!(e.contains("nothing-like-it.toml"), "{e}");
}

#[test]
fn what_is_wrong_in_an_experiment_is_named() {
    let desk = Desk::new();
    desk.toml("key.toml", |t| t.replace("shift = 1", "shfit = 1"));
    let e = desk.bad(&["key.toml"], 1);
    assert!(e.contains("shfit") && e.contains("line"), "{e}");
    desk.toml("layer.toml", |t| t.replace("conv1 = {", "conv3 = {"));
    let e = desk.bad(&["layer.toml"], 1);
    assert!(e.contains("conv1"), "{e}");
    desk.toml("order.toml", |t| t.replace("inverse-sqrt", "zigzig"));
    let e = desk.bad(&["order.toml"], 1);
    assert!(e.contains("zigzig"), "{e}");
    desk.toml("set.toml", |t| t.replace("\"mnist\"", "\"mnits\""));
    let e = desk.bad(&["set.toml"], 1);
    assert!(e.contains("mnits"), "{e}");
    assert!(!desk.path("target").exists());
}

#[test]
fn lengths_that_a_preset_would_overwrite_are_refused() {
    let desk = Desk::new();
    let quick = |setting| ["lenet5", "--quick", "--out", "r", "--set", setting];
    let e = desk.bad(&quick("data.train=100"), 2);
    assert!(e.contains("--set quick.train=100"), "{e}");
    let e = desk.bad(&quick("regularised.training.epochs = 3"), 2);
    assert!(e.contains("quick.regularised_epochs=3"), "{e}");
    assert!(!desk.path("r").exists());
}

#[test]
fn budgets_that_do_not_fit_are_refused_before_anything_is_written() {
    let desk = Desk::new();
    let e = desk.bad(&["tiny.toml", "--out", "r", "--budget", "conv1=101"], 1);
    assert!(e.contains("conv1.weight") && e.contains("100"), "{e}");
    let e = desk.bad(&["tiny.toml", "--out", "r", "--budget", "conv1=0"], 1);
    assert!(e.contains("conv1.weight"), "{e}");
    for total in ["0", "3", "429169", "18446744073709551615"] {
        let e = desk.bad(&["lenet5", "--out", "r", "--budget", total], 1);
        assert!(e.contains("4 to 429168"), "{e}");
    }
    let e = desk.bad(&["tiny.toml", "--out", "r", "--budget", "conv9=3"], 2);
    assert!(
        e.contains("conv9") && e.contains("conv1, conv2, fc1, fc2"),
        "{e}"
    );
    desk.bad(&["tiny.toml", "--out", "r", "--budget", "many"], 2);
    desk.bad(&["tiny.toml", "--out", "r", "--epochs", "0"], 2);
    assert!(!desk.path("r").exists());
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_device_that_is_not_there_is_refused() {
    let desk = Desk::new();
    let e = desk.bad(&["tiny.toml", "--out", "r", "--device", "cuda"], 1);
    assert!(e.contains("--features cuda"), "{e}");
    let e = desk.bad(&["tiny.toml", "--out", "r", "--device", "tpu"], 1);
    assert!(e.contains("tpu"), "{e}");
    assert!(!desk.path("r").exists());
}

#[test]
fn a_batch_that_cannot_be_taken_costs_no_earlier_result() {
    let desk = Desk::new();
    desk.good(&["tiny.toml", "--out", "r", "--quick"]);
    let small = |t: &str| {
        let i = t.rfind("batch = ").unwrap();
        let (head, tail) = t.split_at(i);
        let (_, rest) = tail.split_once('\n').unwrap();
        format!("{head}batch = 2\n{rest}")
    };
    desk.toml("small.toml", small);
    for arguments in [
        &["tiny.toml", "--parts", "1000000"][..],
        // Of the two networks only the second can't be trained so.
        &["small.toml", "--parts", "3"],
        // Nor where norms are over the batch, or two networks learn in turns.
        &[
            "tiny.toml",
            "--parts",
            "2",
            "--set",
            "regularised.model.norm=batch",
        ],
        &["dcgan-v1", "--parts", "2"],
    ] {
        let e = desk.bad(&[arguments, &["--out", "r", "--quick"]].concat(), 1);
        assert!(e.contains("parts") && !e.contains("step"), "{e}");
        assert!(desk.path("r/report.json").exists());
        assert!(desk.path("r/dense.checkpoint.safetensors").exists());
    }
}

#[test]
fn a_folder_in_which_another_run_is_at_work_is_left_alone() {
    let desk = Desk::new();
    desk.good(&["tiny.toml", "--out", "r", "--quick"]);
    let log = fs::File::open(desk.path("r/log.jsonl")).unwrap();
    log.lock().unwrap();
    for more in [&[][..], &["--resume"]] {
        let arguments = [&["tiny.toml", "--out", "r", "--quick"], more].concat();
        let e = desk.bad(&arguments, 1);
        assert!(e.contains("another run"), "{e}");
        assert!(desk.path("r/report.json").exists());
        assert!(log.metadata().unwrap().len() > 0);
    }
    drop(log);
    desk.good(&["tiny.toml", "--out", "r", "--quick"]);
}

#[test]
fn a_folder_that_cannot_be_written_to_is_found_out_at_once() {
    let desk = Desk::new();
    fs::write(desk.path("file"), "").unwrap();
    let e = desk.bad(&["tiny.toml", "--out", "file/r"], 1);
    assert!(e.contains("file/r"), "{e}");
}

#[test]
fn data_that_are_not_what_they_should_be_are_refused() {
    let desk = Desk::new();
    let data = desk.path("data");
    fs::create_dir(&data).unwrap();
    let at = data.to_str().unwrap();
    let e = desk.bad(&["tiny.toml", "--out", "r", "--data", at], 1);
    assert!(e.contains("train-images-idx3-ubyte"), "{e}");
    fs::write(
        data.join("train-images-idx3-ubyte"),
        b"\0\0\x08\x03 and nonsense",
    )
    .unwrap();
    let e = desk.bad(&["tiny.toml", "--out", "r", "--data", at], 1);
    assert!(
        e.contains("train-images-idx3-ubyte") && e.contains("ba891046"),
        "{e}"
    );
    assert!(!desk.path("r").exists());
}

#[cfg(not(feature = "mpi"))]
#[test]
fn started_by_a_launcher_of_mpi_it_says_that_it_lacks_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_freqreg"))
        .args(["reproduce", "lenet5", "--quick", "--out"])
        .arg(folder.path().join("out"))
        .env("OMPI_COMM_WORLD_SIZE", "2")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("2 times") && said.contains("--features mpi"),
        "{said}"
    );
    assert!(!folder.path().join("out").exists());
}
