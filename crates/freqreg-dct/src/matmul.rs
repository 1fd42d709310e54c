//! Batched matrix products on slices: the only unsafe code of the crate, around the `gemm` crate.
//!
//! The output is cut into tiles whose sizes depend on nothing but the sizes of the matrices, and every
//! tile is computed by one thread: the number of threads never changes a bit of the result.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::Real;

/// Rows and columns of a tile: its part of both factors stays in the second-level cache.
const TILE: (usize, usize) = (128, 512);
/// Below this many multiply-adds, handing work to other threads costs more than it gains.
const SERIAL: usize = 1 << 17;
/// At least this much work in one task, so that many tiny products are handed out in bunches.
const TASK: usize = 1 << 16;

/// `batches` products of `[rows, depth]` and `[depth, columns]` matrices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) batches: usize,
    pub(crate) rows: usize,
    pub(crate) depth: usize,
    pub(crate) columns: usize,
}

/// A stack of matrices within a slice: element `(batch, row, column)` lies at the sum of each times its stride.
#[derive(Clone, Copy)]
pub(crate) struct View<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) batch: usize,
    pub(crate) row: usize,
    pub(crate) column: usize,
}

impl<'a, T> View<'a, T> {
    /// One row-major matrix with `columns` columns, the same for every batch.
    pub(crate) fn matrix(data: &'a [T], columns: usize) -> Self {
        Self {
            data,
            batch: 0,
            row: columns,
            column: 1,
        }
    }

    pub(crate) fn transposed(self) -> Self {
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

/// `out = left * right` for every batch; `out` is row-major `[batches, rows, columns]` and is not read.
///
/// # Panics
/// If a size is zero or a view or `out` does not fit the sizes: a bug of the caller, never of its input.
pub(crate) fn multiply<T: Real>(size: Size, left: View<'_, T>, right: View<'_, T>, out: &mut [T]) {
    let Size {
        batches,
        rows,
        depth,
        columns,
    } = size;
    assert!(
        batches * rows * depth * columns > 0,
        "empty product {size:?}"
    );
    assert!(left.holds(batches, rows, depth), "left factor of {size:?}");
    assert!(
        right.holds(batches, depth, columns),
        "right factor of {size:?}"
    );
    assert_eq!(out.len(), batches * rows * columns, "output of {size:?}");

    let out = Output(out.as_mut_ptr());
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
                out.at(batch * rows * columns + row * columns + column),
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
                T::ZERO,
                T::ONE,
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

/// Where the output begins; tasks write disjoint tiles of it.
struct Output<T>(*mut T);

// SAFETY: the pointer is only used to write disjoint tiles while `multiply` holds the slice exclusively,
// and T is a plain number.
unsafe impl<T: Real> Sync for Output<T> {}

impl<T> Output<T> {
    /// # Safety
    /// `offset` must lie within the output.
    unsafe fn at(&self, offset: usize) -> *mut T {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(offset) }
    }
}
