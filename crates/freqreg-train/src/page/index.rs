//! The page of several experiments: one row each.

use super::text::{Text, count, duration, ratio, score};
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
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Experiments\"><table class=\"result\">\n\
         <caption>The ordinary network and the regularised one, as read back from its file, on the test images.</caption>\n\
         <thead><tr><th scope=\"col\">Experiment</th><th scope=\"col\" class=\"text\">Data</th>\
         <th scope=\"col\">Weights</th><th scope=\"col\">Kept</th><th scope=\"col\">Bytes</th>\
         <th scope=\"col\">Ordinary</th><th scope=\"col\" class=\"run\">Regularised</th><th scope=\"col\">Loss</th>\
         <th scope=\"col\">Time</th></tr></thead>\n\
         <tbody>\n{body}</tbody></table></div>\n</section>\n</main>\n</body>\n</html>\n",
        include_str!("style.css"),
        rows.len() - failed,
    )
}

fn row(row: &Row) -> String {
    let name = Text(&row.name);
    match &row.outcome {
        Outcome::Failure(reason) => format!(
            "<tr><th scope=\"row\">{name}</th><td class=\"text\" colspan=\"8\">failed: {}</td></tr>\n",
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
    let other = match &report.data.stands_in_for {
        Some(other) => format!("<small>for {}</small>", Text(other)),
        None => String::new(),
    };
    let sample = if report.data.sample { " (sample)" } else { "" };
    format!(
        "<td class=\"text\">{}{other}{sample}</td><td>{}</td><td>{}<small>{}</small></td><td>{}</td>\
         <td>{}<small>{}</small></td><td class=\"run\">{}</td><td>{}</td><td>{}</td>",
        Text(&report.data.name),
        count(run.weights),
        count(run.kept),
        ratio(run.paper_ratio()),
        count(run.file_bytes),
        score(metric, dense.test),
        metric.name(),
        score(metric, run.test),
        metric.show_loss(dense.test, run.test),
        duration(report.seconds.total),
    )
}
