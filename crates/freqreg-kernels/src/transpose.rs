//! Copies that exchange rows and columns: between planes of pixels and rows of channels.

use crate::real::Real;

/// Rows and columns that are exchanged together: a cache line of `f32`.
const BLOCK: usize = 16;

/// `to[c * to_stride + r] = from[r * from_stride + c]` for `r < rows`, `c < columns`.
pub(crate) fn transpose<T: Real>(
    from: &[T],
    from_stride: usize,
    rows: usize,
    columns: usize,
    to: &mut [T],
    to_stride: usize,
) {
    if rows == 0 || columns == 0 {
        return;
    }
    let (from, to) = (
        &from[..(rows - 1) * from_stride + columns],
        &mut to[..(columns - 1) * to_stride + rows],
    );
    let f32s = T::as_f32s(from).zip(T::as_f32s_mut(to));
    #[cfg(target_arch = "x86_64")]
    if let Some((from, to)) = f32s
        && is_x86_feature_detected!("avx512f")
    {
        // SAFETY: the processor has the instructions; both slices reach to their last element, as cut above.
        return unsafe { avx512::transpose(from, from_stride, rows, columns, to, to_stride) };
    }
    let _ = f32s;
    for r in (0..rows).step_by(BLOCK) {
        for c in (0..columns).step_by(BLOCK) {
            let from = &from[r * from_stride + c..];
            for (c, to) in to[c * to_stride..]
                .chunks_mut(to_stride)
                .take(BLOCK.min(columns - c))
                .enumerate()
            {
                for (i, to) in to[r..].iter_mut().take(BLOCK.min(rows - r)).enumerate() {
                    *to = from[i * from_stride + c];
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    //! Blocks of 16 x 16 in sixteen registers.

    use std::arch::x86_64::{
        __m512, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_permutex2var_ps,
        _mm512_set_epi32, _mm512_setzero_ps,
    };

    use super::BLOCK;

    /// # Safety
    /// `from[r * from_stride + c]` and `to[c * to_stride + r]` exist for all `r < rows`, `c < columns`.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn transpose(
        from: &[f32],
        from_stride: usize,
        rows: usize,
        columns: usize,
        to: &mut [f32],
        to_stride: usize,
    ) {
        // The side whose lines lie further apart is walked along its lines: it is the one that is not in the cache.
        if from_stride > to_stride {
            for r in (0..rows).step_by(BLOCK) {
                for c in (0..columns).step_by(BLOCK) {
                    // SAFETY: both corners lie inside.
                    unsafe { block([r, c], from, from_stride, [rows, columns], to, to_stride) };
                }
            }
        } else {
            for c in (0..columns).step_by(BLOCK) {
                for r in (0..rows).step_by(BLOCK) {
                    // SAFETY: both corners lie inside.
                    unsafe { block([r, c], from, from_stride, [rows, columns], to, to_stride) };
                }
            }
        }
    }

    /// The block whose upper left corner is (r, c).
    ///
    /// # Safety
    /// As [`transpose`], and `r < rows`, `c < columns`.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn block(
        [r, c]: [usize; 2],
        from: &[f32],
        from_stride: usize,
        [rows, columns]: [usize; 2],
        to: &mut [f32],
        to_stride: usize,
    ) {
        let (height, width) = (BLOCK.min(rows - r), BLOCK.min(columns - c));
        let mut block = [_mm512_setzero_ps(); BLOCK];
        for (i, row) in block.iter_mut().enumerate() {
            if i < height {
                let start = from.as_ptr().wrapping_add((r + i) * from_stride + c);
                // SAFETY: the mask leaves only elements that exist by this function's contract.
                *row = unsafe { _mm512_maskz_loadu_ps(first(width), start) };
            }
        }
        for (i, row) in exchange(block).into_iter().enumerate() {
            if i < width {
                let start = to.as_mut_ptr().wrapping_add((c + i) * to_stride + r);
                // SAFETY: as above.
                unsafe { _mm512_mask_storeu_ps(start, first(height), row) };
            }
        }
    }

    /// Mask of the first `n` elements.
    #[inline(always)]
    fn first(n: usize) -> u16 {
        (u32::MAX >> (32 - n)) as u16
    }

    /// Four times: interleave each row of the upper half with its partner in the lower half. Each time the bits of an element's
    /// address (row, column) rotate by one, so that in the end row and column have changed places.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn exchange(mut block: [__m512; BLOCK]) -> [__m512; BLOCK] {
        let low = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
        let high = _mm512_set_epi32(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8);
        for _ in 0..4 {
            let before = block;
            for i in 0..BLOCK / 2 {
                let (upper, lower) = (before[i], before[i + BLOCK / 2]);
                block[2 * i] = _mm512_permutex2var_ps(upper, low, lower);
                block[2 * i + 1] = _mm512_permutex2var_ps(upper, high, lower);
            }
        }
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_change_places_and_nothing_else_is_written() {
        fn check<T: Real>(rows: usize, columns: usize) {
            let (from_stride, to_stride) = (columns + 3, rows + 2);
            let value = |r: usize, c: usize| T::narrow((r * 1000 + c) as f64);
            let from: Vec<T> = (0..rows * from_stride)
                .map(|i| value(i / from_stride, i % from_stride))
                .collect();
            let mut to = vec![-T::one(); columns * to_stride];
            transpose(&from, from_stride, rows, columns, &mut to, to_stride);
            for (i, &v) in to.iter().enumerate() {
                let (c, r) = (i / to_stride, i % to_stride);
                assert_eq!(
                    v,
                    if r < rows { value(r, c) } else { -T::one() },
                    "({r}, {c}) of {rows}x{columns}"
                );
            }
        }
        for rows in [1, 2, 15, 16, 17, 32, 50] {
            for columns in [1, 3, 16, 20, 31, 48] {
                check::<f32>(rows, columns);
                check::<f64>(rows, columns);
            }
        }
    }
}
