//! `freqreg sweep`: one experiment in many settings and seeds, as many at once as the machine bears or as a cluster's queue gives.

mod gathered;
mod grid;
mod picture;
mod slurm;

use crate::io::{print, say};
use crate::{Failure, interrupt};
use gathered::gather;
use grid::{Grid, Run, failed};
use slurm::slurm;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A TOML file that says which runs there are
    #[arg(value_name = "GRID.toml")]
    grid: PathBuf,
    /// Folder for the runs, each in a folder of its own, and their table and plot [default: target/sweep/GRID]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    out: Option<PathBuf>,
    /// Runs at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    jobs: usize,
    /// Threads of each run [default: all cores, shared among the runs]
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    threads: Option<usize>,
    /// Only the run with this number, from 0, and no table: what a job of an array does
    #[arg(long, value_name = "I", conflicts_with_all = ["slurm", "gather"])]
    only: Option<usize>,
    /// Run nothing, but write a script for Slurm's sbatch: an array with a job for each run that is missing
    #[arg(long, value_name = "FILE.sh", value_hint = clap::ValueHint::FilePath)]
    slurm: Option<PathBuf>,
    /// Run nothing, but make table and plot of the runs that are there
    #[arg(long, conflicts_with = "slurm")]
    gather: bool,
    /// Print the reports as JSON instead of the table
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let runs = Grid::read(&args.grid)?;
    let named = || {
        let stem = args.grid.file_stem().unwrap_or_default();
        Path::new("target/sweep").join(stem)
    };
    let out = args.out.clone().unwrap_or_else(named);
    std::fs::create_dir_all(&out).map_err(|e| failed(&out, &e))?;
    if let Some(script) = &args.slurm {
        return slurm(args, &runs, &out, script);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.unwrap_or((cores / args.jobs).max(1));
    if let Some(number) = args.only {
        let run = runs.get(number).ok_or_else(|| Failure {
            message: format!(
                "error: --only {number}: the sweep has {} runs, counted from 0",
                runs.len()
            ),
            code: 2,
        })?;
        return match run.report(&out) {
            Some(_) => print(&format!("{}: done before\n", run.name)),
            None => in_turn(std::slice::from_ref(run), &out, 1, threads),
        };
    }
    if !args.gather {
        let missing: Vec<Run> = runs
            .iter()
            .filter(|r| r.report(&out).is_none())
            .cloned()
            .collect();
        let there = runs.len() - missing.len();
        if there > 0 {
            say(format_args!("{there} of {} runs are there", runs.len()));
        }
        in_turn(&missing, &out, args.jobs, threads)?;
    }
    gather(args, &runs, &out)
}

/// Runs all of them, `jobs` at a time. What fails is said at the end, when the others are done.
fn in_turn(runs: &[Run], out: &Path, jobs: usize, threads: usize) -> Result<(), Failure> {
    // A terminal's Ctrl-C reaches the runs as well, and so does a batch system's SIGTERM: they save, and this one waits for them.
    let stop = interrupt::requested()?;
    let mut waiting = runs.iter();
    let mut running: Vec<(&Run, Child)> = Vec::new();
    let mut wrong = Vec::new();
    loop {
        while running.len() < jobs && !stop.load(Ordering::Relaxed) {
            let Some(run) = waiting.next() else { break };
            say(format_args!("{}: begins", run.name));
            // Whatever goes wrong with one, the others are waited for.
            match run.start(out, threads) {
                Ok(child) => running.push((run, child)),
                Err(failure) => {
                    say(format_args!("{}: {}", run.name, failure.message));
                    wrong.push(run.name.as_str());
                }
            }
        }
        if running.is_empty() && (waiting.len() == 0 || stop.load(Ordering::Relaxed)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        let mut still = Vec::new();
        for (run, mut child) in running {
            match child.try_wait() {
                Ok(None) => still.push((run, child)),
                Ok(Some(status)) if status.success() => say(format_args!("{}: done", run.name)),
                Err(cause) => {
                    say(format_args!("{}: {cause}", run.name));
                    wrong.push(run.name.as_str());
                }
                Ok(Some(status)) => {
                    let log = out.join(&run.name).join("log.txt");
                    say(format_args!(
                        "{}: {status}; what it said is in {}",
                        run.name,
                        log.display()
                    ));
                    wrong.push(run.name.as_str());
                }
            }
        }
        running = still;
    }
    if stop.load(Ordering::Relaxed) {
        return Err(Failure {
            message: "\nStopped; the same command goes on from here.".into(),
            code: 130,
        });
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Failure {
            message: format!(
                "error: {} of {} runs failed: {}; the same command tries them again",
                wrong.len(),
                runs.len(),
                wrong.join(", ")
            ),
            code: 1,
        }),
    }
}
