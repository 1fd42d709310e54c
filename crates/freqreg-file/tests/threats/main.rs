//! Files that accident or intent made: each is an error, none a panic.
#![expect(
    clippy::unusual_byte_groupings,
    reason = "bits are grouped as the format groups them"
)]

mod version_2;

use freqreg_dct::KeepOrder;
use freqreg_file::{Error, Fault, Limits, Model, Storage, Tensor, VERSION, Values};
use half::f16;

/// A file with every feature of the format, as small as may be.
fn small() -> Model {
    let prefix = |axes: &[usize], order| Storage::Prefix {
        axes: axes.into(),
        order,
    };
    let tensor = |name: &str, shape: &[usize], storage, values| Tensor {
        name: name.into(),
        shape: shape.into(),
        storage,
        values,
    };
    let halves = |n: usize| Values::F16(vec![f16::from_f32(0.5); n]);
    Model {
        architecture: "net".into(),
        config: "{}".into(),
        tensors: vec![
            tensor(
                "one",
                &[2, 200],
                prefix(&[2, 200], KeepOrder::Zigzag),
                halves(3),
            ),
            tensor(
                "two",
                &[6],
                prefix(&[2, 3], KeepOrder::Weighted(vec![1, 200])),
                Values::F32(vec![0.25; 2]),
            ),
            tensor(
                "three",
                &[2, 3],
                prefix(&[2, 3], KeepOrder::InverseSqrt),
                halves(1),
            ),
            tensor("bias", &[2], Storage::Plain, Values::F32(vec![1.0; 2])),
            tensor(
                "five.weight",
                &[3, 2],
                prefix(&[3, 2], KeepOrder::Zigzag),
                Values::Quantised {
                    step: f16::from_f32(0.5),
                    levels: vec![9, -1, 0, 2],
                },
            ),
            tensor(
                "fives.weight",
                &[4, 2],
                prefix(&[4, 2], KeepOrder::Zigzag),
                Values::Quantised {
                    step: f16::from_f32(0.25),
                    levels: vec![0, 3, 0, 1],
                },
            ),
        ],
    }
}

/// The same without quantised values, whose bytes say nothing of their number: its table says how long the file is.
fn unquantised() -> Model {
    let mut model = small();
    model.tensors.truncate(4);
    model
}

/// The bytes with a checksum that fits them, as only intent makes it.
fn sealed(body: &[u8]) -> Vec<u8> {
    [body, &crc32fast::hash(body).to_le_bytes()].concat()
}

/// A sealed file with this table (number of tensors and rows) and these values.
fn file(table: &[u8], values: &[u8]) -> Vec<u8> {
    sealed(&[&[0xFD, b'F', b'R', b'Q', 1, 1, b'a', 0], table, values].concat())
}

fn refused(bytes: &[u8]) -> Error {
    Model::from_bytes(bytes).expect_err("the file was accepted")
}

/// The fault of the tensor `t`.
fn fault(bytes: &[u8]) -> Fault {
    match refused(bytes) {
        Error::Tensor { tensor, fault } if tensor == "t" => fault,
        other => panic!("{other:?}"),
    }
}

/// LEB128 of 2^63.
const HUGE: [u8; 10] = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];

#[test]
fn cut_short_anywhere() {
    let bytes = small().to_bytes().unwrap();
    for length in 0..bytes.len() {
        refused(&bytes[..length]);
    }
}

#[test]
fn cut_short_in_the_values_says_how_much_is_missing() {
    let bytes = unquantised().to_bytes().unwrap();
    match refused(&bytes[..bytes.len() - 7]) {
        Error::Length { expected, got } => assert_eq!(
            (expected, got),
            (bytes.len() as u64, bytes.len() as u64 - 7)
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn any_bit_flipped() {
    let bytes = small().to_bytes().unwrap();
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        refused(&flipped);
    }
}

/// With a checksum that fits, a changed file may be a good one: then the model can be expanded, and written.
#[test]
fn any_byte_changed_and_sealed_again() {
    let bytes = small().to_bytes().unwrap();
    let body = &bytes[..bytes.len() - 4];
    let mut accepted = 0;
    for at in 0..body.len() {
        for value in 0..=255 {
            let mut changed = body.to_vec();
            changed[at] = value;
            let changed = sealed(&changed);
            if let Ok(model) = Model::from_bytes(&changed) {
                let again = Model::from_bytes(&model.to_bytes().unwrap()).unwrap();
                assert_eq!(again, model, "byte {at} = {value}");
                for tensor in &model.tensors {
                    assert_eq!(
                        tensor.expand().unwrap().len(),
                        tensor.shape.iter().product::<usize>()
                    );
                }
                accepted += 1;
            }
        }
    }
    assert!(
        accepted > body.len(),
        "the check above saw almost nothing: {accepted}"
    );
}

#[test]
fn cut_short_or_extended_and_sealed_again() {
    let bytes = unquantised().to_bytes().unwrap();
    let body = &bytes[..bytes.len() - 4];
    for length in 0..body.len() {
        refused(&sealed(&body[..length]));
    }
    match refused(&sealed(&[body, &[0]].concat())) {
        Error::Length { expected, got } => assert_eq!(got, expected + 1),
        other => panic!("{other:?}"),
    }
}

#[test]
fn bytes_behind_the_end() {
    let mut bytes = unquantised().to_bytes().unwrap();
    bytes.push(0);
    assert!(matches!(refused(&bytes), Error::Length { expected, got } if got == expected + 1));
}

#[test]
fn another_kind_of_file() {
    for bytes in [&b""[..], b"\xFD", b"\x89PNG\r\n\x1a\n", b"{\"a\": 1}"] {
        let error = refused(bytes).to_string();
        assert!(error.starts_with("not a .freq file"), "{error}");
    }
}

#[test]
fn a_newer_version_is_refused_with_a_sentence() {
    let mut bytes = small().to_bytes().unwrap();
    bytes[4] = VERSION + 1;
    // Whatever follows the version may have another form, also the checksum.
    for bytes in [&bytes[..], &bytes[..5], &sealed(&bytes)] {
        match refused(bytes) {
            error @ Error::Version { .. } => {
                assert_eq!(
                    error.to_string(),
                    "the file is of version 3 of the .freq format, and this program knows versions 1 to 2: \
                     read it with a newer freqreg"
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn absurd_numbers_of_tensors() {
    match refused(&file(&HUGE, &[])) {
        Error::Limit {
            what: "tensors",
            limit: 65_536,
            got,
        } => assert_eq!(got, 1 << 63),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        refused(&file(&[200, 1], &[])),
        Error::Malformed { .. }
    ));
}

#[test]
fn absurd_lengths_of_texts() {
    let table = [&[1][..], &HUGE, b"t"].concat();
    assert!(matches!(
        refused(&file(&table, &[])),
        Error::Malformed { .. }
    ));
}

#[test]
fn shapes_whose_product_overflows() {
    let table = [&[1, 1, b't', 1, 3][..], &HUGE, &HUGE, &HUGE, &[1]].concat();
    assert!(
        matches!(fault(&file(&table, &[0, 0])), Fault::Shape { shape } if shape == [1 << 63; 3])
    );
    let zero_hides_it = [&[1, 1, b't', 1, 3][..], &HUGE, &HUGE, &[0, 1]].concat();
    assert!(matches!(
        fault(&file(&zero_hides_it, &[0, 0])),
        Fault::Shape { .. }
    ));
}

#[test]
fn a_plain_tensor_larger_than_any_memory() {
    let table = [&[1, 1, b't', 0, 1][..], &HUGE].concat();
    assert!(matches!(
        refused(&file(&table, &[0, 0])),
        Error::Limit {
            what: "stored values",
            ..
        }
    ));
}

#[test]
fn more_values_than_the_file_holds() {
    // 100 x 100 weights in float16, of which two bytes are there.
    match refused(&file(&[1, 1, b't', 0, 2, 100, 100], &[0, 0])) {
        Error::Length { expected, got } => assert_eq!(expected - got, 19_998),
        other => panic!("{other:?}"),
    }
}

#[test]
fn prefixes_of_none_or_too_many() {
    assert!(matches!(
        fault(&file(&[1, 1, b't', 1, 1, 9, 0], &[])),
        Fault::Kept {
            elements: 9,
            got: 0
        }
    ));
    assert!(matches!(
        fault(&file(&[1, 1, b't', 1, 1, 9, 10], &[0; 20])),
        Fault::Kept {
            elements: 9,
            got: 10
        }
    ));
    let table = [&[1, 1, b't', 1, 1, 9][..], &HUGE].concat();
    assert!(matches!(
        fault(&file(&table, &[])),
        Fault::Kept { elements: 9, .. }
    ));
}

#[test]
fn axes_of_no_length_or_in_no_number() {
    assert!(matches!(
        fault(&file(&[1, 1, b't', 0, 0], &[])),
        Fault::AxisCount { got: 0 }
    ));
    assert!(matches!(
        fault(&file(
            &[1, 1, b't', 0, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1],
            &[0; 2]
        )),
        Fault::AxisCount { got: 9 }
    ));
    assert!(
        matches!(fault(&file(&[1, 1, b't', 0, 2, 0, 5], &[])), Fault::Shape { shape } if shape == [0, 5])
    );
}

#[test]
fn axes_of_the_transform_that_do_not_fit() {
    let bytes = file(&[1, 1, b't', 0b101, 1, 9, 2, 3, 4, 1], &[0; 2]);
    assert!(matches!(
        fault(&bytes),
        Fault::Axes {
            expected: 9,
            got: 12,
            ..
        }
    ));
    let repeated = file(&[1, 1, b't', 0b101, 1, 9, 1, 9, 1], &[0; 2]);
    assert!(matches!(refused(&repeated), Error::Malformed { .. }));
}

#[test]
fn keep_orders_that_do_not_fit() {
    let zero_weight = file(&[1, 1, b't', 0b10001, 1, 9, 0, 1], &[0; 2]);
    assert!(matches!(fault(&zero_weight), Fault::Order(_)));
    let weight_of_33_bits = file(
        &[1, 1, b't', 0b10001, 1, 9, 0x80, 0x80, 0x80, 0x80, 0x10, 1],
        &[0; 2],
    );
    assert!(matches!(
        refused(&weight_of_33_bits),
        Error::Malformed { .. }
    ));
    let unknown = file(&[1, 1, b't', 0b11001, 1, 9, 1], &[0; 2]);
    assert!(matches!(refused(&unknown), Error::Malformed { .. }));
}

#[test]
fn code_bits_without_a_meaning() {
    for bits in [0b10_0000, 0b100_0000, 0b1000_0000, 0b100, 0b1000, 0b1_0000] {
        assert!(
            matches!(
                refused(&file(&[1, 1, b't', bits, 1, 1], &[0; 2])),
                Error::Malformed { .. }
            ),
            "{bits:b}"
        );
    }
}

#[test]
fn integers_not_in_their_shortest_form() {
    for nine in [&[0x89, 0x00][..], &[0x89, 0x80, 0x00]] {
        let table = [&[1, 1, b't', 1, 1][..], nine, &[1]].concat();
        assert!(matches!(
            refused(&file(&table, &[0; 2])),
            Error::Malformed { .. }
        ));
    }
    // 2^64, and an integer without end.
    for long in [
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02][..],
        &[0xFF; 12],
    ] {
        assert!(matches!(refused(&file(long, &[])), Error::Malformed { .. }));
    }
}

#[test]
fn texts_that_are_not_utf8() {
    assert!(matches!(
        refused(&file(&[1, 1, 0xFF, 0, 1, 1], &[0; 2])),
        Error::Malformed { .. }
    ));
}

#[test]
fn a_name_twice_or_none_or_reserved() {
    let bytes = file(&[2, 1, b't', 0, 1, 1, 1, b't', 0, 1, 1], &[0; 4]);
    assert!(matches!(refused(&bytes), Error::DuplicateName { name } if name == "t"));
    let unnamed = file(&[1, 0, 0, 1, 1], &[0; 2]);
    assert!(matches!(
        refused(&unnamed),
        Error::Tensor {
            fault: Fault::Name,
            ..
        }
    ));

    let mut model = small();
    model.tensors[3].name = "one".into();
    assert!(matches!(model.to_bytes(), Err(Error::DuplicateName { name }) if name == "one"));
    model.tensors[3].name = "__metadata__".into();
    assert!(matches!(
        model.to_bytes(),
        Err(Error::Tensor {
            fault: Fault::Name,
            ..
        })
    ));
}

#[test]
fn values_that_are_not_finite_are_neither_read_nor_written() {
    let infinite = file(&[1, 1, b't', 0, 1, 2], &[0, 0, 0x00, 0x7C]);
    assert!(matches!(
        fault(&infinite),
        Fault::NotFinite {
            index: 1,
            value: f32::INFINITY
        }
    ));
    let nan = file(&[1, 1, b't', 2, 1, 1], &f32::NAN.to_le_bytes());
    assert!(matches!(fault(&nan), Fault::NotFinite { index: 0, .. }));

    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut model = small();
        model.tensors[1].values = Values::F32(vec![0.0, value]);
        let error = model.to_bytes().unwrap_err().to_string();
        assert_eq!(
            error,
            format!("tensor `two`: value 1 is {value}; only finite values are stored")
        );
        assert!(model.to_safetensors_bytes().is_err());
        assert!(model.tensors[1].expand().is_err());
    }
    let mut model = small();
    model.tensors[0].values = Values::F16(vec![f16::from_f32(1e6)]);
    assert!(
        model.to_bytes().is_err(),
        "an overflow of float16 was written"
    );
}

#[test]
fn models_that_break_a_rule_are_not_written() {
    let broken = |change: fn(&mut Tensor)| {
        let mut model = small();
        change(&mut model.tensors[0]);
        match model.to_bytes() {
            Err(Error::Tensor { tensor, fault }) if tensor == "one" => fault,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(
        broken(|t| t.values = Values::F16(vec![])),
        Fault::Kept {
            elements: 400,
            got: 0
        }
    ));
    assert!(matches!(
        broken(|t| t.values = Values::F32(vec![0.0; 401])),
        Fault::Kept {
            elements: 400,
            got: 401
        }
    ));
    assert!(matches!(
        broken(|t| t.storage = Storage::Plain),
        Fault::Count {
            expected: 400,
            got: 3
        }
    ));
    assert!(matches!(
        broken(|t| t.shape = vec![3, 200]),
        Fault::Axes {
            expected: 600,
            got: 400,
            ..
        }
    ));
    assert!(matches!(
        broken(|t| t.shape = vec![]),
        Fault::AxisCount { got: 0 }
    ));
    assert!(matches!(
        broken(|t| t.shape = vec![1; 9]),
        Fault::AxisCount { got: 9 }
    ));
    assert!(matches!(
        broken(|t| t.shape = vec![usize::MAX, 2]),
        Fault::Shape { .. }
    ));
    let one_weight = |t: &mut Tensor| {
        t.storage = Storage::Prefix {
            axes: vec![2, 200],
            order: KeepOrder::Weighted(vec![1]),
        };
    };
    assert!(matches!(broken(one_weight), Fault::Order(_)));
}

#[test]
fn limits_are_kept() {
    let bytes = unquantised().to_bytes().unwrap();
    let exact = Limits {
        tensors: 4,
        kept: 8,
        elements: 414,
        table_bytes: bytes.len() - 4 - 24,
    };
    assert_eq!(
        Model::from_bytes_limited(&bytes, exact).unwrap(),
        unquantised()
    );
    for (what, limits) in [
        (
            "tensors",
            Limits {
                tensors: 3,
                ..exact
            },
        ),
        ("stored values", Limits { kept: 7, ..exact }),
        (
            "weights",
            Limits {
                elements: 413,
                ..exact
            },
        ),
        (
            "bytes of table",
            Limits {
                table_bytes: exact.table_bytes - 1,
                ..exact
            },
        ),
    ] {
        match Model::from_bytes_limited(&bytes, limits) {
            Err(Error::Limit {
                what: found,
                limit,
                got,
            }) => assert_eq!((found, got), (what, limit + 1)),
            other => panic!("{what}: {other:?}"),
        }
    }
}
