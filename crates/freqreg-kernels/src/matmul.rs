//! Matrix product of strided operands, spread over threads.

use crate::parallel::{self, Shared};
use crate::product::{Left, Panel, multiply, panels};
use crate::real::Real;
use crate::scratch::with_scratch;
use crate::transpose::transpose;

/// Depths that are packed at a time.
const DEPTH_BLOCK: usize = 256;

/// Rows of one task.
const ROW_BLOCK: usize = 512;

/// A matrix that is read: `rows` x `columns`, its element (r, c) at `data[r * row_stride + c * column_stride]`.
#[derive(Debug, Clone, Copy)]
pub struct Mat<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T: Real> Mat<'a, T> {
    /// Row-major matrix whose rows begin `row_stride` elements apart.
    ///
    /// # Panics
    /// If `data` is too short.
    #[must_use]
    pub fn new(data: &'a [T], rows: usize, columns: usize, row_stride: usize) -> Self {
        check(data.len(), rows, columns, row_stride);
        Self {
            data,
            rows,
            columns,
            row_stride,
            column_stride: 1,
        }
    }

    /// The transpose: the same elements with rows and columns exchanged.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Writes rows `first..first + packed.len() / panel.width` of the panel's columns to `packed`, padded with zeros.
    pub(crate) fn pack(&self, first: usize, panel: Panel, packed: &mut [T]) {
        let Panel { columns, width, .. } = panel;
        let (rs, cs) = (self.row_stride, self.column_stride);
        let data = &self.data[first * rs + panel.first * cs..];
        if columns < width {
            packed
                .chunks_exact_mut(width)
                .for_each(|row| row[columns..].fill(T::zero()));
        }
        if cs == 1 {
            for (r, row) in packed.chunks_exact_mut(width).enumerate() {
                row[..columns].copy_from_slice(&data[r * rs..][..columns]);
            }
        } else if rs == 1 {
            transpose(data, cs, columns, packed.len() / width, packed, width);
        } else {
            for (r, row) in packed.chunks_exact_mut(width).enumerate() {
                for (c, v) in row[..columns].iter_mut().enumerate() {
                    *v = data[r * rs + c * cs];
                }
            }
        }
    }
}

/// A row-major matrix that is written: element (r, c) at `data[r * row_stride + c]`.
#[derive(Debug)]
pub struct MatMut<'a, T> {
    data: &'a mut [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
}

impl<'a, T: Real> MatMut<'a, T> {
    /// Row-major matrix whose rows begin `row_stride` elements apart.
    ///
    /// # Panics
    /// If `data` is too short or rows overlap.
    pub fn new(data: &'a mut [T], rows: usize, columns: usize, row_stride: usize) -> Self {
        check(data.len(), rows, columns, row_stride);
        assert!(
            rows <= 1 || row_stride >= columns,
            "rows of {columns} elements overlap at stride {row_stride}"
        );
        Self {
            data,
            rows,
            columns,
            row_stride,
        }
    }
}

fn check(len: usize, rows: usize, columns: usize, row_stride: usize) {
    let needed = if rows == 0 || columns == 0 {
        0
    } else {
        (rows - 1) * row_stride + columns
    };
    assert!(
        needed <= len,
        "a {rows}x{columns} matrix of row stride {row_stride} needs {needed} elements, got {len}"
    );
}

/// `c = a b`, or `c += a b` if `accumulate`. Parallel; the result does not depend on the number of threads.
///
/// # Panics
/// If the shapes do not fit together.
///
/// ```
/// use freqreg_kernels::{Mat, MatMut, matmul};
///
/// let (a, b) = ([1., 2., 3., 4.], [1., 0., 1., 1.]);
/// let mut c = [0f32; 4];
/// matmul(MatMut::new(&mut c, 2, 2, 2), Mat::new(&a, 2, 2, 2), Mat::new(&b, 2, 2, 2).transposed(), false);
/// assert_eq!(c, [1., 3., 3., 7.]);
/// ```
pub fn matmul<T: Real>(c: MatMut<'_, T>, a: Mat<'_, T>, b: Mat<'_, T>, accumulate: bool) {
    assert_eq!(
        (c.rows, c.columns, a.columns),
        (a.rows, b.columns, b.rows),
        "matrix shapes do not fit together"
    );
    // The right operand is packed. Where that means transposing it, the transposed product may have less to transpose.
    let (rows, depth, columns) = (a.rows, a.columns, b.columns);
    if b.column_stride != 1 && rows * (depth + columns) < depth * columns {
        T::product(c, b.transposed(), a.transposed(), accumulate, true);
    } else {
        T::product(c, a, b, accumulate, false);
    }
}

/// `c` or its transpose `(+)= left right`.
pub(crate) fn product<T: Real>(
    c: MatMut<'_, T>,
    left: Mat<'_, T>,
    right: Mat<'_, T>,
    accumulate: bool,
    transposed: bool,
) {
    let (depth, panels) = (left.columns, panels::<T>(right.columns));
    let starts = left.rows.div_ceil(if panels.len() < 4 {
        ROW_BLOCK / 4
    } else {
        ROW_BLOCK
    });
    let block = left.rows.div_ceil(starts.max(1)).max(1);
    let row_stride = c.row_stride;
    let out = Shared::new(c.data);
    parallel::for_each(
        panels.len() * starts,
        left.rows * depth * right.columns,
        |task| {
            let (panel, first) = (panels[task % panels.len()], task / panels.len() * block);
            let rows = block.min(left.rows - first);
            with_scratch(rows * panel.width, |sums: &mut [T]| {
                sum_panel(left, right, first, rows, panel, sums);
                let copy = |to: &mut [T], from: &[T]| {
                    if accumulate {
                        to.iter_mut().zip(from).for_each(|(to, &from)| *to += from);
                    } else {
                        to.copy_from_slice(from);
                    }
                };
                if transposed {
                    with_scratch(panel.columns * rows, |turned: &mut [T]| {
                        transpose(sums, panel.width, rows, panel.columns, turned, rows);
                        for (i, from) in turned.chunks_exact(rows).enumerate() {
                            let start = (panel.first + i) * row_stride + first;
                            // SAFETY: every task writes other rows or columns of `c`.
                            copy(unsafe { out.part(start..start + rows) }, from);
                        }
                    });
                } else {
                    for (i, from) in sums.chunks_exact(panel.width).enumerate() {
                        let start = (first + i) * row_stride + panel.first;
                        // SAFETY: every task writes other rows or columns of `c`.
                        copy(
                            unsafe { out.part(start..start + panel.columns) },
                            &from[..panel.columns],
                        );
                    }
                }
            });
        },
    );
}

/// Writes the product of some rows of `left` with one panel of `right` to `sums`.
fn sum_panel<T: Real>(
    left: Mat<'_, T>,
    right: Mat<'_, T>,
    first: usize,
    rows: usize,
    panel: Panel,
    sums: &mut [T],
) {
    let depth = left.columns;
    let offsets = |n: usize, stride: usize| (0..n).map(|i| i * stride).collect::<Vec<_>>();
    let (row_offsets, starts) = (offsets(rows, left.row_stride), offsets(rows, panel.width));
    let depth_offsets = offsets(DEPTH_BLOCK.min(depth), left.column_stride);
    if depth == 0 {
        sums.fill(T::zero());
    }
    with_scratch(depth_offsets.len() * panel.width, |packed: &mut [T]| {
        for block in (0..depth).step_by(DEPTH_BLOCK) {
            let depths = &depth_offsets[..DEPTH_BLOCK.min(depth - block)];
            let packed = &mut packed[..depths.len() * panel.width];
            right.pack(block, panel, packed);
            let data = &left.data[first * left.row_stride + block * left.column_stride..];
            multiply(
                Left::new(data, &row_offsets, depths),
                packed,
                panel.width,
                sums,
                &starts,
                block > 0,
            );
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_strides_and_sizes_match_plain_loops() {
        let value = |i: usize| ((i * 37 + 11) % 23) as f64 - 11.0;
        for (rows, depth, columns) in [
            (1, 1, 1),
            (3, 5, 2),
            (7, 300, 33),
            (130, 17, 65),
            (20, 600, 70),
            (600, 3, 1),
            (5, 0, 4),
        ] {
            for turned in 0..8 {
                let a: Vec<f64> = (0..rows * depth).map(value).collect();
                let b: Vec<f64> = (0..depth * columns).map(value).collect();
                let a = match turned & 1 {
                    0 => Mat::new(&a, rows, depth, depth),
                    _ => Mat::new(&a, depth, rows, rows).transposed(),
                };
                let b = match turned & 2 {
                    0 => Mat::new(&b, depth, columns, columns),
                    _ => Mat::new(&b, columns, depth, depth).transposed(),
                };
                let accumulate = turned & 4 != 0;
                let stride = columns + 3;
                let mut c = vec![1.0; rows * stride];
                matmul(MatMut::new(&mut c, rows, columns, stride), a, b, accumulate);
                for r in 0..rows {
                    for q in 0..stride {
                        let at = |m: &Mat<f64>, r: usize, c: usize| {
                            m.data[r * m.row_stride + c * m.column_stride]
                        };
                        let sum: f64 = (0..depth)
                            .map(|k| at(&a, r, k) * at(&b, k, q.min(columns - 1)))
                            .sum();
                        let old = f64::from(u8::from(accumulate || q >= columns));
                        let want = if q < columns { old + sum } else { old };
                        assert_eq!(
                            c[r * stride + q],
                            want,
                            "({r}, {q}) of {rows}x{depth}x{columns}, {turned}"
                        );
                    }
                }
            }
        }
    }
}
