//! The format as its page describes it, byte by byte, and what it costs.
#![expect(
    clippy::unusual_byte_groupings,
    reason = "bits are grouped as the format groups them"
)]

use freqreg_dct::KeepOrder;
use freqreg_file::{Codec, Model, Storage, Tensor, Values};
use half::f16;

fn prefix(name: &str, shape: &[usize], axes: &[usize], order: KeepOrder, values: Values) -> Tensor {
    Tensor {
        name: name.into(),
        shape: shape.into(),
        storage: Storage::Prefix {
            axes: axes.into(),
            order,
        },
        values,
    }
}

fn f16s(count: usize) -> Values {
    Values::F16(
        (0..count)
            .map(|i| f16::from_f32(i as f32 / 8.0 - 3.0))
            .collect(),
    )
}

#[test]
fn the_bytes_are_those_of_the_page() {
    let halves = Values::F16(vec![f16::from_f32(1.0), f16::from_f32(-2.0)]);
    let model = Model {
        architecture: "a".into(),
        config: "{}".into(),
        tensors: vec![
            prefix("p", &[4, 200], &[4, 200], KeepOrder::Zigzag, halves.clone()),
            prefix(
                "q",
                &[6],
                &[2, 3],
                KeepOrder::Weighted(vec![1, 300]),
                Values::F32(vec![1.0]),
            ),
            prefix("r", &[6], &[6], KeepOrder::InverseSqrt, halves),
            Tensor {
                name: "b".into(),
                shape: vec![1],
                storage: Storage::Plain,
                values: Values::F32(vec![-2.0]),
            },
        ],
    };
    #[rustfmt::skip]
    let body = [
        0xFD, b'F', b'R', b'Q', 2,                                    // magic, version
        0b00000_10_0, 1, b'a', 0x80, 4,                               // packed JSON; architecture, no pairs, tensors
        0b0000_0001, 0, 1, b'p', 2, 4, 0xC8, 0x01, 2,                 // 200 = 0xC8 0x01, k = 2
        0b0011_0011, 0, 1, b'q', 1, 6, 2, 2, 3, 1, 0xAC, 0x02, 1,     // axes 2 x 3, weights 1 and 300, k = 1
        0b0000_1001, 0, 1, b'r', 1, 6, 2,
        0b0000_0010, 0, 1, b'b', 1, 1,
        0x00, 0x3C, 0x00, 0xC0,                                       // 1 and -2 as float16
        0x00, 0x00, 0x80, 0x3F,                                       // 1 as float32
        0x00, 0x3C, 0x00, 0xC0,
        0x00, 0x00, 0x00, 0xC0,
    ];
    let whole = [&body[..], &crc32(&body).to_le_bytes()].concat();
    assert_eq!(model.to_bytes().unwrap(), whole);
    assert_eq!(Model::from_bytes(&whole).unwrap(), model);

    // Version 1 is read for good.
    #[rustfmt::skip]
    let body = [
        0xFD, b'F', b'R', b'Q', 1,                                    // magic, version
        1, b'a', 2, b'{', b'}', 4,                                    // architecture, configuration, tensors
        1, b'p', 0b00001, 2, 4, 0xC8, 0x01, 2,                        // 200 = 0xC8 0x01, k = 2
        1, b'q', 0b10111, 1, 6, 2, 2, 3, 1, 0xAC, 0x02, 1,            // axes 2 x 3, weights 1 and 300, k = 1
        1, b'r', 0b01001, 1, 6, 2,
        1, b'b', 0b00010, 1, 1,
        0x00, 0x3C, 0x00, 0xC0,                                       // 1 and -2 as float16
        0x00, 0x00, 0x80, 0x3F,                                       // 1 as float32
        0x00, 0x3C, 0x00, 0xC0,
        0x00, 0x00, 0x00, 0xC0,
    ];
    let whole = [&body[..], &crc32(&body).to_le_bytes()].concat();
    assert_eq!(Model::from_bytes(&whole).unwrap(), model);
}

/// Names that begin or end alike, rows like the one before, a known architecture with its tensors, quantised values.
#[test]
fn what_is_known_is_not_written() {
    let quantised = |levels: &[i32]| Values::Quantised {
        step: f16::from_f32(0.25),
        levels: levels.to_vec(),
    };
    let tensor =
        |name: &str, shape: &[usize], values| prefix(name, shape, shape, KeepOrder::Zigzag, values);
    let model = Model {
        architecture: "unet".into(),
        config: r#"{"norm":"batch","width":64}"#.into(),
        tensors: vec![
            tensor("inc.conv1.weight", &[4, 3], quantised(&[5, 0, -1])),
            tensor("inc.conv2.weight", &[4, 4], quantised(&[0, 0, 0])),
        ],
    };
    #[rustfmt::skip]
    let head = [
        0xFD, b'F', b'R', b'Q', 2, 0b00110_10_0,
        // An object of two pairs: words 5 and 19, word 8 and 31 + 33.
        0b100_00010, 0b001_00101, 0b001_10011, 0b001_01000, 0b000_11111, 33,
        2,
        0b1000_0101, 0, 9, b'i', b'n', b'c', b'.', b'c', b'o', b'n', b'v', b'1', 2, 4, 3, 3, 0x00, 0x34,
        0b1100_0000, 8, 1, b'2', 2, 4, 4, 0x00, 0x34,
    ];
    let bytes = model.to_bytes().unwrap();
    assert_eq!(bytes[..head.len()], head);
    assert_eq!(Model::from_bytes(&bytes).unwrap(), model);
    assert_eq!(
        model.tensors[0].values.to_f32(),
        [1.25, 0.0, -0.25],
        "whole multiples of the step"
    );

    let tables = |architecture: &str, config: &str| {
        assert_eq!((architecture, config), ("unet", &model.config[..]));
        let row = |t: &Tensor| (t.name.clone(), t.shape.clone());
        Some(model.tensors.iter().map(row).collect())
    };
    let codec = Codec {
        tables: &tables,
        ..Codec::default()
    };
    let short = codec.encode(&model).unwrap();
    #[rustfmt::skip]
    let head = [
        0xFD, b'F', b'R', b'Q', 2, 0b00110_10_1,
        0b100_00010, 0b001_00101, 0b001_10011, 0b001_01000, 0b000_11111, 33,
        0b0000_0101, 3, 0x00, 0x34,
        0b0100_0000, 0x00, 0x34,
    ];
    assert_eq!(short[..head.len()], head);
    assert_eq!(
        short[head.len()..short.len() - 4],
        bytes[bytes.len() - 4 - (short.len() - 4 - head.len())..bytes.len() - 4],
        "the coded values are the same"
    );
    assert_eq!(codec.decode(&short).unwrap(), model);
    // The same codec reads what says its names itself, and others are told what is missing.
    assert_eq!(codec.decode(&bytes).unwrap(), model);
    let error = Model::from_bytes(&short).unwrap_err().to_string();
    assert!(error.contains("`unet`"), "{error}");
}

#[test]
fn numbers_are_quantised_to_the_nearest_step_or_towards_zero() {
    let values = Values::F32(vec![0.0, 0.12, 0.13, -0.37, -0.38, 10.0]);
    let levels = |dead| match values.quantised(f16::from_f32(0.25), dead).unwrap() {
        Values::Quantised { levels, .. } => levels,
        other => panic!("{other:?}"),
    };
    assert_eq!(levels(0.5), [0, 0, 1, -1, -2, 40]);
    assert_eq!(levels(0.75), [0, 0, 0, -1, -1, 40]);
    assert!(values.quantised(f16::ONE, f32::NAN).is_err());
    assert!(
        Values::F32(vec![f32::NAN])
            .quantised(f16::ONE, 0.5)
            .is_err()
    );
    for step in [0.0, -0.25, f32::INFINITY, f32::NAN, 1e-6] {
        let step = f16::from_f32(step);
        assert!(values.quantised(step, 0.5).is_err(), "{step}");
    }
}

/// CRC-32 (IEEE) bit by bit, apart from the code that the crate uses.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xEDB8_8320
            } else {
                crc >> 1
            }
        })
    })
}

#[test]
fn a_network_of_776_numbers_takes_little_more_than_these() {
    let config = r#"{"conv1":8,"conv2":128,"hidden":196,"classes":10,"bias":false,"norm":"sample","input":[1,28,28],"kernel":5}"#;
    let order = || KeepOrder::InverseSqrt;
    let model = Model {
        architecture: "lenet5".into(),
        config: config.into(),
        tensors: vec![
            prefix(
                "conv1.weight",
                &[8, 1, 5, 5],
                &[8, 1, 5, 5],
                order(),
                f16s(96),
            ),
            prefix(
                "conv2.weight",
                &[128, 8, 5, 5],
                &[128, 8, 5, 5],
                order(),
                f16s(256),
            ),
            prefix(
                "fc1.weight",
                &[196, 2048],
                &[196, 128, 4, 4],
                order(),
                f16s(280),
            ),
            prefix("fc2.weight", &[10, 196], &[10, 196], order(), f16s(144)),
        ],
    };
    assert_eq!(
        (model.kept(), model.weights(), model.payload_bytes()),
        (776, 429_168, 1552)
    );
    let bytes = model.to_bytes().unwrap();
    // This configuration is in no order that packs. Beside it and the payload: 12 bytes for the file, 23 of names, 33 of table.
    assert_eq!(config.len(), 107);
    assert_eq!(bytes.len() - 1552 - config.len(), 68);
}

#[test]
fn a_prefix_expands_to_its_transform() {
    // The constant coefficient c of an orthonormal DCT of N elements is c / sqrt(N) everywhere.
    let tensor = prefix(
        "w",
        &[6, 6],
        &[6, 2, 3],
        KeepOrder::Zigzag,
        Values::F32(vec![3.0]),
    );
    let weight = tensor.expand().unwrap();
    assert_eq!(weight.len(), 36);
    assert!(weight.iter().all(|w| (w - 0.5).abs() < 1e-6), "{weight:?}");

    // With two coefficients, the second along the last axis of 3: cos(pi (2 j + 1) / 6) sqrt(2/3) over sqrt(12).
    let tensor = prefix(
        "w",
        &[6, 6],
        &[6, 2, 3],
        KeepOrder::Zigzag,
        Values::F32(vec![0.0, 6.0]),
    );
    let step = 6.0 * (2.0f32 / 3.0).sqrt() / 12f32.sqrt() * 3f32.sqrt() / 2.0;
    for (i, w) in tensor.expand().unwrap().into_iter().enumerate() {
        assert!((w - step * (1.0 - (i % 3) as f32)).abs() < 1e-6, "{i}: {w}");
    }
}

#[test]
fn a_plain_tensor_expands_to_itself() {
    let values = vec![1.0, -2.5, f32::MIN_POSITIVE, -0.0];
    let tensor = Tensor {
        name: "b".into(),
        shape: vec![2, 2],
        storage: Storage::Plain,
        values: Values::F32(values.clone()),
    };
    assert_eq!(tensor.expand().unwrap(), values);
}

#[test]
fn the_dense_form_is_safetensors() {
    let model = Model {
        architecture: "small \"net\"".into(),
        config: r#"{"a":1}"#.into(),
        tensors: vec![
            prefix("z.weight", &[4, 6], &[4, 2, 3], KeepOrder::Zigzag, f16s(5)),
            Tensor {
                name: "a \"b\" \\ é".into(),
                shape: vec![3],
                storage: Storage::Plain,
                values: f16s(3),
            },
        ],
    };
    let bytes = model.to_safetensors_bytes().unwrap();
    let (header_length, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!((8 + header_length) % 8, 0);
    assert_eq!(
        metadata.metadata().as_ref().unwrap()["architecture"],
        model.architecture
    );
    assert_eq!(
        metadata.metadata().as_ref().unwrap()["config"],
        model.config
    );

    let dense = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(dense.len(), 2);
    for tensor in &model.tensors {
        let view = dense.tensor(&tensor.name).unwrap();
        assert_eq!(
            (view.dtype(), view.shape()),
            (safetensors::Dtype::F32, tensor.shape.as_slice())
        );
        let (values, _) = view.data().as_chunks::<4>();
        let values: Vec<f32> = values.iter().map(|&b| f32::from_le_bytes(b)).collect();
        assert_eq!(values, tensor.expand().unwrap());
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.write_safetensors(&path).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), bytes);
}
