//! What the targets share: limits, and a count of the memory that a reader holds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use freqreg_file::Limits;

/// Small enough that no file costs time.
pub const LIMITS: Limits = Limits {
    tensors: 32,
    kept: 2048,
    elements: 1 << 14,
    table_bytes: 4096,
};

/// More than a reader has a right to hold within [`LIMITS`]: every number twice in the widest form, 20 times the table, and what a reader needs
/// for itself. A claim that nothing stands behind is far larger.
const MOST: usize = 2 * 8 * LIMITS.kept + 20 * LIMITS.table_bytes + (96 << 10);

/// The system's allocator, with a count of the bytes that this thread holds and the most that it ever held.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed on unchanged to the system's allocator, which keeps the contract; the counters do not allocate. `realloc` is the
// default of the trait, which goes through the two below.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Another thread may free what this one took, so that the count may wrap.
        let held = HELD.get().wrapping_add(layout.size());
        HELD.set(held);
        PEAK.set(PEAK.get().max(held));
        // SAFETY: the caller keeps the contract of `alloc`, which is that of the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get().wrapping_sub(layout.size()));
        // SAFETY: the pointer came from `alloc` above, thus from the system's allocator, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `read` gives.
///
/// # Panics
/// Where it held more than it has a right to.
pub fn within_limits<T>(read: impl FnOnce() -> T) -> T {
    HELD.set(0);
    PEAK.set(0);
    let given = read();
    let peak = PEAK.get();
    assert!(peak <= MOST, "{peak} bytes were held");
    given
}

/// The number of elements of a shape that a reader accepted. The axes before one of length 0 may be beyond counting.
pub fn elements(shape: &[usize]) -> usize {
    match shape.contains(&0) {
        true => 0,
        false => shape.iter().product(),
    }
}
