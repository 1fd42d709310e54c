//! The patterns that a 5 x 5 kernel is a sum of.

use freqreg_dct::{Dct, Error};
use freqreg_docs::svg::{Anchor, Svg};

const SIDE: usize = 5;
const CELL: f64 = 11.0;

pub(crate) fn draw() -> Result<Svg, Error> {
    let pitch = CELL * SIDE as f64 + 12.0;
    let [left, top] = [70.0, 48.0];
    let end = pitch * SIDE as f64;
    let mut svg = Svg::new(
        left + end + 12.0,
        top + end + 4.0,
        "The 25 DCT patterns of a 5 x 5 kernel",
    );
    svg.words([left, 20.0], 13.0, Anchor::Start, "index along the width");
    svg.words([8.0, top + 14.0], 13.0, Anchor::Start, "height");
    let dct = Dct::new(&[SIDE, SIDE])?;
    for row in 0..SIDE {
        let middle = CELL * SIDE as f64 / 2.0;
        svg.words(
            [left + row as f64 * pitch + middle, 40.0],
            13.0,
            Anchor::Middle,
            &row.to_string(),
        );
        svg.words(
            [left - 16.0, top + row as f64 * pitch + middle + 4.0],
            13.0,
            Anchor::Middle,
            &row.to_string(),
        );
        for column in 0..SIDE {
            // The pattern of a coefficient is what the inverse transform makes of it alone.
            let mut pattern = [0.0; SIDE * SIDE];
            pattern[row * SIDE + column] = 1.0;
            dct.inverse(&mut pattern)?;
            let at = [left + column as f64 * pitch, top + row as f64 * pitch];
            svg.grid(at, CELL, SIDE, &pattern, 0.4);
        }
    }
    Ok(svg)
}
