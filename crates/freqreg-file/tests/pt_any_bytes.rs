//! Random `.pt` files, and valid ones altered at random: whatever comes of them, it comes without a panic. What memory
//! they take is counted in `allocation.rs`.

mod pt_writer;

use freqreg_file::{Limits, import_prefixes, parse_pt};
use proptest::prelude::*;
use pt_writer::{Entry, pt, rich, rich_entries, zip, zip64};

/// Small enough that no mutation costs time.
const SMALL: Limits = Limits {
    tensors: 16,
    kept: 256,
    elements: 1024,
    table_bytes: 4096,
};

/// Reads and imports; whatever comes of it, it comes without a panic.
fn survive(file: &[u8]) {
    if let Ok(tensors) = parse_pt(file, &SMALL) {
        let _ = import_prefixes(&tensors, |name| Some(name.to_owned()));
    }
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        survive(&bytes);
        survive(&[b"PK\x03\x04", &bytes[..]].concat());
        survive(&pt(&bytes, &[]));
    }

    #[test]
    fn any_instructions(
        instructions in prop::collection::vec(
            prop::sample::select(&b".(NJKMGXct)}usqrhjQRb\x80\x85\x86\x87\x88\x89\x8a\0\0\x01\x02\n"[..]),
            0..256,
        ),
        at in any::<prop::sample::Index>(),
    ) {
        survive(&pt(&instructions, &[]));
        // In the midst of a valid pickle, which leaves something to work with.
        let mut entries = rich_entries();
        let (mut pickle, _) = rich();
        let at = at.index(pickle.len());
        pickle.splice(at..at, instructions);
        entries[0] = Entry::stored("net/data.pkl", &pickle);
        survive(&zip(&entries));
    }

    #[test]
    fn altered_archives(changes in changes()) {
        let mut file = zip(&rich_entries());
        alter(&mut file, changes);
        survive(&file);
    }

    #[test]
    fn altered_wide_archives(changes in changes()) {
        let mut file = zip64(&rich_entries());
        alter(&mut file, changes);
        survive(&file);
    }

    /// The archive fits, so that what is altered reaches the pickle and the numbers.
    #[test]
    fn altered_entries(entry in 0..7usize, changes in changes()) {
        let mut entries = rich_entries();
        let name = entries[entry].name.clone();
        let mut bytes = entries[entry].packed.clone();
        alter(&mut bytes, changes);
        entries[entry] = Entry::stored(&name, &bytes);
        survive(&zip(&entries));
    }
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
}

fn alter(bytes: &mut [u8], changes: Vec<(prop::sample::Index, u8)>) {
    for (at, byte) in changes {
        bytes[at.index(bytes.len())] = byte;
    }
}
