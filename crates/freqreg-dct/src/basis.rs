//! The orthonormal DCT basis of one axis.

use std::f64::consts::PI;
use std::fmt;
use std::sync::Arc;

use crate::{Error, Real};

/// The first rows of the orthonormal DCT-II matrix of length `n`, row-major `[rows, n]`:
/// `B[p][j] = sqrt((p == 0 ? 1 : 2) / n) * cos(pi * p * (2 j + 1) / (2 n))`.
///
/// Rows are orthonormal. `c[p] = sum_j B[p][j] x[j]` is the forward transform (DCT-II),
/// `x[j] = sum_p B[p][j] c[p]` the inverse (DCT-III).
///
/// ```
/// let basis = freqreg_dct::Basis::<f64>::new(2, 2)?;
/// let half = 0.5f64.sqrt();
/// assert_eq!(basis.row(0), [half, half]);
/// assert!((basis.row(1)[1] + half).abs() < 1e-15);
/// # Ok::<(), freqreg_dct::Error>(())
/// ```
#[derive(Clone)]
pub struct Basis<T> {
    length: usize,
    rows: usize,
    /// May hold more rows than are shown: truncation shares them.
    values: Arc<Vec<T>>,
}

/// Up to so many rows need no more cosines than a period has, 4 n, the first row having none: a table of them would save nothing.
const FEW_ROWS: usize = 5;

impl<T: Real> Basis<T> {
    /// The first `rows` basis functions of an axis of length `n`, `1 <= rows <= n`.
    ///
    /// Angles are reduced exactly, in integers, before the cosine is taken in f64: entries are correct
    /// to the last place or the one before it, for any length.
    ///
    /// # Errors
    /// If `rows` is 0 or larger than `n`, and if the matrix has more elements than can be addressed.
    pub fn new(n: usize, rows: usize) -> Result<Self, Error> {
        if !(1..=n).contains(&rows) {
            return Err(Error::Rows { rows, length: n });
        }
        let too_many = || Error::TooManyElements {
            shape: vec![rows, n],
        };
        let elements = rows.checked_mul(n).ok_or_else(too_many)?;
        let period = n.checked_mul(4).ok_or_else(too_many)?;
        let out_of_memory = |_| Error::OutOfMemory {
            shape: vec![rows, n],
            elements,
        };
        let mut values: Vec<T> = Vec::new();
        values.try_reserve_exact(elements).map_err(out_of_memory)?;
        values.resize(n, T::of((1.0 / n as f64).sqrt()));
        let scale = (2.0 / n as f64).sqrt();
        // The angle pi * r / (2 n) repeats after r = 4 n: where the rows would need more cosines than that, each is computed once.
        let mut table: Vec<T> = Vec::new();
        if rows > FEW_ROWS {
            table.try_reserve_exact(period).map_err(out_of_memory)?;
            table.extend((0..period).map(|r| T::of(scale * cosine(r, n))));
        }
        for p in 1..rows {
            let mut r = p;
            values.extend((0..n).map(|_| {
                let value = match table.get(r) {
                    Some(&value) => value,
                    None => T::of(scale * cosine(r, n)),
                };
                r += 2 * p;
                if r >= period {
                    r -= period;
                }
                value
            }));
        }
        Ok(Self {
            length: n,
            rows,
            values: Arc::new(values),
        })
    }

    /// The first `rows` of these rows; the numbers are shared, not copied.
    ///
    /// # Errors
    /// If `rows` is 0 or larger than [`rows`](Basis::rows).
    pub fn truncated(&self, rows: usize) -> Result<Self, Error> {
        if !(1..=self.rows).contains(&rows) {
            return Err(Error::Rows {
                rows,
                length: self.rows,
            });
        }
        Ok(Self {
            length: self.length,
            rows,
            values: Arc::clone(&self.values),
        })
    }
}

impl<T> Basis<T> {
    /// The length of the axis: the number of columns.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The number of basis functions.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Basis function `p`, sampled at every position of the axis.
    ///
    /// # Panics
    /// If `p` is not below [`rows`](Basis::rows), as indexing a slice does.
    pub fn row(&self, p: usize) -> &[T] {
        &self.as_slice()[p * self.length..(p + 1) * self.length]
    }

    /// The matrix, row-major `[rows, length]`.
    pub fn as_slice(&self) -> &[T] {
        &self.values[..self.rows * self.length]
    }
}

impl<T> fmt::Debug for Basis<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Basis")
            .field("rows", &self.rows)
            .field("length", &self.length)
            .finish()
    }
}

/// `cos(pi * r / (2 n))` for `0 <= r < 4 n`, with the zeros exact and mirror images equal to the last bit.
fn cosine(r: usize, n: usize) -> f64 {
    let r = r.min(4 * n - r); // cos(-x) = cos(x)
    let (sign, r) = if r > n { (-1.0, 2 * n - r) } else { (1.0, r) }; // cos(pi - x) = -cos(x)
    if 2 * r <= n {
        sign * (PI * r as f64 / (2 * n) as f64).cos()
    } else {
        sign * (PI * (n - r) as f64 / (2 * n) as f64).sin() // near its zero the sine keeps all digits
    }
}
