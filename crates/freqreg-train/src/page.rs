//! The page of a run: one HTML file that needs nothing else, for light and dark, wide and narrow, screen and paper.
//!
//! Here stand the order of the page, its tables and how it was run. The sections with charts live in `training`,
//! those with pictures in `seen`; how numbers are printed in `text`, line charts in `chart`, signed numbers as
//! colours in `cells`, images in `digit`, and the look of it all in `style.css`.

mod cells;
mod chart;
mod digit;
pub(crate) mod index;
mod seen;
mod text;
mod training;

use crate::experiment::Preset;
use crate::report::{Metric, NetworkReport, Pictures, Report};
pub(crate) use seen::picture;
use text::{NONE, Text, count, decimal, duration, percent, ratio, score, shape, significant};

/// The page that shows a report with its pictures.
///
/// The result is a whole HTML document: styles, charts and images stand in it, and it asks for nothing from
/// anywhere. All text of the report is escaped, so that no name or source can become markup. What is missing (no
/// epoch, no picture, no claim) is left out or said to be missing.
pub fn render(report: &Report, pictures: &Pictures) -> String {
    let body: String = [
        results(report),
        training::training(report),
        training::cut(report),
        layers(report),
        seen::spectra(pictures),
        seen::filters(pictures),
        seen::grids(pictures),
        seen::misread(pictures),
        seen::confusion(report),
        how(report),
    ]
    .concat();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{} · freqreg</title>\n\
         <style>\n{}</style>\n</head>\n<body>\n{}<main>\n{body}</main>\n\
         <footer>Written by freqreg {}.</footer>\n</body>\n</html>\n",
        Text(&report.title),
        include_str!("page/style.css"),
        header(report),
        Text(&report.version),
    )
}

fn header(report: &Report) -> String {
    let (dense, run, metric) = (&report.dense, &report.regularised, report.metric);
    let lost = lost(report);
    let name = metric.name();
    let mut capital = name.chars();
    let head: String = capital
        .next()
        .iter()
        .flat_map(|c| c.to_uppercase())
        .chain(capital)
        .collect();
    format!(
        "<header>\n{}<h1>{}</h1>\n\
         <p class=\"lead\"><b>{} weights</b> as <b>{} numbers</b>; {name} <b>{}</b> on {} test images.</p>\n\
         <dl class=\"facts\">\n{}{}{}{}</dl>\n</header>\n",
        banners(report),
        Text(&report.title),
        count(run.weights),
        count(run.kept),
        score(metric, run.test),
        count(report.data.test),
        fact(
            "Fewer numbers",
            &ratio(run.plain_ratio()),
            &format!("{} as the paper counts", ratio(run.paper_ratio()))
        ),
        fact(
            "The whole file",
            &format!("{} bytes", count(run.file_bytes)),
            &format!("{} for the ordinary network", bytes(dense.file_bytes)),
        ),
        fact(
            &format!("{head} on the test images"),
            &score(metric, run.test),
            &match metric {
                Metric::Accuracy => misread_count(run, report.data.test),
                Metric::Dice => String::new(),
                _ => "less is better".into(),
            }
        ),
        fact(
            if lost < 0.0 { "Gain" } else { "Loss" },
            &format!("{} {}", decimal(lost.abs(), 2), unit_of(metric, lost)),
            &format!("from {} of the ordinary network", score(metric, dense.test)),
        ),
    )
}

fn unit_of(metric: Metric, lost: f64) -> &'static str {
    match (metric.is_share(), lost < 0.0) {
        (true, _) => "points",
        (false, false) => "% more",
        (false, true) => "% less",
    }
}

fn fact(name: &str, value: &str, detail: &str) -> String {
    format!("<div><dt>{name}</dt><dd>{value}</dd><dd>{detail}</dd></div>\n")
}

fn banners(report: &Report) -> String {
    let banner = |head: &str, text: &str| {
        format!("<div class=\"banner\" role=\"note\"><b>{head}</b><p>{text}</p></div>\n")
    };
    let mut html = String::new();
    let data = &report.data;
    if data.sample {
        html += &banner(
            "Only the embedded sample: these numbers do not compare with any other.",
            &format!(
                "The full data set was not used: this run trained on {} images and was tested on {} of \
                 a small sample that comes with the program.",
                count(report.data.train),
                count(report.data.test)
            ),
        );
    }
    if let Some(other) = &data.stands_in_for {
        html += &banner(
            &format!("On {}, not on {}.", Text(&data.name), Text(other)),
            &format!(
                "{} can’t be had here, so {} stands in for it: nothing here compares with what is printed for the other.",
                Text(other),
                Text(&data.name)
            ),
        );
    }
    if report.preset == Preset::Quick {
        html += &banner(
            "A quick run: its numbers are no result.",
            "It was cut short by <code>--quick</code> to see that everything works. Run it again without.",
        );
    }
    html
}

fn results(report: &Report) -> String {
    let (dense, run, paper) = (&report.dense, &report.regularised, report.paper.as_ref());
    let metric = report.metric;
    // The paper says nothing of some rows; one cell may stand for two rows.
    let row = |name: &str, dense: &str, claim: Option<&str>, run: &str| {
        let claim = match (paper, claim) {
            (Some(_), Some(claim)) => format!("<td>{claim}</td>"),
            (Some(_), None) => format!("<td class=\"quiet\">{NONE}</td>"),
            (None, _) => String::new(),
        };
        format!(
            "<tr><th scope=\"row\">{name}</th><td>{dense}</td>{claim}<td class=\"run\">{run}</td></tr>\n"
        )
    };
    let printed = |text: &str| Text(text).to_string();
    let numbers = |n: &NetworkReport| {
        format!(
            "{}<small>{}</small>",
            count(n.payload_bytes),
            Text(&n.number)
        )
    };
    let head = if paper.is_some() {
        "<th scope=\"col\">Paper’s claim</th>"
    } else {
        ""
    };
    let rows = [
        row(
            "Weights",
            &count(dense.weights),
            paper.map(|p| printed(&p.weights)).as_deref(),
            &count(run.weights),
        ),
        row(
            "Numbers kept",
            &count(dense.kept),
            paper.map(|p| count(p.kept)).as_deref(),
            &count(run.kept),
        ),
        row(
            "Bytes of these numbers",
            &numbers(dense),
            None,
            &numbers(run),
        ),
        row(
            "Bytes of the file",
            &count(dense.file_bytes),
            None,
            &count(run.file_bytes),
        ),
        row(
            "Ratio as the paper counts",
            &ratio(dense.paper_ratio()),
            paper
                .and_then(|p| p.ratio.as_deref())
                .map(printed)
                .as_deref(),
            &ratio(run.paper_ratio()),
        ),
        row(
            "Ratio by plain count",
            &ratio(dense.plain_ratio()),
            None,
            &ratio(run.plain_ratio()),
        ),
        row(
            &format!("Test: {}", metric.name()),
            &score(metric, dense.test),
            // What is printed for one data set does not stand beside what was measured on another.
            paper
                .filter(|_| report.data.stands_in_for.is_none())
                .and_then(|p| p.accuracy.as_deref())
                .map(printed)
                .as_deref(),
            &score(metric, run.test),
        ),
        row(
            &format!("Loss, {}", metric.loss_unit()),
            NONE,
            None,
            &decimal(lost(report), 2),
        ),
        row(
            &format!("Validation: {}", metric.name()),
            &score(metric, dense.validation),
            None,
            &score(metric, run.validation),
        ),
    ]
    .concat();
    let measures: String = run
        .measures
        .iter()
        .map(|(name, value)| {
            let other = dense.measures.get(name).copied().unwrap_or(f64::NAN);
            row(measure(name), &decimal(other, 4), None, &decimal(*value, 4))
        })
        .collect();
    let rows = rows + &measures;
    let source = paper.map_or(String::new(), |p| {
        format!(
            "<p class=\"source\">The paper’s claim: {}. Only what it prints stands here.</p>\n",
            Text(&p.source)
        )
    });
    section(
        "The result",
        &format!(
            "<p>The regularised network was saved, read back from its file, and only then tested. The paper counts a \
             float16 number as half a number; a plain count does not.</p>\n\
             <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"The result\"><table class=\"result\">\n\
             <caption>The ordinary network{} and this run.</caption>\n\
             <thead><tr><th scope=\"col\">Measure</th><th scope=\"col\">Ordinary</th>{head}\
             <th scope=\"col\" class=\"run\">This run</th></tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n{source}",
            if paper.is_some() {
                ", the paper’s claim"
            } else {
                ""
            }
        ),
    )
}

fn layers(report: &Report) -> String {
    let run = &report.regularised;
    let elements = |axes: &[usize]| axes.iter().fold(1usize, |n, &axis| n.saturating_mul(axis));
    // Of a large layer so little is kept that fixed digits would print nothing.
    let share = |kept: usize, of: usize| match kept as f64 / of as f64 {
        tiny if tiny < 0.001 => format!("{}\u{a0}%", significant(100.0 * tiny)),
        share => percent(share, 2),
    };
    let rows: String = run
        .layers
        .iter()
        .map(|layer| {
            let axes = layer.axes.as_deref().map_or_else(|| NONE.to_owned(), shape);
            let order = layer.order.as_deref().map_or_else(|| "plain values".to_owned(), |o| Text(o).to_string());
            format!(
                "<tr><th scope=\"row\"><code>{}</code></th><td class=\"text\">{}</td><td class=\"text\">{axes}</td>\
                 <td class=\"text\">{order}</td><td>{}</td><td>{}</td></tr>\n",
                Text(&layer.name),
                shape(&layer.shape),
                count(layer.kept),
                share(layer.kept, elements(&layer.shape)),
            )
        })
        .collect();
    section(
        "Layers",
        &format!(
            "<p>A layer is its shape, a keep order and that many numbers; no position is stored.</p>\n\
             <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Layers\"><table>\n\
             <caption>The tensors of the regularised network.</caption>\n\
             <thead><tr><th scope=\"col\">Tensor</th><th scope=\"col\" class=\"text\">Shape</th>\
             <th scope=\"col\" class=\"text\">Axes of the transform</th><th scope=\"col\" class=\"text\">Keep order</th>\
             <th scope=\"col\">Kept</th><th scope=\"col\">Rate</th></tr></thead>\n<tbody>\n{rows}</tbody>\n\
             <tfoot><tr><th scope=\"row\">All</th><td></td><td></td><td></td><td>{}</td><td>{}</td></tr></tfoot>\
             </table></div>\n",
            count(run.kept),
            share(run.kept, run.weights),
        ),
    )
}

fn how(report: &Report) -> String {
    let data = &report.data;
    let row = |name: &str, value: &str| {
        format!("<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>\n")
    };
    let code = |change: &String| format!("<code>{}</code>", Text(change));
    let changes = report.changes.iter().map(code);
    let changes = changes.collect::<Vec<_>>().join(", ");
    let rows = [
        row(
            "Experiment",
            &format!("<code>{}</code>", Text(&report.experiment)),
        ),
        match report.changes.is_empty() {
            true => String::new(),
            false => row("Changed", &changes),
        },
        row("Seed", &report.seed.to_string()),
        match &report.dense_from {
            None => String::new(),
            Some(command) => row(
                "Ordinary network",
                &format!("not trained again: that of <code>{}</code>", Text(command)),
            ),
        },
        row(
            "Data",
            &format!("{}, from: {}", Text(&data.name), Text(&data.source)),
        ),
        row(
            "Images",
            &format!(
                "{} for training, {} held out of it for validation, {} for the test",
                count(data.train),
                count(data.validation),
                count(data.test)
            ),
        ),
        row("Device", &Text(&report.device).to_string()),
        row(
            "Time",
            &format!(
                "{} in all: {} for the ordinary network, {} for the regularised one{}",
                duration(report.seconds.alone()),
                duration(report.seconds.dense),
                duration(report.seconds.regularised),
                match report.seconds.alone() > report.seconds.total {
                    true => ", another run's where they were taken over from it",
                    false => "",
                }
            ),
        ),
        row("Version", &format!("freqreg {}", Text(&report.version))),
    ]
    .concat();
    let model =
        |network: &NetworkReport| serde_json::to_string_pretty(&network.model).unwrap_or_default();
    let (dense, run) = (model(&report.dense), model(&report.regularised));
    let pre = |head: &str, json: &str| {
        format!(
            "<p class=\"quiet\">{head}</p>\n<pre tabindex=\"0\">{}</pre>\n",
            Text(json)
        )
    };
    let networks = if dense == run {
        pre("Both networks:", &run)
    } else {
        pre("The ordinary network:", &dense) + &pre("The regularised network:", &run)
    };
    section(
        "How it was run",
        &format!(
            "<p>Every choice rests on the validation images; the test images were read once, at the end.</p>\n\
             <table class=\"how\">\n<caption>The run.</caption>\n<tbody>\n{rows}</tbody></table>\n{networks}"
        ),
    )
}

fn section(head: &str, body: &str) -> String {
    format!("<section>\n<h2>{head}</h2>\n{body}</section>\n")
}

/// What the regularised network lost against the ordinary one, in the metric's way to count it.
fn lost(report: &Report) -> f64 {
    report
        .metric
        .loss(report.dense.test, report.regularised.test)
}

/// A further measure in words.
fn measure(name: &str) -> &str {
    match name {
        "cross_entropy" => "Cross entropy on the test images, in nats",
        "iou" => "Intersection over union on the test images",
        "reconstruction" => "Reconstruction, bits a pixel",
        "divergence" => "Divergence of the latent numbers, bits a pixel",
        _ => "Another measure",
    }
}

fn misread_count(network: &NetworkReport, images: usize) -> String {
    let share = 1.0 - network.test;
    if share.is_finite() {
        format!(
            "{} misread",
            count((share * images as f64).round() as usize)
        )
    } else {
        NONE.into()
    }
}

/// `1.72 MB`; small sizes to the byte.
fn bytes(n: usize) -> String {
    match n {
        0..10_000 => format!("{} bytes", count(n)),
        10_000..1_000_000 => format!("{} kB", decimal(n as f64 / 1e3, 1)),
        _ => format!("{} MB", decimal(n as f64 / 1e6, 2)),
    }
}

#[cfg(test)]
mod tests;
