//! The first k indices of a tensor in keep order, as row-major offsets.

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
}

impl Axes {
    /// The shape and weights must have passed [`crate::KeepOrder::axis_weights`].
    pub(crate) fn new(shape: &[usize], weights: &[u64]) -> Self {
        let strides = crate::shape::strides(shape);
        let long: Vec<usize> = (0..shape.len()).filter(|&axis| shape[axis] > 1).collect();
        let mut axes = Self {
            lengths: long.iter().map(|&axis| shape[axis]).collect(),
            weights: long.iter().map(|&axis| weights[axis]).collect(),
            strides: long.iter().map(|&axis| strides[axis]).collect(),
            reach: vec![0; long.len() + 1],
        };
        if axes.weights.windows(2).all(|pair| pair[0] == pair[1]) {
            axes.weights.fill(1);
        }
        for a in (0..long.len()).rev() {
            axes.reach[a] = axes.reach[a + 1] + axes.weights[a] * (axes.lengths[a] as u64 - 1);
        }
        axes
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
        for level in 0..=self.reach[0] {
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
        let levels = Levels::new(&self.lengths, &self.weights);
        let wanted = SLAB.max(k / SLABS);
        let mut slab: Vec<(u64, usize)> = Vec::new();
        let mut low = 0;
        while offsets.len() < k {
            let target = k.min(offsets.len() + wanted);
            let high = smallest(low, self.reach[0], |key| levels.at_most(key) >= target);
            slab.clear();
            self.visit(0, low, high, 0, 0, &mut |key, offset| {
                slab.push((key, offset))
            });
            // Offsets ascend lexicographically and differ, so that an unstable sort is as good.
            slab.par_sort_unstable();
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
