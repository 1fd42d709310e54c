//! Several experiments in one table: `index.html` and `index.json`.

use crate::page::index as page;
use crate::report::Report;
use crate::{Error, Result};
use freqreg_file::write_atomically;
use serde::Serialize;
use std::path::Path;

/// The table as JSON, which is no report.
pub(crate) const FILE: &str = "index.json";

/// What became of one experiment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Its report.
    Report(Box<Report>),
    /// Why there is none.
    Failure(String),
}

/// One row: an experiment by its name, which is the folder of its results, too.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The experiment.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// Writes `index.html` and `index.json` into `folder`.
///
/// # Errors
/// A folder that can't be written to.
pub fn write(folder: &Path, rows: &[Row]) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|cause| Error::Io {
        action: "create",
        path: folder.into(),
        cause,
    })?;
    let path = folder.join(FILE);
    let json = serde_json::to_string_pretty(rows).map_err(|e| Error::Report {
        path: path.clone(),
        reason: e.to_string(),
    })?;
    write_atomically(folder.join("index.html"), page::render(rows).as_bytes())?;
    write_atomically(path, format!("{json}\n").as_bytes())?;
    Ok(())
}
