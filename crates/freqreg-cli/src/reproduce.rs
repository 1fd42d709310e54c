//! `freqreg reproduce`.

use crate::io::{print, say};
use crate::progress::Progress;
use crate::{Failure, interrupt, table, team};
use freqreg_train::against;
use freqreg_train::budget::scale_budgets;
use freqreg_train::communicator::Communicator;
use freqreg_train::experiment::{Experiment, NumberKind, Preset, Share};
use freqreg_train::index::{Outcome, Row};
use freqreg_train::report::Report;
use freqreg_train::reproduce::{Options, device, forget, load, reproduce};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// An experiment (see --list), the path of a TOML file, or `all`
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
    /// Change a setting of the experiment, as its file has it: regularised.training.rate.peak=0.02; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Numbers to keep: N in all, shared out in proportion, or LAYER=N for one layer; may be repeated. Where weights are pruned instead, N of
    /// them are kept
    #[arg(long, value_name = "N|LAYER=N")]
    budget: Vec<String>,
    /// How the kept numbers are stored: float16, float32, or bits:N (2 to 16), about N bits each, coded. Training does not depend on it: with
    /// --resume, a finished run is stored and measured anew
    #[arg(long, value_name = "FORM")]
    number: Option<NumberKind>,
    /// Let the network learn to do with the numbers of `--number bits:N` in so many of the last epochs: it computes with them as they will be
    /// stored
    #[arg(long, value_name = "N")]
    quantised_epochs: Option<usize>,
    /// Share the sum of the budgets out among the layers by what is lost on validation images without the last coefficients of each, measured
    /// while they shrink
    #[arg(long)]
    share_out: bool,
    /// Take the ordinary network's part from the report.json of a run that trained the same one, with the same seed and data, and train the regularised
    /// network alone
    #[arg(long, value_name = "REPORT", value_hint = clap::ValueHint::FilePath)]
    dense_from: Option<PathBuf>,
    /// Folder with the data set's files, plain or gzipped; nothing else is tried then
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder for the results [default: target/reproduce/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    threads: Option<usize>,
    /// Go on from the checkpoints of a run that was stopped, with as many processes as there are now
    #[arg(long)]
    resume: bool,
    /// Take every batch in so many parts, one after the other, in less memory; under mpirun each process takes as many of them. With as many parts 1, 2, 4, ..
    /// processes give the same bits [default: one for each process]
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    parts: Option<usize>,
    /// Under mpirun: every process takes a batch as large as the experiment's, instead of its part of one
    #[arg(long)]
    scale_batch: bool,
    /// A short run, to see that everything works
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// The paper's scale, for a GPU
    #[arg(long)]
    full: bool,
    /// Print the report as JSON on standard output instead of the table
    #[arg(long)]
    json: bool,
    /// Say whether the run agrees with the reports of the same experiment in this folder, of whatever seeds, as docs/results: an error where its scores
    /// lie outside of what the spread of those leads to expect
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    against: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if args.list {
        if args.json {
            let list: Vec<Value> = Experiment::list()
                .into_iter()
                .map(|(name, title)| json!({"name": name, "title": title}))
                .collect();
            return print(&format!("{}\n", serde_json::to_string_pretty(&list)?));
        }
        let list: String = Experiment::list()
            .iter()
            .map(|(name, title)| format!("{name:16} {title}\n"))
            .collect();
        return print(&list);
    }
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()?;
    }
    let stop = interrupt::requested()?;
    let communicator = team::join()?;
    let result = train(args, &stop, &communicator);
    match result {
        // What was asked for is done together; what went wrong may have gone wrong here alone, and the others would wait.
        Err(failure) if communicator.size() > 1 && failure.code != 130 => {
            say(format_args!(
                "process {} of {}: {}",
                communicator.rank(),
                communicator.size(),
                failure.message
            ));
            communicator.abort(failure.code);
            Err(failure)
        }
        // One says it for all.
        Err(failure) if communicator.rank() > 0 => Err(Failure {
            message: String::new(),
            ..failure
        }),
        other => other,
    }
}

fn train(
    args: &Args,
    stop: &AtomicBool,
    communicator: &Rc<dyn Communicator>,
) -> Result<(), Failure> {
    match args.name.as_deref() {
        Some("all") => all(args, stop, communicator),
        name => {
            let experiment = prepared(args, name.unwrap_or_default(), communicator.size())?;
            let out = args
                .out
                .clone()
                .unwrap_or_else(|| PathBuf::from("target/reproduce").join(&experiment.name));
            let others = others(args, &experiment)?;
            let Some(report) = one(args, &experiment, &out, &[], stop, communicator)? else {
                return Ok(());
            };
            if args.json {
                print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
            } else {
                print(&format!(
                    "{}\nEverything is in {}; open report.html there.\n",
                    table::render(&report),
                    out.display()
                ))?;
            }
            agreement(args, &report, &others)
        }
    }
}

/// The reports to compare with; found out before anything is trained that there are none.
fn others(args: &Args, experiment: &Experiment) -> Result<Vec<Report>, Failure> {
    let Some(folder) = &args.against else {
        return Ok(Vec::new());
    };
    let (preset, changes) = (preset(args), changes(args));
    let mut reports = against::read(folder)?;
    reports
        .retain(|r| r.experiment == experiment.name && r.preset == preset && r.changes == changes);
    match reports.is_empty() {
        false => Ok(reports),
        true => Err(Failure {
            message: format!(
                "error: --against {}: there is no report of `{}` with these lengths and changes",
                folder.display(),
                experiment.name
            ),
            code: 1,
        }),
    }
}

/// Says whether the run agrees with others, if that was asked.
fn agreement(args: &Args, report: &Report, others: &[Report]) -> Result<(), Failure> {
    let Some(folder) = &args.against else {
        return Ok(());
    };
    let found = against::compare(report, others).ok_or_else(|| Failure {
        message: format!(
            "error: the reports in {} are of other data than {}",
            folder.display(),
            report.data.name
        ),
        code: 1,
    })?;
    match args.json {
        true => say(found.text.trim_end()),
        false => print(&format!("\n{}", found.text))?,
    }
    match found.agrees {
        true => Ok(()),
        false => Err(Failure {
            message: format!("error: the run does not agree with {}", folder.display()),
            code: 1,
        }),
    }
}

/// Every experiment that comes along, one after the other; a failure is a row of the table.
fn all(args: &Args, stop: &AtomicBool, communicator: &Rc<dyn Communicator>) -> Result<(), Failure> {
    if communicator.size() > 1 {
        return Err(Failure {
            message: "error: several processes train one experiment together, not all: name it"
                .into(),
            code: 2,
        });
    }
    let single = [
        ("--set", !args.set.is_empty()),
        ("--budget", !args.budget.is_empty()),
        ("--against", args.against.is_some()),
        ("--dense-from", args.dense_from.is_some()),
    ];
    if let Some((option, _)) = single.iter().find(|(_, given)| *given) {
        return Err(Failure {
            message: format!("error: {option} belongs to one experiment, not to all"),
            code: 2,
        });
    }
    let root = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from("target/reproduce/all"));
    let mut rows: Vec<Row> = Vec::new();
    let mut folders = Vec::new();
    let list = Experiment::list();
    if !args.resume {
        // A run that is stopped and resumed must not go on from what an earlier one left in the folders behind it.
        for (name, _) in &list {
            forget(&root.join(name))?;
        }
    }
    for (i, (name, title)) in list.into_iter().enumerate() {
        say(format_args!(
            "\n[{}/{}] {name}: {title}",
            i + 1,
            freqreg_models::EXPERIMENTS.len()
        ));
        let out = root.join(name);
        // A bug in one experiment must not take the others' results along.
        let run = || {
            let experiment = prepared(args, name, 1)?;
            one(args, &experiment, &out, &folders, stop, communicator)
        };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        let outcome = match result {
            // Only of several processes some have none.
            Ok(Ok(None)) => continue,
            Ok(Ok(Some(report))) => {
                say(table::line(&report));
                folders.push(out);
                Outcome::Report(Box::new(report))
            }
            Ok(Err(failure)) if failure.code == 130 => return Err(failure),
            Ok(Err(failure)) => {
                say(&failure.message);
                Outcome::Failure(failure.message)
            }
            Err(_) => Outcome::Failure("it stopped at a bug; what it said stands above".into()),
        };
        rows.push(Row {
            name: name.into(),
            outcome,
        });
        // After each, so that the table of a run that is stopped is there as well.
        freqreg_train::index::write(&root, &rows)?;
    }
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&rows)?))?;
    } else {
        print(&format!(
            "{}\nEverything is in {}; open index.html there.\n",
            table::index(&rows),
            root.display()
        ))?;
    }
    let failed = rows
        .iter()
        .filter(|r| matches!(r.outcome, Outcome::Failure(_)))
        .count();
    match failed {
        0 => Ok(()),
        n => Err(Failure {
            message: format!("error: {n} of {} experiments failed", rows.len()),
            code: 1,
        }),
    }
}

fn preset(args: &Args) -> Preset {
    match (args.quick, args.full) {
        (true, _) => Preset::Quick,
        (_, true) => Preset::Full,
        _ => Preset::Default,
    }
}

/// What the command line changes in the experiment, as its report names it.
fn changes(args: &Args) -> Vec<String> {
    let mut changes: Vec<String> = args.set.iter().map(|s| format!("--set {s}")).collect();
    changes.extend(args.epochs.iter().map(|n| format!("--epochs {n}")));
    changes.extend(args.budget.iter().map(|b| format!("--budget {b}")));
    changes.extend(args.number.iter().map(|n| format!("--number {n}")));
    let epochs = args.quantised_epochs.iter();
    changes.extend(epochs.map(|n| format!("--quantised-epochs {n}")));
    changes.extend(args.share_out.then(|| "--share-out".to_string()));
    changes.extend(args.scale_batch.then(|| "--scale-batch".to_string()));
    changes
}

/// A preset has lengths of its own, which would take the place of those that were asked for.
fn refuse_overwritten(
    experiment: &Experiment,
    preset: Preset,
    changes: &[String],
) -> Result<(), Failure> {
    let Some(lengths) = experiment.lengths(preset) else {
        return Ok(());
    };
    for change in changes {
        let (key, value) = change.split_once('=').unwrap_or((change, ""));
        let own = match key.replace([' ', '"', '\''], "").as_str() {
            "dense.training.epochs" => "dense_epochs",
            "regularised.training.epochs" => "regularised_epochs",
            "data.train" => "train",
            "data.test" => "test",
            "data.validation" if lengths.validation.is_some() => "validation",
            _ => continue,
        };
        return Err(Failure {
            message: format!(
                "error: --set {change}: --{preset} has lengths of its own; give --set {preset}.{own}={} instead, or leave out --{preset}",
                value.trim()
            ),
            code: 2,
        });
    }
    Ok(())
}

/// The experiment as the command line wants it.
fn prepared(args: &Args, name: &str, processes: usize) -> Result<Experiment, Failure> {
    let mut experiment = Experiment::find_with(name, &args.set)?;
    refuse_overwritten(&experiment, preset(args), &args.set)?;
    if args.scale_batch {
        experiment.dense.training.batch *= processes;
        experiment.regularised.training.batch *= processes;
    }
    if let Some(epochs) = args.epochs {
        experiment.dense.training.epochs = epochs;
        experiment.regularised.training.epochs = epochs;
        for lengths in [Some(&mut experiment.quick), experiment.full.as_mut()]
            .into_iter()
            .flatten()
        {
            lengths.dense_epochs = epochs;
            lengths.regularised_epochs = epochs;
        }
    }
    for (i, budget) in args.budget.iter().enumerate() {
        // Two for one layer would leave open which of them is meant.
        let same = |b: &String| of_layer(b) == of_layer(budget);
        if args.budget[..i].iter().any(same) {
            let what = of_layer(budget).map_or("all layers".into(), |l| format!("`{l}`"));
            return Err(Failure {
                message: format!("error: --budget {budget}: there is one for {what} before it"),
                code: 2,
            });
        }
        set_budget(&mut experiment, budget)?;
    }
    if let Some(number) = args.number {
        experiment.regularised.number = number;
    }
    if let Some(epochs) = args.quantised_epochs {
        experiment.regularised.quantised_epochs = epochs;
    }
    if args.share_out {
        experiment
            .regularised
            .share
            .get_or_insert_with(Share::default);
    }
    experiment.validate()?;
    Ok(experiment)
}

/// The report that the ordinary network's part comes from. One process reads it for all: the others need not see the same folders.
fn dense_from(
    args: &Args,
    out: &Path,
    communicator: &Rc<dyn Communicator>,
) -> Result<Option<Report>, Failure> {
    let Some(path) = &args.dense_from else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    if communicator.rank() == 0 {
        bytes = serde_json::to_vec(&Report::read(path)?)?;
        let folder = path.canonicalize().ok();
        let folder = folder.as_deref().and_then(Path::parent);
        if folder.is_some() && folder == out.canonicalize().ok().as_deref() {
            return Err(Failure {
                message: format!(
                    "error: --dense-from {}: that is in the folder of this run's own results, which take its place; give the run another folder with --out",
                    path.display()
                ),
                code: 2,
            });
        }
    }
    communicator.broadcast(&mut bytes)?;
    Ok(Some(serde_json::from_slice(&bytes)?))
}

fn one(
    args: &Args,
    experiment: &Experiment,
    out: &Path,
    others: &[PathBuf],
    stop: &AtomicBool,
    communicator: &Rc<dyn Communicator>,
) -> Result<Option<Report>, Failure> {
    let device = match args.device.as_str() {
        // Each process of a machine takes a GPU of its own.
        "cuda" if communicator.size() > 1 => {
            device(&format!("cuda:{}", communicator.local_rank()))?
        }
        name => device(name)?,
    };
    let dense_from = dense_from(args, out, communicator)?;
    let data = freqreg_data::Options {
        folder: args.data.clone(),
        // One process says what there is to say of the data.
        notify: (communicator.rank() > 0).then(|| Box::new(|_: &str| ()) as Box<_>),
        ..freqreg_data::Options::default()
    };
    // The first one fetches what is missing, the others of its machine find it.
    if communicator.local_rank() > 0 {
        communicator.broadcast(&mut Vec::new())?;
    }
    let loaded = load(experiment, &data)?;
    if communicator.local_rank() == 0 {
        communicator.broadcast(&mut Vec::new())?;
    }
    let options = Options {
        changes: changes(args),
        seed: args.seed,
        device,
        out: out.into(),
        resume: args.resume,
        preset: preset(args),
        others,
        dense_from: dense_from.as_ref(),
        stop,
        communicator: communicator.clone(),
        parts: args.parts,
    };
    let mut progress = Progress::new();
    let result = reproduce(&loaded, &options, &mut |event| {
        progress.show(&event);
    });
    progress.finish();
    result.map_err(|e| match e {
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
    })
}

/// The layer that a `--budget` is for; none where it is for all.
fn of_layer(budget: &str) -> Option<&str> {
    budget.split_once('=').map(|(layer, _)| layer)
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
    match (text.split_once('='), &mut experiment.regularised.prune) {
        (None, Some(prune)) => prune.keep = count(text)?,
        (None, None) => scale_budgets(experiment, count(text)?)?,
        (Some((layer, n)), _) => {
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
