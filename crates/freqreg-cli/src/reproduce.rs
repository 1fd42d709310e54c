//! `freqreg reproduce`.

use crate::progress::Progress;
use crate::{Failure, table};
use freqreg_train::budget::scale_budgets;
use freqreg_train::experiment::Experiment;
use freqreg_train::reproduce::{Options, device, reproduce};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// An experiment (see --list), or the path of a TOML file
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// Show all experiments that come along
    #[arg(long)]
    list: bool,
    /// Where to run: cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Epochs, of both networks
    #[arg(long, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    epochs: Option<usize>,
    /// Numbers to keep: N in all, shared out in proportion, or LAYER=N for one layer; may be repeated
    #[arg(long, value_name = "N|LAYER=N")]
    budget: Vec<String>,
    /// Folder with the data set's files, plain or gzipped; nothing else is tried then
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder for the results [default: target/reproduce/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    threads: Option<usize>,
    /// Go on from the checkpoints of a run that was stopped
    #[arg(long)]
    resume: bool,
    /// A short run, to see that everything works
    #[arg(long)]
    quick: bool,
    /// Print the report as JSON on standard output instead of the table
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if args.list {
        let list: String = Experiment::list()
            .iter()
            .map(|(name, title)| format!("{name:16} {title}\n"))
            .collect();
        // Whoever closed the pipe has read enough.
        let _ = std::io::stdout().write_all(list.as_bytes());
        return Ok(());
    }
    let name = args.name.as_deref().unwrap_or_default();
    let mut experiment = Experiment::find(name)?;
    if let Some(epochs) = args.epochs {
        experiment.dense.training.epochs = epochs;
        experiment.regularised.training.epochs = epochs;
        experiment.quick.dense_epochs = epochs;
        experiment.quick.regularised_epochs = epochs;
    }
    for budget in &args.budget {
        set_budget(&mut experiment, budget)?;
    }
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()?;
    }
    let device = device(&args.device)?;
    let dataset = freqreg_data::load(
        experiment.dataset()?,
        &freqreg_data::Options {
            folder: args.data.clone(),
            ..freqreg_data::Options::default()
        },
    )?;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from("target/reproduce").join(&experiment.name));
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    ctrlc::set_handler(move || {
        // The second time the user means it.
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })?;
    let mut changes: Vec<String> = args
        .epochs
        .iter()
        .map(|n| format!("--epochs {n}"))
        .collect();
    changes.extend(args.budget.iter().map(|b| format!("--budget {b}")));
    let options = Options {
        changes,
        seed: args.seed,
        device,
        out: out.clone(),
        resume: args.resume,
        quick: args.quick,
        stop: &stop,
    };
    let mut progress = Progress::new();
    let result = reproduce(&experiment, &dataset, &options, &mut |event| {
        progress.show(&event);
    });
    progress.finish();
    let report = result.map_err(|e| match e {
        freqreg_train::Error::Stopped { phase, step } => Failure {
            message: format!(
                "\nStopped{}; the state is in {}.\nTo go on, give the same command with --resume.",
                match step {
                    0 => String::new(),
                    n => format!(" after step {n} of the {phase} network"),
                },
                out.display()
            ),
            code: 130,
        },
        other => other.into(),
    })?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", table::render(&report));
        println!(
            "Everything is in {}; open report.html there.",
            out.display()
        );
    }
    Ok(())
}

/// Applies one `--budget`.
fn set_budget(experiment: &mut Experiment, text: &str) -> Result<(), Failure> {
    let wrong = |reason: String| Failure {
        message: format!("error: --budget {text}: {reason}"),
        code: 2,
    };
    let count = |n: &str| {
        n.parse::<usize>()
            .map_err(|_| wrong(format!("`{n}` is no count; give a number of coefficients")))
    };
    match text.split_once('=') {
        None => scale_budgets(experiment, count(text)?)?,
        Some((layer, n)) => {
            let budgets = &mut experiment.regularised.budgets;
            let known: Vec<_> = budgets.keys().cloned().collect();
            let keep = budgets.get_mut(layer).ok_or_else(|| {
                wrong(format!(
                    "there is no layer `{layer}`; there are {}",
                    known.join(", ")
                ))
            })?;
            keep.keep = Some(count(n)?);
            keep.fraction = None;
            keep.dense = false;
        }
    }
    Ok(())
}
