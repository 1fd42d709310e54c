//! The box way: a small dense box of coefficients times truncated bases, axis by axis.

use std::sync::Arc;

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use freqreg_kernels::{Batched, Stack};

use crate::cost::best_order;
use crate::fold::{groups, kronecker};
use crate::pool::Pool;
use crate::shape::strides;
use crate::{Basis, Error, Prefix, Real};

/// From this many positions on they are computed in parallel.
const PARALLEL: usize = 1 << 15;

/// How a box of given bounds is expanded to the whole tensor, and a tensor contracted to the box.
pub(crate) struct Expansion<T> {
    box_elements: usize,
    steps: Vec<Step<T>>,
}

/// One group of axes: `[before, rows, after]` to `[before, length, after]`, or back.
struct Step<T> {
    before: usize,
    rows: usize,
    length: usize,
    after: usize,
    matrix: Matrix<T>,
}

enum Matrix<T> {
    Basis(Basis<T>),
    Folded(Vec<T>),
}

impl<T: Real> Expansion<T> {
    /// `basis(axis, rows)` hands out bases, so that truncations of a plan can share them.
    pub(crate) fn new(
        prefix: &Prefix,
        basis: impl Fn(usize, usize) -> Result<Basis<T>, Error>,
    ) -> Result<Self, Error> {
        let (shape, bounds) = (prefix.shape(), prefix.bounds());
        let groups = groups(shape, bounds);
        let mut sizes: Vec<usize> = groups.iter().map(|group| group.rows).collect();
        let mut steps = Vec::with_capacity(groups.len());
        for g in best_order(&groups).1 {
            let group = &groups[g];
            let bases = group.axes.clone().map(|axis| basis(axis, bounds[axis]));
            let mut bases = bases.collect::<Result<Vec<_>, Error>>()?;
            let matrix = if bases.len() == 1 {
                Matrix::Basis(bases.remove(0))
            } else {
                let factors: Vec<_> = bases
                    .iter()
                    .map(|b| (b.as_slice(), b.rows(), b.length()))
                    .collect();
                Matrix::Folded(kronecker(&factors))
            };
            let (before, after) = (sizes[..g].iter().product(), sizes[g + 1..].iter().product());
            steps.push(Step {
                before,
                rows: group.rows,
                length: group.length,
                after,
                matrix,
            });
            sizes[g] = group.length;
        }
        Ok(Self {
            box_elements: bounds.iter().product(),
            steps,
        })
    }

    /// Expands the box that `fill` writes (into zeros) to the whole tensor.
    pub(crate) fn synthesize(&self, pool: &Pool<T>, out: &mut [T], fill: impl FnOnce(&mut [T])) {
        let start = |first: &mut [T]| {
            first.fill(T::ZERO);
            fill(first);
        };
        let Some((last, others)) = self.steps.split_last() else {
            return start(out);
        };
        let (even, odd) = self.spare(others.iter().map(Step::expanded), self.box_elements);
        pool.with(even, |even| {
            pool.with(odd, |odd| {
                let (mut from, mut to) = (even, odd);
                let mut len = self.box_elements;
                start(&mut from[..len]);
                for step in others {
                    step.expand(&from[..len], &mut to[..step.expanded()]);
                    len = step.expanded();
                    (from, to) = (to, from);
                }
                last.expand(&from[..len], out);
            });
        });
    }

    /// Contracts a whole tensor to its box of coefficients, and hands that to `read`.
    pub(crate) fn analyze<R>(
        &self,
        pool: &Pool<T>,
        spatial: &[T],
        read: impl FnOnce(&[T]) -> R,
    ) -> R {
        let Some((first, others)) = self.steps.split_last() else {
            return read(spatial);
        };
        let (even, odd) = self.spare(
            others.iter().rev().map(Step::contracted),
            first.contracted(),
        );
        pool.with(even, |even| {
            pool.with(odd, |odd| {
                let (mut from, mut to) = (even, odd);
                let mut len = first.contracted();
                first.contract(spatial, &mut from[..len]);
                for step in others.iter().rev() {
                    step.contract(&from[..len], &mut to[..step.contracted()]);
                    len = step.contracted();
                    (from, to) = (to, from);
                }
                read(&from[..len])
            })
        })
    }

    /// The sizes of the two buffers that a chain of intermediates goes to and fro between.
    fn spare(&self, sizes: impl Iterator<Item = usize>, first: usize) -> (usize, usize) {
        let mut largest = [first, 0];
        sizes
            .enumerate()
            .for_each(|(i, size)| largest[(i + 1) % 2] = largest[(i + 1) % 2].max(size));
        (largest[0], largest[1])
    }
}

impl<T: Real> Step<T> {
    fn expanded(&self) -> usize {
        self.before * self.length * self.after
    }

    fn contracted(&self) -> usize {
        self.before * self.rows * self.after
    }

    fn expand(&self, from: &[T], to: &mut [T]) {
        self.product(self.rows, self.length, self.matrix().transposed(), from, to);
    }

    fn contract(&self, from: &[T], to: &mut [T]) {
        self.product(self.length, self.rows, self.matrix(), from, to);
    }

    /// `[before, old, after]` to `[before, new, after]` by the `[new, old]` matrix `left`.
    fn product(&self, old: usize, new: usize, left: Stack<'_, T>, from: &[T], to: &mut [T]) {
        let (before, after) = (self.before, self.after);
        if after == 1 {
            let size = Batched {
                batches: 1,
                rows: before,
                depth: old,
                columns: new,
            };
            size.multiply(Stack::matrix(from, old), left.transposed(), to);
        } else {
            let size = Batched {
                batches: before,
                rows: new,
                depth: old,
                columns: after,
            };
            let right = Stack {
                batch: old * after,
                ..Stack::matrix(from, after)
            };
            size.multiply(left, right, to);
        }
    }

    /// Row-major `[rows, length]`.
    fn matrix(&self) -> Stack<'_, T> {
        let values = match &self.matrix {
            Matrix::Basis(basis) => basis.as_slice(),
            Matrix::Folded(values) => values,
        };
        Stack::matrix(values, self.length)
    }
}

/// Where each kept coefficient lies in the row-major box of the prefix's bounds.
pub(crate) fn box_positions(prefix: &Prefix) -> Arc<[usize]> {
    let axes: Vec<(usize, usize)> = strides(prefix.shape())
        .into_iter()
        .zip(strides(prefix.bounds()))
        .collect();
    let position = |&offset: &usize| {
        let mut rest = offset;
        let mut position = 0;
        for &(stride, within) in &axes {
            let i = divide(rest, stride);
            rest -= i * stride;
            position += i * within;
        }
        position
    };
    let offsets = prefix.offsets();
    if prefix.shape()[1..] == prefix.bounds()[1..] {
        offsets.into() // Nothing is cut but the first axis, so that strides are the same.
    } else if offsets.len() < PARALLEL {
        offsets.iter().map(position).collect()
    } else {
        offsets
            .par_iter()
            .with_min_len(PARALLEL / 4)
            .map(position)
            .collect::<Vec<_>>()
            .into()
    }
}

/// `a / b`, by the much faster 32-bit division where both are that small.
fn divide(a: usize, b: usize) -> usize {
    match (u32::try_from(a), u32::try_from(b)) {
        (Ok(a), Ok(b)) => (a / b) as usize,
        _ => a / b,
    }
}
