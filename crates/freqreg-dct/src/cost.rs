//! What a transform costs, in one unit: a multiply-add inside a matrix product.
//!
//! The two ways from a prefix to a tensor do different work (matrix products; fast transforms), so the
//! counts carry weights that were fitted to measurements of both. They depend on shapes alone, never on the machine:
//! the same plan takes the same way everywhere.

use crate::Error;
use crate::fold::{FOLD, Group, groups};
use crate::shape::{check_index, elements};

/// Moving one number to or from memory, in multiply-adds.
const MOVE: f64 = 6.0;
/// Starting one matrix product.
const CALL: f64 = 600.0;
/// Matrix kernels compute this many neighbouring outputs at once, wanted or not.
const LANES: usize = 16;
/// One element of a fast transform of length n costs `FFT_BASE + FFT_LOG * log2(n)`, and
/// `FFT_ROUGH` times that where n has a prime factor beyond `FFT_PRIME`, for which no butterfly is written out.
const FFT_BASE: f64 = 80.0;
const FFT_LOG: f64 = 20.0;
const FFT_ROUGH: f64 = 2.0;
const FFT_PRIME: usize = 31;

/// The cost of rebuilding a tensor of `shape` from a box of coefficients with the given `bounds` by
/// products with truncated bases, in the best order of the axes. Analysis costs the same.
///
/// # Errors
/// If the shape is refused ([`crate::KeepOrder::axis_weights`]) or a bound is 0 or beyond its axis.
pub fn box_way(shape: &[usize], bounds: &[usize]) -> Result<f64, Error> {
    elements(shape)?;
    let last: Vec<usize> = bounds.iter().map(|b| b.wrapping_sub(1)).collect();
    check_index(shape, &last)?;
    Ok(best_order(&groups(shape, bounds)).0)
}

/// The cost of the fast transform of a whole tensor of `shape` along every axis.
///
/// # Errors
/// If the shape is refused ([`crate::KeepOrder::axis_weights`]).
pub fn fft_way(shape: &[usize]) -> Result<f64, Error> {
    let count = elements(shape)? as f64;
    let pass = |group: Group| match group.length {
        short @ ..=FOLD => (short.next_multiple_of(LANES)) as f64 + 2.0 * MOVE,
        long => {
            (FFT_BASE + FFT_LOG * (long as f64).log2()) * if smooth(long) { 1.0 } else { FFT_ROUGH }
        }
    };
    Ok(count * groups(shape, shape).into_iter().map(pass).sum::<f64>())
}

/// The order in which to expand the groups of a box into whole axes, and what it costs: the cheapest
/// of all orders, found by dynamic programming over the sets of axes already expanded. (Folding keeps
/// the number of groups small: any two neighbours multiply to more than [`FOLD`] elements.)
pub(crate) fn best_order(groups: &[Group]) -> (f64, Vec<usize>) {
    let sets = 1usize << groups.len();
    let mut best: Vec<(f64, usize)> = vec![(f64::INFINITY, 0); sets];
    best[0].0 = 0.0;
    for done in 0..sets {
        // The size of a run of groups once those in `done` are expanded.
        let size = |from: usize, to: usize| -> f64 {
            let sized = |g: usize| {
                if done >> g & 1 == 1 {
                    groups[g].length
                } else {
                    groups[g].rows
                }
            };
            (from..to).map(|g| sized(g) as f64).product()
        };
        for next in (0..groups.len()).filter(|g| done >> g & 1 == 0) {
            let cost =
                best[done].0 + step(&groups[next], size(0, next), size(next + 1, groups.len()));
            let with = done | 1 << next;
            if cost < best[with].0 {
                best[with] = (cost, next);
            }
        }
    }
    let mut order = Vec::with_capacity(groups.len());
    let mut set = sets - 1;
    while set > 0 {
        order.push(best[set].1);
        set &= !(1 << best[set].1);
    }
    order.reverse();
    (best[sets - 1].0, order)
}

/// Expanding one group where `before` and `after` are the sizes of the groups on either side.
fn step(group: &Group, before: f64, after: f64) -> f64 {
    let (rows, length) = (group.rows as f64, group.length as f64);
    // With nothing behind it the group itself is the contiguous axis, and one product does it all.
    let (calls, contiguous) = if after == 1.0 {
        (1.0, length)
    } else {
        (before, after)
    };
    let lanes = (contiguous / LANES as f64).ceil() * LANES as f64;
    let products = before * rows * length * after / contiguous * lanes;
    products + MOVE * before * after * (rows + length) + CALL * calls
}

/// Whether all prime factors of `n` are at most [`FFT_PRIME`].
fn smooth(n: usize) -> bool {
    let divided = |mut n: usize, p: usize| {
        while n.is_multiple_of(p) {
            n /= p;
        }
        n
    };
    (2..=FFT_PRIME).fold(n, divided) == 1
}

#[cfg(test)]
mod tests {
    use super::{best_order, box_way, fft_way, smooth};
    use crate::fold::groups;

    #[test]
    fn long_axes_are_expanded_last_and_the_first_at_the_very_end() {
        let order = |shape: &[usize], bounds: &[usize]| best_order(&groups(shape, bounds)).1;
        assert_eq!(order(&[1024, 1024, 3, 3], &[4, 4, 3, 3]), [2, 1, 0]);
        assert_eq!(order(&[100, 90], &[2, 80]), [1, 0]);
        assert_eq!(order(&[100, 90], &[80, 2]), [0, 1]);
    }

    #[test]
    fn smooth_lengths() {
        assert!([1, 2, 31, 1024, 9216, 31 * 29 * 7].into_iter().all(smooth));
        assert!(![37, 74, 4099, 37 * 37].into_iter().any(smooth));
    }

    #[test]
    fn small_boxes_are_cheap_and_bad_bounds_are_refused() {
        let shape = [1024, 1024, 3, 3];
        assert!(box_way(&shape, &[4, 4, 3, 3]).unwrap() * 5.0 < fft_way(&shape).unwrap());
        assert!(box_way(&[9216, 4096], &[9216, 4096]).unwrap() > fft_way(&[9216, 4096]).unwrap());
        assert!(box_way(&shape, &[4, 4, 3, 4]).is_err());
        assert!(box_way(&shape, &[4, 0, 3, 3]).is_err());
        assert!(box_way(&shape, &[4, 4]).is_err());
    }
}
