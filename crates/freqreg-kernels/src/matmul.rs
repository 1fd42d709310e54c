//! Matrix product of strided operands: the heart of every layer.

use crate::parallel;
use crate::real::Real;

/// A matrix that is read: `rows` x `columns`, its element (r, c) at `data[r * row_stride + c * column_stride]`.
#[derive(Debug, Clone, Copy)]
pub struct Mat<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T> Mat<'a, T> {
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
}

/// A row-major matrix that is written: element (r, c) at `data[r * row_stride + c]`.
#[derive(Debug)]
pub struct MatMut<'a, T> {
    data: &'a mut [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
}

impl<'a, T> MatMut<'a, T> {
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

/// `c = a * b`, or `c += a * b` if `accumulate`, on the calling thread.
///
/// # Panics
/// If the shapes do not fit together.
pub fn matmul<T: Real>(c: MatMut<'_, T>, a: Mat<'_, T>, b: Mat<'_, T>, accumulate: bool) {
    assert_eq!(
        (c.rows, c.columns, a.columns),
        (a.rows, b.columns, b.rows),
        "matrix shapes do not fit together"
    );
    // SAFETY: `Mat` and `MatMut` guarantee that all elements lie in their slices; `c` is borrowed mutably.
    unsafe {
        raw(
            c.data.as_mut_ptr(),
            c.row_stride,
            c.rows,
            c.columns,
            a,
            b,
            accumulate,
        )
    }
}

/// As [`matmul`], spread over threads in tiles that depend on the shapes only.
pub(crate) fn matmul_parallel<T: Real>(
    c: MatMut<'_, T>,
    a: Mat<'_, T>,
    b: Mat<'_, T>,
    accumulate: bool,
) {
    assert_eq!(
        (c.rows, c.columns, a.columns),
        (a.rows, b.columns, b.rows),
        "matrix shapes do not fit together"
    );
    let (rows, columns) = (tile(c.rows), tile(c.columns));
    let (down, across) = (c.rows.div_ceil(rows), c.columns.div_ceil(columns));
    let shared = parallel::Shared::new(c.data);
    let work = c.rows * c.columns * a.columns;
    parallel::for_each(down * across, work, |task| {
        let (r, q) = (task / across * rows, task % across * columns);
        let (rows, columns) = (rows.min(c.rows - r), columns.min(c.columns - q));
        let a = Mat {
            data: &a.data[r * a.row_stride..],
            rows,
            ..a
        };
        let b = Mat {
            data: &b.data[q * b.column_stride..],
            columns,
            ..b
        };
        // SAFETY: tiles of different tasks share no element, and this one lies in `c`.
        unsafe {
            raw(
                shared.start().add(r * c.row_stride + q),
                c.row_stride,
                rows,
                columns,
                a,
                b,
                accumulate,
            )
        }
    });
}

/// Tile length along an axis: about 128, evenly divided.
fn tile(n: usize) -> usize {
    let pieces = (n / 128).max(1);
    n.div_ceil(pieces).next_multiple_of(16).min(n.max(1))
}

/// # Safety
/// All `rows` x `columns` elements at `c + r * row_stride + q` must be valid for writing, and for reading if
/// `accumulate`, and belong to nobody else.
unsafe fn raw<T: Real>(
    c: *mut T,
    row_stride: usize,
    rows: usize,
    columns: usize,
    a: Mat<'_, T>,
    b: Mat<'_, T>,
    accumulate: bool,
) {
    // SAFETY: the operands lie in their slices by construction, the destination by this function's contract.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            a.columns,
            c,
            1,
            row_stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            T::one(),
            T::one(),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
