//! Processes that a real `mpirun` starts: `cargo test --package freqreg-cli --features mpi --test mpi`.

#![cfg(all(feature = "mpi", target_os = "linux"))]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A short training on the sample, with as many parts as there are processes at most.
fn train(processes: usize, out: &Path, epochs: usize, more: &[&str]) -> Command {
    let mut command = Command::new("mpirun");
    command
        .args(["-n", &processes.to_string(), "--oversubscribe"])
        .arg(env!("CARGO_BIN_EXE_freqreg"))
        .args(["reproduce", "lenet5", "--threads", "1", "--parts", "2"])
        .args(["--epochs", &epochs.to_string(), "--set", "data.train=640"])
        .args([
            "--set",
            "data.validation=200",
            "--set",
            "data.test=200",
            "--json",
        ])
        .args(more)
        .arg("--out")
        .arg(out)
        .env("FREQREG_OFFLINE", "1")
        .env("FREQREG_DATA", out.join("data"))
        // Continuous integration runs as root, where Open MPI asks whether that is meant.
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .stdin(Stdio::null());
    command
}

fn good(output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

fn model(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("model.freq")).unwrap()
}

#[test]
fn two_processes_train_the_network_that_one_does_and_exchange_its_numbers_alone() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let a = good(train(1, one.path(), 2, &[]).output().unwrap());
    let b = good(train(2, two.path(), 2, &[]).output().unwrap());
    assert_eq!(model(one.path()), model(two.path()));
    let [a, b]: [serde_json::Value; 2] = [a, b].map(|t| serde_json::from_str(&t).unwrap());
    assert_eq!(a["processes"], serde_json::Value::Null);
    assert_eq!(b["processes"]["count"], 2);
    assert_eq!(b["processes"]["regularised_bytes"], 4 * 776 + 8);
    for network in ["dense", "regularised"] {
        for score in ["test", "validation"] {
            assert_eq!(a[network][score], b[network][score]);
        }
    }
}

/// The process of a rank of the run into `out`, by what the launcher put into its environment.
fn process_of(rank: &str, out: &Path) -> Option<u32> {
    let rank = format!("OMPI_COMM_WORLD_RANK={rank}");
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
            continue;
        };
        let part = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        let has =
            |bytes: Vec<u8>, what: &str| bytes.split(|b| *b == 0).any(|v| v == what.as_bytes());
        if has(part("environ"), &rank) && has(part("cmdline"), &out.to_string_lossy()) {
            return Some(pid);
        }
    }
    None
}

/// Waits until `done`, but no longer than a run of this size can take.
fn until(mut done: impl FnMut() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(
            since.elapsed() < Duration::from_secs(120),
            "it takes too long"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ended_within(child: &mut Child, time: Duration) -> bool {
    let since = Instant::now();
    while since.elapsed() < time {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    false
}

#[test]
fn a_killed_process_ends_the_run_which_goes_on_with_another_number_of_processes() {
    let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    good(train(1, whole.path(), 12, &[]).output().unwrap());
    let mut run = train(2, cut.path(), 12, &[]);
    let mut run = run
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let checkpoint = cut.path().join("regularised.checkpoint.safetensors");
    until(|| checkpoint.exists());
    let pid = process_of("1", cut.path()).expect("it runs");
    let killed = Command::new("kill")
        .args(["-9", &pid.to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    assert!(
        ended_within(&mut run, Duration::from_secs(30)),
        "it goes on without the process"
    );
    let output = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("process rank 1"),
        "{said}"
    );
    assert!(!cut.path().join("model.freq").exists());
    good(train(1, cut.path(), 12, &["--resume"]).output().unwrap());
    assert_eq!(model(whole.path()), model(cut.path()));
}

#[test]
fn an_error_of_one_process_ends_all() {
    let folder = tempfile::tempdir().unwrap();
    // Three processes can't have as many of two parts each.
    let output = train(3, folder.path(), 1, &[]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("multiple of 3"),
        "{said}"
    );
    // Process 1 can't read what the others can.
    let odd = format!(
        "if [ $OMPI_COMM_WORLD_RANK = 1 ]; then more=--data=/nowhere; fi; exec {} reproduce lenet5 --quick --out {} $more",
        env!("CARGO_BIN_EXE_freqreg"),
        folder.path().display()
    );
    let mut run = Command::new("mpirun");
    run.args(["-n", "2", "--oversubscribe", "bash", "-c", &odd]);
    run.env("FREQREG_OFFLINE", "1")
        .env("FREQREG_DATA", folder.path());
    run.env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    let output = run.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("process 1 of 2: error:") && said.contains("/nowhere"),
        "{said}"
    );
}
