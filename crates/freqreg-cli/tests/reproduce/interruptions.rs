//! Runs that are killed, stopped or fail on the way, and what they leave.

use super::*;

#[cfg(unix)]
#[test]
fn nobody_need_listen_to_the_progress() {
    let desk = Desk::new();
    let mut child = desk
        .command(&["tiny.toml", "--out", "r", "--quick"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert!(child.wait().unwrap().success());
    assert!(desk.path("r/report.json").exists());
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

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_says_how_to_go_on() {
    saves_on("-INT");
}

/// As `kill`, batch systems and containers end a program.
#[cfg(unix)]
#[test]
fn sigterm_saves_too() {
    saves_on("-TERM");
}

#[cfg(unix)]
fn saves_on(signal: &str) {
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
            .args([signal, &pid])
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
}
