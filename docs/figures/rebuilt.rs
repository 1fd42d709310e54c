//! What prefixes say of a smooth filter, and of noise.

use freqreg_dct::{Error, KeepOrder, Plan};
use freqreg_docs::svg::{Anchor, Svg};

const SIDE: usize = 16;
const CELL: f64 = 7.0;
const BUDGETS: [usize; 5] = [256, 64, 16, 4, 1];

pub(crate) fn draw() -> Result<Svg, Error> {
    let wide = CELL * SIDE as f64;
    let (across, down) = (wide + 14.0, wide + 34.0);
    let mut svg = Svg::new(
        14.0 + BUDGETS.len() as f64 * across,
        34.0 + 2.0 * down,
        "A smooth filter and noise, rebuilt from their first 256, 64, 16, 4 and 1 coefficients",
    );
    for (column, budget) in BUDGETS.into_iter().enumerate() {
        let x = 14.0 + column as f64 * across;
        let words = match budget {
            256 => "all 256".into(),
            1 => "first coefficient".into(),
            k => format!("first {k}"),
        };
        svg.words([x + wide / 2.0, 22.0], 13.0, Anchor::Middle, &words);
        let plan = Plan::new(&[SIDE, SIDE], &KeepOrder::Zigzag, budget)?;
        for (row, original) in [filter(), noise()].into_iter().enumerate() {
            let limit = original.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
            let rebuilt = plan.synthesize(&plan.analyze(&original)?)?;
            let y = 32.0 + row as f64 * down;
            svg.grid([x, y], CELL, SIDE, &rebuilt, limit);
            // The transform is orthonormal: what the prefix leaves out is what it misses.
            let share = 100.0 * energy(&rebuilt) / energy(&original);
            svg.words(
                [x + wide / 2.0, y + wide + 16.0],
                12.0,
                Anchor::Middle,
                &format!("{share:.1} % of the energy"),
            );
        }
    }
    Ok(svg)
}

fn energy(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum()
}

/// An edge detector as networks learn them: a wave under a bell, aslant.
fn filter() -> Vec<f64> {
    let at = |i: usize| (i as f64 + 0.5) / SIDE as f64 - 0.5;
    let value =
        |(y, x): (f64, f64)| (-9.0 * (x * x + y * y)).exp() * (8.0 * x + 4.0 * y + 0.6).sin();
    (0..SIDE * SIDE)
        .map(|i| value((at(i / SIDE), at(i % SIDE))))
        .collect()
}

/// Noise from a fixed seed (a linear congruential generator: nothing depends on its quality).
fn noise() -> Vec<f64> {
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1 << 24) - 0.5
    };
    (0..SIDE * SIDE).map(|_| next()).collect()
}
