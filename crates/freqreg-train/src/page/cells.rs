//! Signed numbers as a picture: blocks of cells, the hue for the sign and the strength for the magnitude.

use super::text::{Text, shape, significant};
use crate::report::{Filters, Spectrum};

/// A cell that holds a number.
struct Cell {
    /// Row and column of its block.
    block: [usize; 2],
    /// Row and column in its block.
    at: [usize; 2],
    value: f32,
    /// What it says when pointed at.
    tip: String,
}

/// A grid of equal blocks of cells, of which those with a number are drawn.
struct Grid {
    id: String,
    title: String,
    description: String,
    /// Rows and columns of blocks.
    blocks: [usize; 2],
    /// Rows and columns of cells in a block.
    cells: [usize; 2],
    /// The magnitude of the strongest colour.
    full: f32,
}

/// Units from cell to cell, side of a cell, and space between blocks.
const STEP: usize = 10;
const SIDE: usize = 9;
const SPACE: usize = 8;
/// More cells than this are drawn by strength together: the page stays small, the tooltips go.
const SINGLE: usize = 2_000;
/// Strengths of a colour.
const LEVELS: f32 = 24.0;
/// Widest and highest that a picture is drawn, and smallest and largest cell, in pixels.
const LARGEST: usize = 460;
const CELL: (usize, usize) = (2, 20);

impl Grid {
    fn origin(&self, axis: usize, block: usize, at: usize) -> usize {
        block * (self.cells[axis] * STEP + SPACE) + at * STEP
    }

    fn length(&self, axis: usize) -> usize {
        (self.blocks[axis] * (self.cells[axis] * STEP + SPACE))
            .saturating_sub(SPACE + STEP - SIDE)
            .max(SIDE)
    }

    fn svg(&self, cells: &[Cell]) -> String {
        let (height, width) = (self.length(0), self.length(1));
        let pixels = (LARGEST * STEP / width.max(height)).clamp(CELL.0, CELL.1);

        // Where blocks are too many to be told apart, their ground is one.
        let (blocks, [h, w]) = if self.blocks[0].saturating_mul(self.blocks[1]) <= SINGLE {
            (
                self.blocks,
                [0, 1].map(|axis| self.cells[axis] * STEP - (STEP - SIDE)),
            )
        } else {
            ([1, 1], [height, width])
        };
        let holes: String = (0..blocks[0])
            .flat_map(|row| (0..blocks[1]).map(move |column| (row, column)))
            .map(|(row, column)| {
                let (x, y) = (self.origin(1, column, 0), self.origin(0, row, 0));
                format!("M{x} {y}h{w}v{h}h-{w}z")
            })
            .collect();
        let place = |cell: &Cell| {
            let (x, y) = (
                self.origin(1, cell.block[1], cell.at[1]),
                self.origin(0, cell.block[0], cell.at[0]),
            );
            format!("M{x} {y}h{SIDE}v{SIDE}h-{SIDE}z")
        };
        let kept: String = cells.iter().map(place).collect();
        let mut inks = String::new();
        if cells.len() <= SINGLE {
            for cell in cells {
                let (class, level) = self.ink(cell.value);
                let tip = Text(&cell.tip);
                inks += &format!(
                    "<path{}><title>{tip}</title></path>",
                    fill(class, level, &place(cell))
                );
            }
        } else {
            for class in ["plus", "minus"] {
                for level in 1..=LEVELS as u32 {
                    let of_ink = |cell: &&Cell| self.ink(cell.value) == (class, level);
                    let places: String = cells.iter().filter(of_ink).map(place).collect();
                    if !places.is_empty() {
                        inks += &format!("<path{}/>", fill(class, level, &places));
                    }
                }
            }
        }
        format!(
            "<svg class=\"cells\" viewBox=\"0 0 {width} {height}\" style=\"width:{}px\" role=\"img\" \
             aria-labelledby=\"{id}-t {id}-d\"><title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>\
             <path class=\"hole\" d=\"{holes}\"/><path class=\"zero\" d=\"{kept}\"/>{inks}</svg>",
            width * pixels / STEP,
            Text(&self.title),
            Text(&self.description),
            id = self.id,
        )
    }

    /// Class and strength of a value: the square root, so that small numbers are seen beside large ones.
    fn ink(&self, value: f32) -> (&'static str, u32) {
        let share = (value.abs() / self.full).min(1.0);
        let level = if share.is_finite() {
            (share.sqrt() * LEVELS).round() as u32
        } else {
            0
        };
        (if value < 0.0 { "minus" } else { "plus" }, level)
    }
}

fn fill(class: &str, level: u32, places: &str) -> String {
    format!(
        " class=\"{class}\" fill-opacity=\"{:.2}\" d=\"{places}\"",
        f64::from(level) / f64::from(LEVELS)
    )
}

/// The largest magnitude among finite values.
fn largest(values: impl Iterator<Item = f32>) -> f32 {
    values
        .map(f32::abs)
        .filter(|v| v.is_finite())
        .fold(0.0, f32::max)
}

/// Letters of the four axes to which every tensor is brought.
const LETTERS: [&str; 4] = ["p", "q", "r", "s"];

/// The kept coefficients of a tensor with their caption, or nothing if its parts do not fit each other.
pub(super) fn spectrum(number: usize, spectrum: &Spectrum) -> Option<String> {
    let bounds = to_four(&spectrum.bounds, usize::saturating_mul)?;
    let flat = spectrum.bounds.len() <= 2;
    let fits = |index: &[usize]| {
        index.len() == spectrum.bounds.len()
            && index.iter().zip(&spectrum.bounds).all(|(i, n)| i < n)
    };
    if spectrum.bounds.contains(&0) || !spectrum.coefficients.iter().all(|(index, _)| fits(index)) {
        return None;
    }
    // The longer of two axes runs across: a page is wider than high, and a telephone scrolls down.
    let [p, q, r, s] = bounds;
    let (outer, inner) = if flat { (false, p > q) } else { (p > q, false) };
    let turn = |turned: bool, pair: [usize; 2]| if turned { [pair[1], pair[0]] } else { pair };
    let (blocks, within) = if flat {
        ([1, 1], turn(inner, [p, q]))
    } else {
        (turn(outer, [p, q]), [r, s])
    };

    let full = largest(spectrum.coefficients.iter().map(|c| c.1));
    let cells: Vec<Cell> = spectrum
        .coefficients
        .iter()
        .enumerate()
        .filter_map(|(rank, (index, value))| {
            let [p, q, r, s] = index_of_four(index, &spectrum.bounds)?;
            let tip = format!(
                "{} at {index:?}, place {}",
                significant(f64::from(*value)),
                rank + 1
            );
            Some(if flat {
                Cell {
                    block: [0, 0],
                    at: turn(inner, [p, q]),
                    value: *value,
                    tip,
                }
            } else {
                Cell {
                    block: turn(outer, [p, q]),
                    at: [r, s],
                    value: *value,
                    tip,
                }
            })
        })
        .collect();

    let axes = match (flat, if flat { inner } else { outer }) {
        (true, false) => "Down: output frequency p; across: input frequency q.",
        (true, true) => "Across: output frequency p; down: input frequency q.",
        (false, false) => "Blocks down: output frequency p; blocks across: input frequency q.",
        (false, true) => "Blocks across: output frequency p; blocks down: input frequency q.",
    };
    let inside = if flat {
        ""
    } else {
        " In a block: r down, s across."
    };
    let elements = spectrum
        .axes
        .iter()
        .fold(1usize, |n, &axis| n.saturating_mul(axis));
    let kept = super::text::count(cells.len());
    let letters = LETTERS[..spectrum.bounds.len().min(4)].join(", ");
    let svg = Grid {
        id: format!("spectrum{number}"),
        title: format!("Kept spectrum of {}", spectrum.name),
        description: format!(
            "{kept} coefficients in a box of {} frequencies ({letters}); the largest magnitude is {}.",
            shape(&spectrum.bounds),
            significant(f64::from(full))
        ),
        blocks,
        cells: within,
        full,
    }
    .svg(&cells);
    Some(format!(
        "<figure>{svg}<figcaption><code>{}</code> <b>{kept}</b> of {} coefficients, in a box of {}. {axes}{inside} \
         Strongest colour: ±{}.</figcaption></figure>",
        Text(&spectrum.name),
        super::text::count(elements),
        shape(&spectrum.bounds),
        significant(f64::from(full)),
    ))
}

/// Brings an extent to four axes: leading ones are joined, missing ones have length 1 at the end.
fn to_four(bounds: &[usize], join: fn(usize, usize) -> usize) -> Option<[usize; 4]> {
    let (&first, rest) = bounds.split_first()?;
    Some(match bounds.len() {
        // A list runs across.
        1 => [1, first, 1, 1],
        2 => [first, rest[0], 1, 1],
        3 => [1, first, rest[0], rest[1]],
        n => {
            let lead = bounds[..n - 3].iter().copied().fold(1, join);
            [lead, bounds[n - 3], bounds[n - 2], bounds[n - 1]]
        }
    })
}

fn index_of_four(index: &[usize], bounds: &[usize]) -> Option<[usize; 4]> {
    Some(match *index {
        [] => return None,
        [q] => [0, q, 0, 0],
        [p, q] => [p, q, 0, 0],
        [q, r, s] => [0, q, r, s],
        [.., q, r, s] => {
            let lead = index.len() - 3;
            let p = index[..lead]
                .iter()
                .zip(bounds)
                .fold(0, |at, (i, n)| at * n + i);
            [p, q, r, s]
        }
    })
}

/// The filters one beside the other on one scale, or nothing if their values do not fill their shape.
pub(super) fn filters(filters: &Filters) -> Option<String> {
    let [count, height, width] = filters.shape;
    let area = height.checked_mul(width).filter(|&area| area > 0)?;
    if count == 0 || area.checked_mul(count) != Some(filters.values.len()) {
        return None;
    }
    let full = largest(filters.values.iter().copied());
    let figures: String = filters
        .values
        .chunks(area)
        .enumerate()
        .map(|(number, values)| {
            let cells: Vec<Cell> = values
                .iter()
                .enumerate()
                .map(|(at, &value)| {
                    let at = [at / width, at % width];
                    let tip = format!(
                        "{} at row {}, column {}",
                        significant(f64::from(value)),
                        at[0],
                        at[1]
                    );
                    Cell {
                        block: [0, 0],
                        at,
                        value,
                        tip,
                    }
                })
                .collect();
            let svg = Grid {
                id: format!("filter{number}"),
                title: format!("Filter {}", number + 1),
                description: format!(
                    "{height} by {width} values between ±{}.",
                    significant(f64::from(full))
                ),
                blocks: [1, 1],
                cells: [height, width],
                full,
            }
            .svg(&cells);
            format!("<li>{svg}</li>")
        })
        .collect();
    Some(format!("<ul class=\"filters\">{figures}</ul>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(bounds: &[usize], coefficients: &[(&[usize], f32)]) -> Spectrum {
        Spectrum {
            name: "a<b".into(),
            axes: vec![100; bounds.len()],
            bounds: bounds.to_vec(),
            coefficients: coefficients
                .iter()
                .map(|(index, v)| (index.to_vec(), *v))
                .collect(),
        }
    }

    #[test]
    fn every_coefficient_has_its_cell() {
        let html = spectrum(
            0,
            &some(
                &[2, 1, 3, 3],
                &[(&[0, 0, 0, 0], 1.0), (&[1, 0, 2, 1], -0.25)],
            ),
        )
        .expect("fits");
        // Two blocks beside each other, as p is the longer axis.
        assert!(html.contains("viewBox=\"0 0 67 29\""), "{html}");
        assert!(html.contains("<path class=\"plus\" fill-opacity=\"1.00\" d=\"M0 0h9v9h-9z\">"));
        // Block 1 begins at 3 cells and a space; the root of a quarter is a half.
        assert!(html.contains("<path class=\"minus\" fill-opacity=\"0.50\" d=\"M48 20h9v9h-9z\">"));
        assert!(html.contains("a&lt;b") && !html.contains("a<b"));
    }

    #[test]
    fn any_number_of_axes_is_drawn() {
        for axes in 1..=6 {
            let (first, last) = (vec![0; axes], vec![1; axes]);
            let html = spectrum(
                0,
                &some(&vec![2; axes], &[(&first, 0.0), (&last, f32::NAN)]),
            )
            .expect("fits");
            assert_eq!(html.matches("<title>").count(), 2, "{axes} axes");
            assert!(!html.contains("NaN"));
        }
    }

    #[test]
    fn what_does_not_fit_is_not_drawn() {
        assert!(spectrum(0, &some(&[], &[])).is_none());
        assert!(spectrum(0, &some(&[2, 0], &[])).is_none());
        assert!(spectrum(0, &some(&[2, 2], &[(&[2, 0], 1.0)])).is_none());
        assert!(spectrum(0, &some(&[2, 2], &[(&[0, 0, 0], 1.0)])).is_none());
        assert!(
            filters(&Filters {
                shape: [2, 3, 3],
                values: vec![0.0; 17]
            })
            .is_none()
        );
        assert!(
            filters(&Filters {
                shape: [0, 3, 3],
                values: vec![]
            })
            .is_none()
        );
    }

    #[test]
    fn many_cells_are_drawn_together() {
        let indices: Vec<[usize; 2]> = (0..50).flat_map(|p| (0..50).map(move |q| [p, q])).collect();
        let all: Vec<(&[usize], f32)> = indices
            .iter()
            .map(|i| (&i[..], i[0] as f32 - i[1] as f32))
            .collect();
        let html = spectrum(0, &some(&[50, 50], &all)).expect("fits");
        assert!(!html.contains("<title>"));
        let inks = html.split("class=\"zero\"").nth(1).expect("the cells");
        // Kept zeros need no ink: 50 of them lie on the diagonal.
        assert_eq!(
            inks.split_once("/>")
                .expect("inks")
                .1
                .matches("h9v9")
                .count(),
            2_450
        );
    }
}
