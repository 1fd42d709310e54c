//! The result of a run as a table for a terminal.

use freqreg_train::report::{NetworkReport, Report};

/// The dense network, the paper's claim and this run, side by side.
pub(crate) fn render(report: &Report) -> String {
    let mut rows = vec![
        [
            "",
            "weights",
            "kept",
            "numbers' bytes",
            "file bytes",
            "ratio (paper's)",
            "ratio (plain)",
            "test accuracy",
            "drop",
        ]
        .map(String::from),
        network("dense", &report.dense, None),
    ];
    if let Some(p) = &report.paper {
        let none = || "not printed".to_string();
        rows.push([
            "paper's claim".into(),
            p.weights.clone(),
            thousands(p.kept),
            format!("{} (f16)", thousands(2 * p.kept)),
            none(),
            p.ratio.clone(),
            none(),
            none(),
            p.accuracy.clone(),
        ]);
    }
    let dense = report.dense.test_accuracy;
    rows.push(network("this run", &report.regularised, Some(dense)));
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|c| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0))
        .collect();
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
    if report.data.sample {
        out.push_str("\nATTENTION: trained and tested on the small embedded sample of MNIST, since no source of the full set\ncould be reached. These accuracies do not compare with the paper's or with anybody's.\n");
    }
    if report.quick {
        out.push_str(
            "\nA quick run: it shows that everything works, its accuracies are no result.\n",
        );
    }
    out
}

fn network(name: &str, n: &NetworkReport, dense: Option<f64>) -> [String; 9] {
    let short = if n.number == "float16" { "f16" } else { "f32" };
    [
        name.into(),
        thousands(n.weights),
        thousands(n.kept),
        format!("{} ({short})", thousands(n.payload_bytes)),
        thousands(n.file_bytes),
        format!("{:.0}x", n.paper_ratio()),
        format!("{:.0}x", n.plain_ratio()),
        format!("{:.2} %", n.test_accuracy * 100.0),
        dense.map_or(String::new(), |d| {
            format!("{:.2} points", (d - n.test_accuracy) * 100.0)
        }),
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
