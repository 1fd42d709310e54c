//! Any bytes as a `.freq` file, as they are and with a checksum that fits. What is read can be written, is then read the same, and expands.

#![no_main]

use freqreg_file::{Codec, Limits};
use freqreg_file_fuzz::{LIMITS, within_limits};
use libfuzzer_sys::fuzz_target;

/// Knows two architectures, of which one minds its configuration.
fn tables(architecture: &str, config: &str) -> Option<Vec<(String, Vec<usize>)>> {
    let rows: &[(&str, &[usize])] = match architecture {
        "unet" => &[
            ("inc.conv1.weight", &[16, 3, 3, 3]),
            ("inc.conv2.weight", &[16, 16, 3, 3]),
            ("down1.conv1.weight", &[32, 16, 3, 3]),
            ("out.weight", &[2, 16, 1, 1]),
        ],
        "lenet5" if !config.is_empty() => &[("weight", &[12, 5]), ("bias", &[12])],
        _ => return None,
    };
    Some(
        rows.iter()
            .map(|(n, s)| (n.to_string(), s.to_vec()))
            .collect(),
    )
}

fn codec(limits: Limits) -> Codec<'static> {
    Codec {
        limits,
        tables: &tables,
    }
}

fn read(bytes: &[u8]) {
    let model = match within_limits(|| codec(LIMITS).decode(bytes)) {
        Ok(model) => model,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(model.tensors.len() <= LIMITS.tensors && model.kept() <= LIMITS.kept);
    assert!(model.weights() <= LIMITS.elements);
    let written = codec(LIMITS)
        .encode(&model)
        .expect("a model that was read can be written");
    // A table may become longer, where a packed configuration was not what packs.
    let wider = Limits {
        table_bytes: 1 << 20,
        ..LIMITS
    };
    let again = codec(wider)
        .decode(&written)
        .expect("what was written can be read");
    assert_eq!(again, model);
    assert_eq!(codec(wider).encode(&again).expect("as before"), written);
    for tensor in &model.tensors {
        let weights = tensor.expand().expect("a tensor that was read expands");
        assert_eq!(weights.len(), tensor.shape.iter().product::<usize>());
    }
}

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    if let Some((body, _)) = bytes.split_last_chunk::<4>() {
        read(&[body, &crc32fast::hash(body).to_le_bytes()].concat());
    }
});
