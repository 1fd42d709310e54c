//! What committed reports found, in Markdown.

use crate::zoo::{Network, Version};
use crate::{said, thousands};
use freqreg_train::experiment::Preset;
use freqreg_train::report::{DataReport, NetworkReport, Report};
use std::fmt::Write;
use std::io::ErrorKind;
use std::path::Path;

/// The reports in a folder; none where there is no such folder.
///
/// # Errors
/// A file that can't be read, or is no report of this schema.
pub(crate) fn reports(folder: &Path) -> Result<Vec<Report>, String> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|e| said(folder, e))?,
    };
    let mut reports = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| said(folder, e))?.path();
        if path.extension().is_some_and(|e| e == "json") {
            reports.push(Report::read(&path).map_err(|e| e.to_string())?);
        }
    }
    Ok(reports)
}

/// Every report in a folder; none where there is no such folder.
///
/// # Errors
/// A file that can't be read, one that is no report of this schema, and one of a network that is no longer the
/// experiment's.
pub(crate) fn read(folder: &Path, networks: &[Network]) -> Result<Vec<Report>, String> {
    let mut reports = self::reports(folder)?;
    for report in &reports {
        check(report, networks).map_err(|e| said(folder, e))?;
    }
    // A folder is listed in any order.
    reports.sort_by_key(|r| {
        (
            rank(r.preset),
            r.seed,
            r.changes.clone(),
            r.data.name.clone(),
        )
    });
    Ok(reports)
}

/// Whether the network is still the experiment's.
fn check(report: &Report, networks: &[Network]) -> Result<(), String> {
    let name = &report.experiment;
    let mut versions = networks.iter().flat_map(|n| &n.versions);
    let version = versions
        .find(|v| v.name() == name)
        .ok_or_else(|| format!("there is no experiment `{name}`"))?;
    let found = (report.regularised.weights, report.regularised.kept);
    let expected = (version.weights(false), version.kept(false));
    if report.changes.is_empty() && found != expected {
        return Err(format!(
            "it is of {} numbers for {} weights, and `{name}` now has {} for {}: run it again with seed {}",
            found.1, found.0, expected.1, expected.0, report.seed
        ));
    }
    Ok(())
}

/// The longest runs first.
fn rank(preset: Preset) -> u8 {
    match preset {
        Preset::Full => 0,
        Preset::Default => 1,
        Preset::Quick => 2,
    }
}

/// The reports on the experiments of some networks, and a row for each experiment that has none.
pub(crate) fn table(networks: &[Network], reports: &[Report]) -> String {
    let mut text = String::from(
        "| experiment | run | data | ordinary | regularised | stored |\n\
         | --- | --- | --- | ---: | ---: | ---: |\n",
    );
    let mut claims = String::new();
    for version in networks.iter().flat_map(|n| &n.versions) {
        let name = version.name();
        let of: Vec<&Report> = reports.iter().filter(|r| r.experiment == name).collect();
        if of.is_empty() {
            let _ = writeln!(text, "| `{name}` | no committed report yet | | | | |");
        }
        for report in &of {
            text += &row(report);
        }
        claims += &claim(version, &of);
    }
    text + &claims
}

fn row(report: &Report) -> String {
    let Report {
        experiment,
        metric,
        dense,
        regularised,
        ..
    } = report;
    let numbers = |n: &NetworkReport| {
        format!(
            "{} {}, {} bytes",
            thousands(n.kept),
            n.number,
            thousands(n.file_bytes)
        )
    };
    let score = |n: &NetworkReport| format!("{} {}", metric.name(), metric.show(n.test));
    format!(
        "| `{experiment}` | {} | {} | {} | {} | {} |\n",
        run(report),
        data(&report.data),
        score(dense),
        score(regularised),
        numbers(regularised),
    )
}

/// Which run it was.
fn run(report: &Report) -> String {
    let mut text = match report.preset {
        Preset::Full => "`--full`".into(),
        Preset::Default => String::from("as it stands"),
        Preset::Quick => "**`--quick`, which shows only that it works**".into(),
    };
    let _ = write!(text, ", seed {}, {}", report.seed, duration(report));
    if !report.changes.is_empty() {
        let _ = write!(text, ", changed by `{}`", report.changes.join(" "));
    }
    text
}

/// Which data it saw.
pub(crate) fn data(data: &DataReport) -> String {
    let mut text = match data.sample {
        true => format!("the sample of {} that comes along", data.name),
        false => data.name.clone(),
    };
    if let Some(other) = &data.stands_in_for {
        let _ = write!(text, ", **standing in for {other}**");
    }
    let _ = write!(
        text,
        "; {} images to train on, {} to test on",
        thousands(data.train),
        thousands(data.test)
    );
    text
}

fn duration(report: &Report) -> String {
    format!("{} on {}", time(report.seconds.alone()), report.device)
}

/// Seconds as `1 min 36 s`.
pub(crate) fn time(seconds: f64) -> String {
    let seconds = seconds.round() as usize;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// What the paper prints of an experiment's accuracy, and only where every run was on the same data and long enough to
/// be read beside it.
fn claim(version: &Version, reports: &[&Report]) -> String {
    let comparable = |r: &&Report| {
        r.preset != Preset::Quick
            && r.data.stands_in_for.is_none()
            && !r.data.sample
            && r.changes.is_empty()
    };
    let printed = version.experiment.paper.as_ref();
    match printed.and_then(|p| Some((p.accuracy.as_ref()?, &p.source))) {
        Some((accuracy, source)) if !reports.is_empty() && reports.iter().all(comparable) => {
            format!(
                "\nThe paper prints for `{}`: {accuracy} ({source}).\n",
                version.name()
            )
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo;
    use freqreg_train::report::SCHEMA;
    use serde_json::{Value, json};

    fn report(experiment: &str, weights: usize, kept: usize) -> Value {
        let network = |kept: usize| {
            json!({
                "model": { "architecture": "vae" }, "weights": weights, "kept": kept, "number": "float16",
                "payload_bytes": 2 * kept, "file_bytes": 1800, "validation": 0.98, "test": 0.9894,
                "measures": {}, "layers": [], "history": []
            })
        };
        json!({
            "schema": SCHEMA, "version": "0.1.0", "experiment": experiment, "title": "", "preset": "default",
            "metric": "accuracy", "seed": 2, "device": "cpu",
            "data": { "name": "mnist", "source": "cache", "sample": false, "train": 55000, "validation": 5000, "test": 10000 },
            "dense": network(weights), "regularised": network(kept), "cut_curve": [],
            "seconds": { "dense": 1.0, "regularised": 2.0, "total": 3725.0 }
        })
    }

    fn parsed(report: &Value) -> Result<Report, String> {
        let report: Report = report.to_string().parse()?;
        check(&report, &zoo::networks()?)?;
        Ok(report)
    }

    fn lenet5(report: &Value) -> String {
        table(&zoo::networks().unwrap()[..1], &[parsed(report).unwrap()])
    }

    #[test]
    fn a_report_is_a_row_and_an_experiment_without_one_says_so() {
        let text = lenet5(&report("lenet5", 429_168, 776));
        let row = "| `lenet5` | as it stands, seed 2, 1 h 2 min on cpu | mnist; 55,000 images to train on, 10,000 to test on | \
                   accuracy 98.94 % | accuracy 98.94 % | 776 float16, 1,800 bytes |\n";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("| `lenet5-paper` | no committed report yet |"));
        assert!(text.contains("prints for `lenet5`: drop < 2 points"));
    }

    #[test]
    fn what_does_not_compare_is_labelled_and_stands_beside_no_claim() {
        let change = |at: &str, value: Value| {
            let mut changed = report("lenet5", 429_168, 776);
            *changed.pointer_mut(at).unwrap() = value;
            lenet5(&changed)
        };
        let mut stand_in = report("lenet5", 429_168, 776);
        stand_in["data"]["stands_in_for"] = json!("emnist");
        let mut changed = report("lenet5", 429_168, 300);
        changed["changes"] = json!(["--epochs", "3"]);
        for (text, label) in [
            (
                change("/preset", json!("quick")),
                "shows only that it works",
            ),
            (change("/data/sample", json!(true)), "the sample of mnist"),
            (lenet5(&stand_in), "standing in for emnist"),
            (lenet5(&changed), "changed by `--epochs 3`"),
        ] {
            assert!(text.contains(label), "{text}");
            assert!(!text.contains("The paper prints"), "{text}");
        }
    }

    #[test]
    fn a_report_of_another_schema_experiment_or_network_is_refused() {
        let error = |report: &Value| parsed(report).unwrap_err();
        let mut old = report("lenet5", 429_168, 776);
        old["schema"] = json!(1);
        assert!(error(&old).contains("schema is 1"));
        assert!(error(&report("lenet6", 1, 1)).contains("`lenet6`"));
        assert!(error(&report("lenet5", 429_168, 775)).contains("run it again"));
        assert!("{".parse::<Report>().is_err());
    }
}
