//! Products of stacks of matrices, by the `gemm` crate: for shallow products, which are bound by what they write.
//!
//! The output is cut into tiles whose sizes depend on nothing but the sizes of the matrices, and every
//! tile is computed by one thread: the number of threads never changes a bit of the result.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::parallel::Shared;
use crate::real::Real;

/// Rows and columns of a tile: its part of both factors stays in the second-level cache.
const TILE: (usize, usize) = (128, 512);
/// Below this many multiply-adds, handing work to other threads costs more than it gains.
const SERIAL: usize = 1 << 17;
/// At least this much work in one task, so that many tiny products are handed out in bunches.
const TASK: usize = 1 << 16;

/// `batches` products of `[rows, depth]` and `[depth, columns]` matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batched {
    /// Products.
    pub batches: usize,
    /// Rows of each product.
    pub rows: usize,
    /// Columns of each left factor.
    pub depth: usize,
    /// Columns of each product.
    pub columns: usize,
}

/// A stack of matrices within a slice: element `(batch, row, column)` lies at the sum of each times its stride.
#[derive(Clone, Copy, Debug)]
pub struct Stack<'a, T> {
    /// The elements.
    pub data: &'a [T],
    /// From one matrix to the next; 0 for the same matrix in every product.
    pub batch: usize,
    /// From one row to the next.
    pub row: usize,
    /// From one column to the next.
    pub column: usize,
}

impl<'a, T> Stack<'a, T> {
    /// One row-major matrix with `columns` columns, the same in every product.
    #[must_use]
    pub fn matrix(data: &'a [T], columns: usize) -> Self {
        Self {
            data,
            batch: 0,
            row: columns,
            column: 1,
        }
    }

    /// The same elements with rows and columns exchanged.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            row: self.column,
            column: self.row,
            ..self
        }
    }

    /// Whether all elements of `batches` matrices of `rows` x `columns` lie within the slice.
    fn holds(&self, batches: usize, rows: usize, columns: usize) -> bool {
        (batches - 1) * self.batch + (rows - 1) * self.row + (columns - 1) * self.column
            < self.data.len()
    }
}

impl Batched {
    /// `out = left * right` for every pair; `out` is row-major `[batches, rows, columns]` and is not read.
    ///
    /// # Panics
    /// If a size is zero, or a stack or `out` does not fit the sizes.
    ///
    /// ```
    /// use freqreg_kernels::{Batched, Stack};
    ///
    /// let (a, b) = ([1., 2., 3., 4.], [1f32, 0., 1., 1.]);
    /// let mut c = [0f32; 4];
    /// let size = Batched { batches: 1, rows: 2, depth: 2, columns: 2 };
    /// size.multiply(Stack::matrix(&a, 2), Stack::matrix(&b, 2).transposed(), &mut c);
    /// assert_eq!(c, [1., 3., 3., 7.]);
    /// ```
    pub fn multiply<T: Real>(self, left: Stack<'_, T>, right: Stack<'_, T>, out: &mut [T]) {
        let Batched {
            batches,
            rows,
            depth,
            columns,
        } = self;
        assert!(
            batches * rows * depth * columns > 0,
            "empty product {self:?}"
        );
        assert!(left.holds(batches, rows, depth), "left factor of {self:?}");
        assert!(
            right.holds(batches, depth, columns),
            "right factor of {self:?}"
        );
        assert_eq!(out.len(), batches * rows * columns, "output of {self:?}");

        let out = Shared::new(out);
        let tile = |batch: usize, row: usize, column: usize, (tall, wide): (usize, usize)| {
            let (tall, wide) = (tall.min(rows - row), wide.min(columns - column));
            // SAFETY: `holds` places every element of both factors within their slices, `out` has room for
            // all batches, and the tiles handed out below neither overlap nor leave it. The output is only
            // written (`read_dst` is false), and T is f32 or f64, which gemm has kernels for.
            unsafe {
                gemm::gemm(
                    tall,
                    wide,
                    depth,
                    out.start()
                        .add(batch * rows * columns + row * columns + column),
                    1,
                    columns as isize,
                    false,
                    left.data.as_ptr().add(batch * left.batch + row * left.row),
                    left.column as isize,
                    left.row as isize,
                    right
                        .data
                        .as_ptr()
                        .add(batch * right.batch + column * right.column),
                    right.column as isize,
                    right.row as isize,
                    T::zero(),
                    T::one(),
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
        };

        let work = rows * columns * (depth + 8);
        if batches * work <= SERIAL {
            (0..batches).for_each(|batch| tile(batch, 0, 0, (rows, columns)));
        } else if work <= TASK {
            let bunch = TASK.div_ceil(work);
            (0..batches.div_ceil(bunch))
                .into_par_iter()
                .for_each(|task| {
                    let first = task * bunch;
                    (first..batches.min(first + bunch))
                        .for_each(|batch| tile(batch, 0, 0, (rows, columns)));
                });
        } else {
            let (down, across) = (rows.div_ceil(TILE.0), columns.div_ceil(TILE.1));
            (0..batches * down * across)
                .into_par_iter()
                .for_each(|task| {
                    let (batch, row, column) =
                        (task / across / down, task / across % down, task % across);
                    tile(batch, row * TILE.0, column * TILE.1, TILE);
                });
        }
    }
}
