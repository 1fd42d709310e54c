//! Two keep orders of a matrix, with the part that a budget keeps.

use freqreg_dct::{Error, KeepOrder};
use freqreg_docs::svg::{Anchor, Svg};

const SHAPE: [usize; 2] = [5, 14];
const KEPT: usize = 15;
const CELL: f64 = 34.0;
const LEFT: f64 = 14.0;

pub(crate) fn draw() -> Result<Svg, Error> {
    let high = SHAPE[0] as f64 * CELL;
    let panel = high + 44.0;
    let wide = SHAPE[1] as f64 * CELL + 2.0 * LEFT;
    let mut svg = Svg::new(
        wide,
        2.0 * panel + 4.0,
        "Two keep orders of a 5 x 14 matrix",
    );
    let panels = [
        (
            KeepOrder::Zigzag,
            "zigzag, the paper's order: by the sum of the indices",
        ),
        (
            KeepOrder::InverseSqrt,
            "inverse-sqrt: an axis of length n weighs 1 / sqrt(n)",
        ),
    ];
    for (i, (order, name)) in panels.into_iter().enumerate() {
        let top = i as f64 * panel + 34.0;
        svg.words([LEFT, top - 12.0], 14.0, Anchor::Start, name);
        matrix(&mut svg, &order, top)?;
    }
    Ok(svg)
}

/// The rank of every position, orange within the budget, and a line around those.
fn matrix(svg: &mut Svg, order: &KeepOrder, top: f64) -> Result<(), Error> {
    let [rows, columns] = SHAPE;
    let mut shades = Vec::new();
    let mut ranks = Vec::new();
    for offset in 0..rows * columns {
        let rank = order.rank(&SHAPE, &[offset / columns, offset % columns])?;
        let share = 1.0 - rank as f64 / (rows * columns) as f64;
        shades.push(if rank < KEPT {
            0.35 + 0.4 * share
        } else {
            -0.3 * (1.0 - share)
        });
        ranks.push(rank);
    }
    svg.grid([LEFT, top], CELL, columns, &shades, 1.0);
    for (offset, rank) in ranks.iter().enumerate() {
        let (column, row) = ((offset % columns) as f64, (offset / columns) as f64);
        svg.words(
            [LEFT + (column + 0.5) * CELL, top + (row + 0.5) * CELL + 5.0],
            13.0,
            Anchor::Middle,
            &rank.to_string(),
        );
    }
    // Rows of the kept part never grow from one to the next, so its edge is a staircase.
    let mut edge = vec![[LEFT, top]];
    let kept = |row: usize| {
        ranks[row * columns..][..columns]
            .iter()
            .filter(|&&rank| rank < KEPT)
            .count()
    };
    for row in (0..rows).take_while(|&row| kept(row) > 0) {
        let x = LEFT + kept(row) as f64 * CELL;
        edge.push([x, top + row as f64 * CELL]);
        edge.push([x, top + (row + 1) as f64 * CELL]);
    }
    if let Some([_, bottom]) = edge.last().copied() {
        edge.push([LEFT, bottom]);
    }
    svg.outline(&edge, "#a04a00", 2.5);
    Ok(())
}
