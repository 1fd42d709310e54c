//! The program `freqreg`: command lines in, results and clear errors out. What it does is in the libraries.

mod bench;
mod completions;
mod diff;
#[cfg(test)]
mod documented;
mod eval;
mod help;
mod import;
mod inspect;
mod interrupt;
mod io;
mod man;
mod pack;
mod patch;
mod plot;
mod progress;
mod qr;
mod quantize;
mod reproduce;
mod svg;
mod sweep;
mod table;
mod team;
mod trace;
mod unpack;

use clap::{FromArgMatches, Parser, Subcommand};
use std::process::ExitCode;

/// Every step allocates and frees maps of several megabytes. The system's allocator gives them back to the kernel
/// each time, which then has to clear every page anew.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(
    name = "freqreg",
    version,
    about = "Neural networks as short lists of DCT coefficients",
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train an experiment's ordinary and regularised network, and report what became of them
    Reproduce(reproduce::Args),
    /// Train experiments in many settings and seeds, and put them into one table
    Sweep(sweep::Args),
    /// Segment pictures with a model file, and score what it finds against true masks
    Eval(eval::Args),
    /// Turn a network that the paper's authors released into a model file
    Import(import::Args),
    /// Say what a model file holds
    Inspect(inspect::Args),
    /// Write a model file with its numbers in fewer bits
    Quantize(quantize::Args),
    /// Turn a file of ordinary weights into a model file, without training
    Pack(pack::Args),
    /// Write a model file as ordinary weights, for PyTorch and others
    Unpack(unpack::Args),
    /// Write what changed between two model files of a network as an update
    Diff(diff::Args),
    /// Apply an update to the model file that it was made from
    Patch(patch::Args),
    /// Draw a model file as a QR code
    Qr(qr::Args),
    /// Print what a shell needs to complete command lines
    Completions(completions::Args),
    /// Print the manual page, or write those of all commands
    Man(man::Args),
    /// Time a synthesis and a training step on this machine
    Bench(bench::Args),
}

fn main() -> ExitCode {
    settle();
    let cli = Cli::from_arg_matches(&help::command().get_matches()).unwrap_or_else(|e| e.exit());
    let result = match cli.command {
        Command::Reproduce(args) => reproduce::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Quantize(args) => quantize::run(&args),
        Command::Pack(args) => pack::run(&args),
        Command::Unpack(args) => unpack::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Patch(args) => patch::run(&args),
        Command::Qr(args) => qr::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                io::say(&failure.message);
            }
            ExitCode::from(failure.code)
        }
    }
}

/// Begins the program anew with what its parts read from the environment alone, which a program can't safely change for itself.
///
/// candle adds large tensors in a thread pool of its own, whose threads spin while they wait. Beside the kernels'
/// threads, which do nearly all the work, that doubles the time of a step, so candle gets one thread.
///
/// A training frees in each step what it needs again in the next: its memory stays, in large pages, and the kernel does not have to clear
/// it anew. VGG16's ordinary network trains 14 % faster so (the median of four pairs of runs, 3 to 22 %), in as much memory.
fn settle() {
    const CANDLE: &[(&str, &str)] = &[("CANDLE_NUM_THREADS", "1")];
    const TRAINING: &[(&str, &str)] = &[
        CANDLE[0],
        ("MIMALLOC_PURGE_DELAY", "-1"),
        ("MIMALLOC_ALLOW_LARGE_OS_PAGES", "1"),
    ];
    let trains = std::env::args_os().nth(1).is_some_and(|a| a == "reproduce");
    let mut missing = if trains { TRAINING } else { CANDLE }
        .iter()
        .filter(|(variable, _)| std::env::var_os(variable).is_none())
        .peekable();
    if missing.peek().is_none() {
        return;
    }
    // What can't be found or started goes on as it is, only slower.
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let mut again = std::process::Command::new(program);
    again
        .args(std::env::args_os().skip(1))
        .envs(missing.copied());
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        // In the place of this process: nothing is behind it if it succeeds.
        let _ = again
            .arg0(std::env::args_os().next().unwrap_or_default())
            .exec();
    }
    #[cfg(not(unix))]
    if let Ok(status) = again.status() {
        std::process::exit(status.code().unwrap_or(1));
    }
}

/// Why the program ends otherwise than well.
struct Failure {
    /// What the user reads; nothing is printed where it is empty.
    message: String,
    /// 1 for an error, 2 for a wrong command line, 130 after Ctrl-C or SIGTERM.
    code: u8,
}

impl<E: std::error::Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let any: &(dyn std::error::Error + 'static) = &error;
        // Whoever closed the pipe has read enough.
        if any.downcast_ref().is_some_and(io::closed) {
            return Failure {
                message: String::new(),
                code: 0,
            };
        }
        Failure {
            message: format!("error: {error}"),
            code: 1,
        }
    }
}
