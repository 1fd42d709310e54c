//! Blocks of wide channels, which are computed together: in memory and in registers.

use pulp::Simd;

use crate::simd::Lanes;

/// Wide channels computed together.
pub(super) const BLOCK: usize = 4;

/// Blocks of so many channels.
pub(super) fn blocks(channels: usize) -> usize {
    channels.div_ceil(BLOCK)
}

/// `[rows, columns]` to `[blocks of rows, columns, BLOCK]`, padded with zeros.
pub(super) fn pack(weights: &[f32], columns: usize, packed: &mut Vec<f32>) {
    for rows in weights.chunks(BLOCK * columns) {
        for c in 0..columns {
            packed.extend((0..BLOCK).map(|r| rows.get(r * columns + c).copied().unwrap_or(0.0)));
        }
    }
}

/// `[to, channels]` to `[blocks of channels, to, BLOCK]`.
pub(super) fn pack_columns(weights: &[f32], channels: usize) -> Vec<f32> {
    let to = weights.len() / channels;
    let transposed: Vec<f32> = (0..channels * to)
        .map(|i| weights[i % to * channels + i / to])
        .collect();
    let mut packed = Vec::with_capacity(blocks(channels) * to * BLOCK);
    pack(&transposed, to, &mut packed);
    packed
}

/// Of each set the channels, and zeros up to a whole number of blocks.
pub(super) fn padded(values: &[f32], channels: usize) -> Vec<f32> {
    let mut all = Vec::with_capacity(values.len() / channels * blocks(channels) * BLOCK);
    for set in values.chunks_exact(channels) {
        all.extend_from_slice(set);
        all.resize(all.len().next_multiple_of(BLOCK), 0.0);
    }
    all
}

/// The sum of two blocks.
#[inline(always)]
pub(super) fn plus<S: Simd, const V: usize>(
    simd: S,
    a: &[[S::f32s; V]; BLOCK],
    b: &[[S::f32s; V]; BLOCK],
) -> [[S::f32s; V]; BLOCK] {
    std::array::from_fn(|i| std::array::from_fn(|v| simd.add_f32s(a[i][v], b[i][v])))
}

/// max(x, 0), and NaN where x is.
#[inline(always)]
pub(super) fn rectify<S: Simd, const V: usize>(simd: S, sums: &mut [[S::f32s; V]; BLOCK]) {
    let zero = simd.splat_f32s(0.0);
    // Loops of known lengths, here and below, keep a block in registers; one over all of its elements would go by memory.
    for sums in sums {
        for sum in sums {
            // Zero first: where the other is NaN, NaN is what comes out.
            *sum = simd.max_f32s(zero, *sum);
        }
    }
}

/// `a b + c` without rounding between, where the machine can.
#[inline(always)]
pub(super) fn fused<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    f32::fused(simd, a, b, c)
}
