//! How work is spread over threads: always the same tasks, whatever the number of threads, so that results never depend on it.

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

/// Elementary operations (a multiply-add, or an element read and written) below which waking another thread costs more
/// than it saves.
const SERIAL_BELOW: usize = 1 << 16;

/// Elements of one task of an elementwise kernel.
pub(crate) const CHUNK: usize = 1 << 14;

/// Calls `f(0)` to `f(tasks - 1)`, in parallel if `work` (in elementary operations, all tasks together) is worth it.
pub(crate) fn for_each(tasks: usize, work: usize, f: impl Fn(usize) + Sync + Send) {
    if tasks <= 1 || work < SERIAL_BELOW {
        (0..tasks).for_each(f);
    } else {
        (0..tasks).into_par_iter().with_max_len(1).for_each(f);
    }
}

/// Calls `f(i, chunk)` for the chunks of `chunk` elements of `out`, in parallel if `work` is worth it.
pub(crate) fn for_each_chunk<T: Send>(
    out: &mut [T],
    chunk: usize,
    work: usize,
    f: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    if out.len() <= chunk || work < SERIAL_BELOW {
        out.chunks_mut(chunk).enumerate().for_each(|(i, c)| f(i, c));
    } else {
        out.par_chunks_mut(chunk)
            .enumerate()
            .with_max_len(1)
            .for_each(|(i, c)| f(i, c));
    }
}

/// A mutable slice whose parts are handed to different tasks, where the parts are not consecutive chunks.
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    life: PhantomData<&'a mut [T]>,
}

// SAFETY: a `Shared` only hands out parts of a slice it borrows mutably, and `part` leaves it to the caller that no
// element is handed out twice at a time; moving or sharing it is as sound as splitting the slice.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            life: PhantomData,
        }
    }

    /// The first element.
    pub(crate) fn start(&self) -> *mut T {
        self.start
    }

    /// The elements of `range`. Panics if it leaves the slice.
    ///
    /// # Safety
    /// No two parts that live at the same time may overlap.
    #[expect(clippy::mut_from_ref, reason = "the caller keeps the parts disjoint")]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: the range lies in the borrowed slice (checked above), and the caller keeps live parts disjoint.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}
