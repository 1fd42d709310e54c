//! Axes as the transforms see them: axes of length 1 left out, short neighbours folded into one.
//!
//! The DCT along two neighbouring axes is one matrix, the Kronecker product of both bases. For the 3 x 3 or
//! 5 x 5 taps of a convolution one product with a 9 x 9 or 25 x 25 matrix is far cheaper than two passes
//! over the tensor with rows of 3 or 5.

use std::ops::Range;

/// The largest product of lengths that is folded into one matrix.
pub(crate) const FOLD: usize = 64;

/// Neighbouring axes treated as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// The axes of the tensor in this group, those of length 1 included.
    pub(crate) axes: Range<usize>,
    /// The product of their lengths, at least 2.
    pub(crate) length: usize,
    /// The product of their bounds.
    pub(crate) rows: usize,
}

/// The groups of a shape, first axis first. `bounds` are those of the kept box.
pub(crate) fn groups(shape: &[usize], bounds: &[usize]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for axis in (0..shape.len()).rev().filter(|&axis| shape[axis] > 1) {
        match groups.last_mut() {
            Some(group) if group.length * shape[axis] <= FOLD => {
                group.axes.start = axis;
                group.length *= shape[axis];
                group.rows *= bounds[axis];
            }
            _ => groups.push(Group {
                axes: axis..axis + 1,
                length: shape[axis],
                rows: bounds[axis],
            }),
        }
    }
    groups.reverse();
    groups
}

/// The Kronecker product of row-major matrices `(values, rows, columns)`, first factor slowest.
pub(crate) fn kronecker<T: crate::Real>(factors: &[(&[T], usize, usize)]) -> Vec<T> {
    let mut product = vec![T::ONE];
    let (mut rows, mut columns) = (1, 1);
    for &(values, more_rows, more_columns) in factors {
        let mut next = Vec::with_capacity(product.len() * values.len());
        for (p, q) in (0..rows).flat_map(|p| (0..more_rows).map(move |q| (p, q))) {
            for &a in &product[p * columns..(p + 1) * columns] {
                next.extend(
                    values[q * more_columns..(q + 1) * more_columns]
                        .iter()
                        .map(|&b| a * b),
                );
            }
        }
        product = next;
        (rows, columns) = (rows * more_rows, columns * more_columns);
    }
    product
}

#[cfg(test)]
mod tests {
    use super::{Group, groups, kronecker};

    #[test]
    fn short_neighbours_are_folded() {
        let of = |axes, length, rows| Group { axes, length, rows };
        assert_eq!(
            groups(&[1024, 512, 3, 3], &[4, 5, 3, 2]),
            [of(0..1, 1024, 4), of(1..2, 512, 5), of(2..4, 9, 6)]
        );
        assert_eq!(
            groups(&[3, 1, 3, 100], &[2, 1, 3, 7]),
            [of(0..3, 9, 6), of(3..4, 100, 7)]
        );
        assert_eq!(groups(&[1, 1], &[1, 1]), []);
    }

    #[test]
    fn kronecker_by_hand() {
        assert_eq!(
            kronecker(&[(&[1.0, 2.0], 2, 1), (&[3.0, 5.0], 1, 2)]),
            [3.0, 5.0, 6.0, 10.0]
        );
    }
}
