//! The filters of a trained first layer, from fewer and fewer of its numbers.

use freqreg_docs::svg::{Anchor, Svg};
use freqreg_web::{Digits, Error};

const CELL: f64 = 8.0;
const LEFT: f64 = 92.0;
const SHARES: [(f64, &str); 4] = [
    (1.0, "all"),
    (0.5, "half"),
    (0.25, "a quarter"),
    (0.125, "an eighth"),
];

pub(crate) fn draw() -> Result<Svg, Error> {
    let mut digits = Digits::new(include_bytes!("../web/models/lenet5.freq"))?;
    let (weights, side) = digits.filters();
    let count = weights.len() / (side * side);
    let limit = weights.iter().fold(0.0_f32, |m, w| m.max(w.abs()));
    let wide = CELL * side as f64;
    let (across, down) = (wide + 12.0, wide + 14.0);
    let mut svg = Svg::new(
        LEFT + count as f64 * across,
        6.0 + SHARES.len() as f64 * down,
        "The filters of a LeNet5's first layer, from all of their numbers, half, a quarter and an eighth",
    );
    for (row, (share, words)) in SHARES.into_iter().enumerate() {
        digits.cut(share)?;
        let y = 6.0 + row as f64 * down;
        let kept = digits.kept_by_layer()[0];
        svg.words([6.0, y + wide / 2.0 - 3.0], 13.0, Anchor::Start, words);
        svg.words(
            [6.0, y + wide / 2.0 + 13.0],
            12.0,
            Anchor::Start,
            &format!("{kept} numbers"),
        );
        for (column, filter) in digits.filters().0.chunks(side * side).enumerate() {
            let filter: Vec<f64> = filter.iter().map(|&w| f64::from(w)).collect();
            let at = [LEFT + column as f64 * across, y];
            svg.grid(at, CELL, side, &filter, f64::from(limit));
        }
    }
    Ok(svg)
}
