//! What the runs of a sweep came to: a table and a plot.

use super::grid::Run;
use super::{Args, picture};
use crate::Failure;
use crate::io::{print, say};
use freqreg_train::report::{Report, mean_and_deviation};
use std::fmt::Write as _;
use std::path::Path;

/// Runs that differ in their seed only.
pub(super) struct Row {
    pub(super) label: String,
    pub(super) reports: Vec<Report>,
}

/// One table of all runs, and a plot of the scores against the numbers that are kept.
pub(super) fn gather(args: &Args, runs: &[Run], out: &Path) -> Result<(), Failure> {
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
