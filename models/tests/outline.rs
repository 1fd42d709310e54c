//! What a network's weights are called and how large they are is told without making them. Alone in its program, for it counts what the
//! whole program allocates.

use freqreg_models::Architecture;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator, and all bytes that were ever asked of it.
struct Counting;

static ASKED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on unchanged to the system's allocator, which keeps the contract; the counter does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is that of the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above, thus from the system's allocator, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn an_outline_takes_no_memory_for_the_weights() {
    // As a file of forty bytes may claim it: a table of 2^30 positions, less a few.
    let vast = r#"
        architecture = "vit"
        input = [1, 32767, 32767]
        patch = 1
        dim = 1
        depth = 1
        heads = 1
        head_dim = 1
        mlp = 1
    "#;
    let vast: Architecture = toml::from_str(vast).unwrap();
    let before = ASKED.load(Relaxed);
    let weights = vast.weights(1 << 30).unwrap();
    let asked = ASKED.load(Relaxed) - before;
    assert!(weights.iter().any(|(_, shape)| shape == &[1073676290, 1]));
    assert!(asked < 1 << 17, "{asked} bytes for {weights:?}");
}
