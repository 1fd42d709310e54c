//! The transforms and orders as one would write them down, slow and plain.
#![allow(dead_code)] // Every test file uses its own part of this.

use std::f64::consts::PI;

use freqreg_dct::KeepOrder;
use proptest::prelude::*;

/// `sum_j sqrt((p == 0 ? 1 : 2) / n) cos(pi p (2 j + 1) / (2 n)) x[j]` along `axis`, or its transpose.
fn naive_axis(shape: &[usize], axis: usize, x: &[f64], inverse: bool) -> Vec<f64> {
    let n = shape[axis];
    let stride: usize = shape[axis + 1..].iter().product();
    let basis = |p: usize, j: usize| {
        let scale = (if p == 0 { 1.0 } else { 2.0 } / n as f64).sqrt();
        // The cosine of a large angle loses digits: reduce it while it is still an integer.
        scale * (PI * (p * (2 * j + 1) % (4 * n)) as f64 / (2 * n) as f64).cos()
    };
    (0..x.len())
        .map(|at| {
            let i = at / stride % n;
            let value = |j: usize| x[at - i * stride + j * stride];
            (0..n)
                .map(|j| value(j) * if inverse { basis(j, i) } else { basis(i, j) })
                .sum()
        })
        .collect()
}

/// The orthonormal DCT-II along every axis.
pub(crate) fn naive_forward(shape: &[usize], x: &[f64]) -> Vec<f64> {
    (0..shape.len()).fold(x.to_vec(), |x, axis| naive_axis(shape, axis, &x, false))
}

/// The orthonormal DCT-III along every axis.
pub(crate) fn naive_inverse(shape: &[usize], c: &[f64]) -> Vec<f64> {
    (0..shape.len()).fold(c.to_vec(), |c, axis| naive_axis(shape, axis, &c, true))
}

/// Every index of a shape, sorted by key and then lexicographically.
pub(crate) fn naive_order(shape: &[usize], order: &KeepOrder) -> Vec<Vec<usize>> {
    let weights = order.axis_weights(shape).unwrap();
    let mut indices: Vec<Vec<usize>> = vec![vec![]];
    for &n in shape {
        indices = indices
            .iter()
            .flat_map(|i| (0..n).map(|j| [i.as_slice(), &[j]].concat()))
            .collect();
    }
    indices.sort_by_key(|index| {
        let key: u64 = index
            .iter()
            .zip(&weights)
            .map(|(&i, &w)| i as u64 * w)
            .sum();
        (key, index.clone())
    });
    indices
}

/// The row-major offset of an index.
pub(crate) fn offset(shape: &[usize], index: &[usize]) -> usize {
    shape
        .iter()
        .zip(index)
        .fold(0, |offset, (n, i)| offset * n + i)
}

/// `len` numbers in -1..1 that look random and are the same everywhere (splitmix64).
pub(crate) fn numbers(seed: u64, len: usize) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as i64 as f64 / i64::MAX as f64
    };
    (0..len).map(|_| next()).collect()
}

pub(crate) fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max)
}

/// Shapes of one to five axes of at most `longest`, those of length 1 among them, of at most 3,000 elements.
pub(crate) fn shapes(longest: usize) -> impl Strategy<Value = Vec<usize>> {
    let axis = prop_oneof![1 => Just(1), 5 => 1..=5usize, 2 => 1..=longest];
    prop::collection::vec(axis, 1..=5).prop_filter("small enough for the naive way", |shape| {
        shape.iter().product::<usize>() <= 3000
    })
}

/// A shape and any order that fits it.
pub(crate) fn ordered(longest: usize) -> impl Strategy<Value = (Vec<usize>, KeepOrder)> {
    shapes(longest).prop_flat_map(|shape| {
        let weights = prop_oneof![4 => 1..6u32, 1 => 1..1000u32, 1 => Just(u32::MAX)];
        let weighted = prop::collection::vec(weights, shape.len()).prop_map(KeepOrder::Weighted);
        let order = prop_oneof![2 => Just(KeepOrder::Zigzag), 1 => Just(KeepOrder::InverseSqrt), 3 => weighted];
        (Just(shape), order)
    })
}

/// A shape, an order, and a number of coefficients to keep.
pub(crate) fn budgeted(longest: usize) -> impl Strategy<Value = (Vec<usize>, KeepOrder, usize)> {
    ordered(longest).prop_flat_map(|(shape, order)| {
        let all: usize = shape.iter().product();
        (
            Just(shape),
            Just(order),
            prop_oneof![3 => 1..=all, 1 => Just(all), 3 => 1..=all.min(40)],
        )
    })
}
