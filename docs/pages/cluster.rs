//! Training over a network: what was measured on two hosts, and what a model of it says for more.

use crate::bench::time;
use crate::{said, thousands};
use serde::Deserialize;
use std::fmt::Write;
use std::path::Path;

/// What was measured, as `docs/bench/cluster/measured.json` has it.
#[derive(Deserialize)]
struct Measured {
    /// Of the link, megabits a second, and milliseconds from one end to the other.
    mbit: f64,
    delay_ms: f64,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    network: String,
    form: String,
    /// Of the whole batch.
    batch: usize,
    /// What a process gives to the sum of a step.
    bytes: usize,
    /// Steps that were made over the link, and the bytes it carried from the first host meanwhile, headers and what starts a run included.
    steps: usize,
    carried: usize,
    /// Seconds of a step: one process, two on one machine, two over the link.
    one_s: f64,
    local_s: f64,
    link_s: f64,
}

fn read(path: &Path) -> Result<Measured, String> {
    let text = std::fs::read_to_string(path).map_err(|e| said(path, e))?;
    serde_json::from_str(&text).map_err(|e| said(path, e))
}

/// A row for each network and form.
pub(crate) fn measured(path: &Path) -> Result<String, String> {
    let all = read(path)?;
    let mut text = format!(
        "| | batch | given to a sum, bytes | carried a step, bytes | one process | two, one machine | two over {} Mbit/s, {} ms | of their speed |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        all.mbit, all.delay_ms
    );
    for row in &all.rows {
        let _ = writeln!(
            text,
            "| `{}`, {} | {} | {} | {} | {} | {} | {} | {:.1} % |",
            row.network,
            row.form,
            row.batch,
            thousands(row.bytes),
            thousands(row.carried / row.steps),
            time(row.one_s),
            time(row.local_s),
            time(row.link_s),
            100.0 * row.local_s / row.link_s
        );
    }
    Ok(text)
}

/// Networks by name, with bits a second and seconds from one machine to another.
const LINKS: [(&str, f64, f64); 4] = [
    ("10 Mbit/s, 20 ms", 10e6, 20e-3),
    ("100 Mbit/s, 1 ms", 100e6, 1e-3),
    ("1 Gbit/s, 0.1 ms", 1e9, 1e-4),
    ("100 Gbit/s, 2 µs", 100e9, 2e-6),
];
const MACHINES: [u32; 5] = [2, 8, 32, 128, 1024];

/// Seconds that a sum of so many bytes over `machines` takes: in pairs, then pairs of pairs, or round a ring in parts, whichever is
/// faster. Ours goes in pairs; the ring is what libraries do with much.
fn exchange(bytes: f64, machines: u32, bits: f64, delay: f64) -> f64 {
    let n = f64::from(machines);
    let pairs = n.log2().ceil() * (delay + 8.0 * bytes / bits);
    let ring = 2.0 * (n - 1.0) * (delay + 8.0 * bytes / n / bits);
    pairs.min(ring)
}

/// What share of its time each machine computes, by the model, if the batch grows with the machines: a row for each link and form.
pub(crate) fn model(path: &Path) -> Result<String, String> {
    let all = read(path)?;
    let mut text = String::from("| link | network |");
    for machines in MACHINES {
        let _ = write!(text, " {} |", thousands(machines as usize));
    }
    text += "\n| --- | --- |";
    text += &" ---: |".repeat(MACHINES.len());
    text.push('\n');
    for (link, bits, delay) in LINKS {
        for row in &all.rows {
            let _ = write!(text, "| {link} | `{}`, {} |", row.network, row.form);
            for machines in MACHINES {
                let other = exchange(row.bytes as f64, machines, bits, delay);
                let share = 100.0 * row.local_s / (row.local_s + other);
                let _ = match share {
                    s if s < 0.095 => write!(text, " < 0.1 % |"),
                    s if s < 10.0 => write!(text, " {s:.1} % |"),
                    s => write!(text, " {s:.0} % |"),
                };
            }
            text.push('\n');
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_bytes_go_in_pairs_and_many_round_a_ring() {
        let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-12, "{a} {b}");
        near(exchange(1250.0, 2, 1e6, 0.02), 0.03);
        near(exchange(1250.0, 8, 1e6, 0.02), 0.09);
        // 2 · 7 · (0.001 + 8 · 10^6 / 8 / 10^6) against 3 · (0.001 + 8).
        near(exchange(1e6, 8, 1e6, 0.001), 14.014);
    }
}
