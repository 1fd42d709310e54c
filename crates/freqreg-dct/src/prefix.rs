//! The kept coefficients of a tensor: the first k indices in keep order.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::enumerate::Axes;
use crate::shape::{elements, strides};
use crate::{Error, KeepOrder};

/// The first `k` indices of a tensor in keep order.
///
/// Cloning and [truncating](Prefix::truncated) share the list of positions, so that a budget that
/// shrinks at every step of a training costs nothing.
///
/// ```
/// use freqreg_dct::KeepOrder;
///
/// let prefix = KeepOrder::Zigzag.prefix(&[3, 4], 5)?;
/// assert_eq!(prefix.offsets(), [0, 1, 4, 2, 5]); // 00, 01, 10, 02, 11
/// assert_eq!(prefix.index(4), [1, 1]);
/// assert_eq!(prefix.bounds(), [2, 3]);
/// assert_eq!(prefix.truncated(3)?.bounds(), [2, 2]);
/// # Ok::<(), freqreg_dct::Error>(())
/// ```
#[derive(Clone)]
pub struct Prefix {
    list: Arc<List>,
    len: usize,
    bounds: Vec<usize>,
}

/// What all truncations of one prefix share.
struct List {
    shape: Vec<usize>,
    order: KeepOrder,
    offsets: Vec<usize>,
    /// `arrivals[axis][i]`: the position in the list of the first index that is `i` along `axis`. Weights
    /// are positive, so that this is the index that is 0 along every other axis, and arrivals ascend.
    arrivals: Vec<Vec<usize>>,
}

impl Prefix {
    /// The first `k` indices of `shape` in `order`, `1 <= k <= N`.
    ///
    /// # Errors
    /// As [`KeepOrder::prefix`].
    pub fn new(shape: &[usize], order: &KeepOrder, k: usize) -> Result<Self, Error> {
        let weights = order.axis_weights(shape)?;
        let available = elements(shape)?;
        check_budget(k, available, shape)?;
        let mut offsets = Vec::new();
        offsets
            .try_reserve_exact(k)
            .map_err(|_| Error::OutOfMemory {
                shape: shape.to_vec(),
                elements: k,
            })?;
        Axes::new(shape, &weights, k).first(k, &mut offsets);
        let arrivals = arrivals(shape, &offsets);
        let list = List {
            shape: shape.to_vec(),
            order: order.clone(),
            offsets,
            arrivals,
        };
        Ok(Self::cut(Arc::new(list), k))
    }

    fn cut(list: Arc<List>, len: usize) -> Self {
        let bounds = list
            .arrivals
            .iter()
            .map(|a| a.partition_point(|&at| at < len))
            .collect();
        Self { list, len, bounds }
    }

    /// The shape of the whole tensor.
    pub fn shape(&self) -> &[usize] {
        &self.list.shape
    }

    /// The order in which coefficients are kept.
    pub fn order(&self) -> &KeepOrder {
        &self.list.order
    }

    /// The number of coefficients kept, at least 1.
    #[allow(clippy::len_without_is_empty)] // A prefix is never empty.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The row-major offset in the whole tensor of every kept coefficient, in keep order.
    pub fn offsets(&self) -> &[usize] {
        &self.list.offsets[..self.len]
    }

    /// The index of coefficient `i`, one entry an axis.
    ///
    /// # Panics
    /// If `i` is not below [`len`](Prefix::len), as indexing a slice does.
    pub fn index(&self, i: usize) -> Vec<usize> {
        let offset = self.offsets()[i];
        let shape = self.shape();
        strides(shape)
            .iter()
            .zip(shape)
            .map(|(stride, n)| offset / stride % n)
            .collect()
    }

    /// The box that the kept indices span from the origin: one more than the largest index kept along
    /// each axis. Every index along an axis below its bound occurs.
    pub fn bounds(&self) -> &[usize] {
        &self.bounds
    }

    /// The first `k` of these indices, `1 <= k <= len`. The list is shared, not copied.
    ///
    /// # Errors
    /// If `k` is 0 or larger than [`len`](Prefix::len).
    pub fn truncated(&self, k: usize) -> Result<Self, Error> {
        check_budget(k, self.len, self.shape())?;
        Ok(Self::cut(Arc::clone(&self.list), k))
    }
}

impl PartialEq for Prefix {
    fn eq(&self, other: &Self) -> bool {
        // Shape, order and count say everything: the positions follow.
        self.len == other.len && self.shape() == other.shape() && self.order() == other.order()
    }
}

impl Eq for Prefix {}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prefix")
            .field("shape", &self.shape())
            .field("order", self.order())
            .field("len", &self.len)
            .field("bounds", &self.bounds)
            .finish()
    }
}

fn check_budget(keep: usize, available: usize, shape: &[usize]) -> Result<(), Error> {
    if (1..=available).contains(&keep) {
        return Ok(());
    }
    Err(Error::Budget {
        keep,
        available,
        shape: shape.to_vec(),
    })
}

fn arrivals(shape: &[usize], offsets: &[usize]) -> Vec<Vec<usize>> {
    strides(shape)
        .into_iter()
        .zip(shape)
        .map(|(stride, &n)| {
            let mut seen = Vec::new();
            let mut next = 0;
            for (at, &offset) in offsets.iter().enumerate() {
                if offset == next {
                    seen.push(at);
                    if seen.len() == n {
                        break;
                    }
                    next += stride;
                }
            }
            seen
        })
        .collect()
}
