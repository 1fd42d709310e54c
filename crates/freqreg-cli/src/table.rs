//! The result of a run as a table for a terminal.

use freqreg_train::experiment::Preset;
use freqreg_train::index::{Outcome, Row};
use freqreg_train::report::{Metric, NetworkReport, Report};

/// The dense network, the paper's claim and this run, side by side.
pub(crate) fn render(report: &Report) -> String {
    let metric = report.metric;
    let measured = format!("test: {}", metric.name());
    let mut rows = vec![
        [
            "",
            "weights",
            "kept",
            "numbers' bytes",
            "file bytes",
            "ratio (paper's)",
            "ratio (plain)",
            &measured,
            if metric.is_share() { "drop" } else { "rise" },
        ]
        .map(String::from),
        network("dense", &report.dense, metric, None),
    ];
    if let Some(p) = &report.paper {
        let none = || "not printed".to_string();
        rows.push([
            "paper's claim".into(),
            p.weights.clone(),
            thousands(p.kept),
            none(),
            none(),
            p.ratio.clone().unwrap_or_else(none),
            none(),
            none(),
            match (&report.data.stands_in_for, &p.accuracy) {
                // What is printed for one data set does not stand beside what was measured on another.
                (None, Some(accuracy)) => accuracy.clone(),
                (None, None) => none(),
                (Some(_), _) => "other data".into(),
            },
        ]);
    }
    let dense = report.dense.test;
    rows.push(network(
        "this run",
        &report.regularised,
        metric,
        Some(dense),
    ));
    let mut out = format!(
        "\n{}\nseed {} · {} ({}): {} training, {} validation, {} test images · {}\n\n",
        report.title,
        report.seed,
        report.data.name,
        report.data.source,
        thousands(report.data.train),
        thousands(report.data.validation),
        thousands(report.data.test),
        report.device,
    );
    if !report.changes.is_empty() {
        out.push_str(&format!("changed by {}\n\n", report.changes.join(" ")));
    }
    out += &lined_up(&rows);
    if let Some(other) = &report.data.stands_in_for {
        out.push_str(&format!(
            "\nATTENTION: {other} can't be had here; {} stands in for it. Nothing here compares with what is printed for {other}.\n",
            report.data.name
        ));
    }
    if report.data.sample {
        out.push_str("\nATTENTION: trained and tested on the small embedded sample of MNIST, since no source of the full set\ncould be reached. These accuracies do not compare with the paper's or with anybody's.\n");
    }
    if report.preset == Preset::Quick {
        out.push_str("\nA quick run: it shows that everything works, its numbers are no result.\n");
    }
    out
}

/// The rows with their columns in line, the first one ruled off.
pub(crate) fn lined_up<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|c| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for (i, row) in rows.iter().enumerate() {
        let cells = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(c, (text, &w))| match c {
                0 => format!("{text:w$}"),
                _ => format!("{text:>w$}"),
            });
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
        if i == 0 {
            let rule: usize = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
            out.push_str(&"-".repeat(rule));
            out.push('\n');
        }
    }
    out
}

/// One run in a line.
pub(crate) fn line(report: &Report) -> String {
    let metric = report.metric;
    let (dense, run) = (report.dense.test, report.regularised.test);
    format!(
        "{}: {} of the ordinary network {}, of {} numbers {} ({}), {:.0} s",
        report.experiment,
        metric.name(),
        metric.show(dense),
        thousands(report.regularised.kept),
        metric.show(run),
        metric.show_loss(dense, run),
        report.seconds.total
    )
}

/// Every experiment in a row.
pub(crate) fn index(rows: &[Row]) -> String {
    let head = [
        "experiment",
        "data",
        "weights",
        "kept",
        "file bytes",
        "measure",
        "dense",
        "regularised",
        "loss",
        "seconds",
    ];
    let mut table = vec![head.map(String::from)];
    let mut failures = String::new();
    for row in rows {
        let name = row.name.clone();
        match &row.outcome {
            Outcome::Failure(reason) => failures += &format!("{name} failed: {reason}\n"),
            Outcome::Report(r) => {
                let (dense, run) = (r.dense.test, r.regularised.test);
                table.push([
                    name,
                    r.data.name.clone(),
                    thousands(r.regularised.weights),
                    thousands(r.regularised.kept),
                    thousands(r.regularised.file_bytes),
                    r.metric.name().into(),
                    r.metric.show(dense),
                    r.metric.show(run),
                    r.metric.show_loss(dense, run),
                    format!("{:.0}", r.seconds.total),
                ]);
            }
        }
    }
    format!("\n{}\n{failures}", lined_up(&table))
}

fn network(name: &str, n: &NetworkReport, metric: Metric, dense: Option<f64>) -> [String; 9] {
    let short = match n.number.as_str() {
        "float16" => "f16",
        "quantised" => "coded",
        _ => "f32",
    };
    [
        name.into(),
        thousands(n.weights),
        thousands(n.kept),
        format!("{} ({short})", thousands(n.payload_bytes)),
        thousands(n.file_bytes),
        format!("{:.0}x", n.paper_ratio()),
        format!("{:.0}x", n.plain_ratio()),
        metric.show(n.test),
        dense.map_or(String::new(), |d| metric.show_loss(d, n.test)),
    ]
}

/// 429168 as 429,168.
fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn thousands_are_set_apart() {
        let cases = [
            (7, "7"),
            (776, "776"),
            (1552, "1,552"),
            (429_168, "429,168"),
            (1_000_000, "1,000,000"),
        ];
        for (n, text) in cases {
            assert_eq!(thousands(n), text);
        }
    }
}
