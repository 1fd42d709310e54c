//! `freqreg sweep`: one experiment in many settings and seeds, as many at once as the machine bears or as a cluster's queue gives.

mod picture;

use crate::Failure;
use crate::io::{print, say};
use freqreg_train::experiment::Experiment;
use freqreg_train::report::{Report, mean_and_deviation};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// What is run: every experiment with every seed, every budget and every combination of settings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Grid {
    experiments: Vec<String>,
    #[serde(default = "first_seed")]
    seeds: Vec<u64>,
    #[serde(default)]
    budgets: Vec<usize>,
    /// Settings, as in `--set`, with the values of each.
    #[serde(default)]
    set: BTreeMap<String, Vec<toml::Value>>,
    /// For every run.
    #[serde(default)]
    arguments: Vec<String>,
}

fn first_seed() -> Vec<u64> {
    vec![1]
}

/// In a run's folder, what it was made of: its arguments, a line each, and the experiment as it was then.
const ARGUMENTS: &str = "arguments.txt";

/// One run of a sweep.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    /// Its folder.
    name: String,
    /// What `freqreg reproduce` is given.
    arguments: Vec<String>,
    /// All that the experiment says, with the settings that are changed: a file may be another one the next time.
    settings: String,
}

impl Grid {
    /// The runs that a file asks for.
    fn read(path: &Path) -> Result<Vec<Run>, Failure> {
        let wrong = |reason: String| Failure {
            message: format!("error: {}: {reason}", path.display()),
            code: 1,
        };
        let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
        let grid: Grid = toml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        let empty = [
            ("experiments", grid.experiments.is_empty()),
            ("seeds", grid.seeds.is_empty()),
        ];
        if let Some((what, _)) = empty.iter().find(|(_, empty)| *empty) {
            return Err(wrong(format!("`{what}` is empty: there is nothing to run")));
        }
        if let Some((key, _)) = grid.set.iter().find(|(_, values)| values.is_empty()) {
            return Err(wrong(format!("set.\"{key}\" has no values")));
        }
        let own = [
            "--seed",
            "--budget",
            "--set",
            "--out",
            "--resume",
            "--json",
            "--threads",
            "--against",
        ];
        if let Some(taken) = grid.arguments.iter().find(|a| own.contains(&a.as_str())) {
            return Err(wrong(format!(
                "`{taken}` in `arguments` is the sweep's own to give"
            )));
        }
        // A mistake is found before the first run, not behind it.
        let mut names = BTreeSet::new();
        let mut runs = grid.runs();
        for run in &mut runs {
            if !names.insert(run.name.clone()) {
                return Err(wrong(format!(
                    "two runs would go into one folder, {}: give no value twice, and files of experiments different names",
                    run.name
                )));
            }
            let set = run.arguments.windows(2).filter(|w| w[0] == "--set");
            let set: Vec<String> = set.map(|w| w[1].clone()).collect();
            let experiment = Experiment::find_with(&run.arguments[0], &set);
            let experiment = experiment.map_err(|e| wrong(e.to_string()))?;
            run.settings = serde_json::to_string(&experiment)?;
        }
        Ok(runs)
    }

    /// All runs, seeds last: the runs that belong together stand together.
    fn runs(&self) -> Vec<Run> {
        let mut runs = Vec::new();
        for experiment in &self.experiments {
            // A file is named without its folder.
            let name = Path::new(experiment).file_stem().unwrap_or_default();
            let run = Run {
                name: plain(&name.to_string_lossy()),
                arguments: [std::slice::from_ref(experiment), &self.arguments].concat(),
                settings: String::new(),
            };
            let budgets = self.budgets.iter();
            let mut some: Vec<Run> = match self.budgets.is_empty() {
                true => vec![run],
                false => budgets
                    .map(|b| run.with("budget", &b.to_string(), ["--budget", &b.to_string()]))
                    .collect(),
            };
            for (key, values) in &self.set {
                let last = key.rsplit('.').next().unwrap_or(key);
                let of = |run: &Run| -> Vec<Run> {
                    let with = |value: &toml::Value| {
                        let text = match value {
                            toml::Value::String(text) => text.clone(),
                            other => other.to_string(),
                        };
                        run.with(last, &text, ["--set", &format!("{key}={text}")])
                    };
                    values.iter().map(with).collect()
                };
                some = some.iter().flat_map(of).collect();
            }
            let seeded = |run: &Run| -> Vec<Run> {
                let seeds = self.seeds.iter().map(u64::to_string);
                seeds
                    .map(|s| run.with("seed", &s, ["--seed", &s]))
                    .collect()
            };
            runs.extend(some.iter().flat_map(seeded));
        }
        runs
    }
}

/// Letters, digits, points and hyphens: what a folder may be called anywhere.
fn plain(text: &str) -> String {
    let kept = |c: char| match c.is_ascii_alphanumeric() || c == '.' || c == '-' {
        true => c,
        false => '_',
    };
    text.chars().map(kept).collect()
}

impl Run {
    fn with(&self, what: &str, value: &str, arguments: [&str; 2]) -> Run {
        let mut run = self.clone();
        run.name += &format!("-{}{}", plain(what), plain(value));
        run.arguments.extend(arguments.map(String::from));
        run
    }

    /// The report, if the run is done: one from before the grid or the experiment was changed is none of it.
    fn report(&self, out: &Path) -> Option<Report> {
        if !self.is_begun(out) {
            return None;
        }
        Report::read(&out.join(&self.name).join("report.json")).ok()
    }

    /// Whether what is in the run's folder was made of the same.
    fn is_begun(&self, out: &Path) -> bool {
        let path = out.join(&self.name).join(ARGUMENTS);
        std::fs::read_to_string(path).is_ok_and(|text| text == self.text())
    }

    fn text(&self) -> String {
        format!("{}\n{}\n", self.arguments.join("\n"), self.settings)
    }

    /// The run in a process of its own, which says what it has to say into `log.txt` in its folder.
    fn start(&self, out: &Path, threads: usize) -> Result<Child, Failure> {
        let folder = out.join(&self.name);
        std::fs::create_dir_all(&folder).map_err(|e| failed(&folder, &e))?;
        let path = folder.join("log.txt");
        let log = std::fs::File::create(&path).map_err(|e| failed(&path, &e))?;
        let also = log.try_clone().map_err(|e| failed(&path, &e))?;
        let resume = self.is_begun(out);
        if !resume {
            // An older report must not pass for this run's, whenever it is cut off.
            let report = folder.join("report.json");
            match std::fs::remove_file(&report) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed(&report, &e));
                }
                _ => {}
            }
        }
        freqreg_file::write_atomically(folder.join(ARGUMENTS), self.text().as_bytes())?;
        let program = std::env::current_exe()?;
        let mut command = Command::new(program);
        command.arg("reproduce").args(&self.arguments);
        command.arg("--out").arg(&folder);
        command.args(["--threads", &threads.to_string()]);
        // Without it, what another grid left in the folder is removed.
        if resume {
            command.arg("--resume");
        }
        command.stdin(Stdio::null()).stdout(log).stderr(also);
        Ok(command.spawn()?)
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure {
        message: format!("error: cannot write {}: {error}", path.display()),
        code: 1,
    }
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
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    // A terminal's Ctrl-C reaches the runs as well: they save, and this one waits for them.
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))?;
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

/// Writes the script of an array of jobs.
fn slurm(args: &Args, runs: &[Run], out: &Path, script: &Path) -> Result<(), Failure> {
    let missing: Vec<usize> = (0..runs.len())
        .filter(|&i| runs[i].report(out).is_none())
        .collect();
    if missing.is_empty() {
        return print("every run is there: nothing is left for a script\n");
    }
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
    let numbers: Vec<String> = missing.iter().map(usize::to_string).collect();
    let threads = args
        .threads
        .map_or_else(|| "\"$SLURM_CPUS_PER_TASK\"".into(), |n| n.to_string());
    let text = format!(
        "#!/bin/bash\n\
         # {} runs of {}; sbatch's options go here or on its command line.\n\
         #SBATCH --job-name={}\n\
         #SBATCH --array={}\n\
         #SBATCH --cpus-per-task={}\n\
         #SBATCH --output={}\n\
         export SLURM_CPUS_PER_TASK=\"${{SLURM_CPUS_PER_TASK:-1}}\"\n\
         exec {} sweep {} --out {} --only \"$SLURM_ARRAY_TASK_ID\" --threads {threads}\n",
        missing.len(),
        args.grid.display(),
        plain(&args.grid.file_stem().unwrap_or_default().to_string_lossy()),
        numbers.join(","),
        args.threads.unwrap_or(1),
        quoted(&out_file(&whole(out))),
        quoted(&whole(&std::env::current_exe()?)),
        quoted(&whole(&args.grid)),
        quoted(&whole(out)),
    );
    freqreg_file::write_atomically(script, text.as_bytes())?;
    print(&format!(
        "{}: {} jobs of {} runs. Hand it to sbatch; then `freqreg sweep {} --gather` makes the table\n",
        script.display(),
        missing.len(),
        runs.len(),
        args.grid.display()
    ))
}

fn out_file(out: &Path) -> PathBuf {
    out.join("slurm-%A_%a.txt")
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// Runs that differ in their seed only.
struct Row {
    label: String,
    reports: Vec<Report>,
}

/// One table of all runs, and a plot of the scores against the numbers that are kept.
fn gather(args: &Args, runs: &[Run], out: &Path) -> Result<(), Failure> {
    let found: Vec<(&Run, Report)> = runs
        .iter()
        .filter_map(|r| Some((r, r.report(out)?)))
        .collect();
    if found.is_empty() {
        return Err(Failure {
            message: format!("error: there is no report in {}", out.display()),
            code: 1,
        });
    }
    let mut rows: Vec<Row> = Vec::new();
    for (run, report) in &found {
        let label = run.name.rsplit_once("-seed").map_or(&*run.name, |(l, _)| l);
        match rows.iter_mut().find(|r| r.label == label) {
            Some(row) => row.reports.push(report.clone()),
            None => rows.push(Row {
                label: label.into(),
                reports: vec![report.clone()],
            }),
        }
    }
    let table = table(&rows);
    let path = out.join("table.md");
    freqreg_file::write_atomically(&path, table.as_bytes())?;
    let plot = out.join("plot.svg");
    freqreg_file::write_atomically(&plot, picture::draw(&rows).as_bytes())?;
    let missing = runs.len() - found.len();
    if missing > 0 {
        say(format_args!("{missing} of {} runs are missing", runs.len()));
    }
    match args.json {
        true => {
            let reports: Vec<&Report> = found.iter().map(|(_, r)| r).collect();
            print(&format!("{}\n", serde_json::to_string_pretty(&reports)?))
        }
        false => print(&format!(
            "{table}\n{} has this table, {} a plot of it.\n",
            path.display(),
            plot.display()
        )),
    }
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| runs | seeds | numbers | file bytes | ordinary | regularised | spread |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for row in rows {
        let first = &row.reports[0];
        let metric = first.metric;
        let of = |of: &dyn Fn(&Report) -> f64| {
            let scores: Vec<f64> = row.reports.iter().map(of).collect();
            mean_and_deviation(&scores)
        };
        let mean = |score: &dyn Fn(&Report) -> f64| of(score).0;
        let (test, deviation) = of(&|r| r.regularised.test);
        let spread = deviation.map_or("–".into(), |d| metric.show(d));
        let seeds: Vec<String> = row.reports.iter().map(|r| r.seed.to_string()).collect();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.0} | {} | {} | {spread} |",
            row.label,
            seeds.join(", "),
            first.regularised.kept,
            mean(&|r| r.regularised.file_bytes as f64),
            metric.show(mean(&|r| r.dense.test)),
            metric.show(test),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(text: &str) -> Grid {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn every_combination_is_a_run_with_a_folder_of_its_own() {
        let runs = grid(
            "experiments = ['lenet5']\nseeds = [1, 2]\nbudgets = [200, 776]\narguments = ['--quick']\n\
             [set]\n'regularised.training.rate.peak' = [0.02, 0.04]\n'regularised.model.pool' = ['max', 'average']",
        )
        .runs();
        assert_eq!(runs.len(), 16);
        let mut names: Vec<&str> = runs.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(names[0], "lenet5-budget200-poolmax-peak0.02-seed1");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 16);
        let expected = [
            "lenet5",
            "--quick",
            "--budget",
            "200",
            "--set",
            "regularised.model.pool=max",
            "--set",
            "regularised.training.rate.peak=0.02",
            "--seed",
            "1",
        ];
        assert_eq!(runs[0].arguments, expected);
    }

    #[test]
    fn a_run_of_other_arguments_is_not_done() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let run = grid("experiments = ['lenet5']").runs().remove(0);
        let changed = grid("experiments = ['lenet5']\narguments = ['--quick']")
            .runs()
            .remove(0);
        assert_eq!(run.name, changed.name);
        let report = "../../docs/results/lenet5-default-seed1.json";
        let report = Path::new(env!("CARGO_MANIFEST_DIR")).join(report);
        std::fs::create_dir(out.join(&run.name)).unwrap();
        std::fs::copy(report, out.join(&run.name).join("report.json")).unwrap();
        assert!(run.report(out).is_none());
        std::fs::write(out.join(&run.name).join(ARGUMENTS), run.text()).unwrap();
        assert!(run.report(out).is_some() && changed.report(out).is_none());
    }

    #[test]
    fn a_run_of_another_experiment_in_a_file_of_the_same_name_is_not_done() {
        let folder = tempfile::tempdir().unwrap();
        let [grid, file] = ["grid.toml", "own.toml"].map(|n| folder.path().join(n));
        std::fs::write(&grid, format!("experiments = [{file:?}]")).unwrap();
        let known = freqreg_models::EXPERIMENTS;
        let (_, text) = known.iter().find(|(name, _)| *name == "lenet5").unwrap();
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Grid::read(&grid).ok().unwrap().remove(0)
        };
        let run = read(text);
        assert_eq!(run.arguments, read(text).arguments);
        assert_eq!(
            run.text(),
            read(&format!("# Another comment.\n{text}")).text()
        );
        let changed = read(&text.replace("batch = 64", "batch = 32"));
        assert_eq!(run.arguments, changed.arguments);
        assert_ne!(run.text(), changed.text());
    }

    #[test]
    fn what_can_not_be_run_is_refused_before_anything_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grid.toml");
        for (text, part) in [
            ("experiments = []", "experiments"),
            ("experiments = ['lenet']", "lenet5"),
            ("experiments = ['lenet5']\nseeds = []", "seeds"),
            (
                "experiments = ['lenet5']\nseed = [1]",
                "unknown field `seed`",
            ),
            (
                "experiments = ['lenet5']\narguments = ['--seed', '3']",
                "--seed",
            ),
            (
                "experiments = ['lenet5']\n[set]\n'regularised.training.rate.peek' = [1]",
                "peek",
            ),
            (
                "experiments = ['lenet5']\n[set]\n'regularised.model.pool' = []",
                "no values",
            ),
            (
                "experiments = ['lenet5']\nseeds = [1, 1]",
                "one folder, lenet5-seed1",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let failure = Grid::read(&path).err().unwrap();
            assert!(
                failure.message.contains(part),
                "{text}: {}",
                failure.message
            );
        }
    }
}
