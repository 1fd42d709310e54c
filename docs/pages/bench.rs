//! The table of times beside the peer's, from what `cargo xtask bench peer --json` printed.

use crate::said;
use serde_json::Value;
use std::path::Path;

/// The table of the figures in the file at `path`.
pub(crate) fn table(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|e| said(path, e))?;
    let rows: Value = serde_json::from_str(&text).map_err(|e| said(path, e))?;
    let rows = rows.as_array().ok_or_else(|| said(path, "is no list"))?;
    let mut table = String::from(
        "| | freqreg | PyTorch | times faster | memory, MB | PyTorch's, MB |\n| --- | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for row in rows {
        table += &line(row).ok_or_else(|| said(path, format!("a figure lacks a field: {row}")))?;
    }
    Ok(table)
}

fn line(row: &Value) -> Option<String> {
    let number = |key: &str| row[key].as_f64();
    let memory = |key: &str| number(key).map_or("-".into(), |mb| format!("{mb:.0}"));
    Some(format!(
        "| {} | {} | {} | {:.1} | {} | {} |\n",
        row["what"].as_str()?,
        time(number("ours_s")?),
        time(number("peer_s")?),
        number("ratio")?,
        memory("ours_peak_mb"),
        memory("peer_peak_mb"),
    ))
}

/// Three digits of a time, in seconds or milliseconds.
pub(crate) fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 10.0 => format!("{s:.1} s"),
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 0.1 => format!("{:.0} ms", s * 1e3),
        s if s >= 0.01 => format!("{:.1} ms", s * 1e3),
        s => format!("{:.2} ms", s * 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_has_times_in_three_digits_and_a_missing_one_is_found() {
        let row = json!({"what": "w", "ours_s": 0.1234, "peer_s": 12.345, "ratio": 100.04, "ours_peak_mb": 149.6, "peer_peak_mb": null});
        assert_eq!(
            line(&row).as_deref(),
            Some("| w | 123 ms | 12.3 s | 100.0 | 150 | - |\n")
        );
        assert_eq!(line(&json!({"what": "w", "ours_s": 1})), None);
        assert_eq!(
            [0.00123, 0.0456, 2.345].map(time),
            ["1.23 ms", "45.6 ms", "2.35 s"]
        );
    }
}
