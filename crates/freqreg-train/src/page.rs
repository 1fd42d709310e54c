//! The page of a run: one HTML file that needs nothing else, for light and dark, wide and narrow, screen and paper.
//!
//! Here stands what the page says and in which order. How numbers are printed lives in `text`, line charts in
//! `chart`, spectra and filters in `cells`, images in `digit`, colours and measures in `style.css`.

mod cells;
mod chart;
mod digit;
mod text;

use crate::report::{EpochReport, Misread, NetworkReport, Pictures, Report};
use chart::{Axis, Chart, Point, Scale, Series};
use text::{
    NONE, Text, count, decimal, duration, percent, percent_tick, ratio, shape, significant,
};

/// The page that shows a report with its pictures.
///
/// The result is a whole HTML document: styles, charts and images stand in it, and it asks for nothing from
/// anywhere. All text of the report is escaped, so that no name or source can become markup. What is missing (no
/// epoch, no picture, no claim) is left out or said to be missing.
pub fn render(report: &Report, pictures: &Pictures) -> String {
    let body: String = [
        results(report),
        training(report),
        cut(report),
        layers(report),
        spectra(pictures),
        filters(pictures),
        misread(pictures),
        confusion(report),
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
    let (dense, run) = (&report.dense, &report.regularised);
    let drop = points_lost(report);
    format!(
        "<header>\n{}<h1>{}</h1>\n\
         <p class=\"lead\"><b>{} weights</b> as <b>{} numbers</b>; reads <b>{}</b> of {} test images.</p>\n\
         <dl class=\"facts\">\n{}{}{}{}</dl>\n</header>\n",
        banners(report),
        Text(&report.title),
        count(run.weights),
        count(run.kept),
        percent(run.test_accuracy, 2),
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
            "Test accuracy",
            &percent(run.test_accuracy, 2),
            &misread_count(run, report.data.test)
        ),
        fact(
            if drop < 0.0 { "Gain" } else { "Drop" },
            &format!("{} points", decimal(drop.abs(), 2)),
            &format!(
                "from {} of the ordinary network",
                percent(dense.test_accuracy, 2)
            ),
        ),
    )
}

fn fact(name: &str, value: &str, detail: &str) -> String {
    format!("<div><dt>{name}</dt><dd>{value}</dd><dd>{detail}</dd></div>\n")
}

fn banners(report: &Report) -> String {
    let banner = |head: &str, text: &str| {
        format!("<div class=\"banner\" role=\"note\"><b>{head}</b><p>{text}</p></div>\n")
    };
    let mut html = String::new();
    if report.data.sample {
        html += &banner(
            "Only the embedded sample: these numbers do not compare with any other.",
            &format!(
                "No full copy of the data set was found, so this run trained on {} images and was tested on {} of \
                 a small sample that comes with the program.",
                count(report.data.train),
                count(report.data.test)
            ),
        );
    }
    if report.quick {
        html += &banner(
            "A quick run: its numbers are no result.",
            "It was cut short by <code>--quick</code> to see that everything works. Run it again without.",
        );
    }
    html
}

fn results(report: &Report) -> String {
    let (dense, run, paper) = (&report.dense, &report.regularised, report.paper.as_ref());
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
            paper.map(|p| printed(&p.ratio)).as_deref(),
            &ratio(run.paper_ratio()),
        ),
        row(
            "Ratio by plain count",
            &ratio(dense.plain_ratio()),
            None,
            &ratio(run.plain_ratio()),
        ),
        row(
            "Test accuracy",
            &percent(dense.test_accuracy, 2),
            paper.map(|p| printed(&p.accuracy)).as_deref(),
            &percent(run.test_accuracy, 2),
        ),
        row(
            "Drop, in points",
            NONE,
            None,
            &decimal(points_lost(report), 2),
        ),
        row(
            "Validation accuracy",
            &percent(dense.validation_accuracy, 2),
            None,
            &percent(run.validation_accuracy, 2),
        ),
        row(
            "Cross entropy on the test images, in nats",
            &decimal(dense.test_loss, 4),
            None,
            &decimal(run.test_loss, 4),
        ),
    ]
    .concat();
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

fn training(report: &Report) -> String {
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
            "<div class=\"charts\">\n<figure>{accuracy}<figcaption>Spaced by what is misread, so that 98 % and 99 % \
             stand apart as 80 % and 90 % do.</figcaption></figure>\n\
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

fn cut(report: &Report) -> String {
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
            "<p>Every list is in order of frequency, so it can be cut at its end after training, and nothing needs \
             to be trained again to see what is lost.</p>\n<div class=\"charts\">\n<figure>{chart}</figure>\n\
             <table>\n<caption>What stays of every layer’s list.</caption>\n<thead><tr><th scope=\"col\">Share</th>\
             <th scope=\"col\">Numbers</th><th scope=\"col\">Validation accuracy</th></tr></thead>\n\
             <tbody>\n{rows}</tbody></table>\n</div>\n"
        ),
    )
}

fn layers(report: &Report) -> String {
    let run = &report.regularised;
    let elements = |axes: &[usize]| axes.iter().fold(1usize, |n, &axis| n.saturating_mul(axis));
    let share = |kept: usize, of: usize| percent(kept as f64 / of as f64, 2);
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

/// The colours of spectra and filters.
fn legend(cut: bool) -> String {
    let holes = if cut {
        "<li><i class=\"kept\"></i>kept, near zero</li><li><i class=\"cut\"></i>not kept: zero by definition</li>"
    } else {
        ""
    };
    format!("<ul class=\"legend\"><li>negative <i class=\"ramp\"></i> positive</li>{holes}</ul>\n")
}

fn spectra(pictures: &Pictures) -> String {
    let figures: String = pictures
        .spectra
        .iter()
        .enumerate()
        .filter_map(|(number, s)| cells::spectrum(number, s))
        .collect();
    if figures.is_empty() {
        return String::new();
    }
    section(
        "What is kept",
        &format!(
            "<p>These pictures are the whole network. Every cell is one stored number: the strength of one cosine \
             pattern in the weights. p runs over the outputs, q over the inputs, r and s over the rows and columns \
             of a kernel, each from 0 (constant) to higher frequencies. Colours follow the square root of the \
             magnitude, so that small numbers are seen too.</p>\n{}<div class=\"charts pictures\">\n{figures}</div>\n",
            legend(true)
        ),
    )
}

fn filters(pictures: &Pictures) -> String {
    let Some(filters) = pictures.filters.as_ref().and_then(cells::filters) else {
        return String::new();
    };
    section(
        "First-layer filters",
        &format!(
            "<p>The first layer’s weights as rebuilt from its few numbers, all on one scale.</p>\n{}{filters}\n",
            legend(false)
        ),
    )
}

fn misread(pictures: &Pictures) -> String {
    let figures: String = pictures.misread.iter().filter_map(misread_image).collect();
    if figures.is_empty() {
        return String::new();
    }
    section(
        "Misread",
        &format!(
            "<p>Some of the test images that the regularised network gets wrong: what it is → what was read, and how \
             sure the network was.</p>\n<ul class=\"digits\">\n{figures}</ul>\n"
        ),
    )
}

fn misread_image(image: &Misread) -> Option<String> {
    let uri = digit::data_uri(image.size, &image.pixels)?;
    let (label, answer, sure) = (
        image.label,
        image.answer,
        percent(f64::from(image.confidence), 0),
    );
    Some(format!(
        "<li><figure><img src=\"{uri}\" width=\"{}\" height=\"{}\" alt=\"Test image {index}: class {label}, read as \
         {answer}\" title=\"Test image {index}\"><figcaption><b>{label} → {answer}</b><br>{sure}\
         </figcaption></figure></li>\n",
        image.size[1],
        image.size[0],
        index = count(image.index),
    ))
}

fn confusion(report: &Report) -> String {
    let table = &report.regularised.confusion;
    if table.is_empty() {
        return String::new();
    }
    let classes = table.iter().map(Vec::len).max().unwrap_or(0);
    let wrong = |row: usize, column: usize| row != column;
    let most = table
        .iter()
        .enumerate()
        .flat_map(|(r, row)| {
            row.iter()
                .enumerate()
                .filter(move |(c, _)| wrong(r, *c))
                .map(|(_, n)| *n)
        })
        .max()
        .unwrap_or(0)
        .max(1) as f64;
    let heads: String = (0..classes)
        .map(|class| format!("<th scope=\"col\">{class}</th>"))
        .collect();
    let rows: String = table
        .iter()
        .enumerate()
        .map(|(class, row)| {
            let cells: String = row
                .iter()
                .enumerate()
                .map(|(answer, &n)| {
                    let (colour, alpha) = if wrong(class, answer) {
                        ("wrong", 0.08 + 0.42 * (n as f64 / most).sqrt())
                    } else {
                        ("right", 0.16)
                    };
                    let hint = format!("title=\"{} of class {class} read as {answer}\"", count(n));
                    if n == 0 {
                        format!("<td class=\"none\" {hint}>0</td>")
                    } else {
                        let style =
                            format!("style=\"background:rgba(var(--{colour}),{alpha:.2})\"");
                        format!("<td {hint} {style}>{}</td>", count(n))
                    }
                })
                .collect();
            let all: usize = row.iter().sum();
            let right = row.get(class).map_or(0, |&n| n);
            format!(
                "<tr><th scope=\"row\">{class}</th>{cells}<td class=\"share\">{}</td></tr>\n",
                percent(right as f64 / all as f64, 1)
            )
        })
        .collect();
    section(
        "Which is taken for which",
        &format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Confusion matrix\">\
             <table class=\"confusion\">\n<caption>Test images by class (row) and by the regularised network’s answer \
             (column). The stronger the colour, the more are misread.</caption>\n\
             <thead><tr><th scope=\"col\"><abbr title=\"class by answer\">↓ →</abbr></th>{heads}\
             <th scope=\"col\" class=\"share\">right</th></tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
        ),
    )
}

fn how(report: &Report) -> String {
    let data = &report.data;
    let row = |name: &str, value: &str| {
        format!("<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>\n")
    };
    let rows = [
        row(
            "Experiment",
            &format!("<code>{}</code>", Text(&report.experiment)),
        ),
        row("Seed", &report.seed.to_string()),
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
                "{} in all: {} for the ordinary network, {} for the regularised one",
                duration(report.seconds.total),
                duration(report.seconds.dense),
                duration(report.seconds.regularised)
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

/// Percentage points of test accuracy that the regularised network lost against the ordinary one.
fn points_lost(report: &Report) -> f64 {
    100.0 * (report.dense.test_accuracy - report.regularised.test_accuracy)
}

fn misread_count(network: &NetworkReport, images: usize) -> String {
    let share = 1.0 - network.test_accuracy;
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
