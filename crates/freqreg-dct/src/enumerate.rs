//! The first k indices of a tensor in keep order, as row-major offsets.

use alloc::vec;
use alloc::vec::Vec;

#[cfg(feature = "std")]
use rayon::slice::ParallelSliceMut;

use crate::levels::Levels;

/// Slabs of keys are sorted one at a time: at least this many indices in one, so that the search for
/// its upper end pays, and at most [`SLABS`] slabs in all.
const SLAB: usize = 1 << 16;
const SLABS: usize = 64;

/// The axes longer than 1 of a tensor (the others have index 0 and take no part).
pub(crate) struct Axes {
    lengths: Vec<usize>,
    weights: Vec<u64>,
    strides: Vec<usize>,
    /// `reach[a]`: the largest key that the axes from `a` on can add; one entry more than axes.
    reach: Vec<u64>,
    /// At least the largest key that is kept.
    limit: u64,
}

impl Axes {
    /// The shape and weights must have passed [`crate::KeepOrder::axis_weights`], and `k` be at most the
    /// number of elements. Axes are cut where the first `k` indices cannot reach.
    pub(crate) fn new(shape: &[usize], weights: &[u64], k: usize) -> Self {
        let strides = crate::shape::strides(shape);
        let long: Vec<usize> = (0..shape.len()).filter(|&axis| shape[axis] > 1).collect();
        let mut weights: Vec<u64> = long.iter().map(|&axis| weights[axis]).collect();
        if weights.windows(2).all(|pair| pair[0] == pair[1]) {
            weights.fill(1);
        }
        let mut lengths: Vec<usize> = long.iter().map(|&axis| shape[axis]).collect();
        let limit = limit(&lengths, &weights, k);
        for (length, weight) in lengths.iter_mut().zip(&weights) {
            *length = reachable(*length, *weight, limit);
        }
        let mut reach = vec![0; long.len() + 1];
        for a in (0..long.len()).rev() {
            reach[a] = reach[a + 1] + weights[a] * (lengths[a] as u64 - 1);
        }
        let strides = long.iter().map(|&axis| strides[axis]).collect();
        Self {
            lengths,
            weights,
            strides,
            reach,
            limit,
        }
    }

    /// Appends the offsets of the first `k` indices; `offsets` has room for them.
    pub(crate) fn first(&self, k: usize, offsets: &mut Vec<usize>) {
        if self.weights.iter().all(|&w| w == 1) {
            self.first_by_level(k, offsets);
        } else {
            self.first_by_slab(k, offsets);
        }
    }

    /// Equal weights: one level of equal keys after the other, each already in lexicographic order.
    fn first_by_level(&self, k: usize, offsets: &mut Vec<usize>) {
        for level in 0..=self.limit {
            self.visit(0, level, level, 0, 0, &mut |_, offset| {
                if offsets.len() < k {
                    offsets.push(offset);
                }
            });
            if offsets.len() == k {
                return;
            }
        }
    }

    /// Any weights: cut the keys into slabs, collect the indices of a slab, sort them.
    fn first_by_slab(&self, k: usize, offsets: &mut Vec<usize>) {
        let levels = Levels::new(&self.lengths, &self.weights, self.limit);
        let wanted = SLAB.max(k / SLABS);
        let mut slab: Vec<(u64, usize)> = Vec::new();
        let mut low = 0;
        while offsets.len() < k {
            let target = k.min(offsets.len() + wanted);
            let high = smallest(low, self.limit, |key| levels.at_most(key) >= target);
            slab.clear();
            self.visit(0, low, high, 0, 0, &mut |key, offset| {
                slab.push((key, offset))
            });
            // Offsets ascend lexicographically and differ, so that an unstable sort is as good.
            #[cfg(feature = "std")]
            slab.par_sort_unstable();
            #[cfg(not(feature = "std"))]
            slab.sort_unstable();
            let room = k - offsets.len();
            offsets.extend(slab.iter().take(room).map(|&(_, offset)| offset));
            low = high.saturating_add(1);
        }
    }

    /// Calls `found(key, offset)` in lexicographic order for every index whose key along the axes from
    /// `axis` on lies in `low..=high`. `key` and `offset` are those of the axes before.
    fn visit(
        &self,
        axis: usize,
        low: u64,
        high: u64,
        key: u64,
        offset: usize,
        found: &mut impl FnMut(u64, usize),
    ) {
        let Some(&weight) = self.weights.get(axis) else {
            return found(key, offset);
        };
        let least = low.saturating_sub(self.reach[axis + 1]);
        // Division is what a visit would spend its time on, and most orders are the zigzag.
        let (from, to) = if weight == 1 {
            (least, high)
        } else {
            (least.div_ceil(weight), high / weight)
        };
        let to = to.min(self.lengths[axis] as u64 - 1);
        let mut offset = offset + from as usize * self.strides[axis];
        for i in from..=to {
            let step = i * weight;
            if axis + 1 == self.weights.len() {
                found(key + step, offset);
            } else {
                self.visit(
                    axis + 1,
                    low.saturating_sub(step),
                    high - step,
                    key + step,
                    offset,
                    found,
                );
            }
            offset += self.strides[axis];
        }
    }
}

/// A bound on the keys of the first `k` indices: the largest key of a box that holds `k` indices, all of
/// which therefore have this key or a smaller one. The box is as far along every axis as keys go.
fn limit(lengths: &[usize], weights: &[u64], k: usize) -> u64 {
    let sides = |side: u64| {
        lengths
            .iter()
            .zip(weights)
            .map(move |(&n, &w)| (reachable(n, w, side), w))
    };
    let reach = sides(u64::MAX).map(|(n, w)| (n as u64 - 1) * w).sum();
    let holds =
        |side: u64| sides(side).fold(1usize, |volume, (n, _)| volume.saturating_mul(n)) >= k;
    sides(smallest(0, reach, holds))
        .map(|(n, w)| (n as u64 - 1) * w)
        .sum()
}

/// How much of an axis has keys up to `limit`.
fn reachable(length: usize, weight: u64, limit: u64) -> usize {
    length.min(
        usize::try_from(limit / weight)
            .unwrap_or(usize::MAX)
            .saturating_add(1),
    )
}

/// The smallest key in `low..=high` that satisfies a monotone `test`, or `high` if none does.
fn smallest(mut low: u64, mut high: u64, test: impl Fn(u64) -> bool) -> u64 {
    while low < high {
        let middle = low + (high - low) / 2;
        if test(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}
