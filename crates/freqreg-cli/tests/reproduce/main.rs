//! The program as its users meet it: results, errors, interruptions. Runs on the embedded sample, without network.

mod interruptions;
mod refusals;

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

#[test]
fn the_ordinary_network_is_taken_from_the_report_of_one_like_it() {
    let desk = Desk::new();
    desk.good(&["tiny.toml", "--out", "a", "--quick"]);
    desk.good(&["tiny.toml", "--out", "whole", "--quick", "--budget", "300"]);
    let from = [
        "tiny.toml",
        "--quick",
        "--dense-from",
        "a/report.json",
        "--out",
    ];
    let run = |more: &[&str]| desk.run(&[&from[..], more].concat());
    // What an older run left of an ordinary network is not this one's.
    fs::create_dir(desk.path("b")).unwrap();
    fs::write(desk.path("b/dense.freq"), "old").unwrap();
    let out = run(&["b", "--resume", "--budget", "300"]);
    let said = text(&out.stderr);
    assert!(out.status.success(), "{said}");
    assert!(said.contains("not trained again"), "{said}");
    assert!(!desk.path("b/dense.freq").exists());
    assert!(!desk.path("b/dense.checkpoint.safetensors").exists());
    let (mut report, whole) = (desk.report("b"), desk.report("whole"));
    let command = "cargo xtask reproduce tiny.toml --quick --seed 1";
    assert_eq!(report["dense_from"], command);
    report.as_object_mut().unwrap().remove("dense_from");
    assert_eq!(report, whole);
    let page = fs::read_to_string(desk.path("b/report.html")).unwrap();
    assert!(page.contains(command));
    // From a report that had taken it from another: what is named is the run that trained it.
    let chain = [
        "tiny.toml",
        "--quick",
        "--dense-from",
        "b/report.json",
        "--out",
        "c",
    ];
    desk.good(&chain);
    assert_eq!(desk.report("c")["dense_from"], command);

    let refused = |more: &[&str], reason: &str| {
        let out = run(&[&["x"], more].concat());
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{said}");
        assert!(said.contains(reason), "{said}");
        assert!(!desk.path("x").exists());
    };
    refused(&["--seed", "2"], "its seed is 1, here it is 2");
    refused(
        &["--set", "dense.training.batch=32"],
        "the training's `batch` is 64 there, and here 32",
    );
    refused(
        &["--set", "dense.model.hidden=17"],
        "the network's `hidden` is 16 there, and here 17",
    );
    refused(&["--set", "quick.train=640"], "its data set is mnist");
    refused(&["--set", "data.mean=0.2"], "its images are ");
    let pruned: Vec<String> = ["conv1", "conv2", "fc1", "fc2"]
        .iter()
        .map(|layer| format!("regularised.budgets.{layer}={{dense=true}}"))
        .chain([
            r#"regularised.model={architecture="lenet5",channels=[4,8],hidden=16}"#.into(),
            "regularised.prune={keep=100,over=0.5}".into(),
        ])
        .flat_map(|set| ["--set".into(), set])
        .collect();
    let pruned: Vec<&str> = pruned.iter().map(String::as_str).collect();
    refused(&pruned, "pruning begins with");
    // A report from before it told how a network was trained is judged by its history.
    let path = desk.path("a/report.json");
    let mut old: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    old["dense"].as_object_mut().unwrap().remove("training");
    fs::write(&path, old.to_string()).unwrap();
    old["data"].as_object_mut().unwrap().remove("content");
    fs::write(&path, old.to_string()).unwrap();
    let out = run(&["d"]);
    assert!(out.status.success());
    assert!(text(&out.stderr).contains("does not tell all"));
    refused(
        &["--set", "dense.training.optimiser.momentum=0.8"],
        "its list of changes to `dense` and `data` is none, here it is --set dense.",
    );
    let one = |from: &str, to: &str| {
        desk.toml("other.toml", |t| t.replacen(from, to, 1));
        let said = desk.bad(
            &[
                "other.toml",
                "--quick",
                "--dense-from",
                "a/report.json",
                "--out",
                "x",
            ],
            1,
        );
        assert!(said.contains("steps and learning rates"), "{said}");
    };
    one("batch = 64", "batch = 32");
    one("peak = 0.02, warmup = 0.1", "peak = 0.03, warmup = 0.1");
    one("dense_epochs = 1", "dense_epochs = 2");
    desk.bad(&["all", "--dense-from", "a/report.json"], 2);
    // Nothing is removed for a run that can't be.
    let kept = fs::read(&path).unwrap();
    let said = desk.bad(&[&from[..], &["a"]].concat(), 2);
    assert!(said.contains("another folder"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), kept);
    // What was copied is not said to agree.
    fs::create_dir(desk.path("reports")).unwrap();
    fs::copy(desk.path("c/report.json"), desk.path("reports/c.json")).unwrap();
    let against = ["e", "--against", "reports"];
    let said = desk.good(&[&from[..], &against].concat());
    assert!(
        said.contains("not compared") && !said.contains("dense, "),
        "{said}"
    );
    let said = desk.bad(&["tiny.toml", "--dense-from", "nowhere.json"], 1);
    assert!(said.contains("nowhere.json"), "{said}");
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
