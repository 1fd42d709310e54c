//! How well networks do in how few bytes: the reports in `results/bytes`, and those on the same experiments as they stand.

use crate::said;
use freqreg_train::experiment::Preset;
use freqreg_train::report::{Report, SCHEMA};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// What runs of several seeds have in common: numbers kept, their form, and in how many epochs they were trained with it.
type Kind = (usize, String, String);

/// A row for each kind of run, from few bytes to many.
///
/// # Errors
/// A file that can't be read, or is no report of this schema.
pub(crate) fn table(folder: &Path, reports: &[Report]) -> Result<String, String> {
    let mut runs = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| said(folder, e))? {
        let path = entry.map_err(|e| said(folder, e))?.path();
        let text = std::fs::read_to_string(&path).map_err(|e| said(&path, e))?;
        let report: Report = serde_json::from_str(&text).map_err(|e| said(&path, e))?;
        if report.schema != SCHEMA {
            let schema = report.schema;
            return Err(said(&path, format!("its schema is {schema}, not {SCHEMA}")));
        }
        runs.push(report);
    }
    let mut experiments: Vec<String> = runs.iter().map(|r| r.experiment.clone()).collect();
    experiments.dedup();
    let as_it_stands = |r: &&Report| {
        r.preset == Preset::Default && r.changes.is_empty() && experiments.contains(&r.experiment)
    };
    runs.extend(reports.iter().filter(as_it_stands).cloned());

    let mut kinds: BTreeMap<Kind, Vec<&Report>> = BTreeMap::new();
    for run in &runs {
        let change = |key: &str| {
            let found = run.changes.iter().find_map(|c| c.strip_prefix(key));
            found.map(|value| value.trim().to_string())
        };
        let form = match change("--number") {
            Some(form) => form.replace("bits:", "") + " bits",
            None => run.regularised.number.clone(),
        };
        let epochs = change("--quantised-epochs").unwrap_or_default();
        let kind = (run.regularised.kept, form, epochs);
        kinds.entry(kind).or_default().push(run);
    }
    let mut rows: Vec<(f64, String)> = Vec::new();
    for ((kept, form, epochs), mut runs) in kinds {
        runs.sort_by_key(|r| r.seed);
        let mean = |of: fn(&Report) -> f64| {
            runs.iter().map(|r| of(r)).sum::<f64>() / runs.len().max(1) as f64
        };
        let each = |of: fn(&Report) -> String| {
            let texts: Vec<String> = runs.iter().map(|r| of(r)).collect();
            texts.join(", ")
        };
        let bytes = mean(|r| r.regularised.file_bytes as f64);
        let share = |x: f64| format!("{:.2}", 100.0 * x);
        let row = format!(
            "| {kept} | {form} | {} | {} | {} | {} | **{} %** |",
            if epochs.is_empty() {
                "–"
            } else {
                epochs.as_str()
            },
            each(|r| r.regularised.file_bytes.to_string()),
            share(mean(|r| r.regularised.validation)),
            each(|r| format!("{:.2}", 100.0 * r.regularised.test)),
            share(mean(|r| r.regularised.test)),
        );
        rows.push((bytes, row));
    }
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut text = String::from(
        "| numbers | form | epochs with it | bytes of the file | validation | test accuracy | mean |\n\
         | ---: | --- | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (_, row) in rows {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{row}");
    }
    Ok(text.trim_end().into())
}
