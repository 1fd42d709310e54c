//! The page of several experiments: one row each.

use super::text::{NONE, Text, count, decimal, duration, ratio, score};
use crate::experiment::Preset;
use crate::index::{Outcome, Row};
use crate::report::Report;

/// The whole HTML document.
pub(crate) fn render(rows: &[Row]) -> String {
    let failed = rows
        .iter()
        .filter(|r| matches!(r.outcome, Outcome::Failure(_)))
        .count();
    let quick = rows
        .iter()
        .any(|r| matches!(&r.outcome, Outcome::Report(r) if r.preset == Preset::Quick));
    let banner = match quick {
        true => {
            "<div class=\"banner\" role=\"note\"><b>Quick runs: these numbers are no results.</b>\
                 <p>They were cut short by <code>--quick</code> to see that everything works.</p></div>\n"
        }
        false => "",
    };
    let body: String = rows.iter().map(row).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Experiments · freqreg</title>\n\
         <style>\n{}</style>\n</head>\n<body>\n<header>\n{banner}<h1>Experiments</h1>\n\
         <p class=\"lead\"><b>{}</b> ran, <b>{failed}</b> failed.</p>\n</header>\n<main>\n<section>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Experiments\"><table>\n\
         <caption>The ordinary network and the regularised one, as read back from its file, on the test images.</caption>\n\
         <thead><tr><th scope=\"col\">Experiment</th><th scope=\"col\" class=\"text\">Data</th>\
         <th scope=\"col\">Weights</th><th scope=\"col\">Kept</th><th scope=\"col\">Ratio</th>\
         <th scope=\"col\">File, bytes</th><th scope=\"col\" class=\"text\">Measure</th><th scope=\"col\">Ordinary</th>\
         <th scope=\"col\">Regularised</th><th scope=\"col\">Loss</th><th scope=\"col\">Time</th></tr></thead>\n\
         <tbody>\n{body}</tbody></table></div>\n</section>\n</main>\n</body>\n</html>\n",
        include_str!("style.css"),
        rows.len() - failed,
    )
}

fn row(row: &Row) -> String {
    let name = Text(&row.name);
    match &row.outcome {
        Outcome::Failure(reason) => format!(
            "<tr><th scope=\"row\">{name}</th><td class=\"text\" colspan=\"10\">failed: {}</td></tr>\n",
            Text(reason)
        ),
        Outcome::Report(report) => format!(
            "<tr><th scope=\"row\"><a href=\"{name}/report.html\">{name}</a></th>{}</tr>\n",
            cells(report)
        ),
    }
}

fn cells(report: &Report) -> String {
    let (dense, run, metric) = (&report.dense, &report.regularised, report.metric);
    let loss = metric.loss(dense.test, run.test);
    let other = match &report.data.stands_in_for {
        Some(other) => format!(" (for {})", Text(other)),
        None => String::new(),
    };
    let sample = if report.data.sample { " (sample)" } else { "" };
    format!(
        "<td class=\"text\">{}{other}{sample}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"text\">{}</td>\
         <td>{}</td><td class=\"run\">{}</td><td>{}</td><td>{}</td>",
        Text(&report.data.name),
        count(run.weights),
        count(run.kept),
        ratio(run.paper_ratio()),
        count(run.file_bytes),
        metric.name(),
        score(metric, dense.test),
        score(metric, run.test),
        match loss.is_finite() {
            true => format!("{} {}", decimal(loss, 2), metric.loss_unit()),
            false => NONE.into(),
        },
        duration(report.seconds.total),
    )
}
