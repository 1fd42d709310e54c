//! The scores of a sweep against the numbers that are kept, as one SVG that stands alone.

use super::gathered::Row;
use crate::svg::{Escaped, STYLE};
use std::fmt::Write;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 620.0;
const TOP: f64 = 44.0;
const FOOT: f64 = 310.0;

/// A dot for each run: across the logarithm of the numbers that are kept, up the score.
pub(super) fn draw(rows: &[Row]) -> String {
    let reports = || rows.iter().flat_map(|r| &r.reports);
    let range = |values: &mut dyn Iterator<Item = f64>| {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| {
            (a.min(v), b.max(v))
        });
        // One value alone stands in the middle.
        let room = (0.08 * (high - low)).max(1e-3 * high.abs()).max(1e-9);
        (low - room, high + room)
    };
    let kept = |k: usize| (k.max(1) as f64).log10();
    let (first, last) = range(&mut reports().map(|r| kept(r.regularised.kept)));
    let (low, high) = range(&mut reports().map(|r| r.regularised.test));
    let metric = rows[0].reports[0].metric;
    let (low, high) = match metric.is_share() {
        true => (low.max(0.0), high.min(1.0)),
        false => (low, high),
    };
    let across = |k: usize| LEFT + (kept(k) - first) / (last - first) * (RIGHT - LEFT);
    let up = |score: f64| FOOT - (score - low) / (high - low) * (FOOT - TOP);
    let title = format!("Test {} against numbers kept", metric.name());
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"title\" \
         font-family=\"system-ui, 'DejaVu Sans', sans-serif\" font-size=\"12\">\n\
         <title id=\"title\">{0}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n\
         <text class=\"ink\" x=\"{LEFT}\" y=\"24\" font-size=\"15\">{0}</text>\n",
        Escaped(&title)
    );
    // Writing to a string does not fail.
    for i in 0..=4 {
        let score = low + (high - low) * f64::from(i) / 4.0;
        let y = up(score);
        let _ = writeln!(
            svg,
            "<line class=\"rule\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"quiet\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            Escaped(&metric.show(score))
        );
    }
    let mut counts: Vec<usize> = reports().map(|r| r.regularised.kept).collect();
    counts.sort_unstable();
    counts.dedup();
    let mut free = 0.0;
    for count in counts {
        let x = across(count);
        // Where counts lie close together some go without a label.
        if x >= free {
            let _ = writeln!(
                svg,
                "<text class=\"quiet\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{count}</text>",
                FOOT + 20.0
            );
            free = x + 60.0;
        }
    }
    for row in rows {
        for report in &row.reports {
            let _ = writeln!(
                svg,
                "<circle class=\"mark\" fill=\"currentColor\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\"><title>{}, seed {}: {}</title></circle>",
                across(report.regularised.kept),
                up(report.regularised.test),
                Escaped(&row.label),
                report.seed,
                Escaped(&metric.show(report.regularised.test))
            );
        }
    }
    svg + "</svg>\n"
}
