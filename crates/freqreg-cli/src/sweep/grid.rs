//! Which runs a sweep has, and what is there of each.

use crate::Failure;
use freqreg_train::experiment::Experiment;
use freqreg_train::report::Report;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What is run: every experiment with every seed, every budget and every combination of settings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grid {
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
pub(super) struct Run {
    /// Its folder.
    pub(super) name: String,
    /// What `freqreg reproduce` is given.
    arguments: Vec<String>,
    /// All that the experiment says, with the settings that are changed: a file may be another one the next time.
    settings: String,
}

impl Grid {
    /// The runs that a file asks for.
    pub(super) fn read(path: &Path) -> Result<Vec<Run>, Failure> {
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
            // It is of one seed.
            "--dense-from",
        ];
        let name = |a: &str| {
            a.split_once('=')
                .map_or(a.to_string(), |(name, _)| name.into())
        };
        if let Some(taken) = grid.arguments.iter().find(|a| own.contains(&&*name(a))) {
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
pub(super) fn plain(text: &str) -> String {
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
    pub(super) fn report(&self, out: &Path) -> Option<Report> {
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
    pub(super) fn start(&self, out: &Path, threads: usize) -> Result<Child, Failure> {
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

pub(super) fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure {
        message: format!("error: cannot write {}: {error}", path.display()),
        code: 1,
    }
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
