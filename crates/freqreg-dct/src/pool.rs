//! Buffers that are used again: a transform at every training step must not ask for fresh memory each time.

use std::sync::{Mutex, PoisonError};

/// Idle buffers of one plan and all its truncations.
pub(crate) struct Pool<T>(Mutex<Vec<Vec<T>>>);

/// Buffers kept at most; more only exist while several threads use the same plan.
const KEPT: usize = 4;

impl<T: Copy + Default> Pool<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Runs `work` on a buffer of `len` numbers that hold anything.
    pub(crate) fn with<R>(&self, len: usize, work: impl FnOnce(&mut [T]) -> R) -> R {
        if len == 0 {
            return work(&mut []);
        }
        let mut buffer = self.take(len);
        if buffer.len() < len {
            // Fresh zeros come from the system already cleared; growing in place would copy old numbers.
            buffer = vec![T::default(); len];
        }
        let result = work(&mut buffer[..len]);
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A budget that has shrunk leaves buffers far too large behind: let those go.
        if idle.len() < KEPT && buffer.len() / 8 <= len {
            idle.push(buffer);
        }
        result
    }

    /// The smallest idle buffer that is large enough, else any, else none.
    fn take(&self, len: usize) -> Vec<T> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = |(_, buffer): &(usize, &Vec<T>)| buffer.len() >= len;
        let best = idle
            .iter()
            .enumerate()
            .filter(fitting)
            .min_by_key(|(_, buffer)| buffer.len());
        match best.map(|(at, _)| at) {
            Some(at) => idle.swap_remove(at),
            None => idle.pop().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pool;

    #[test]
    fn buffers_are_used_again_and_oversized_ones_dropped() {
        let pool = Pool::<f32>::new();
        let at = |len| pool.with(len, |buffer| (buffer.len(), buffer.as_ptr()));
        let first = at(1000);
        assert_eq!(at(900), (900, first.1));
        at(10);
        assert!(pool.0.lock().unwrap().is_empty());
    }

    #[test]
    fn nested_use_gives_different_buffers() {
        let pool = Pool::<f64>::new();
        pool.with(8, |outer| {
            pool.with(8, |inner| {
                outer.fill(1.0);
                inner.fill(2.0);
                assert_eq!(outer[0], 1.0);
            })
        });
    }
}
