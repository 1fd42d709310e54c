//! Working memory that a thread keeps between calls, so that a training step does not pay for fresh pages every time.

use std::cell::RefCell;

use crate::real::Real;

/// Cache line, and the widest vector register.
const ALIGN: usize = 64;

/// Buffers of one thread that are not in use.
///
/// A buffer is taken out while it is used: if the thread meanwhile steals another task that needs memory too,
/// that task gets another buffer.
#[derive(Debug)]
pub struct Pool<T>(RefCell<Vec<Vec<T>>>);

impl<T> Pool<T> {
    pub(crate) const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }
}

/// Calls `f` with `len` elements of arbitrary content, aligned to a cache line.
pub(crate) fn with_scratch<T: Real, R>(len: usize, f: impl FnOnce(&mut [T]) -> R) -> R {
    let padded = len + ALIGN / size_of::<T>();
    let mut buffer = T::with_pool(|pool| {
        let mut free = pool.0.borrow_mut();
        // The smallest one that is large enough, else the largest one to grow.
        let fitting = free
            .iter()
            .enumerate()
            .filter(|(_, b)| b.len() >= padded)
            .min_by_key(|(_, b)| b.len());
        let pick = fitting
            .or_else(|| free.iter().enumerate().max_by_key(|(_, b)| b.len()))
            .map(|(i, _)| i);
        pick.map(|i| free.swap_remove(i)).unwrap_or_default()
    });
    if buffer.len() < padded {
        // A fresh zeroed allocation, not `resize`: the old content need not be copied.
        buffer = vec![T::zero(); padded];
    }
    let start = buffer.as_ptr().align_offset(ALIGN).min(padded - len);
    let result = f(&mut buffer[start..start + len]);
    T::with_pool(|pool| pool.0.borrow_mut().push(buffer));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_buffers_are_distinct_aligned_and_reused() {
        let first = with_scratch::<f32, _>(100, |a| {
            a.fill(1.0);
            with_scratch::<f32, _>(70, |b| b.fill(2.0));
            assert!(a.iter().all(|&v| v == 1.0));
            assert_eq!(a.as_ptr() as usize % ALIGN, 0);
            a.as_ptr()
        });
        assert_eq!(first, with_scratch::<f32, _>(100, |a| a.as_ptr()));
    }
}
