//! Running programs of the machine, for a bounded time.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// Runs a command to its end. Its output is not shown; the last line it wrote to standard error is part of the error.
///
/// # Errors
/// [`Error::Command`] where the program is not there, fails, or still runs at `deadline`; it is then killed.
pub(crate) fn run(command: &mut Command, deadline: Instant) -> Result<()> {
    let line = std::iter::once(command.get_program()).chain(command.get_args());
    let line = line
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    let failed = |what: String| Error::Command {
        command: line.clone(),
        what,
    };

    // A file, not a pipe: nobody has to drain it while the program runs.
    let mut log = tempfile::tempfile().map_err(|e| failed(format!("was not run: {e}")))?;
    let stderr = log
        .try_clone()
        .map_err(|e| failed(format!("was not run: {e}")))?;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr);
    let mut child = command
        .spawn()
        .map_err(|e| failed(format!("was not run: {e}")))?;
    match wait(&mut child, deadline).map_err(|e| failed(format!("was lost: {e}")))? {
        None => Err(failed("took too long and was stopped".to_owned())),
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(failed(format!(
            "failed ({status}): {}",
            last_line(&mut log)
        ))),
    }
}

/// Waits for the end of the child; kills it at the deadline.
fn wait(child: &mut Child, deadline: Instant) -> std::io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        sleep(Duration::from_millis(20));
    }
}

fn last_line(log: &mut File) -> String {
    let mut bytes = Vec::new();
    let read = log
        .rewind()
        .and_then(|()| log.take(1 << 16).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    let last = text
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty());
    match (read, last) {
        (Ok(_), Some(line)) => line.to_owned(),
        _ => "it said nothing".to_owned(),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, time: Duration) -> Result<()> {
        run(
            Command::new("sh").args(["-c", script]),
            Instant::now() + time,
        )
    }

    #[test]
    fn a_failure_says_the_last_line() {
        let error = shell(
            "echo first >&2; echo second >&2; echo >&2; exit 3",
            Duration::from_secs(60),
        )
        .unwrap_err();
        let text = error.to_string();
        assert!(
            text.ends_with("second") && text.contains("3") && !text.contains("first\n"),
            "{text}"
        );
        shell("exit 0", Duration::from_secs(60)).unwrap();
    }

    #[test]
    fn a_program_that_does_not_end_is_stopped() {
        let start = Instant::now();
        let error = shell("exec sleep 60", Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("took too long"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let error = run(
            &mut Command::new("no-such-program-anywhere"),
            Instant::now(),
        )
        .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("`no-such-program-anywhere` was not run"),
            "{error}"
        );
    }

    #[test]
    fn much_output_blocks_nothing() {
        shell(
            "head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2",
            Duration::from_secs(60),
        )
        .unwrap();
    }
}
