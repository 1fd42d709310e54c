//! Any bytes as a safetensors file, as they are and with the length of their header put right.

#![no_main]

use freqreg_file::parse_safetensors;
use freqreg_file_fuzz::{LIMITS, elements, within_limits};
use libfuzzer_sys::fuzz_target;

fn read(bytes: &[u8]) {
    let file = match within_limits(|| parse_safetensors(bytes, &LIMITS)) {
        Ok(file) => file,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(file.tensors.len() <= LIMITS.tensors);
    for tensor in &file.tensors {
        let elements = elements(&tensor.shape);
        assert!(tensor.values.as_ref().is_none_or(|v| v.len() == elements));
        assert!(
            tensor
                .first_not_finite()
                .is_none_or(|(at, v)| at < elements && !v.is_finite())
        );
    }
}

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    let Some((_, rest)) = bytes.split_first_chunk::<8>() else {
        return;
    };
    // A header ends with a brace, and the numbers seldom have one.
    if let Some(last) = rest.iter().rposition(|&byte| byte == b'}') {
        read(&[&(last as u64 + 1).to_le_bytes(), rest].concat());
    }
});
