//! The fast N-D transform of whole tensors: rustdct along long axes, one matrix for short ones; for all of them without the feature `fft`.

use std::fmt;
use std::sync::Arc;

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use freqreg_kernels::{Batched, Stack};

use crate::fast::Fast;
use crate::fold::{FOLD, groups, kronecker};
use crate::pool::Pool;
use crate::shape::{check_length, elements};
use crate::{Basis, Error, Real};

/// Tensors below this many elements are transformed by the calling thread alone.
const SERIAL: usize = 1 << 14;
/// About this many elements are gathered and transformed at a time.
const CHUNK: usize = 1 << 14;
/// Columns gathered side by side: few enough that their rows stay in the first-level cache whatever the
/// length, even where a power of two maps them all to the same few cache lines.
const STRIP: usize = 8;

/// The orthonormal DCT-II (forward) and DCT-III (inverse) along every axis of a row-major tensor.
///
/// Both directions are orthogonal and each is the transpose of the other. Plans are made once, in
/// [`Dct::new`]; a clone shares them. Large tensors are transformed in parallel on the current rayon pool, with
/// the same result for any number of threads.
///
/// ```
/// use freqreg_dct::Dct;
///
/// let dct = Dct::<f64>::new(&[2, 3])?;
/// let mut x = [1.0; 6];
/// dct.forward(&mut x)?;
/// assert!((x[0] - 6f64.sqrt()).abs() < 1e-15); // the mean, times sqrt(N)
/// dct.inverse(&mut x)?;
/// assert!(x.iter().all(|v| (v - 1.0).abs() < 1e-15));
/// # Ok::<(), freqreg_dct::Error>(())
/// ```
#[derive(Clone)]
pub struct Dct<T: Real> {
    shape: Vec<usize>,
    elements: usize,
    passes: Vec<Pass<T>>,
    pool: Arc<Pool<T>>,
}

/// The transform along one group of axes.
#[derive(Clone)]
struct Pass<T: Real> {
    length: usize,
    kernel: Kernel<T>,
}

#[derive(Clone)]
enum Kernel<T: Real> {
    /// Row-major, `[length, length]`; its rows are basis functions.
    Matrix(Arc<[T]>),
    Fast(Arc<dyn Fast<T>>),
}

/// Which way.
#[derive(Clone, Copy)]
pub enum Direction {
    /// From values to coefficients.
    Forward,
    /// Back.
    Inverse,
}

impl<T: Real> Dct<T> {
    /// Plans the transforms of tensors of `shape`.
    ///
    /// # Errors
    /// If the shape has no axes, an axis of length zero, or too many elements.
    pub fn new(shape: &[usize]) -> Result<Self, Error> {
        let elements = elements(shape)?;
        let groups = groups(shape, shape);
        let long: Vec<usize> = groups
            .iter()
            .map(|g| g.length)
            .filter(|&n| n > FOLD)
            .collect();
        let mut fast = T::fast_transforms(&long).into_iter();
        let passes = groups
            .into_iter()
            .map(|group| {
                let kernel =
                    if let Some(fast) = (group.length > FOLD).then(|| fast.next()).flatten() {
                        Kernel::Fast(fast)
                    } else {
                        let bases = group.axes.map(|axis| Basis::new(shape[axis], shape[axis]));
                        let bases = bases.collect::<Result<Vec<Basis<T>>, Error>>()?;
                        let factors: Vec<_> = bases
                            .iter()
                            .map(|b| (b.as_slice(), b.rows(), b.length()))
                            .collect();
                        Kernel::Matrix(kronecker(&factors).into())
                    };
                Ok(Pass {
                    length: group.length,
                    kernel,
                })
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            shape: shape.to_vec(),
            elements,
            passes,
            pool: Arc::new(Pool::new()),
        })
    }

    /// The shape of the tensors this transforms.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Spatial values to coefficients, in place: the orthonormal DCT-II along every axis.
    ///
    /// # Errors
    /// If `values` does not have as many elements as the shape.
    pub fn forward(&self, values: &mut [T]) -> Result<(), Error> {
        self.in_place(Direction::Forward, values)
    }

    /// Coefficients to spatial values, in place: the orthonormal DCT-III along every axis.
    ///
    /// # Errors
    /// If `coefficients` does not have as many elements as the shape.
    pub fn inverse(&self, coefficients: &mut [T]) -> Result<(), Error> {
        self.in_place(Direction::Inverse, coefficients)
    }

    fn in_place(&self, direction: Direction, data: &mut [T]) -> Result<(), Error> {
        check_length("tensor", data, self.elements, &self.shape)?;
        self.run_into(direction, data, |start, spare| {
            if let Some(spare) = spare {
                spare.copy_from_slice(start);
            }
        });
        Ok(())
    }

    /// Transforms into `out` what `fill` provides. Every pass goes from one buffer to the other, so that
    /// with an odd number of them the start must lie in the spare one: `fill` gets `out` and, if the input belongs
    /// there, the spare buffer.
    pub(crate) fn run_into(
        &self,
        direction: Direction,
        out: &mut [T],
        fill: impl FnOnce(&mut [T], Option<&mut [T]>),
    ) {
        if self.passes.is_empty() {
            return fill(out, None);
        }
        self.pool.with(self.elements, |spare| {
            let odd = self.passes.len() % 2 == 1;
            fill(out, odd.then_some(&mut *spare));
            let (mut from, mut to) = if odd { (spare, out) } else { (out, spare) };
            for pass in &self.passes {
                pass.run(direction, from, to);
                (from, to) = (to, from);
            }
        });
    }

    /// Transforms `data` and hands the result to `read`, leaving `data` as it is.
    pub(crate) fn of<R>(
        &self,
        direction: Direction,
        data: &[T],
        read: impl FnOnce(&[T]) -> R,
    ) -> R {
        let Some((first, rest)) = self.passes.split_first() else {
            return read(data);
        };
        self.pool.with(self.elements, |one| {
            first.run(direction, data, one);
            if rest.is_empty() {
                return read(one);
            }
            self.pool.with(self.elements, |other| {
                let (mut from, mut to) = (one, other);
                for pass in rest {
                    pass.run(direction, from, to);
                    (from, to) = (to, from);
                }
                read(from)
            })
        })
    }
}

impl<T: Real> Pass<T> {
    /// Transforms the first axis of `[length, rest]` and moves it to the end: `[rest, length]`. When every
    /// group had its turn, all are back in their places.
    fn run(&self, direction: Direction, from: &[T], to: &mut [T]) {
        let length = self.length;
        let rest = from.len() / length;
        match &self.kernel {
            Kernel::Matrix(matrix) => {
                let size = Batched {
                    batches: 1,
                    rows: rest,
                    depth: length,
                    columns: length,
                };
                let matrix = Stack::matrix(matrix, length);
                let right = match direction {
                    Direction::Forward => matrix.transposed(),
                    Direction::Inverse => matrix,
                };
                size.multiply(Stack::matrix(from, rest).transposed(), right, to);
            }
            Kernel::Fast(plan) => {
                let columns = (CHUNK / length).next_multiple_of(STRIP).max(STRIP);
                let work = |scratch: &mut Vec<T>, (chunk, rows): (usize, &mut [T])| {
                    gather(from, rest, chunk * columns, length, rows);
                    rows.chunks_exact_mut(length)
                        .for_each(|row| plan.run(direction, row, scratch));
                };
                let scratch = || vec![T::ZERO; plan.scratch_len()];
                if to.len() < SERIAL {
                    let mut scratch = scratch();
                    to.chunks_mut(columns * length)
                        .enumerate()
                        .for_each(|chunk| work(&mut scratch, chunk));
                } else {
                    to.par_chunks_mut(columns * length)
                        .enumerate()
                        .for_each_init(scratch, work);
                }
            }
        }
    }
}

/// Copies columns of a row-major matrix that is `rest` wide, from column `first` on, into rows.
fn gather<T: Real>(from: &[T], rest: usize, first: usize, length: usize, rows: &mut [T]) {
    for (strip, rows) in rows.chunks_mut(STRIP * length).enumerate() {
        let first = first + strip * STRIP;
        let wide = rows.len() / length;
        for j in 0..length {
            let values = &from[j * rest + first..][..wide];
            values
                .iter()
                .enumerate()
                .for_each(|(r, &value)| rows[r * length + j] = value);
        }
    }
}

impl<T: Real> fmt::Debug for Dct<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dct")
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}
