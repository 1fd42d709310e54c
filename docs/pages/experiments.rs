//! The experiments in earnest: what their reports say together, and how to make each again.

use crate::zoo::Network;
use crate::{results, thousands};
use freqreg_train::experiment::Preset;
use freqreg_train::report::{Metric, NetworkReport, Report, mean_and_deviation};
use std::fmt::Write;

/// Whether a report is a result: of an experiment as it stands, in its own lengths or the paper's, on a whole set of data.
pub(crate) fn counts(report: &&Report) -> bool {
    report.preset != Preset::Quick && report.changes.is_empty() && !report.data.sample
}

pub(crate) fn mean(scores: &[f64]) -> f64 {
    mean_and_deviation(scores).0
}

/// Mean and, of several, standard deviation of a score over seeds.
pub(crate) fn spread(metric: Metric, scores: &[f64]) -> String {
    let (mean, deviation) = mean_and_deviation(scores);
    let shown = metric.show(mean).replace(' ', "&nbsp;");
    let Some(deviation) = deviation else {
        return shown;
    };
    match metric.is_share() {
        true => format!("{shown} ± {:.2}", 100.0 * deviation),
        false => format!("{shown} ± {deviation:.4}"),
    }
}

/// A row for each experiment and set of data, over all seeds; experiments without a result are named below.
pub(crate) fn table(networks: &[Network], reports: &[Report]) -> String {
    let mut text = String::from(
        "| experiment | data | training | test | seeds | ordinary | regularised | lost | numbers | bytes | share |\n\
         | --- | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    let mut missing = Vec::new();
    for network in networks {
        for version in &network.versions {
            let name = version.name();
            let of = |r: &&Report| r.experiment == name && counts(r);
            let mut left: Vec<&Report> = reports.iter().filter(of).collect();
            if left.is_empty() {
                missing.push(format!("`{name}`"));
            }
            while let Some(&first) = left.first() {
                let key = |r: &&Report| (r.preset, r.data.name == first.data.name);
                let (mut row, others): (Vec<&Report>, Vec<&Report>) = left
                    .into_iter()
                    .partition(|r| key(r) == (first.preset, true));
                left = others;
                row.sort_by_key(|r| r.seed);
                text += &line(network, name, &row);
            }
        }
    }
    if !missing.is_empty() {
        let _ = write!(text, "\nNo run in earnest yet: {}.\n", missing.join(", "));
    }
    text
}

/// The same in few columns, for who has not heard of any of it; nothing is said of what has no result.
pub(crate) fn front(networks: &[Network], reports: &[Report]) -> String {
    let mut text = String::from(
        "| `cargo xtask reproduce` | weights | numbers | bytes of the file | ordinary | with these numbers |\n\
         | --- | ---: | ---: | ---: | ---: | ---: |\n",
    );
    let versions = networks.iter().flat_map(|n| &n.versions);
    for name in versions.map(|v| v.name()) {
        let of = |r: &&Report| r.experiment == name && r.preset == Preset::Default && counts(r);
        let row: Vec<&Report> = reports.iter().filter(of).collect();
        let Some(first) = row.first() else { continue };
        let of =
            |score: fn(&Report) -> f64| mean(&row.iter().map(|r| score(r)).collect::<Vec<_>>());
        let bytes = of(|r| r.regularised.file_bytes as f64);
        let _ = writeln!(
            text,
            "| `{name}`, {} | {} | {} | {} | {} | {} |",
            first.data.name,
            thousands(first.regularised.weights),
            thousands(first.regularised.kept),
            thousands(bytes.round() as usize),
            first.metric.show(of(|r| r.dense.test)),
            first.metric.show(of(|r| r.regularised.test)),
        );
    }
    text
}

/// The README's table: LeNet5 as it is ordinarily, as the paper has it, and as we do.
pub(crate) fn readme(reports: &[Report]) -> String {
    let of = |name: &str| -> Vec<&Report> {
        let of = |r: &&Report| r.experiment == name && r.preset == Preset::Default && counts(r);
        reports.iter().filter(of).collect()
    };
    let show = |scores: &[f64]| format!("{:.2} %", 100.0 * mean(scores));
    let ours = of("lenet5");
    let mut text = String::from(
        "| | weights | numbers kept | file | ratio, as the paper counts | test accuracy | drop |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    if let Some(first) = ours.first() {
        let dense: Vec<f64> = ours.iter().map(|r| r.dense.test).collect();
        let network = &first.dense;
        let _ = writeln!(
            text,
            "| ordinary, float32 | {0} | {0} | {1} bytes | 1x | {2} | |",
            thousands(network.weights),
            thousands(network.file_bytes),
            show(&dense)
        );
    }
    text += "| the paper's claim, float16 | 0.4M | 776 | not printed | > 1100x | not printed | < 2 points |\n";
    for name in ["lenet5", "lenet5-paper"] {
        let runs = of(name);
        let Some(first) = runs.first() else { continue };
        let network = &first.regularised;
        let scores = |of: fn(&Report) -> f64| -> Vec<f64> { runs.iter().map(|r| of(r)).collect() };
        let (dense, test) = (scores(|r| r.dense.test), scores(|r| r.regularised.test));
        let each: Vec<String> = test.iter().map(|t| format!("{:.2}", 100.0 * t)).collect();
        let bytes = mean(&scores(|r| r.regularised.file_bytes as f64));
        let ratio = 4.0 * network.weights as f64 / (2.0 * network.kept as f64);
        let _ = writeln!(
            text,
            "| `cargo xtask reproduce {name}` | {} | {} | {} bytes | {}x | {} ({}) | {} |",
            thousands(network.weights),
            thousands(network.kept),
            thousands(bytes.round() as usize),
            thousands(ratio.round() as usize),
            show(&test),
            each.join(", "),
            first.metric.show_loss(mean(&dense), mean(&test)),
        );
    }
    text
}

fn line(network: &Network, name: &str, reports: &[&Report]) -> String {
    let first = reports[0];
    let metric = first.metric;
    let scores = |of: fn(&Report) -> &NetworkReport| -> Vec<f64> {
        reports.iter().map(|r| of(r).test).collect()
    };
    let (dense, regularised) = (scores(|r| &r.dense), scores(|r| &r.regularised));
    let seeds: Vec<String> = reports.iter().map(|r| r.seed.to_string()).collect();
    let bytes = reports
        .iter()
        .map(|r| r.regularised.file_bytes)
        .sum::<usize>()
        / reports.len();
    let smaller = first.dense.file_bytes as f64 / bytes as f64;
    let times = match smaller {
        x if x < 10.0 => format!("1/{x:.1}"),
        x => format!("1/{}", thousands(x.round() as usize)),
    };
    format!(
        "| [`{name}`](models/{}.md){} | {} | {} | {} | {} | {} | {} | {} | {} {} | {} | {times} |\n",
        network.name,
        if first.preset == Preset::Full {
            ", `--full`"
        } else {
            ""
        },
        first.data.name,
        thousands(first.data.train),
        thousands(first.data.test),
        seeds.join(", "),
        spread(metric, &dense),
        spread(metric, &regularised),
        metric.show_loss(mean(&dense), mean(&regularised)),
        thousands(first.regularised.kept),
        first.regularised.number,
        thousands(bytes),
    )
}

/// A row for each report of an experiment in earnest: how to make it again, what made it, and how long it took.
pub(crate) fn runs(reports: &[Report]) -> String {
    let mut rows: Vec<&Report> = reports.iter().filter(counts).collect();
    rows.sort_by_key(|r| (r.experiment.clone(), r.seed));
    let mut text = String::from(
        "| command | ordinary | regularised | version | machine | trained in |\n\
         | --- | ---: | ---: | --- | --- | ---: |\n",
    );
    for report in rows {
        let machine = match report.machine.as_str() {
            "" => report.device.clone(),
            machine => format!("{}, {machine}", report.device),
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {machine} | {} |",
            report.command(),
            report.metric.show(report.dense.test),
            report.metric.show(report.regularised.test),
            report.version,
            results::time(report.seconds.dense + report.seconds.regularised),
        );
    }
    text
}
