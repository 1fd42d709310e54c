//! safetensors files: what their own library writes is read as it was meant, and what accident or intent made is refused by name.

use freqreg_dct::KeepOrder;
use freqreg_file::{
    DenseTensor, Error, Fault, Limits, Model, Safetensors, SafetensorsFault, Storage, Tensor,
    Values, parse_safetensors, read_safetensors,
};
use half::{bf16, f16};
use proptest::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// A file with this header and these numbers.
fn file(header: &str, numbers: &[u8]) -> Vec<u8> {
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), numbers].concat()
}

fn parse(bytes: &[u8]) -> Result<Safetensors, Error> {
    parse_safetensors(bytes, &Limits::default())
}

fn refused(header: &str, numbers: &[u8]) -> Error {
    parse(&file(header, numbers)).expect_err("the file was accepted")
}

/// What is wrong with the tensor `t`.
fn fault(header: &str, numbers: &[u8]) -> Fault {
    match refused(header, numbers) {
        Error::Tensor { tensor, fault } if tensor == "t" => fault,
        other => panic!("{other:?}"),
    }
}

/// What is wrong with the header.
fn malformed(header: &str) -> String {
    match refused(header, &[0; 8]) {
        Error::Safetensors(SafetensorsFault::Header { cause }) => cause,
        other => panic!("{header}: {other:?}"),
    }
}

fn bytes<const N: usize>(numbers: &[[u8; N]]) -> Vec<u8> {
    numbers.concat()
}

#[test]
fn every_float_is_read_and_every_other_type_named() {
    let numbers = [1.5f32, -0.0, -2.0, 65504.0, f32::MIN_POSITIVE, 0.25];
    let floats = |dtype| match dtype {
        Dtype::F64 => bytes(&numbers.map(|v| f64::from(v).to_le_bytes())),
        Dtype::F32 => bytes(&numbers.map(|v| v.to_le_bytes())),
        Dtype::F16 => bytes(&numbers.map(|v| f16::from_f32(v).to_le_bytes())),
        _ => bytes(&numbers.map(|v| bf16::from_f32(v).to_le_bytes())),
    };
    let mut data: Vec<_> = [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16]
        .map(|dtype| (dtype, vec![2, 3], floats(dtype)))
        .into();
    // Counters, masks, and what has a floating point of another kind or no whole bytes.
    data.extend([
        (Dtype::I64, vec![], vec![7; 8]),
        (Dtype::BOOL, vec![3], vec![1; 3]),
        (Dtype::U8, vec![3, 1], vec![1; 3]),
        (Dtype::I8, vec![1], vec![1]),
        (Dtype::U16, vec![1], vec![1; 2]),
        (Dtype::I16, vec![1], vec![1; 2]),
        (Dtype::U32, vec![1], vec![1; 4]),
        (Dtype::I32, vec![1], vec![1; 4]),
        (Dtype::U64, vec![1], vec![1; 8]),
        (Dtype::C64, vec![1], vec![1; 8]),
        (Dtype::F8_E4M3, vec![5], vec![1; 5]),
        (Dtype::F8_E5M2, vec![5], vec![1; 5]),
        (Dtype::F8_E8M0, vec![5], vec![1; 5]),
        (Dtype::F4, vec![4], vec![1; 2]),
        (Dtype::F6_E2M3, vec![4], vec![1; 3]),
        (Dtype::F6_E3M2, vec![4], vec![1; 3]),
    ]);
    let views: Vec<_> = data
        .iter()
        .map(|(dtype, shape, data)| {
            let view = TensorView::new(*dtype, shape.clone(), data).unwrap();
            (dtype.to_string(), view)
        })
        .collect();
    let texts = [("format".to_owned(), "pt".to_owned())]
        .into_iter()
        .collect();
    let bytes = safetensors::serialize(views, Some(texts)).unwrap();

    let read = parse(&bytes).unwrap();
    assert_eq!(read.metadata["format"], "pt");
    assert_eq!(read.metadata.len(), 1);
    assert_eq!(read.tensors.len(), data.len());
    for (dtype, shape, _) in &data {
        let name = dtype.to_string();
        let tensor = read.tensors.iter().find(|t| t.name == name).unwrap();
        assert_eq!((&tensor.dtype, &tensor.shape), (&name, shape));
        let expected = match dtype {
            Dtype::F64 | Dtype::F32 => Some(numbers.to_vec()),
            Dtype::F16 => Some(numbers.map(|v| f16::from_f32(v).to_f32()).to_vec()),
            Dtype::BF16 => Some(numbers.map(|v| bf16::from_f32(v).to_f32()).to_vec()),
            _ => None,
        };
        // Bits, for 0 and -0 are equal.
        let bits = |values: &Option<Vec<f32>>| {
            let values = values.as_ref();
            values.map(|v| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>())
        };
        assert_eq!(bits(&tensor.values), bits(&expected), "{name}");
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(read_safetensors(path, &Limits::default()).unwrap(), read);
}

/// The tensors come as their numbers lie in the file, which is the order of the model; a header may be in another.
#[test]
fn what_this_crate_writes_comes_back() {
    let tensor = |name: &str, values: &[f32]| Tensor {
        name: name.into(),
        shape: vec![2, 3],
        storage: Storage::Prefix {
            axes: vec![3, 2],
            order: KeepOrder::Zigzag,
        },
        values: Values::F32(values.to_vec()),
    };
    let model = Model {
        architecture: "small \"net\"".into(),
        config: r#"{"a":1}"#.into(),
        tensors: vec![
            tensor("z", &[1.0]),
            tensor("a \"b\" \\ é\n", &[0.5, -3.0]),
            tensor("m", &[0.1, 2.0, -1.0]),
        ],
    };
    let read = parse(&model.to_safetensors_bytes().unwrap()).unwrap();
    assert_eq!(read.metadata["architecture"], model.architecture);
    assert_eq!(read.metadata["config"], model.config);
    let expected = model.tensors.iter().map(|t| DenseTensor {
        name: t.name.clone(),
        shape: t.shape.clone(),
        dtype: "F32".into(),
        values: Some(t.expand().unwrap()),
    });
    assert_eq!(read.tensors, expected.collect::<Vec<_>>());
}

#[test]
fn numbers_and_tensors_of_no_length() {
    let header = r#"{"b":{"dtype":"F32","shape":[],"data_offsets":[0,4]},
        "none":{"dtype":"F16","shape":[18446744073709551615,0,9],"data_offsets":[4,4]},
        "last":{"dtype":"I64","shape":[0],"data_offsets":[4,4]}}   "#;
    let read = parse(&file(header, &1.5f32.to_le_bytes())).unwrap();
    let names: Vec<_> = read.tensors.iter().map(|t| &t.name[..]).collect();
    assert_eq!(names, ["b", "none", "last"]);
    assert!(read.tensors[0].shape.is_empty());
    assert_eq!(read.tensors[0].values, Some(vec![1.5]));
    assert_eq!(read.tensors[1].values, Some(vec![]));
    assert_eq!(read.tensors[2].values, None);
    assert!(read.metadata.is_empty());

    for empty in ["{}", r#"{"__metadata__":{}}"#] {
        let read = parse(&file(empty, &[])).unwrap();
        assert!(read.tensors.is_empty() && read.metadata.is_empty());
    }
}

#[test]
fn more_numbers_than_are_read_at_a_time() {
    let numbers: Vec<f32> = (0..100_001).map(|i| i as f32).collect();
    let data: Vec<_> = numbers.iter().map(|v| v.to_le_bytes()).collect();
    let header = r#"{"t":{"dtype":"F32","shape":[100001],"data_offsets":[3,400007]},
        "before":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}"#;
    let read = parse(&file(header, &[&[9; 3], &bytes(&data)[..]].concat())).unwrap();
    assert_eq!(read.tensors[0].name, "before");
    assert_eq!(read.tensors[1].values.as_ref(), Some(&numbers));
}

#[test]
fn what_is_not_finite_is_found() {
    let data = [1.0, f64::MAX, f64::NAN].map(f64::to_le_bytes).concat();
    let header = r#"{"t":{"dtype":"F64","shape":[3],"data_offsets":[0,24]}}"#;
    let read = parse(&file(header, &data)).unwrap();
    assert_eq!(
        read.tensors[0].first_not_finite(),
        Some((1, f32::INFINITY)),
        "beyond every float32"
    );
    let read = parse(&file(&header.replace("F64", "I64"), &data)).unwrap();
    assert_eq!(read.tensors[0].first_not_finite(), None);
}

#[test]
fn other_files() {
    let absurd = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    let short = [&3u64.to_le_bytes()[..], b"{}"].concat();
    let none = [&0u64.to_le_bytes()[..], b"{}"].concat();
    let text = b"{\"a\": 1} and more";
    let list = file("[]", &[]);
    let spaced = file(" {}", &[]);
    let files: [&[u8]; 10] = [
        b"",
        b"\0",
        b"\x02\0\0\0\0\0\0\0",
        b"PK\x03\x04 archive",
        text,
        &absurd,
        &short,
        &none,
        &list,
        &spaced,
    ];
    for bytes in files {
        match parse(bytes) {
            Err(Error::Safetensors(SafetensorsFault::NotSafetensors { found, length })) => {
                assert_eq!(found, bytes[..bytes.len().min(9)]);
                assert_eq!(length, bytes.len() as u64);
            }
            other => panic!("{bytes:?}: {other:?}"),
        }
    }
}

#[test]
fn malformed_headers() {
    let row = |row: &str| {
        format!(r#"{{"first":{{"dtype":"U8","shape":[8],"data_offsets":[0,8]}},"t":{row}}}"#)
    };
    let cases = [
        ("{".to_owned(), "EOF"),
        (r#"{"a"#.into(), "EOF"),
        ("{}x".into(), "trailing characters"),
        ("{}\0".into(), "trailing characters"),
        (r#"{"t":}"#.into(), "expected value"),
        (r#"{1:2}"#.into(), "key must be a string"),
        (
            row("[]"),
            "invalid length 0, expected an object of dtype, shape and data_offsets",
        ),
        (row("null"), "tensor `t`: invalid type: null"),
        (row("{}"), "tensor `t`: missing field `dtype`"),
        (
            row(r#"{"dtype":"F32","shape":[2]}"#),
            "missing field `data_offsets`",
        ),
        (
            row(r#"{"dtype":"F32","data_offsets":[0,8]}"#),
            "missing field `shape`",
        ),
        (
            row(r#"{"dtype":7,"shape":[2],"data_offsets":[0,8]}"#),
            "invalid type: integer `7`",
        ),
        (
            row(r#"{"dtype":"F32","shape":2,"data_offsets":[0,8]}"#),
            "lengths of axes",
        ),
        (
            row(r#"{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}"#),
            "`-2`",
        ),
        (
            row(r#"{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}"#),
            "floating point",
        ),
        (
            row(r#"{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}"#),
            "invalid type: string",
        ),
        (
            row(r#"{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,8]}"#),
            "tensor `t`",
        ),
        (
            row(r#"{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,x],"data_offsets":[0,8]}"#),
            "expected value",
        ),
        (
            row(r#"{"dtype":"F32","shape":[2],"data_offsets":[8]}"#),
            "invalid length 1",
        ),
        (
            row(r#"{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}"#),
            "trailing characters",
        ),
        (
            row(r#"{"dtype":"F32","shape":[2],"data_offsets":[-1,8]}"#),
            "`-1`",
        ),
        (
            row(r#"{"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]}"#),
            "duplicate field `dtype`",
        ),
        (r#"{"__metadata__":7}"#.into(), "texts"),
        (
            r#"{"__metadata__":{"a":1}}"#.into(),
            "invalid type: integer `1`, expected a string",
        ),
        (
            r#"{"__metadata__":{"a":"","a":""}}"#.into(),
            "`a` is given twice",
        ),
        (
            r#"{"__metadata__":{},"__metadata__":{}}"#.into(),
            "duplicate field `__metadata__`",
        ),
        (format!("{{\"t\":{}", "[".repeat(100_000)), "tensor `t`"),
        (
            format!("{{\"t\":{{\"x\":{}", "[".repeat(100_000)),
            "line 1 column",
        ),
    ];
    for (header, expected) in cases {
        let cause = malformed(&header);
        assert!(cause.contains(expected), "{cause}");
        assert!(cause.contains(" at line "), "{cause}");
    }
    let invalid = [&[0x7B, 0x22, 0xFF, 0x22][..], b":{}}"].concat();
    let bytes = [&(invalid.len() as u64).to_le_bytes()[..], &invalid].concat();
    assert!(matches!(
        parse(&bytes),
        Err(Error::Safetensors(SafetensorsFault::Header { .. }))
    ));
    let message = refused(&row("{}"), &[]).to_string();
    assert_eq!(
        message,
        "the header is malformed: tensor `t`: missing field `dtype` at line 1 column 63 of the header; write the file again"
    );
}

#[test]
fn tensors_at_fault() {
    let one = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"t":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    for (dtype, shape, size, expected) in [
        ("F32", "[2]", 4, 8),
        ("F32", "[2]", 9, 8),
        ("F64", "[]", 4, 8),
        ("F16", "[3,0]", 4, 0),
        ("BF16", "[3]", 0, 6),
        ("I64", "[1]", 4, 8),
        ("BOOL", "[1]", 4, 1),
    ] {
        let header = one(dtype, shape, &format!("[0,{size}]"));
        match fault(&header, &vec![0; size]) {
            Fault::Bytes {
                dtype: found,
                expected: e,
                got,
                ..
            } => assert_eq!((&found[..], e, got), (dtype, expected, size)),
            other => panic!("{other:?}"),
        }
    }
    let message = refused(&one("F32", "[2,1]", "[0,4]"), &[0; 4]).to_string();
    assert_eq!(
        message,
        "tensor `t`: 4 bytes for shape [2, 1] of type F32, which takes 8"
    );

    let nine = fault(&one("I8", "[1,1,1,1,1,1,1,1,1]", "[0,1]"), &[0]);
    assert!(matches!(nine, Fault::AxisCount { got: 9 }), "{nine:?}");
    for shape in [
        "[4294967296,4294967296]",
        "[18446744073709551615,2]",
        "[9223372036854775808]",
    ] {
        let huge = fault(&one("F32", shape, "[0,8]"), &[0; 8]);
        assert!(matches!(huge, Fault::Shape { .. }), "{huge:?}");
    }
    for dtype in ["F32", "F4"] {
        let back = fault(&one(dtype, "[0]", "[8,4]"), &[0; 8]);
        assert!(
            matches!(back, Fault::Backwards { start: 8, end: 4 }),
            "{back:?}"
        );
    }
    let late = fault(&one("F32", "[1]", "[4,8]"), &[0; 8]);
    assert!(
        matches!(
            late,
            Fault::Place {
                start: 4,
                end: 8,
                before: 0
            }
        ),
        "{late:?}"
    );
    // Another begins within the first, in its midst, or behind a gap.
    for (start, end) in [(0, 8), (0, 4), (4, 8), (12, 16)] {
        let header = format!(
            r#"{{"t":{{"dtype":"U8","shape":[{}],"data_offsets":[{start},{end}]}},
                "s":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}}}"#,
            end - start
        );
        match refused(&header, &[0; 16]) {
            Error::Tensor {
                fault: Fault::Place { .. },
                ..
            } => {}
            other => panic!("{start}..{end}: {other:?}"),
        }
    }
    let twice = r#"{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"t":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#;
    match refused(twice, &[0; 2]) {
        Error::DuplicateName { name } => assert_eq!(name, "t"),
        other => panic!("{other:?}"),
    }
    // Numbers that no tensor has, and fewer than they have.
    for (length, more) in [(7, false), (9, true), (0, false)] {
        match refused(&one("F32", "[2]", "[0,8]"), &vec![0; length]) {
            Error::Length { expected, got } => assert_eq!(expected < got, more),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(refused("{}", &[0]), Error::Length { .. }));
}

#[test]
fn cut_short_anywhere() {
    let header = r#"{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let whole = file(header, &[0; 8]);
    assert!(parse(&whole).is_ok());
    for length in 0..whole.len() {
        assert!(parse(&whole[..length]).is_err());
    }
    let mut longer = whole;
    longer.push(0);
    assert!(matches!(parse(&longer), Err(Error::Length { .. })));
}

#[test]
fn limits_hold() {
    let header = r#"{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"n":{"dtype":"I64","shape":[],"data_offsets":[8,16]}}"#;
    let bytes = file(header, &[0; 16]);
    let exact = Limits {
        tensors: 2,
        kept: 2,
        elements: 3,
        table_bytes: header.len(),
    };
    assert!(parse_safetensors(&bytes, &exact).is_ok());
    let less = [
        (
            "tensors",
            Limits {
                tensors: 1,
                ..exact
            },
        ),
        ("values", Limits { kept: 1, ..exact }),
        (
            "weights",
            Limits {
                elements: 2,
                ..exact
            },
        ),
        (
            "bytes of header",
            Limits {
                table_bytes: exact.table_bytes - 1,
                ..exact
            },
        ),
    ];
    for (expected, limits) in less {
        match parse_safetensors(&bytes, &limits) {
            Err(Error::Limit { what, limit, got }) => {
                assert_eq!((what, got), (expected, limit + 1))
            }
            other => panic!("{expected}: {other:?}"),
        }
    }
    // Sums that cannot be counted.
    let most = Limits {
        kept: usize::MAX,
        elements: usize::MAX,
        ..Limits::default()
    };
    let rows = ["a", "b", "c"].map(|name| {
        format!(r#""{name}":{{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,9223372036854775808]}}"#)
    });
    let file = file(&format!("{{{}}}", rows.join(",")), &[]);
    assert!(matches!(
        parse_safetensors(&file, &most),
        Err(Error::Tensor { .. })
    ));
}

#[test]
fn errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits::default();
    let absent = folder.path().join("absent");
    match read_safetensors(&absent, &limits) {
        Err(Error::Io { path, .. }) => assert_eq!(path, absent),
        other => panic!("{other:?}"),
    }
    let other = folder.path().join("other");
    std::fs::write(&other, "text").unwrap();
    let error = read_safetensors(&other, &limits).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{}: not a safetensors file", other.display())),
        "{error}"
    );
    #[cfg(unix)]
    {
        let error = read_safetensors(folder.path(), &limits).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("directory"), "{error}");
    }
}

proptest! {
    /// What two readers say of a file that neither wrote: where their library refuses it, so do we, and where we read it, it reads the same.
    #[test]
    fn altered_headers(
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&b"0123456789[]{},:\"F Ua_"[..])), 0..4),
        numbers in 0usize..40,
    ) {
        let mut header = r#"{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"U8","shape":[],"data_offsets":[24,25]}}"#.as_bytes().to_vec();
        for (at, byte) in changes {
            header[at.index(110)] = byte;
        }
        let numbers = if numbers < 20 { 25 } else { numbers };
        let bytes = [&(header.len() as u64).to_le_bytes()[..], &header, &vec![0; numbers]].concat();
        if let Ok(ours) = parse(&bytes) {
            let theirs = safetensors::SafeTensors::deserialize(&bytes);
            match theirs {
                Ok(theirs) => for tensor in &ours.tensors {
                    let view = theirs.tensor(&tensor.name).unwrap();
                    prop_assert_eq!(view.shape(), &tensor.shape[..]);
                    prop_assert_eq!(view.dtype().to_string(), &tensor.dtype[..]);
                },
                // A type that they do not know is no fault.
                Err(safetensors::SafeTensorError::InvalidHeaderDeserialization(error)) => prop_assert!(error.to_string().contains("unknown variant"), "{}", error),
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }

    #[test]
    fn any_bytes_whatever_cause_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), header in ".{0,80}") {
        let _ = parse(&bytes);
        let _ = parse(&file(&format!("{{{header}"), &bytes));
        let _ = parse(&file(&format!(r#"{{"t":{header}}}"#), &bytes));
    }
}
