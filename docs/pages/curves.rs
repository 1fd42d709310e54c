//! How well networks do with more and with fewer numbers: a panel for each, runs as dots, a line through their means.

use crate::study::Study;
use crate::thousands;
use freqreg_docs::svg::{Anchor, Svg};
use std::collections::BTreeMap;

const WIDTH: f64 = 640.0;
const PANEL: f64 = 250.0;
const LEFT: f64 = 62.0;
/// Room beyond it for half of the longest count below the axis.
const RIGHT: f64 = 604.0;
/// Of a panel: where its plot begins and ends.
const TOP: f64 = 34.0;
const FOOT: f64 = 204.0;
const GRID: &str = "#e3e6ea";
const OURS: &str = "#d96c06";
const DENSE: &str = "#215aa8";

/// A panel: its heading and its runs.
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) studies: Vec<Study>,
}

impl Panel {
    /// The runs by how many numbers they keep.
    fn by_kept(&self) -> BTreeMap<usize, Vec<&Study>> {
        let mut found: BTreeMap<usize, Vec<&Study>> = BTreeMap::new();
        for study in &self.studies {
            found
                .entry(study.first().regularised.kept)
                .or_default()
                .push(study);
        }
        found
    }
}

fn tenths(x: f64) -> f64 {
    (10.0 * x).round() / 10.0
}

/// Draws all panels, one below the other.
pub(crate) fn draw(panels: &[Panel]) -> Svg {
    let titles: Vec<&str> = panels.iter().map(|p| p.title.as_str()).collect();
    let title = format!(
        "Test accuracy against the numbers that are kept: {}",
        titles.join("; ")
    );
    let mut svg = Svg::new(WIDTH, PANEL * panels.len() as f64 + 14.0, &title);
    for (i, panel) in panels.iter().enumerate() {
        one(&mut svg, panel, PANEL * i as f64);
    }
    svg
}

fn one(svg: &mut Svg, panel: &Panel, y0: f64) {
    let points = panel.by_kept();
    let reports = || panel.studies.iter().flat_map(|s| &s.reports);
    let dense: Vec<f64> = reports().map(|r| r.dense.test).collect();
    let dense = dense.iter().sum::<f64>() / dense.len().max(1) as f64;
    let decades = |x: usize| (x.max(1) as f64).log10();
    let low = points.keys().next().map_or(0.0, |&k| decades(k).floor());
    let high = points
        .keys()
        .next_back()
        .map_or(1.0, |&k| decades(k).ceil());
    // What is misread, on a scale of factors, from the least by anything here to the most.
    let errors = reports()
        .map(|r| 1.0 - r.regularised.test)
        .chain([1.0 - dense]);
    let (least, most) = errors.fold((1.0_f64, 1e-4_f64), |(a, b), e| (a.min(e), b.max(e)));
    let (least, most) = (0.8 * least, 1.2 * most);
    let place = |kept: usize, accuracy: f64| {
        let right = (decades(kept) - low) / (high - low).max(1.0);
        let down = ((1.0 - accuracy) / least).ln() / (most / least).ln();
        [
            tenths(LEFT + right * (RIGHT - LEFT)),
            tenths(y0 + TOP + down * (FOOT - TOP)),
        ]
    };
    svg.words(
        [LEFT, y0 + TOP - 14.0],
        12.0,
        Anchor::Start,
        &format!("{}: test accuracy", panel.title),
    );
    for decade in low as i32..=high as i32 {
        let kept = 10_usize.pow(decade as u32);
        let [x, _] = place(kept, 0.9);
        svg.filled([x, y0 + TOP], [1.0, FOOT - TOP], GRID);
        svg.words(
            [x, y0 + FOOT + 16.0],
            11.0,
            Anchor::Middle,
            &thousands(kept),
        );
    }
    for accuracy in [
        0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995,
    ] {
        if 1.0 - accuracy < least || 1.0 - accuracy > most {
            continue;
        }
        let [_, y] = place(10, accuracy);
        svg.filled([LEFT, y], [RIGHT - LEFT, 1.0], GRID);
        let text = format!("{} %", tenths(100.0 * accuracy));
        svg.words([LEFT - 6.0, y + 4.0], 11.0, Anchor::End, &text);
    }
    let middle = 0.5 * (LEFT + RIGHT);
    svg.words(
        [middle, y0 + FOOT + 32.0],
        12.0,
        Anchor::Middle,
        "numbers kept",
    );
    let [_, y] = place(10, dense);
    svg.line(&[[LEFT, y], [RIGHT, y]], DENSE, 1.5);
    svg.words([RIGHT, y - 5.0], 11.0, Anchor::End, "the ordinary network");
    let mut line = Vec::new();
    for (&kept, studies) in &points {
        let scores: Vec<f64> = studies
            .iter()
            .flat_map(|s| s.scores(|r| r.regularised.test))
            .collect();
        line.push(place(
            kept,
            scores.iter().sum::<f64>() / scores.len() as f64,
        ));
        for score in scores {
            svg.dot(place(kept, score), 3.2, OURS);
        }
    }
    svg.line(&line, OURS, 1.5);
}
