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
        let [rows, columns] = SHAPE;
        let ranks: Vec<usize> = (0..rows * columns)
            .map(|i| order.rank(&SHAPE, &[i / columns, i % columns]))
            .collect::<Result<_, Error>>()?;
        matrix(
            &mut svg,
            [LEFT, top],
            columns,
            &ranks,
            [KEPT, rows * columns],
        );
    }
    Ok(svg)
}

const BOX: [usize; 3] = [4, 5, 5];
const KEPT_OF_BOX: usize = 20;

/// The paper's order of a tensor of three axes: the prefix is a corner of the box.
pub(crate) fn draw_box() -> Result<Svg, Error> {
    let [slices, rows, columns] = BOX;
    let (across, high) = (columns as f64 * CELL + LEFT, rows as f64 * CELL);
    let mut svg = Svg::new(
        LEFT + slices as f64 * across,
        high + 44.0,
        "The keep order of a 4 x 5 x 5 tensor, slice by slice",
    );
    for slice in 0..slices {
        let at = [LEFT + slice as f64 * across, 30.0];
        let name = format!("index {slice} on the first axis");
        svg.words([at[0], 20.0], 13.0, Anchor::Start, &name);
        let ranks: Vec<usize> = (0..rows * columns)
            .map(|i| KeepOrder::Zigzag.rank(&BOX, &[slice, i / columns, i % columns]))
            .collect::<Result<_, Error>>()?;
        let all = slices * rows * columns;
        matrix(&mut svg, at, columns, &ranks, [KEPT_OF_BOX, all]);
    }
    Ok(svg)
}

/// The rank of every position, orange within the budget, and a line around those.
fn matrix(svg: &mut Svg, at: [f64; 2], columns: usize, ranks: &[usize], [kept, all]: [usize; 2]) {
    let [left, top] = at;
    let shade = |&rank: &usize| {
        let share = 1.0 - rank as f64 / all as f64;
        match rank < kept {
            true => 0.35 + 0.4 * share,
            false => -0.3 * (1.0 - share),
        }
    };
    let shades: Vec<f64> = ranks.iter().map(shade).collect();
    svg.grid(at, CELL, columns, &shades, 1.0);
    for (offset, rank) in ranks.iter().enumerate() {
        let (column, row) = ((offset % columns) as f64, (offset / columns) as f64);
        svg.words(
            [left + (column + 0.5) * CELL, top + (row + 0.5) * CELL + 5.0],
            13.0,
            Anchor::Middle,
            &rank.to_string(),
        );
    }
    // Rows of the kept part never grow from one to the next, so its edge is a staircase.
    let mut edge = vec![at];
    let within = ranks
        .chunks(columns)
        .map(|row| row.iter().filter(|&&rank| rank < kept).count());
    for (row, count) in within.take_while(|&count| count > 0).enumerate() {
        let x = left + count as f64 * CELL;
        edge.push([x, top + row as f64 * CELL]);
        edge.push([x, top + (row + 1) as f64 * CELL]);
    }
    if let Some([_, bottom]) = edge.last().copied() {
        edge.push([left, bottom]);
    }
    if edge.len() > 2 {
        svg.outline(&edge, "#a04a00", 2.5);
    }
}
