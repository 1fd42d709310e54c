//! A reader holds no more than the bytes at hand account for, whatever they claim. Alone in its program, for it counts
//! what the whole program allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use freqreg_file::Model;

/// The system's allocator, with a count of the bytes held and the most that were ever held.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on unchanged to the system's allocator, which keeps the contract; the counters do not
// allocate. `realloc` is the default of the trait, which goes through the two below.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(
            HELD.fetch_add(layout.size(), Relaxed) + layout.size(),
            Relaxed,
        );
        // SAFETY: the caller keeps the contract of `alloc`, which is that of the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the pointer came from `alloc` above, thus from the system's allocator, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes held at once while the file was read, and whether it was accepted.
fn peak(bytes: &[u8]) -> (usize, bool) {
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let accepted = Model::from_bytes(bytes).is_ok();
    (PEAK.load(Relaxed) - before, accepted)
}

/// A sealed file with this table (number of tensors and rows) and these values.
fn file(table: &[u8], values: &[u8]) -> Vec<u8> {
    let body = [&[0xFD, b'F', b'R', b'Q', 1, 1, b'a', 0], table, values].concat();
    [&body[..], &crc32fast::hash(&body).to_le_bytes()].concat()
}

#[test]
fn claims_cost_nothing() {
    // 2^28, the largest number of values within the default limits, and 2^26 tensors.
    const MANY: [u8; 5] = [0x80, 0x80, 0x80, 0x80, 0x01];
    let plain = [&[1, 1, b't', 2, 1][..], &MANY].concat();
    let prefix = [&[1, 1, b't', 3, 1][..], &MANY, &MANY].concat();
    let name = [&[1][..], &MANY, b"t"].concat();
    let tensors = [0xFF, 0xFF, 0x03, 1, b't', 0, 1, 1];
    for table in [&plain[..], &prefix, &name, &tensors] {
        let (peak, accepted) = peak(&file(table, &[0; 8]));
        assert!(
            !accepted && peak < 4096,
            "{peak} bytes were held for {table:?}"
        );
    }

    // An honest file costs its values, and little else.
    let honest = file(&[1, 1, b't', 2, 2, 0x80, 0x08, 0x80, 0x02], &[0; 4 << 18]);
    let (peak, accepted) = peak(&honest);
    assert!(
        accepted && peak < (4 << 18) + 4096,
        "{peak} bytes were held for {}",
        honest.len()
    );
}
