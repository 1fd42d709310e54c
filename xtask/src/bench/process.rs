//! A program that measures something: what it printed, and the most memory it held.

use crate::cargo::{not_started, shown};
use crate::{Failure, Outcome};
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// What is left of a program that has run to its end.
pub(super) struct Finished {
    /// Its standard output.
    pub(super) output: String,
    /// The largest resident memory of the process in MiB, where the system tells.
    pub(super) peak_mb: Option<f64>,
}

/// Runs a program to its end; its standard error goes where this program's goes.
pub(super) fn measure(command: &mut Command) -> Outcome<Finished> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| not_started(command, &e))?;
    let (done, ended) = channel();
    let id = child.id();
    let watch = std::thread::spawn(move || watch(id, &ended));
    let mut output = String::new();
    let read = child
        .stdout
        .take()
        .map_or(Ok(0), |mut pipe| pipe.read_to_string(&mut output));
    let status = child.wait();
    drop(done);
    let peak_mb = watch.join().ok().flatten();
    match (status, read) {
        (Ok(status), Ok(_)) if status.success() => Ok(Finished { output, peak_mb }),
        (Ok(status), Ok(_)) => Err(Failure::Failed(format!(
            "{} failed: {status}",
            shown(command)
        ))),
        (Err(error), _) | (_, Err(error)) => {
            Err(Failure::Failed(format!("{}: {error}", shown(command))))
        }
    }
}

/// Reads a process's high-water mark until it ends. The kernel keeps the mark, so that only memory first
/// taken within the last interval can be missed.
fn watch(id: u32, ended: &Receiver<()>) -> Option<f64> {
    let mut peak = None;
    loop {
        peak = high_water_mark(id).or(peak);
        if ended.recv_timeout(Duration::from_millis(20)) == Err(RecvTimeoutError::Disconnected) {
            return peak;
        }
    }
}

/// `VmHWM` of a process, in MiB; `None` where there is no such file or the process is gone.
fn high_water_mark(id: u32) -> Option<f64> {
    parse(&std::fs::read_to_string(format!("/proc/{id}/status")).ok()?)
}

fn parse(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read_in_mebibytes() {
        assert_eq!(
            parse("Name:\tx\nVmHWM:\t    2560 kB\nVmRSS:\t 1 kB\n"),
            Some(2.5)
        );
        assert_eq!(parse("Name:\tx\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_fills_memory_is_seen_to_do_so() {
        // 48 MiB of text in one variable of the shell.
        let script = "x=$(head -c 50331648 /dev/zero | tr '\\0' x); sleep 0.2; echo ${#x}";
        let finished = measure(Command::new("sh").args(["-c", script])).expect("it runs");
        assert_eq!(finished.output, "50331648\n");
        let peak = finished.peak_mb.expect("Linux tells");
        assert!((48.0..480.0).contains(&peak), "{peak}");
    }

    #[test]
    fn a_program_that_fails_yields_no_figures() {
        let mut command = crate::cargo::cargo(["no-such-command"]);
        assert!(matches!(measure(&mut command), Err(Failure::Failed(_))));
    }
}
