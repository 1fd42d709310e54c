//! Keep orders: which coefficient of a tensor comes first, second, third.

use alloc::borrow::ToOwned;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::levels::Levels;
use crate::shape::{check_index, elements};
use crate::{Error, Prefix};

/// The order in which the coefficients of a tensor are kept.
///
/// The key of an index is `sum over axes of weight[axis] * index[axis]`, an exact integer. Indices are
/// ordered by ascending key, equal keys lexicographically (the first axis decides first), so that a
/// shape, an order and a count say which coefficients are kept, and no position is ever stored.
///
/// As text: `zigzag`, `inverse-sqrt`, `weights:1,1,4,4`.
///
/// ```
/// use freqreg_dct::KeepOrder;
///
/// let order: KeepOrder = "weights:1,3".parse()?;
/// assert_eq!(order, KeepOrder::Weighted(vec![1, 3]));
/// assert_eq!(order.to_string(), "weights:1,3");
/// assert_eq!(KeepOrder::Zigzag.rank(&[4, 4], &[1, 1])?, 4); // after 00, 01, 10, 02
/// # Ok::<(), freqreg_dct::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum KeepOrder {
    /// Every axis weighs 1: ascending by the sum of the indices. The order of the paper.
    #[default]
    Zigzag,
    /// An axis of length `n` weighs `floor(2^32 / sqrt(n))`, so that long axes are kept further out.
    ///
    /// The weight is the integer square root of `floor(2^64 / n)`: no floating point takes part, so
    /// that every machine agrees on the order.
    InverseSqrt,
    /// The given positive weights, one an axis.
    Weighted(Vec<u32>),
}

impl KeepOrder {
    /// The weight of every axis of `shape`.
    ///
    /// # Errors
    /// If the shape has no axes, an axis of length zero or too many elements; if weights were given
    /// and one is zero or their number is not that of the axes; if the largest key would not fit 64 bits.
    pub fn axis_weights(&self, shape: &[usize]) -> Result<Vec<u64>, Error> {
        elements(shape)?;
        let weights: Vec<u64> = match self {
            KeepOrder::Zigzag => vec![1; shape.len()],
            KeepOrder::InverseSqrt => shape.iter().map(|&n| inverse_sqrt(n)).collect(),
            KeepOrder::Weighted(weights) => {
                if weights.len() != shape.len() {
                    return Err(Error::WeightCount {
                        weights: weights.len(),
                        shape: shape.to_vec(),
                    });
                }
                if let Some(axis) = weights.iter().position(|&w| w == 0) {
                    return Err(Error::ZeroWeight {
                        weights: weights.clone(),
                        axis,
                    });
                }
                weights.iter().map(|&w| u64::from(w)).collect()
            }
        };
        let largest = shape.iter().zip(&weights).try_fold(0u64, |sum, (&n, &w)| {
            u64::try_from(n - 1).ok()?.checked_mul(w)?.checked_add(sum)
        });
        match largest {
            Some(_) => Ok(weights),
            None => Err(Error::KeyOverflow {
                weights,
                shape: shape.to_vec(),
            }),
        }
    }

    /// How many coefficients come before `index`: 0 for the constant one, `N - 1` for the last.
    ///
    /// Found by counting, without visiting the tensor: the work grows with the number of distinct
    /// keys of all axes but the longest.
    ///
    /// # Errors
    /// Those of [`KeepOrder::axis_weights`], and if the index does not lie in the shape.
    pub fn rank(&self, shape: &[usize], index: &[usize]) -> Result<usize, Error> {
        let weights = self.axis_weights(shape)?;
        check_index(shape, index)?;
        let mut key: u64 = index
            .iter()
            .zip(&weights)
            .map(|(&i, &w)| i as u64 * w)
            .sum();
        let mut rank = match key.checked_sub(1) {
            Some(below) => Levels::new(shape, &weights, below).at_most(below),
            None => return Ok(0),
        };
        // Of those with the same key, the ones that are smaller on the first axis where they differ.
        let mut reach: u64 = shape
            .iter()
            .zip(&weights)
            .map(|(&n, &w)| (n as u64 - 1) * w)
            .sum();
        for (axis, (&i, &w)) in index.iter().zip(&weights).enumerate() {
            // The axes behind must make up for what this one is smaller, so that it cannot be too small.
            reach -= (shape[axis] as u64 - 1) * w;
            let least = key.saturating_sub(reach).div_ceil(w);
            if least < i as u64 {
                let rest = Levels::new(&shape[axis + 1..], &weights[axis + 1..], key - least * w);
                rank += (least..i as u64)
                    .map(|smaller| rest.exactly(key - smaller * w))
                    .sum::<usize>();
            }
            key -= i as u64 * w;
        }
        Ok(rank)
    }

    /// The first `k` indices of `shape` in this order, `1 <= k <= N`, without visiting the rest.
    ///
    /// # Errors
    /// Those of [`KeepOrder::axis_weights`], if `k` is 0 or larger than the tensor, and if memory
    /// for `k` positions cannot be had.
    pub fn prefix(&self, shape: &[usize], k: usize) -> Result<Prefix, Error> {
        Prefix::new(shape, self, k)
    }
}

/// `floor(2^32 / sqrt(n))`, exactly: the floor inside the root changes nothing.
fn inverse_sqrt(n: usize) -> u64 {
    ((1u128 << 64) / n as u128).isqrt() as u64
}

impl fmt::Display for KeepOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeepOrder::Zigzag => f.write_str("zigzag"),
            KeepOrder::InverseSqrt => f.write_str("inverse-sqrt"),
            KeepOrder::Weighted(weights) => {
                f.write_str("weights:")?;
                for (axis, weight) in weights.iter().enumerate() {
                    write!(f, "{}{weight}", if axis > 0 { "," } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

impl FromStr for KeepOrder {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let weights = |list: &str| -> Option<Vec<u32>> {
            let weight = |w: &str| w.parse::<u32>().ok().filter(|&w| w > 0);
            list.split(',').map(|w| weight(w.trim())).collect()
        };
        match (text, text.strip_prefix("weights:").and_then(weights)) {
            ("zigzag", _) => Ok(KeepOrder::Zigzag),
            ("inverse-sqrt", _) => Ok(KeepOrder::InverseSqrt),
            (_, Some(weights)) => Ok(KeepOrder::Weighted(weights)),
            _ => Err(Error::UnknownOrder {
                text: text.to_owned(),
            }),
        }
    }
}
