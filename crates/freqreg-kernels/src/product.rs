//! The inner loop of every layer: a matrix product whose left operand is read where it lies.
//!
//! `out[r][c] (+)= sum over k of left[r][k] right[k][c]`. The left element (r, k) is found by adding two offsets, one of the row
//! and one of the depth. That covers plain and transposed matrices, and also the matrix of a convolution's windows, which is
//! therefore never built: a row is a pixel, a depth is a channel and filter position. The right operand is packed into panels of at
//! most four vector registers' width.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::real::Real;
use crate::simd::lanes;

/// Depths multiplied before the next rows' turn: a block of the right operand stays in the first-level cache.
const DEPTH_BLOCK: usize = 128;

/// Widest panel, in vector registers.
const WIDEST: usize = 4;

/// Left operand: element (r, k) is `data[rows[r] + depths[k]]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left<'a, T> {
    data: &'a [T],
    rows: &'a [usize],
    depths: &'a [usize],
}

impl<'a, T> Left<'a, T> {
    /// Panics if an element lies outside of `data`.
    pub(crate) fn new(data: &'a [T], rows: &'a [usize], depths: &'a [usize]) -> Self {
        if let (Some(row), Some(depth)) = (rows.iter().max(), depths.iter().max()) {
            let last = row.checked_add(*depth);
            assert!(
                last.is_some_and(|last| last < data.len()),
                "left operand reaches beyond its data"
            );
        }
        Self { data, rows, depths }
    }

    /// Some of the rows.
    pub(crate) fn part(self, rows: Range<usize>) -> Self {
        Self {
            rows: &self.rows[rows],
            ..self
        }
    }
}

/// Some columns of the right operand and of the output, padded to whole vector registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Panel {
    /// First column. The panels before are not padded, so this is also the sum of their widths.
    pub(crate) first: usize,
    /// Columns without the padding.
    pub(crate) columns: usize,
    /// Columns with the padding.
    pub(crate) width: usize,
}

impl Panel {
    /// Where a panel of `depth` rows lies among the packed panels of all columns.
    pub(crate) fn packed(&self, depth: usize) -> Range<usize> {
        depth * self.first..depth * (self.first + self.width)
    }
}

/// Cuts `columns` into panels of about equal width. Never empty for at least one column.
pub(crate) fn panels<T: Real>(columns: usize) -> Vec<Panel> {
    let (lanes, widest) = registers::<T>();
    let vectors = columns.div_ceil(lanes);
    let count = vectors.div_ceil(widest);
    let mut first = 0;
    (0..count)
        .map(|i| {
            let width = (vectors / count + usize::from(i < vectors % count)) * lanes;
            let panel = Panel {
                first,
                columns: width.min(columns - first),
                width,
            };
            first += width;
            panel
        })
        .collect()
}

/// Total width of the panels of `columns`.
pub(crate) fn padded<T: Real>(columns: usize) -> usize {
    columns.next_multiple_of(registers::<T>().0)
}

/// Elements of a register, and registers of the widest panel.
fn registers<T: Real>() -> (usize, usize) {
    struct Registers<T>(std::marker::PhantomData<T>);
    impl<T: Real> WithSimd for Registers<T> {
        type Output = (usize, usize);
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> Self::Output {
            (
                lanes::<T, S>(),
                if S::REGISTER_COUNT >= 32 {
                    WIDEST
                } else {
                    WIDEST / 2
                },
            )
        }
    }
    Arch::new().dispatch(Registers(std::marker::PhantomData::<T>))
}

/// Writes the product of `left` with one packed panel to rows of `width` elements that begin at `starts` in `out`; adds to what is
/// there if `accumulate`.
///
/// The panel's row of depth k begins at `right[k * step]`, where `step` is at least `width`, that of a panel from [`panels`].
pub(crate) fn multiply_spread<T: Real>(
    left: Left<'_, T>,
    right: &[T],
    step: usize,
    width: usize,
    out: &mut [T],
    starts: &[usize],
    accumulate: bool,
) {
    Arch::new().dispatch(Multiply {
        left,
        right,
        step,
        width,
        out,
        starts,
        accumulate,
    });
}

/// [`multiply_spread`] for a panel whose rows follow each other.
pub(crate) fn multiply<T: Real>(
    left: Left<'_, T>,
    right: &[T],
    width: usize,
    out: &mut [T],
    starts: &[usize],
    accumulate: bool,
) {
    assert_eq!(
        right.len(),
        left.depths.len() * width,
        "the panel must have a row for each depth"
    );
    multiply_spread(left, right, width, width, out, starts, accumulate);
}

struct Multiply<'a, T> {
    left: Left<'a, T>,
    right: &'a [T],
    step: usize,
    width: usize,
    out: &'a mut [T],
    starts: &'a [usize],
    accumulate: bool,
}

impl<T: Real> WithSimd for Multiply<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let vectors = self.width / lanes::<T, S>();
        assert_eq!(
            vectors * lanes::<T, S>(),
            self.width,
            "a panel is a whole number of registers wide"
        );
        // Accumulators, the panel's row and the left element all stay in registers.
        match (vectors, S::REGISTER_COUNT >= 32) {
            (1, _) => self.run::<S, 8, 1>(simd),
            (2, true) => self.run::<S, 8, 2>(simd),
            (2, false) => self.run::<S, 6, 2>(simd),
            (3, true) => self.run::<S, 8, 3>(simd),
            (4, true) => self.run::<S, 6, 4>(simd),
            _ => panic!("a panel of {vectors} registers is wider than the widest"),
        }
    }
}

impl<T: Real> Multiply<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize, const VECTORS: usize>(self, simd: S) {
        let Self {
            left,
            right,
            step,
            width,
            out,
            starts,
            accumulate,
        } = self;
        let depth = left.depths.len();
        assert_eq!(
            left.rows.len(),
            starts.len(),
            "each row needs its place in the output"
        );
        assert!(
            depth == 0 || right.len() >= width && right.len() - width >= (depth - 1) * step,
            "the panel must have a row for each depth"
        );
        if let Some(&last) = starts.iter().max() {
            assert!(
                out.len() >= width && last <= out.len() - width,
                "output rows reach beyond the output"
            );
        }
        if depth == 0 && !accumulate {
            starts
                .iter()
                .for_each(|&s| out[s..s + width].fill(T::zero()));
        }
        for block in (0..depth).step_by(DEPTH_BLOCK) {
            let depths = &left.depths[block..depth.min(block + DEPTH_BLOCK)];
            let right = &right[block * step..];
            for (rows, starts) in left.rows.chunks(ROWS).zip(starts.chunks(ROWS)) {
                // A last group that is not full repeats its last row, and does not store it again.
                let row = |i: usize| left.data.as_ptr().wrapping_add(rows[i.min(rows.len() - 1)]);
                let start = |i: usize| starts[i.min(rows.len() - 1)];
                // SAFETY: `Left` holds only offsets whose sums lie in its data; `right` has `width` elements, `step`
                // apart, for each of `depths`; all output rows lie in `out` (asserted above), which is borrowed mutably.
                unsafe {
                    tile::<S, T, ROWS, VECTORS>(
                        simd,
                        std::array::from_fn(row),
                        depths,
                        right.as_ptr(),
                        step,
                        out.as_mut_ptr(),
                        std::array::from_fn(start),
                        rows.len(),
                        accumulate || block > 0,
                    );
                }
            }
        }
    }
}

/// `ROWS` output rows of `VECTORS` registers.
///
/// # Safety
/// `rows[i] + depth` is readable for each of `depths`, and each time `right`, from then on `step` further, for `VECTORS` registers; `out + starts[i]` is readable and
/// writable for `VECTORS` registers.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "all of them live in registers")]
unsafe fn tile<S: Simd, T: Real, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    rows: [*const T; ROWS],
    depths: &[usize],
    mut right: *const T,
    step: usize,
    out: *mut T,
    starts: [usize; ROWS],
    count: usize,
    accumulate: bool,
) {
    let lanes = lanes::<T, S>();
    let mut sums = [[T::splat(simd, T::zero()); VECTORS]; ROWS];
    for &depth in depths {
        let mut row = [T::splat(simd, T::zero()); VECTORS];
        for (v, vector) in row.iter_mut().enumerate() {
            // SAFETY: `right` has `VECTORS` registers for this depth; a register is a plain array of scalars.
            *vector = unsafe { right.add(v * lanes).cast::<T::Vector<S>>().read_unaligned() };
        }
        right = right.wrapping_add(step);
        for (sums, start) in sums.iter_mut().zip(rows) {
            // SAFETY: readable by this function's contract.
            let factor = T::splat(simd, unsafe { *start.add(depth) });
            for (sum, &vector) in sums.iter_mut().zip(&row) {
                *sum = T::fused(simd, factor, vector, *sum);
            }
        }
    }
    // A constant number of turns, so that the sums stay in registers.
    for (i, sums) in sums.into_iter().enumerate() {
        if i < count {
            for (v, mut sum) in sums.into_iter().enumerate() {
                let place = out
                    .wrapping_add(starts[i] + v * lanes)
                    .cast::<T::Vector<S>>();
                // SAFETY: readable and writable by this function's contract.
                unsafe {
                    if accumulate {
                        sum = T::plus(simd, place.read_unaligned(), sum);
                    }
                    place.write_unaligned(sum);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The product of small integers, which is exact, by instruction set `S` at every panel width and some left-over rows.
    fn check<S: Simd, T: Real>(simd: S) {
        let value = |i: usize| T::narrow(((i * 37 + 11) % 23) as f64 - 11.0);
        let widest = if S::REGISTER_COUNT >= 32 {
            WIDEST
        } else {
            WIDEST / 2
        };
        for vectors in 1..=widest {
            for (count, depth) in [(1, 1), (5, 3), (6, 200), (13, 129), (16, 0)] {
                let width = vectors * lanes::<T, S>();
                let data: Vec<T> = (0..3 * count + 2 * depth).map(value).collect();
                let rows: Vec<usize> = (0..count).map(|r| 3 * r).collect();
                let depths: Vec<usize> = (0..depth).map(|k| 2 * (depth - 1 - k)).collect();
                // Rows of the panel a little apart.
                let step = width + 3;
                let right: Vec<T> = (0..depth * step).map(value).collect();
                // Output rows in reverse, one element apart.
                let starts: Vec<usize> = (0..count).rev().map(|r| r * (width + 1)).collect();
                for accumulate in [false, true] {
                    let mut out = vec![T::one(); count * (width + 1)];
                    let left = Left::new(&data, &rows, &depths);
                    let (right, starts) = (&right[..], &starts[..]);
                    simd.vectorize(Multiply {
                        left,
                        right,
                        step,
                        width,
                        out: &mut out,
                        starts,
                        accumulate,
                    });
                    for (i, &got) in out.iter().enumerate() {
                        let (r, c) = (count - 1 - i / (width + 1), i % (width + 1));
                        let sum: T = (0..depth)
                            .map(|k| data[rows[r] + depths[k]] * right[k * step + c.min(width - 1)])
                            .sum();
                        let old = if accumulate || c == width {
                            T::one()
                        } else {
                            T::zero()
                        };
                        let want = if c < width { old + sum } else { old };
                        assert_eq!(got, want, "({r}, {c}) of {count}x{depth}x{width}");
                    }
                }
            }
        }
    }

    fn check_both<S: Simd>(simd: S) {
        check::<S, f32>(simd);
        check::<S, f64>(simd);
    }

    #[test]
    fn every_instruction_set_of_this_machine() {
        check_both(pulp::Scalar);
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(simd) = pulp::x86::V3::try_new() {
                check_both(simd);
            }
            if let Some(simd) = pulp::x86::V4::try_new() {
                check_both(simd);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if let Some(simd) = pulp::aarch64::Neon::try_new() {
            check_both(simd);
        }
    }

    #[test]
    fn panels_cover_the_columns_evenly() {
        for columns in 1..300 {
            let panels = panels::<f32>(columns);
            let mut next = 0;
            for panel in &panels {
                assert_eq!(panel.first, next);
                assert!(panel.columns > 0 && panel.columns <= panel.width);
                next += panel.width;
            }
            assert_eq!(panels.iter().map(|p| p.columns).sum::<usize>(), columns);
            assert_eq!(next, padded::<f32>(columns));
        }
    }

    #[test]
    #[should_panic(expected = "beyond its data")]
    fn a_left_operand_that_reaches_too_far_is_refused() {
        Left::new(&[0f32; 10], &[0, 5], &[0, 5]);
    }
}
