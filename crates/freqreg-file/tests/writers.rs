//! Files stay whole whatever becomes of those who write them: processes that write at once, that are killed, or for which there is no room.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use freqreg_file::{Error, Model, Storage, Tensor, Values};

/// Says to a test that it was started by itself, what it shall write and where.
const TURN: &str = "FREQREG_TEST_WRITES";

/// A model of many numbers, all the same.
fn model(number: f32) -> Model {
    let tensor = |name: &str| Tensor {
        name: name.into(),
        shape: vec![300_000],
        storage: Storage::Plain,
        values: Values::F32(vec![number; 300_000]),
    };
    Model {
        architecture: "even".into(),
        config: String::new(),
        tensors: vec![tensor("first"), tensor("last")],
    }
}

/// The number of a model that is whole.
fn number(path: &Path) -> f32 {
    let read = Model::read(path).unwrap_or_else(|error| panic!("{error}"));
    let Values::F32(values) = &read.tensors[0].values else {
        panic!("another form of numbers")
    };
    let number = values[0];
    assert_eq!(read, model(number));
    number
}

/// What this process is to write, and where, if it was started by a test.
fn turn() -> Option<(f32, PathBuf)> {
    let turn = env::var(TURN).ok()?;
    let (number, path) = turn.split_once(' ').unwrap();
    Some((number.parse().unwrap(), path.into()))
}

/// This program, at the test of this name.
fn again(test: &str, number: f32, path: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]);
    command.env(TURN, format!("{number} {}", path.display()));
    command.stdout(Stdio::null());
    command
}

/// A process that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// When something is wrong, and a process that nobody has ended ends.
fn late() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// The names in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    entries.map(|entry| name(entry.unwrap())).collect()
}

#[test]
fn two_write_while_a_third_reads() {
    const NAME: &str = "two_write_while_a_third_reads";
    if let Some((number, path)) = turn() {
        let model = model(number);
        let late = late();
        while Instant::now() < late {
            model.write(&path).unwrap();
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.freq");
    model(1.0).write(&path).unwrap();
    let writers = [1.0, 2.0].map(|n| Ends(again(NAME, n, &path).spawn().unwrap()));

    let (mut before, mut changes) = (1.0, 0);
    let late = late();
    while changes < 30 {
        assert!(Instant::now() < late, "after {changes} changes");
        let now = number(&path);
        assert!([1.0, 2.0].contains(&now), "{now}");
        changes += u32::from(now != before);
        before = now;
    }
    drop(writers);
    number(&path);
}

#[test]
fn writers_are_killed() {
    const NAME: &str = "writers_are_killed";
    if let Some((first, path)) = turn() {
        let (mut number, late) = (first, late());
        while Instant::now() < late {
            number += 1.0;
            model(number).write(&path).unwrap();
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.freq");
    model(0.0).write(&path).unwrap();
    let (mut seen, mut written) = (0.0, 0);
    for i in 0..40u64 {
        let writer = Ends(again(NAME, seen, &path).spawn().unwrap());
        // From before it has begun to behind the first files.
        std::thread::sleep(Duration::from_millis(1 + i * 29 % 53));
        drop(writer);
        let now = number(&path);
        assert!(now >= seen, "{now} after {seen}");
        written += u32::from(now > seen);
        seen = now;
    }
    // What they leave has the name that the documentation says, and hinders nobody.
    let left: BTreeSet<_> = names(folder.path());
    let (parts, others): (Vec<_>, Vec<_>) = left
        .iter()
        .partition(|name| name.starts_with(".freq-") && name.ends_with(".part"));
    assert_eq!(others, ["model.freq"]);
    assert!(
        !parts.is_empty() && written > 0,
        "none was killed while it wrote, or none wrote: {written} and {parts:?}"
    );
    model(0.5).write(&path).unwrap();
    assert_eq!(number(&path), 0.5);
}

/// The largest file of a process is limited, which a writer meets as it meets a full disk: in the midst of a write.
#[test]
fn there_is_no_room() {
    const NAME: &str = "there_is_no_room";
    if let Some((number, path)) = turn() {
        let model = model(number);
        for error in [model.write(&path), model.write_safetensors(&path).map(drop)] {
            let error = error.unwrap_err();
            assert!(
                matches!(&error, Error::Io { action: "write", path: p, .. } if *p == path),
                "{error:?}"
            );
            eprintln!("{error}");
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.freq");
    model(1.0).write(&path).unwrap();
    let plain = again(NAME, 2.0, &path);
    // 2000 blocks of 512 bytes, or of 1024 in some shells. The signal is ignored, so that the write fails and not the process.
    let mut limited = Command::new("sh");
    limited.args(["-c", r#"trap "" XFSZ; ulimit -f 2000; exec "$0" "$@""#]);
    limited.arg(plain.get_program()).args(plain.get_args());
    limited.envs(plain.get_envs().filter_map(|(k, v)| Some((k, v?))));
    let output = limited.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let sentence = format!("cannot write {}: ", path.display());
    let sentences = said.lines().filter(|line| line.starts_with(&sentence));
    assert_eq!(sentences.count(), 2, "{said}");
    assert_eq!(number(&path), 1.0);
    let left: Vec<_> = names(folder.path()).into_iter().collect();
    assert_eq!(left, ["model.freq"]);
}

#[test]
fn a_file_keeps_its_permissions_and_a_link_its_target() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mode = |name: &str| fs::metadata(path(name)).unwrap().permissions().mode() & 0o777;
    model(1.0).write(path("private.freq")).unwrap();
    fs::set_permissions(path("private.freq"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink("private.freq", path("link.freq")).unwrap();
    model(2.0).write(path("link.freq")).unwrap();
    assert!(path("link.freq").is_symlink());
    assert_eq!(number(&path("private.freq")), 2.0);
    assert_eq!(mode("private.freq"), 0o600);
    // One that leads to nothing yet is where the file goes.
    symlink("later.freq", path("ahead.freq")).unwrap();
    model(3.0).write(path("ahead.freq")).unwrap();
    assert!(path("ahead.freq").is_symlink());
    assert_eq!(number(&path("later.freq")), 3.0);
    symlink("round.freq", path("round.freq")).unwrap();
    assert!(model(4.0).write(path("round.freq")).is_err());
}

#[test]
fn what_is_no_file_is_written_into() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let reader = Ends(
        Command::new("cat")
            .arg(&pipe)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let small = Model {
        tensors: Vec::new(),
        ..model(0.0)
    };
    small.write(&pipe).unwrap();
    let mut reader = reader;
    let mut got = Vec::new();
    std::io::Read::read_to_end(reader.0.stdout.as_mut().unwrap(), &mut got).unwrap();
    assert_eq!(got, small.to_bytes().unwrap());
    assert!(!fs::metadata(&pipe).unwrap().is_file());
    // A device that is always full, where there is one.
    let full = Path::new("/dev/full");
    if full.exists() {
        let link = folder.path().join("full");
        std::os::unix::fs::symlink(full, &link).unwrap();
        let error = model(1.0).write(&link).unwrap_err().to_string();
        assert!(error.contains("No space"), "{error}");
        assert!(!fs::metadata(full).unwrap().is_file());
    }
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nowhere/out.freq");
    let error = model(1.0).write(&path).unwrap_err().to_string();
    assert!(error.contains("there is no folder"), "{error}");
    assert!(!error.contains(".part"), "{error}");
}
