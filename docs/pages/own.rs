//! Tables of our own times: forms of execution, growth, and the choice between forms, from what `cargo xtask bench own` wrote.

use crate::bench::time;
use crate::{said, thousands};
use serde_json::Value;
use std::path::Path;

/// The figures in a file, one a line.
fn read(path: &Path) -> Result<Vec<Value>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| said(path, e))?;
    let line = |line: &str| serde_json::from_str(line).map_err(|e| said(path, e));
    text.lines().map(line).collect()
}

fn found<T>(path: &Path, row: &Value, value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| said(path, format!("a figure lacks a field: {row}")))
}

/// Time and memory of one figure, as `84.2 ms, 145 MB`.
fn cell(row: &Value) -> Option<String> {
    let memory = row["peak_rss_mb"]
        .as_f64()
        .map_or_else(String::new, |mb| format!(", {mb:.0} MB"));
    Some(time(row["median_s"].as_f64()?) + &memory)
}

/// The name of a network and the sizes of its input, as `unet, 1 x 3 x 320 x 480`.
fn subject(row: &Value) -> Option<String> {
    let sizes: Option<Vec<String>> = row["input"]
        .as_array()?
        .iter()
        .map(|n| Some(n.as_u64()?.to_string()))
        .collect();
    let work = match row["work"].as_str()? {
        "answer" => "answer",
        _ => "training step",
    };
    Some(format!(
        "`{}`, {work}, {}",
        row["network"].as_str()?,
        sizes?.join(" × ")
    ))
}

const FORMS: [&str; 4] = ["spatial", "factored", "fused", "auto"];

/// A row for each network and work, a column for each form.
pub(crate) fn forms(path: &Path) -> Result<String, String> {
    let mut lines: Vec<(String, [Option<String>; 4])> = Vec::new();
    for row in read(path)? {
        let subject = found(path, &row, subject(&row))?;
        let form = FORMS.iter().position(|f| row["form"] == **f);
        let (form, cell) = (found(path, &row, form)?, found(path, &row, cell(&row))?);
        match lines.iter_mut().find(|(s, _)| *s == subject) {
            Some((_, cells)) => cells[form] = Some(cell),
            None => {
                let mut cells = [const { None }; 4];
                cells[form] = Some(cell);
                lines.push((subject, cells));
            }
        }
    }
    let mut text = String::from(
        "| | weights rebuilt | factored | fused | as chosen |\n| --- | ---: | ---: | ---: | ---: |\n",
    );
    for (subject, cells) in lines {
        let cells = cells.map(|c| c.unwrap_or_else(|| "-".into()));
        text += &format!("| {subject} | {} |\n", cells.join(" | "));
    }
    Ok(text)
}

/// How the figures of a file grow by `by`: a row for each size, with the ordinary form beside where it was measured.
pub(crate) fn growth(path: &Path, by: &str, heading: &str) -> Result<String, String> {
    let rows = read(path)?;
    let of: Vec<&Value> = rows.iter().filter(|row| row["by"] == by).collect();
    let both = of.iter().any(|row| row["form"] == "spatial");
    let mut text = format!("| {heading} | time, memory |");
    text += if both { " weights rebuilt |\n" } else { "\n" };
    text += "| ---: | ---: |";
    text += if both { " ---: |\n" } else { "\n" };
    for row in &of {
        if row["form"] == "spatial" {
            continue;
        }
        let size = found(path, row, row["size"].as_u64())?;
        let cell_here = found(path, row, cell(row))?;
        text += &format!("| {} | {cell_here} |", thousands(size as usize));
        if both {
            let other = of
                .iter()
                .find(|r| r["form"] == "spatial" && r["size"] == row["size"]);
            let other = found(path, row, other.and_then(|row| cell(row)))?;
            text += &format!(" {other} |");
        }
        text.push('\n');
    }
    Ok(text)
}

/// How often the faster way was chosen, in a sentence; and where it was not.
pub(crate) fn layers(path: &Path) -> Result<String, String> {
    let rows = read(path)?;
    // Dense layers have one way only.
    let of: Vec<&Value> = rows
        .iter()
        .filter(|row| row["chosen"].is_string())
        .collect();
    let wrong: Vec<&&Value> = of.iter().filter(|row| row["right"] == false).collect();
    let mut text = format!(
        "Of {} layers of the zoo the faster way was chosen for {}.",
        of.len(),
        of.len() - wrong.len()
    );
    if !wrong.is_empty() {
        text += " The others:\n\n| layer | chosen | rebuilt | factored |\n| --- | --- | ---: | ---: |\n";
    }
    for row in wrong {
        let field = |key: &str| found(path, row, row[key].as_str());
        let seconds = |key: &str| found(path, row, row[key].as_f64()).map(time);
        text += &format!(
            "| `{}`, `{}` | {} | {} | {} |\n",
            field("network")?,
            field("layer")?,
            field("chosen")?,
            seconds("spatial_s")?,
            seconds("factored_s")?
        );
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
