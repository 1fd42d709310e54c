//! Runs that differ from one another in one thing, side by side: each row a command, over all its seeds.

use crate::experiments::{mean, spread};
use crate::{coded, thousands};
use freqreg_train::report::Report;
use std::fmt::Write;

/// Runs of one command that differ in their seed only.
pub(crate) struct Study {
    pub(crate) reports: Vec<Report>,
}

impl Study {
    pub(crate) fn first(&self) -> &Report {
        &self.reports[0]
    }

    pub(crate) fn scores(&self, of: impl Fn(&Report) -> f64) -> Vec<f64> {
        self.reports.iter().map(of).collect()
    }

    fn bytes(&self) -> f64 {
        mean(&self.scores(|r| coded::bytes(r) as f64))
    }
}

/// Reports put together by what made them, the seed apart.
pub(crate) fn group(reports: impl IntoIterator<Item = Report>) -> Vec<Study> {
    let mut studies: Vec<Study> = Vec::new();
    for report in reports {
        let same = |s: &&mut Study| {
            let other = s.first();
            (&other.experiment, &other.changes, other.preset)
                == (&report.experiment, &report.changes, report.preset)
                && other.data.name == report.data.name
        };
        match studies.iter_mut().find(same) {
            Some(study) => study.reports.push(report),
            None => studies.push(Study {
                reports: vec![report],
            }),
        }
    }
    for study in &mut studies {
        study.reports.sort_by_key(|r| r.seed);
    }
    studies
}

/// What is to be typed for a row, behind `reproduce`; a file that is no experiment that comes along by its path.
fn command(report: &Report) -> String {
    let whole = report.command();
    let (_, rest) = whole.split_once("reproduce ").unwrap_or(("", &whole));
    let (rest, _) = rest.split_once(" --seed").unwrap_or((rest, ""));
    let (name, _) = rest.split_once(' ').unwrap_or((rest, ""));
    match name.ends_with(".toml") {
        true => format!("models/experiments/baselines/{rest}"),
        false => rest.into(),
    }
}

/// A row for each command, the best by its validation score first.
pub(crate) fn table(mut studies: Vec<Study>) -> String {
    let validation = |s: &Study| mean(&s.scores(|r| r.regularised.validation));
    studies.sort_by(|a, b| {
        let order = validation(b).total_cmp(&validation(a));
        match a.first().metric.is_share() {
            true => order,
            false => order.reverse(),
        }
    });
    let mut text = String::from(
        "| `cargo xtask reproduce` | numbers | bytes | seeds | validation | test |\n\
         | --- | ---: | ---: | --- | ---: | ---: |\n",
    );
    for study in studies {
        let first = study.first();
        let metric = first.metric;
        let kept = match &first.regularised.pruned {
            Some(pruned) => pruned.nonzero,
            None => first.regularised.kept,
        };
        let seeds: Vec<String> = study.reports.iter().map(|r| r.seed.to_string()).collect();
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} |",
            // Code does not wrap in tables: a span for each option, so that long commands do between them.
            command(first).replace(" --", "` `--"),
            thousands(kept),
            thousands(study.bytes().round() as usize),
            seeds.join(", "),
            metric.show(validation(&study)),
            spread(metric, &study.scores(|r| r.regularised.test)),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(changes: &[&str], seed: u64, test: f64) -> Report {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/results/lenet5-default-seed1.json"
        );
        let mut report: Report =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        report.changes = changes.iter().map(|c| c.to_string()).collect();
        report.seed = seed;
        report.regularised.test = test;
        report.regularised.validation = test;
        report
    }

    #[test]
    fn seeds_of_a_command_share_a_row_and_the_better_one_comes_first() {
        let max = ["--set regularised.model.pool=max"];
        let table = table(group([
            report(&max, 2, 0.97),
            report(&[], 1, 0.98),
            report(&max, 1, 0.96),
        ]));
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(rows.len(), 2);
        assert!(rows[0].starts_with("| `lenet5` | 776 |"), "{table}");
        assert!(
            rows[1].contains("| `lenet5` `--set regularised.model.pool=max` |")
                && rows[1].contains("| 1, 2 |")
                && rows[1].contains("96.50&nbsp;% ± 0.71"),
            "{table}"
        );
    }

    #[test]
    fn an_experiment_that_does_not_come_along_is_named_by_its_file() {
        let mut narrow = report(&["--budget 400"], 1, 0.9);
        narrow.experiment = "lenet5-pruned".into();
        assert_eq!(
            command(&narrow),
            "models/experiments/baselines/lenet5-pruned.toml --budget 400"
        );
        narrow.changes.clear();
        assert_eq!(
            command(&narrow),
            "models/experiments/baselines/lenet5-pruned.toml"
        );
    }
}
