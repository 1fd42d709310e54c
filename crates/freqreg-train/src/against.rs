//! Whether a run agrees with reports of earlier ones.

use crate::experiment::Preset;
use crate::report::{Metric, NetworkReport, Report, mean_and_deviation};
use crate::{Error, Result, index};
use std::fmt::Write;
use std::path::Path;

/// The reports below a folder, in its folders too.
///
/// # Errors
/// What can't be read, and [`Error::Report`] for a `.json` file that is no report of this schema.
pub fn read(folder: &Path) -> Result<Vec<Report>> {
    let io = |cause| Error::Io {
        action: "read",
        path: folder.into(),
        cause,
    };
    let mut reports = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.is_dir() {
            reports.extend(read(&path)?);
        } else if path.extension().is_some_and(|e| e == "json") && !path.ends_with(index::FILE) {
            reports.push(Report::read(&path)?);
        }
    }
    Ok(reports)
}

/// How a run stands beside earlier ones of the same experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    /// Whether everything agrees.
    pub agrees: bool,
    /// What was compared and with what outcome, in lines.
    pub text: String,
}

/// Compares a run with those of `others` that are of the same experiment, preset, changes and data, whatever their seeds; `None` where there is
/// none.
///
/// The counts of numbers must be the same. A score of the test set agrees where it lies in the interval in which one more run is
/// expected at 95 %: mean ± t s √(1 + 1/n) for n runs with the standard deviation s (Student's t for n - 1 degrees of freedom). Where there is
/// one run only, its spread is not known; then an accuracy agrees within three standard errors of the difference of two shares of so many test
/// images, a Dice coefficient within a tenth of what it lacks of 1, and any other score within a tenth.
pub fn compare(report: &Report, others: &[Report]) -> Option<Agreement> {
    let alike = |other: &&Report| {
        let key = |r: &Report| {
            let data = &r.data;
            let sizes = (data.train, data.validation, data.test);
            (
                r.experiment.clone(),
                r.preset,
                r.changes.clone(),
                data.name.clone(),
                sizes,
            )
        };
        key(other) == key(report)
    };
    let others: Vec<&Report> = others.iter().filter(alike).collect();
    if others.is_empty() {
        return None;
    }
    let mut seeds: Vec<u64> = others.iter().map(|r| r.seed).collect();
    seeds.sort_unstable();
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    let mut text = format!(
        "{} with seed {}, against {} of seed {}:\n",
        report.experiment,
        report.seed,
        match others.len() {
            1 => "the report".into(),
            n => format!("{n} reports"),
        },
        seeds.join(", "),
    );
    let mut agrees = true;
    let mut line = |what: &str, found: String, expected: String, same: bool| {
        let verdict = if same { "agrees" } else { "DIFFERS" };
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {what:24} {found:>12}   {expected:24} {verdict}");
        agrees &= same;
    };
    type Network = fn(&Report) -> &NetworkReport;
    let networks: [(&str, Network); 2] =
        [("dense", |r| &r.dense), ("regularised", |r| &r.regularised)];
    // What is copied from a report has to agree with it.
    let compared = match report.dense_from {
        None => &networks[..],
        Some(_) => &networks[1..],
    };
    for &(name, of) in compared {
        let kept = of(report).kept;
        let expected = of(others[0]).kept;
        line(
            &format!("{name}, numbers"),
            kept.to_string(),
            expected.to_string(),
            others.iter().all(|r| of(r).kept == kept),
        );
        let scores: Vec<f64> = others.iter().map(|r| of(r).test).collect();
        let (mean, within) = expected_score(report.metric, &scores, report.data.test);
        let found = of(report).test;
        let margin = match report.metric.is_share() {
            true => format!("{:.2}", 100.0 * within),
            false => format!("{within:.4}"),
        };
        line(
            &format!("{name}, {}", report.metric.name()),
            report.metric.show(found),
            format!("{} ± {margin}", report.metric.show(mean)),
            (found - mean).abs() <= within,
        );
    }
    if let Some(command) = &report.dense_from {
        text += &format!("  dense: taken from the report of `{command}`, not compared\n");
    }
    if report.preset == Preset::Quick {
        text += "  (quick runs show only that everything works)\n";
    }
    Some(Agreement { agrees, text })
}

/// The mean of some scores, and how far from it one more may lie.
fn expected_score(metric: Metric, scores: &[f64], images: usize) -> (f64, f64) {
    let (mean, deviation) = mean_and_deviation(scores);
    let within = match deviation {
        None if metric == Metric::Accuracy => {
            // Of none or of all images there is no error to estimate from: one image counts.
            let p = mean.clamp(1.0 / images as f64, 1.0 - 1.0 / images as f64);
            3.0 * (2.0 * p * (1.0 - p) / images as f64).sqrt()
        }
        // A mean over images, whose errors are not those of a share of them: a tenth of what it lacks.
        None if metric == Metric::Dice => 0.1 * (1.0 - mean),
        None => 0.1 * mean.abs(),
        Some(deviation) => {
            let n = scores.len();
            // Equal runs by chance must not make a single image too much.
            let least = 1.0 / images as f64;
            student(n - 1) * (deviation * (1.0 + 1.0 / n as f64).sqrt()).max(least)
        }
    };
    (mean, within)
}

/// The 97.5 % quantile of Student's t with so many degrees of freedom, one or more.
fn student(freedom: usize) -> f64 {
    const T: [f64; 10] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    ];
    // Beyond the table the value for ten, which is a little more than right.
    T[freedom.clamp(1, T.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_several_runs_is_no_report() {
        let folder = tempfile::tempdir().unwrap();
        index::write(folder.path(), &[]).unwrap();
        assert!(folder.path().join(index::FILE).exists());
        assert_eq!(read(folder.path()).unwrap().len(), 0);
        std::fs::write(folder.path().join("other.json"), "[]").unwrap();
        assert!(read(folder.path()).is_err());
    }

    #[test]
    fn one_more_run_lies_where_the_others_lead_to_expect() {
        let (mean, within) = expected_score(Metric::Accuracy, &[0.988, 0.990, 0.989], 10_000);
        assert!((mean - 0.989).abs() < 1e-12);
        // t = 4.303, s = 0.001, n = 3.
        assert!((within - 4.303 * 0.001 * (4.0_f64 / 3.0).sqrt()).abs() < 1e-9);
        let (_, alone) = expected_score(Metric::Accuracy, &[0.99], 10_000);
        assert!((alone - 3.0 * (2.0 * 0.99 * 0.01 / 1e4_f64).sqrt()).abs() < 1e-12);
        let (_, equal) = expected_score(Metric::Accuracy, &[0.99, 0.99], 10_000);
        assert!((equal - 12.706e-4).abs() < 1e-12);
        let (_, other) = expected_score(Metric::BitsPerPixel, &[0.25], 10_000);
        assert!((other - 0.025).abs() < 1e-12);
        let (_, dice) = expected_score(Metric::Dice, &[0.94], 500);
        assert!((dice - 0.006).abs() < 1e-12);
    }
}
