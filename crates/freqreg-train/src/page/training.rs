//! How the networks learned, and what is left when the lists are cut further: charts, each with its table.

use super::chart::{Axis, Chart, Point, Scale, Series};
use super::section;
use super::text::{count, decimal, percent, percent_tick, significant};
use crate::report::{EpochReport, NetworkReport, Report};

pub(super) fn training(report: &Report) -> String {
    let networks = [
        ("ordinary", "dense", &report.dense),
        ("regularised", "run", &report.regularised),
    ];
    let lines = |y: fn(&EpochReport) -> f64, say: fn(&EpochReport) -> String| -> Vec<Series> {
        networks
            .iter()
            .map(|(name, class, network)| Series {
                class,
                name,
                points: network
                    .history
                    .iter()
                    .map(|e| Point {
                        x: e.epoch as f64,
                        y: y(e),
                        tip: format!("{name}, epoch {}: {}", e.epoch, say(e)),
                    })
                    .collect(),
            })
            .collect()
    };
    let whole = |x: f64| count(x.round().max(0.0) as usize);
    let epoch = || Axis {
        label: "epoch",
        scale: Scale::Whole,
        mark: whole,
    };
    // No validation set tells less than half an image.
    let least = 0.5 / report.data.validation.max(1) as f64;
    let accuracy = Chart {
        id: "accuracy",
        title: "Validation accuracy over the epochs".into(),
        description: format!(
            "The ordinary network ends at {}, the regularised one at {}.",
            last(&report.dense, |e| percent(e.validation_accuracy, 2)),
            last(&report.regularised, |e| percent(e.validation_accuracy, 2)),
        ),
        x: epoch(),
        y: Axis {
            label: "validation images read rightly, %",
            scale: Scale::Errors(least),
            mark: percent_tick,
        },
        series: lines(
            |e| e.validation_accuracy,
            |e| percent(e.validation_accuracy, 2),
        ),
    };
    let kept = Chart {
        id: "kept",
        title: "Numbers kept over the epochs".into(),
        description: format!(
            "The ordinary network ends with {} numbers, the regularised one with {}.",
            last(&report.dense, |e| count(e.kept)),
            last(&report.regularised, |e| count(e.kept)),
        ),
        x: epoch(),
        y: Axis {
            label: "numbers kept (logarithmic)",
            scale: Scale::Log,
            mark: whole,
        },
        series: lines(|e| e.kept as f64, |e| format!("{} numbers", count(e.kept))),
    };
    let (Some(accuracy), Some(kept)) = (accuracy.svg(), kept.svg()) else {
        return section(
            "Training",
            "<p class=\"quiet\">No epoch was recorded.</p>\n",
        );
    };
    let tables: String = networks
        .iter()
        .map(|(name, _, network)| epochs(name, network))
        .collect();
    section(
        "Training",
        &format!(
            "<div class=\"charts\">\n<figure>{accuracy}<figcaption>Spaced by what is misread, so that 98\u{a0}% and 99\u{a0}% \
             stand apart as 80\u{a0}% and 90\u{a0}% do.</figcaption></figure>\n\
             <figure>{kept}<figcaption>At the end of each epoch. The budget shrinks while the network learns; what is \
             cut never comes back.</figcaption></figure>\n</div>\n\
             <details><summary>Every epoch as a table</summary>\n{tables}</details>\n"
        ),
    )
}

/// What a network's last epoch says.
fn last(network: &NetworkReport, say: fn(&EpochReport) -> String) -> String {
    network
        .history
        .last()
        .map_or_else(|| "an unrecorded value".into(), say)
}

fn epochs(name: &str, network: &NetworkReport) -> String {
    if network.history.is_empty() {
        return String::new();
    }
    let rows: String = network
        .history
        .iter()
        .map(|e| {
            format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                count(e.epoch),
                count(e.step),
                count(e.kept),
                decimal(e.loss, 4),
                percent(e.train_accuracy, 2),
                percent(e.validation_accuracy, 2),
                significant(e.rate),
            )
        })
        .collect();
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Epochs of the {name} network\"><table>\n\
         <caption>The {name} network.</caption>\n<thead><tr><th scope=\"col\">Epoch</th><th scope=\"col\">Steps</th>\
         <th scope=\"col\">Kept</th><th scope=\"col\">Loss, nats</th><th scope=\"col\">Training</th>\
         <th scope=\"col\">Validation</th><th scope=\"col\">Rate</th></tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )
}

pub(super) fn cut(report: &Report) -> String {
    let mut points: Vec<_> = report.cut_curve.iter().collect();
    points.sort_by_key(|p| p.kept);
    let chart = Chart {
        id: "cut",
        title: "Accuracy against numbers kept".into(),
        description: "Validation accuracy when every layer’s list is cut to a share of itself; the table beside \
                      it has the same numbers."
            .into(),
        x: Axis {
            label: "numbers kept (logarithmic)",
            scale: Scale::Log,
            mark: |x| count(x.round().max(0.0) as usize),
        },
        y: Axis { label: "validation images read rightly, %", scale: Scale::Linear, mark: percent_tick },
        series: vec![Series {
            class: "run",
            name: "as trained",
            points: points
                .iter()
                .map(|p| Point {
                    x: p.kept as f64,
                    y: p.validation_accuracy,
                    tip: format!("{} numbers: {}", count(p.kept), percent(p.validation_accuracy, 2)),
                })
                .collect(),
        }],
    };
    let Some(chart) = chart.svg() else {
        return String::new();
    };
    let rows: String = points
        .iter()
        .rev()
        .map(|p| {
            format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>\n",
                percent(p.share, 0),
                count(p.kept),
                percent(p.validation_accuracy, 2)
            )
        })
        .collect();
    section(
        "Cut further",
        &format!(
            "<p>A list is in order of frequency, so the trained network can be made smaller by cutting the end of every \
             list. Nothing was trained again for these numbers.</p>\n<div class=\"charts\">\n<figure>{chart}</figure>\n\
             <table>\n<caption>What stays of every layer’s list.</caption>\n<thead><tr><th scope=\"col\">Share</th>\
             <th scope=\"col\">Numbers</th><th scope=\"col\">Validation accuracy</th></tr></thead>\n\
             <tbody>\n{rows}</tbody></table>\n</div>\n"
        ),
    )
}
