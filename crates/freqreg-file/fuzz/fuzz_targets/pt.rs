//! Any bytes as a `.pt` file, as the pickle of one whose archive fits, and as the numbers of one.

#![no_main]

#[path = "../../tests/pt_writer/mod.rs"]
mod pt_writer;

use freqreg_file::{PtValues, import_prefixes, parse_pt};
use freqreg_file_fuzz::{LIMITS, elements, within_limits};
use libfuzzer_sys::fuzz_target;

fn read(bytes: &[u8]) {
    let tensors = match within_limits(|| parse_pt(bytes, &LIMITS)) {
        Ok(tensors) => tensors,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(tensors.len() <= LIMITS.tensors);
    for tensor in &tensors {
        let elements = elements(&tensor.shape);
        match &tensor.values {
            PtValues::Dense(values) => assert_eq!(values.len(), elements),
            PtValues::Sparse { offsets, values } => {
                assert_eq!(offsets.len(), values.len());
                assert!(offsets.iter().all(|&offset| offset < elements));
            }
        }
        let alone = std::slice::from_ref(tensor);
        if let Ok(imported) = import_prefixes(alone, |name| Some(name.to_owned())) {
            imported[0].expand().expect("what was imported expands");
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    let (pickle, storages) = pt_writer::rich();
    let honest: Vec<&[u8]> = storages.iter().map(Vec::as_slice).collect();
    read(&pt_writer::pt(bytes, &honest));
    // The rich pickle's storages one after the other, as far as the bytes go.
    let mut rest = bytes;
    let mut other = honest;
    for storage in &mut other {
        let Some((taken, left)) = rest.split_at_checked(storage.len()) else {
            break;
        };
        *storage = taken;
        rest = left;
    }
    read(&pt_writer::pt(&pickle, &other));
});
