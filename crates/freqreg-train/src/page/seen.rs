//! What can be looked at: kept spectra, filters, misread images and who is taken for whom.

use super::text::{Text, count, percent};
use super::{cells, digit, section};
use crate::report::{Grid, Misread, Pictures, Report};

/// The colours of spectra and filters.
fn legend(cut: bool) -> String {
    let holes = if cut {
        "<li><i class=\"kept\"></i>kept, near zero</li><li><i class=\"cut\"></i>not kept: zero by definition</li>"
    } else {
        ""
    };
    format!("<ul class=\"legend\"><li>negative <i class=\"ramp\"></i> positive</li>{holes}</ul>\n")
}

pub(super) fn spectra(pictures: &Pictures) -> String {
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
            "<p>Every coloured cell is one number that the network stores: the strength of one cosine \
             pattern in the weights. p runs over the outputs, q over the inputs, r and s over the rows and columns \
             of a kernel, each from 0 (constant) to higher frequencies. Colours follow the square root of the \
             magnitude, so that small numbers are seen too.</p>\n{}<div class=\"pictures\">\n{figures}</div>\n",
            legend(true)
        ),
    )
}

pub(super) fn filters(pictures: &Pictures) -> String {
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

pub(super) fn misread(pictures: &Pictures) -> String {
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

/// Images side by side, each set as one picture.
pub(super) fn grids(pictures: &Pictures) -> String {
    let figure = |grid: &Grid| {
        let ([height, width], channels, pixels) = joined(grid)?;
        let uri = digit::data_uri(channels, [height, width], &pixels)?;
        let figure = format!(
            "<p>{}</p>\n<figure class=\"grid\"><img src=\"{uri}\" width=\"{width}\" height=\"{height}\" \
             alt=\"{}\"></figure>\n",
            Text(&grid.caption),
            Text(&grid.title),
        );
        Some(section(&Text(&grid.title).to_string(), &figure))
    };
    pictures.grids.iter().filter_map(figure).collect()
}

/// The picture of a grid as the bytes of a PNG; nothing of images that are not of its size.
pub(crate) fn picture(grid: &Grid) -> Option<Vec<u8>> {
    let (size, channels, pixels) = joined(grid)?;
    digit::png(channels, size, &pixels)
}

/// Height, width, channels and interleaved pixels of all images of a grid with a line between them.
fn joined(grid: &Grid) -> Option<([usize; 2], usize, Vec<u8>)> {
    const LINE: usize = 2;
    let [channels, h, w] = grid.size;
    let columns = grid.columns.min(grid.images.len());
    if columns == 0 || grid.images.iter().any(|i| i.len() != channels * h * w) {
        return None;
    }
    let rows = grid.images.len().div_ceil(columns);
    let (height, width) = (rows * (h + LINE) - LINE, columns * (w + LINE) - LINE);
    let mut pixels = vec![128; height * width * channels];
    for (i, image) in grid.images.iter().enumerate() {
        let (top, left) = (i / columns * (h + LINE), i % columns * (w + LINE));
        for (at, &p) in image.iter().enumerate() {
            let (c, y, x) = (at / (h * w), at / w % h, at % w);
            pixels[((top + y) * width + left + x) * channels + c] = p;
        }
    }
    Some(([height, width], channels, pixels))
}

fn misread_image(image: &Misread) -> Option<String> {
    let uri = digit::data_uri(1, image.size, &image.pixels)?;
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

pub(super) fn confusion(report: &Report) -> String {
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
             <thead><tr><th scope=\"col\"><abbr title=\"class by answer\">↓→</abbr></th>{heads}\
             <th scope=\"col\" class=\"share\">right</th></tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
        ),
    )
}
