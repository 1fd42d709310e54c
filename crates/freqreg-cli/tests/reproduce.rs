//! The program as its users meet it: results, errors, interruptions. Runs on the embedded sample, without network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A network so small that an epoch takes a moment.
const TINY: &str = r#"
title = "A tiny LeNet5"
[data]
name = "mnist"
validation = 1000
mean = 0.1307
deviation = 0.3081
[dense]
model = { architecture = "lenet5", channels = [4, 8], hidden = 16 }
[dense.training]
epochs = 3
batch = 64
optimiser = { kind = "sgd", momentum = 0.9 }
rate = { shape = "cosine", peak = 0.02, warmup = 0.1 }
[regularised]
model = { architecture = "lenet5", channels = [4, 8], hidden = 16, norm = "sample" }
[regularised.budgets]
conv1 = { keep = 50 }
conv2 = { keep = 150, order = "inverse-sqrt" }
fc1 = { keep = 120, axes = [16, 8, 4, 4] }
fc2 = { fraction = 0.5 }
[regularised.shrink]
decay = "cosine"
over = 0.9
[regularised.training]
epochs = 3
batch = 64
optimiser = { kind = "adam", beta2 = 0.99 }
rate = { shape = "one-cycle", peak = 0.02, warmup = 0.2 }
shift = 1
[quick]
dense_epochs = 1
regularised_epochs = 1
"#;

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tiny.toml"), TINY).unwrap();
        Desk { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut c = Command::new(env!("CARGO_BIN_EXE_freqreg"));
        c.arg("reproduce")
            .args(arguments)
            .current_dir(self.folder.path())
            .env("FREQREG_OFFLINE", "1")
            .env("FREQREG_DATA", self.path("cache"))
            .stdin(Stdio::null());
        c
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs what must succeed; its standard output.
    fn good(&self, arguments: &[&str]) -> String {
        let out = self.run(arguments);
        assert!(out.status.success(), "{}", text(&out.stderr));
        text(&out.stdout)
    }

    /// Runs what must fail with code 1 (2 for the command line); its message.
    fn bad(&self, arguments: &[&str], code: i32) -> String {
        let out = self.run(arguments);
        let message = text(&out.stderr);
        assert_eq!(out.status.code(), Some(code), "{message}");
        assert!(!message.contains("panicked"), "{message}");
        message
    }

    fn toml(&self, name: &str, change: impl Fn(&str) -> String) {
        let changed = change(TINY);
        assert_ne!(changed, TINY);
        fs::write(self.path(name), changed).unwrap();
    }

    /// The report's text without its times, which stand at its end.
    fn report_text(&self, folder: &str) -> String {
        let json = fs::read_to_string(self.path(folder).join("report.json")).unwrap();
        let (before, _) = json.split_once("\"seconds\"").unwrap();
        before.to_string()
    }

    /// The report without its times.
    fn report(&self, folder: &str) -> serde_json::Value {
        let json = fs::read_to_string(self.path(folder).join("report.json")).unwrap();
        let mut report: serde_json::Value = serde_json::from_str(&json).unwrap();
        report.as_object_mut().unwrap().remove("seconds").unwrap();
        report
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_run_on_the_sample_says_so_and_leaves_every_result() {
    let desk = Desk::new();
    let out = desk.run(&["tiny.toml", "--out", "r", "--quick"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let table = text(&out.stdout);
    assert!(
        table.contains("ATTENTION") && table.contains("embedded sample"),
        "{table}"
    );
    assert!(table.contains("quick run"), "{table}");
    let notice = text(&out.stderr);
    assert!(notice.to_lowercase().contains("sample"), "{notice}");
    let report = desk.report("r");
    assert_eq!(report["data"]["source"], "embedded-sample");
    assert_eq!(report["data"]["sample"], true);
    assert_eq!(report["regularised"]["kept"], 50 + 150 + 120 + 80);
    let names = [
        "report.html",
        "model.freq",
        "model.safetensors",
        "dense.freq",
        "log.jsonl",
    ];
    for name in names {
        assert!(desk.path("r").join(name).exists(), "{name}");
    }
    let accuracy = report["regularised"]["test"].as_f64().unwrap();
    // One epoch of 78 steps is far from enough, but well above the tenth that chance gets.
    assert!(accuracy > 0.25, "{accuracy}");
    let size = fs::metadata(desk.path("r/model.freq")).unwrap().len();
    assert_eq!(report["regularised"]["file_bytes"], size);
}

/// What a network draws lies beside its report as pictures, of both networks, and goes when a run begins anew.
#[test]
fn drawn_images_are_left_as_pictures() {
    let desk = Desk::new();
    let lenet = "architecture = \"lenet5\", channels = [4, 8], hidden = 16";
    desk.toml("vae.toml", |tiny| {
        let (before, rest) = tiny.split_once("[regularised.budgets]").unwrap();
        let (_, after) = rest.split_once("[regularised.shrink]").unwrap();
        format!(
            "{before}[regularised.budgets]\n\"encoder.conv1\" = {{ keep = 40 }}\n\"encoder.conv2\" = {{ keep = 60 }}\n\
             \"encoder.fc1\" = {{ keep = 80 }}\n\"encoder.fc2\" = {{ keep = 30 }}\n\"decoder.fc1\" = {{ keep = 20 }}\n\
             \"decoder.fc2\" = {{ keep = 80 }}\n\"decoder.conv1\" = {{ keep = 60 }}\n\"decoder.conv2\" = {{ keep = 40 }}\n\
             [regularised.shrink]{after}"
        )
        .replace(lenet, "architecture = \"vae\", channels = [4, 8], hidden = 16, latent = 3")
        .replace("mean = 0.1307\ndeviation = 0.3081", "mean = 0.0\ndeviation = 1.0")
    });
    desk.good(&["vae.toml", "--out", "v", "--quick"]);
    let pictures = ["reconstructions", "samples"]
        .into_iter()
        .flat_map(|name| ["dense", "regularised"].map(|network| format!("v/{name}-{network}.png")));
    let pictures: Vec<PathBuf> = pictures.map(|name| desk.path(&name)).collect();
    let size = |path: &PathBuf| {
        let file = std::io::BufReader::new(fs::File::open(path).unwrap());
        let reader = png::Decoder::new(file).read_info().unwrap();
        [reader.info().width, reader.info().height]
    };
    // Ten images of 28 x 28 in a row, with a line of two pixels between them.
    for (path, rows) in pictures.iter().zip([2, 2, 3, 3]) {
        assert_eq!(size(path), [10 * 30 - 2, rows * 30 - 2], "{path:?}");
    }
    desk.toml("other.toml", |tiny| tiny.replace("A tiny", "Another"));
    desk.good(&["other.toml", "--out", "v", "--quick"]);
    assert!(pictures.iter().all(|path| !path.exists()));
}

#[test]
fn one_seed_gives_one_report_and_another_another() {
    let desk = Desk::new();
    desk.good(&["tiny.toml", "--out", "a", "--quick", "--threads", "1"]);
    desk.good(&["tiny.toml", "--out", "b", "--quick", "--threads", "3"]);
    desk.good(&["tiny.toml", "--out", "c", "--quick", "--seed", "2"]);
    assert_eq!(desk.report_text("a"), desk.report_text("b"));
    assert_ne!(desk.report("a"), desk.report("c"));
    let model = |folder: &str| fs::read(desk.path(folder).join("model.freq")).unwrap();
    assert_eq!(model("a"), model("b"));
}

#[test]
fn a_total_budget_is_what_the_file_holds_and_is_recorded() {
    let desk = Desk::new();
    let table = desk.good(&["tiny.toml", "--out", "r", "--quick", "--budget", "321"]);
    assert!(table.contains("--budget 321"), "{table}");
    let report = desk.report("r");
    assert_eq!(report["regularised"]["kept"], 321);
    assert_eq!(report["changes"][0], "--budget 321");
}

#[test]
fn a_finished_run_is_stored_anew_in_fewer_bits() {
    let desk = Desk::new();
    desk.good(&["tiny.toml", "--out", "r", "--quick"]);
    let before = desk.report("r");
    let again = ["tiny.toml", "--out", "r", "--quick", "--resume", "--number"];
    desk.good(&[&again[..], &["bits:12"]].concat());
    let after = desk.report("r");
    assert_eq!(after["changes"][0], "--number bits:12");
    let (old, new) = (&before["regularised"], &after["regularised"]);
    assert_eq!(
        (&old["number"], &new["number"]),
        (&"float16".into(), &"quantised".into())
    );
    assert_eq!(
        (&old["kept"], &old["history"]),
        (&new["kept"], &new["history"])
    );
    let bytes = |report: &serde_json::Value| report["file_bytes"].as_u64().unwrap();
    assert!(
        bytes(new) < bytes(old) - 100,
        "{} and {}",
        bytes(new),
        bytes(old)
    );
    let size = fs::metadata(desk.path("r/model.freq")).unwrap().len();
    assert_eq!(bytes(new), size);
    for wrong in ["bits:1", "bits:17", "float8", "8"] {
        let out = desk.run(&[&again[..], &[wrong]].concat());
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{said}");
        assert!(said.contains("is no form of numbers"), "{said}");
    }
}

#[test]
fn a_run_that_fails_leaves_no_older_result_behind() {
    let desk = Desk::new();
    desk.good(&["tiny.toml", "--out", "r", "--quick"]);
    desk.toml("nan.toml", |t| {
        t.replace("peak = 0.02, warmup = 0.2", "peak = 1e30, warmup = 0.2")
    });
    desk.bad(&["nan.toml", "--out", "r", "--quick"], 1);
    for name in [
        "report.json",
        "report.html",
        "model.freq",
        "model.safetensors",
    ] {
        assert!(!desk.path("r").join(name).exists(), "{name}");
    }
}

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

/// Starts a run, waits until its log has `lines` lines and a moment more, and kills it.
fn kill_after(desk: &Desk, arguments: &[&str], log: &Path, lines: usize, moment: Duration) {
    let mut child = desk
        .command(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while fs::read_to_string(log).unwrap_or_default().lines().count() < lines {
        assert!(
            began.elapsed() < Duration::from_secs(300),
            "the run did not get so far"
        );
        if child.try_wait().unwrap().is_some() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(moment);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_run_killed_three_times_ends_as_the_one_left_alone() {
    let desk = Desk::new();
    desk.good(&["tiny.toml", "--out", "whole"]);
    let killed = ["tiny.toml", "--out", "killed", "--resume"];
    let log = desk.path("killed/log.jsonl");
    for (lines, moment) in [(1, 30), (3, 120), (6, 1)] {
        kill_after(&desk, &killed, &log, lines, Duration::from_millis(moment));
    }
    desk.good(&killed);
    assert_eq!(desk.report_text("killed"), desk.report_text("whole"));
    let model = |folder: &str| fs::read(desk.path(folder).join("model.freq")).unwrap();
    assert_eq!(model("killed"), model("whole"));
}

#[test]
fn a_budget_shared_out_adds_up_and_survives_a_kill() {
    let desk = Desk::new();
    desk.toml("shared.toml", |t| {
        let share = "[regularised.share]\ntimes = 4\nimages = 40\n[regularised.shrink]";
        t.replace("[regularised.shrink]", share)
    });
    desk.good(&["shared.toml", "--out", "whole"]);
    let report = desk.report("whole");
    assert_eq!(report["regularised"]["kept"], 50 + 150 + 120 + 80);
    let layers = report["regularised"]["layers"].as_array().unwrap();
    let kept: Vec<u64> = layers.iter().map(|l| l["kept"].as_u64().unwrap()).collect();
    assert_ne!(kept, [50, 150, 120, 80]);
    let killed = ["shared.toml", "--out", "killed", "--resume"];
    let log = desk.path("killed/log.jsonl");
    for (lines, moment) in [(4, 40), (5, 150)] {
        kill_after(&desk, &killed, &log, lines, Duration::from_millis(moment));
    }
    desk.good(&killed);
    assert_eq!(desk.report_text("killed"), desk.report_text("whole"));

    desk.good(&["tiny.toml", "--out", "r", "--quick", "--share-out"]);
    let report = desk.report("r");
    assert_eq!(report["changes"][0], "--share-out");
    assert_eq!(report["regularised"]["kept"], 50 + 150 + 120 + 80);
}

#[test]
fn a_rerun_is_held_against_the_reports_of_earlier_ones() {
    let desk = Desk::new();
    fn run<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["tiny.toml", "--quick", "--out"], more].concat()
    }
    desk.good(&run(&["a"]));
    fs::create_dir_all(desk.path("reports/inner")).unwrap();
    let report = fs::read_to_string(desk.path("a/report.json")).unwrap();
    fs::write(desk.path("reports/inner/tiny.json"), &report).unwrap();
    let said = desk.good(&run(&["b", "--against", "reports"]));
    assert!(
        said.contains("against the report of seed 1") && !said.contains("DIFFERS"),
        "{said}"
    );

    // As if it had been much better.
    let mut other: serde_json::Value = serde_json::from_str(&report).unwrap();
    other["regularised"]["test"] = 0.999.into();
    fs::write(desk.path("reports/inner/tiny.json"), other.to_string()).unwrap();
    let said = desk.bad(&run(&["b", "--resume", "--against", "reports"]), 1);
    assert!(said.contains("does not agree"), "{said}");
    let said = desk.bad(
        &run(&[
            "c",
            "--seed",
            "2",
            "--budget",
            "300",
            "--against",
            "reports",
        ]),
        1,
    );
    assert!(said.contains("no report of `tiny`"), "{said}");
    assert!(!desk.path("c").exists());
    desk.bad(&["all", "--against", "reports"], 2);
    let said = desk.bad(&run(&["c", "--against", "nowhere"]), 1);
    assert!(said.contains("nowhere"), "{said}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_says_how_to_go_on() {
    let desk = Desk::new();
    desk.good(&["tiny.toml", "--out", "whole"]);
    let child = desk
        .command(&["tiny.toml", "--out", "r"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = desk.path("r/log.jsonl");
    while fs::read_to_string(&log).unwrap_or_default().lines().count() < 1 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let out = child.wait_with_output().unwrap();
    let message = text(&out.stderr);
    assert_eq!(out.status.code(), Some(130), "{message}");
    assert!(message.contains("--resume"), "{message}");
    desk.good(&["tiny.toml", "--out", "r", "--resume"]);
    assert_eq!(desk.report_text("r"), desk.report_text("whole"));
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
fn settings_are_changed_and_the_report_says_so() {
    let desk = Desk::new();
    let set = |change| ["tiny.toml", "--out", "r", "--quick", "--set", change];
    desk.good(&set(
        "regularised.budgets.conv1={ keep = 7, order = \"inverse-sqrt\" }",
    ));
    let report = desk.report("r");
    assert_eq!(
        report["changes"][0],
        "--set regularised.budgets.conv1={ keep = 7, order = \"inverse-sqrt\" }"
    );
    let layer = &report["regularised"]["layers"][0];
    assert_eq!(
        (&layer["name"], &layer["kept"]),
        (&"conv1.weight".into(), &7.into())
    );
    // What is no TOML is a string.
    desk.good(&set("regularised.model.norm=sample"));
    assert_eq!(desk.report("r")["regularised"]["model"]["norm"], "sample");
    for (change, said) in [
        ("regularised.model.norm", "KEY=VALUE"),
        ("a b=3", "no key"),
        ("=3", "no key"),
        ("title.x=3", "no table"),
        ("regularised.training.epoch=3", "unknown field `epoch`"),
        ("regularised.training.epochs=many", "invalid type"),
        ("regularised.training.epochs=0", "epochs"),
    ] {
        let e = desk.bad(&set(change), 1);
        assert!(e.contains(said) && e.contains("tiny"), "{change}: {e}");
    }
    let e = desk.bad(&["all", "--set", "data.validation=3"], 2);
    assert!(e.contains("--set"), "{e}");
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

#[test]
fn a_damaged_checkpoint_is_refused_and_left_alone() {
    let desk = Desk::new();
    desk.good(&["tiny.toml", "--out", "r", "--quick"]);
    let checkpoint = desk.path("r/regularised.checkpoint.safetensors");
    let whole = fs::read(&checkpoint).unwrap();
    let mut flipped = whole.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    for damaged in [&whole[..whole.len() / 2], &whole[..3], &flipped] {
        fs::write(&checkpoint, damaged).unwrap();
        let e = desk.bad(&["tiny.toml", "--out", "r", "--quick", "--resume"], 1);
        assert!(
            e.contains("regularised.checkpoint") && e.contains("damaged"),
            "{e}"
        );
        assert_eq!(fs::read(&checkpoint).unwrap(), damaged);
    }
    fs::write(&checkpoint, &whole).unwrap();
    let e = desk.bad(
        &[
            "tiny.toml",
            "--out",
            "r",
            "--quick",
            "--resume",
            "--seed",
            "5",
        ],
        1,
    );
    assert!(e.contains("another seed"), "{e}");
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_state() {
    let desk = Desk::new();
    // The rate climbs along a line: good for the first epoch, absurd in the second.
    desk.toml("nan.toml", |t| {
        t.replace(
            "rate = { shape = \"cosine\", peak = 0.02, warmup = 0.1 }",
            "rate = { shape = \"constant\", peak = 1e30 }",
        )
    });
    let e = desk.bad(&["nan.toml", "--out", "r"], 1);
    assert!(
        e.contains("step") && e.contains("learning rate") && e.contains("dense"),
        "{e}"
    );
    assert!(!desk.path("r/model.freq").exists());
    assert!(!desk.path("r/report.json").exists());
    // With a good epoch before it, its checkpoint stays and is named.
    desk.good(&["tiny.toml", "--out", "k", "--quick"]);
    let before = fs::read(desk.path("k/dense.checkpoint.safetensors")).unwrap();
    desk.toml("late.toml", |t| {
        let warm = "rate = { shape = \"cosine\", peak = 1e6, warmup = 0.9 }\n";
        t.replace(
            "rate = { shape = \"cosine\", peak = 0.02, warmup = 0.1 }\n",
            warm,
        )
        .replacen("epochs = 3", "epochs = 60", 1)
        .replacen("momentum = 0.9", "momentum = 0.0", 1)
        .replacen("batch = 64", "batch = 5000", 1)
    });
    let e = desk.bad(&["late.toml", "--out", "l"], 1);
    assert!(e.contains("dense.checkpoint.safetensors"), "{e}");
    assert!(desk.path("l/dense.checkpoint.safetensors").exists());
    assert_eq!(
        before,
        fs::read(desk.path("k/dense.checkpoint.safetensors")).unwrap()
    );
}

#[test]
fn the_list_names_every_experiment() {
    let list = Desk::new().good(&["--list"]);
    assert!(
        list.contains("lenet5 ") && list.contains("lenet5-paper"),
        "{list}"
    );
}

#[test]
fn json_goes_to_standard_output_alone() {
    let desk = Desk::new();
    let out = desk.good(&["tiny.toml", "--out", "r", "--quick", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["experiment"], "tiny");
    assert_eq!(report["schema"], 2);
}

#[test]
fn all_experiments_go_on_after_failures_and_leave_a_table() {
    let desk = Desk::new();
    fs::create_dir(desk.path("empty")).unwrap();
    // No data set is in this folder, so that every experiment fails.
    let out = desk
        .command(&["all", "--quick", "--data", "empty", "--out", "new"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{text}");
    let rows: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(desk.path("new/index.json")).unwrap()).unwrap();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), freqreg_models::EXPERIMENTS.len());
    assert!(
        rows.iter().all(|row| row["outcome"]["failure"].is_string()),
        "{rows:?}"
    );
    let page = fs::read_to_string(desk.path("new/index.html")).unwrap();
    assert_eq!(page.matches("failed: ").count(), rows.len());
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
