//! Files that were written once and must be read for good, and of which no bit can change unnoticed.

use std::path::{Path, PathBuf};

use freqreg_dct::KeepOrder;
use freqreg_file::{Codec, Error, Model, Storage, Tensor, Values};
use half::f16;

/// Shapes of the tensors that [`by_architecture`] leaves to its architecture.
const TABLE: [(&str, &[usize]); 4] = [
    ("inc.conv1.weight", &[64, 3, 3, 3]),
    ("inc.conv2.weight", &[64, 64, 3, 3]),
    ("down1.conv1.weight", &[128, 64, 3, 3]),
    ("out.weight", &[2, 64, 1, 1]),
];

/// Knows the architecture `unet` with the tensors of [`TABLE`].
fn codec() -> Codec<'static> {
    Codec {
        tables: &|architecture, _| {
            let rows = TABLE.iter().map(|(n, s)| (n.to_string(), s.to_vec()));
            (architecture == "unet").then(|| rows.collect())
        },
        ..Codec::default()
    }
}

/// Numbers that every machine computes alike, of all sizes from 0 to 25/16 of `scale`.
fn numbers(count: usize, scale: f32) -> impl Iterator<Item = f32> {
    (0..count).map(move |i| ((i * i * 37 + i) % 51) as f32 / 16.0 * scale - 25.0 / 16.0 * scale)
}

fn halves(count: usize) -> Values {
    Values::F16(numbers(count, 1.0).map(f16::from_f32).collect())
}

fn singles(count: usize) -> Values {
    Values::F32(numbers(count, 1.0 + f32::EPSILON).collect())
}

/// Levels that become smaller, as those of coefficients do, with one that is as large as can be.
fn quantised(step: f32, count: usize) -> Values {
    let mut levels: Vec<i32> = numbers(count, 16.0)
        .enumerate()
        .map(|(i, v)| v as i32 * 12 / (i as i32 + 1))
        .collect();
    levels[count / 2] = -0xF_FFFF;
    Values::Quantised {
        step: f16::from_f32(step),
        levels,
    }
}

fn plain(name: &str, shape: &[usize], values: Values) -> Tensor {
    Tensor {
        name: name.into(),
        shape: shape.into(),
        storage: Storage::Plain,
        values,
    }
}

fn prefix(name: &str, shape: &[usize], axes: &[usize], order: KeepOrder, values: Values) -> Tensor {
    let axes = axes.into();
    let storage = Storage::Prefix { axes, order };
    Tensor {
        storage,
        ..plain(name, shape, values)
    }
}

/// The 776 numbers of a LeNet5, as version 1 wrote them.
fn lenet5() -> Model {
    let order = || KeepOrder::InverseSqrt;
    let square =
        |name: &str, shape: &[usize], count| prefix(name, shape, shape, order(), halves(count));
    Model {
        architecture: "lenet5".into(),
        config: r#"{"conv1":8,"conv2":128,"hidden":196,"norm":"sample","kernel":5}"#.into(),
        tensors: vec![
            square("conv1.weight", &[8, 1, 5, 5], 96),
            square("conv2.weight", &[128, 8, 5, 5], 256),
            prefix(
                "fc1.weight",
                &[196, 2048],
                &[196, 128, 4, 4],
                order(),
                halves(280),
            ),
            square("fc2.weight", &[10, 196], 144),
        ],
    }
}

/// Quantised, with a packed configuration, and names and shapes that the architecture knows.
fn by_architecture() -> Model {
    let steps = [0.25, 0.125, 0.0625, 2.0]
        .into_iter()
        .zip([33, 33, 40, 128]);
    let tensors = TABLE
        .iter()
        .zip(steps)
        .map(|((name, shape), (step, count))| {
            prefix(
                name,
                shape,
                shape,
                KeepOrder::Zigzag,
                quantised(step, count),
            )
        });
    Model {
        architecture: "unet".into(),
        config: r#"{"norm":"batch","width":64,"x":[1.5,null,true,"\n"]}"#.into(),
        tensors: tensors.collect(),
    }
}

/// With names, every form, every order, axes of its own, one to eight of them, and rows like the one before.
fn named() -> Model {
    let weighted = |weights: &[u32]| KeepOrder::Weighted(weights.to_vec());
    let eight = [2, 1, 3, 1, 2, 1, 2, 5];
    Model {
        architecture: "of-its-own".into(),
        config: "no JSON".into(),
        tensors: vec![
            prefix(
                "block.0.weight",
                &[6, 20],
                &[6, 20],
                weighted(&[1, 300]),
                halves(17),
            ),
            prefix(
                "block.1.weight",
                &[20, 6],
                &[20, 6],
                weighted(&[1, 300]),
                halves(17),
            ),
            prefix(
                "block.1.gain",
                &[6, 20],
                &[2, 3, 20],
                weighted(&[7, 1, u32::MAX]),
                singles(120),
            ),
            prefix("größe", &eight, &eight, KeepOrder::InverseSqrt, halves(9)),
            plain("bias", &[5], singles(5)),
            plain("bias.of.two", &[5], singles(5)),
            plain("scale", &[2, 2], halves(4)),
            prefix(
                "head.weight",
                &[120],
                &[4, 5, 6],
                KeepOrder::Zigzag,
                quantised(0.5, 30),
            ),
            plain("head.bias", &[4], quantised(0.001, 4)),
        ],
    }
}

/// The bytes of a model in version 1, which nothing but this test writes any more.
fn version_1(model: &Model) -> Vec<u8> {
    fn varint(out: &mut Vec<u8>, mut value: usize) {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }
    fn text(out: &mut Vec<u8>, text: &str) {
        varint(out, text.len());
        out.extend(text.bytes());
    }
    fn shape(out: &mut Vec<u8>, shape: &[usize]) {
        varint(out, shape.len());
        shape.iter().for_each(|&n| varint(out, n));
    }
    let mut out = b"\xFDFRQ\x01".to_vec();
    text(&mut out, &model.architecture);
    text(&mut out, &model.config);
    varint(&mut out, model.tensors.len());
    for tensor in &model.tensors {
        let Storage::Prefix {
            axes,
            order: KeepOrder::InverseSqrt,
        } = &tensor.storage
        else {
            panic!("another storage than those of the LeNet5")
        };
        let own_axes = *axes != tensor.shape;
        text(&mut out, &tensor.name);
        out.push(0b1001 | u8::from(own_axes) << 2);
        shape(&mut out, &tensor.shape);
        if own_axes {
            shape(&mut out, axes);
        }
        varint(&mut out, tensor.values.len());
    }
    for tensor in &model.tensors {
        let Values::F16(values) = &tensor.values else {
            panic!("another form than that of the LeNet5")
        };
        out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    }
    let checksum = crc32fast::hash(&out);
    out.extend(checksum.to_le_bytes());
    out
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/golden")
        .join(name)
}

/// Every file with what it holds.
fn files() -> [(Vec<u8>, Model); 3] {
    [
        ("version-1.freq", lenet5()),
        ("by-architecture.freq", by_architecture()),
        ("named.freq", named()),
    ]
    .map(|(name, model)| (std::fs::read(path(name)).unwrap(), model))
}

#[test]
fn they_are_read_as_they_were_meant() {
    for (bytes, model) in files() {
        assert_eq!(codec().decode(&bytes).unwrap(), model);
        for tensor in &model.tensors {
            let weights: usize = tensor.shape.iter().product();
            assert_eq!(tensor.expand().unwrap().len(), weights);
        }
    }
}

#[test]
fn they_are_written_as_they_were() {
    let [(first, lenet5), (second, by_architecture), (third, named)] = files();
    assert_eq!(version_1(&lenet5), first);
    assert_eq!(codec().encode(&by_architecture).unwrap(), second);
    assert_eq!(codec().encode(&named).unwrap(), third);
    // Who does not know the architecture is told so.
    match Model::from_bytes(&second) {
        Err(Error::UnknownArchitecture { architecture }) => assert_eq!(architecture, "unet"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn any_bit_flipped() {
    for (bytes, _) in files() {
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let read = codec().decode(&flipped);
            assert!(read.is_err(), "bit {bit} of {}", bytes.len());
        }
    }
}

#[test]
fn cut_short_anywhere() {
    for (bytes, _) in files() {
        for length in 0..bytes.len() {
            let read = codec().decode(&bytes[..length]);
            assert!(read.is_err(), "{length} bytes of {}", bytes.len());
        }
    }
}
