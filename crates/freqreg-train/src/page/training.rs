//! How the networks learned, and what is left when the lists are cut further: charts, each with its table.

use super::chart::{Axis, Chart, Point, Scale, Series};
use super::section;
use super::text::{NONE, Text, count, decimal, percent, percent_tick, score, significant};
use crate::report::{EpochReport, Metric, NetworkReport, Report};

pub(super) fn training(report: &Report) -> String {
    let networks = [
        ("ordinary", "dense", &report.dense),
        ("regularised", "run", &report.regularised),
    ];
    let metric = report.metric;
    let lines = |y: fn(&EpochReport) -> f64, say: &dyn Fn(&EpochReport) -> String| -> Vec<Series> {
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
    let validation = |e: &EpochReport| score(metric, e.validation);
    let scores = Chart {
        id: "accuracy",
        title: format!("Validation, {}, over the epochs", metric.name()),
        description: format!(
            "The ordinary network ends at {}, the regularised one at {}.",
            last(&report.dense, validation),
            last(&report.regularised, validation),
        ),
        x: epoch(),
        y: Axis {
            scale: match metric.is_share() {
                // No validation set tells less than half an image.
                true => Scale::Errors(0.5 / report.data.validation.max(1) as f64),
                false => Scale::Log,
            },
            ..axis(metric)
        },
        series: lines(|e| e.validation, &validation),
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
        series: lines(|e| e.kept as f64, &|e| format!("{} numbers", count(e.kept))),
    };
    let (Some(scores), Some(kept)) = (scores.svg(), kept.svg()) else {
        return section(
            "Training",
            "<p class=\"quiet\">No epoch was recorded.</p>\n",
        );
    };
    let tables: String = networks
        .iter()
        .map(|(name, _, network)| epochs(name, network, metric))
        .collect();
    let spaced = match metric.is_share() {
        true => {
            "Spaced by what is missed, so that 98\u{a0}% and 99\u{a0}% stand apart as 80\u{a0}% and 90\u{a0}% do."
        }
        false => "Less is better.",
    };
    section(
        "Training",
        &format!(
            "<div class=\"charts\">\n<figure>{scores}<figcaption>{spaced}</figcaption></figure>\n\
             <figure>{kept}<figcaption>At the end of each epoch. The budget shrinks while the network learns; what is \
             cut never comes back.</figcaption></figure>\n</div>\n\
             <details><summary>Every epoch as a table</summary>\n{tables}</details>\n"
        ),
    )
}

/// What a network's last epoch says.
fn last(network: &NetworkReport, say: impl Fn(&EpochReport) -> String) -> String {
    network
        .history
        .last()
        .map_or_else(|| "an unrecorded value".into(), say)
}

/// The vertical axis of a metric.
fn axis(metric: Metric) -> Axis {
    Axis {
        label: match metric {
            Metric::Accuracy => "validation images read rightly, %",
            Metric::Dice => "mean Dice coefficient, %",
            Metric::FrechetDistance => "Fréchet distance (logarithmic)",
            Metric::BitsPerPixel => "bits a pixel (logarithmic)",
        },
        scale: match metric.is_share() {
            true => Scale::Linear,
            false => Scale::Log,
        },
        mark: match metric.is_share() {
            true => percent_tick,
            false => significant,
        },
    }
}

fn epochs(name: &str, network: &NetworkReport, metric: Metric) -> String {
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
                e.train.map_or_else(|| NONE.into(), |s| score(metric, s)),
                score(metric, e.validation),
                significant(e.rate),
            )
        })
        .collect();
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Epochs of the {name} network\"><table>\n\
         <caption>The {name} network.</caption>\n<thead><tr><th scope=\"col\">Epoch</th><th scope=\"col\">Steps</th>\
         <th scope=\"col\">Kept</th><th scope=\"col\">Loss</th><th scope=\"col\">Training</th>\
         <th scope=\"col\">Validation</th><th scope=\"col\">Rate</th></tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )
}

pub(super) fn cut(report: &Report) -> String {
    let metric = report.metric;
    let mut points: Vec<_> = report.cut_curve.iter().collect();
    points.sort_by_key(|p| p.kept);
    let chart = Chart {
        id: "cut",
        title: format!("Validation, {}, against numbers kept", metric.name()),
        description: "What is left when every layer’s list is cut to a share of itself; the table beside it has the \
                      same numbers."
            .into(),
        x: Axis {
            label: "numbers kept (logarithmic)",
            scale: Scale::Log,
            mark: |x| count(x.round().max(0.0) as usize),
        },
        y: axis(metric),
        series: vec![Series {
            class: "run",
            name: "as trained",
            points: points
                .iter()
                .map(|p| Point {
                    x: p.kept as f64,
                    y: p.validation,
                    tip: format!("{} numbers: {}", count(p.kept), score(metric, p.validation)),
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
                score(metric, p.validation)
            )
        })
        .collect();
    section(
        "Cut further",
        &format!(
            "<p>A list is in order of frequency, so the trained network can be made smaller by cutting the end of every \
             list. Nothing was trained again for these numbers.</p>\n<div class=\"charts\">\n<figure>{chart}</figure>\n\
             <table>\n<caption>What stays of every layer’s list.</caption>\n<thead><tr><th scope=\"col\">Share</th>\
             <th scope=\"col\">Numbers</th><th scope=\"col\">Validation, {}</th></tr></thead>\n\
             <tbody>\n{rows}</tbody></table>\n</div>\n",
            Text(metric.name())
        ),
    )
}
