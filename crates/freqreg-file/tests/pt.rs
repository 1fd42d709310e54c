//! What is read from `.pt` files, and what is made of it.

mod pt_writer;

use freqreg_file::{
    Error, Fault, Limits, PtTensor, PtType, PtValues, Storage, Values, import_prefixes, parse_pt,
    read_pt,
};
use half::{bf16, f16};
use pt_writer::{Entry, Pickle, bytes, entries, floats, longs, pt, rich, zip, zip64};

fn read(file: &[u8]) -> Vec<PtTensor> {
    parse_pt(file, &Limits::default()).unwrap()
}

/// The one tensor of a file with one storage.
fn read_one(tensor: impl FnOnce(Pickle) -> Pickle, storage: &[u8]) -> PtTensor {
    let mut tensors = read(&pt(&Pickle::only(tensor), &[storage]));
    assert_eq!(tensors.len(), 1);
    tensors.remove(0)
}

fn dense(tensor: PtTensor) -> Vec<f32> {
    match tensor.values {
        PtValues::Dense(values) => values,
        other => panic!("{other:?}"),
    }
}

fn sparse(shape: &[usize], offsets: &[usize], values: &[f32]) -> PtTensor {
    PtTensor {
        name: "t".into(),
        shape: shape.into(),
        dtype: PtType::Float32,
        values: PtValues::Sparse {
            offsets: offsets.into(),
            values: values.into(),
        },
    }
}

fn import(tensor: PtTensor) -> Result<Vec<f32>, Fault> {
    match import_prefixes(&[tensor], |name| Some(name.to_owned())) {
        Ok(tensors) => Ok(tensors[0].values.to_f32()),
        Err(Error::Tensor { tensor, fault }) if tensor == "t" => Err(fault),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn weights_have_a_floating_point_and_counters_have_none() {
    use PtType::*;
    let floats = [Float16, BFloat16, Float32, Float64];
    let others = [Bool, UInt8, Int8, Int16, Int32, Int64];
    assert!(floats.into_iter().all(PtType::is_float) && !others.into_iter().any(PtType::is_float));
}

#[test]
fn every_kind_of_tensor_in_file_order() {
    let (pickle, storages) = rich();
    let storages: Vec<&[u8]> = storages.iter().map(Vec::as_slice).collect();
    let tensor = |name: &str, shape: &[usize], dtype, values| PtTensor {
        name: name.into(),
        shape: shape.into(),
        dtype,
        values,
    };
    let view = PtValues::Dense(vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    let expected = [
        tensor(
            "sparse",
            &[4, 5],
            PtType::Float32,
            PtValues::Sparse {
                offsets: vec![0, 1, 5],
                values: vec![1.5, -2.0, 0.25],
            },
        ),
        tensor("view", &[3, 2], PtType::Float32, view.clone()),
        tensor("tied", &[3, 2], PtType::Float32, view),
        tensor(
            "parameter",
            &[2],
            PtType::Float16,
            PtValues::Dense(vec![1.0, -2.0]),
        ),
        tensor("steps", &[], PtType::Int64, PtValues::Dense(vec![300.0])),
    ];
    let file = pt(&pickle, &storages);
    assert_eq!(read(&file), expected);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.pt");
    std::fs::write(&path, &file).unwrap();
    assert_eq!(read_pt(&path, &Limits::default()).unwrap(), expected);
    std::fs::write(&path, &file[..file.len() - 1]).unwrap();
    let error = read_pt(&path, &Limits::default()).unwrap_err();
    assert!(matches!(&error, Error::InFile { error, .. } if matches!(**error, Error::Pt(_))));
    assert!(error.to_string().contains("net.pt"));
    let error = read_pt(folder.path().join("none.pt"), &Limits::default()).unwrap_err();
    assert!(
        matches!(error, Error::Io { action: "read", .. }),
        "{error:?}"
    );
}

#[test]
fn every_type_of_number() {
    let third = 1.0 / 3.0;
    let cases = [
        (
            "Half",
            PtType::Float16,
            bytes([f16::from_f32(-0.5).to_le_bytes()]),
            -0.5,
        ),
        (
            "BFloat16",
            PtType::BFloat16,
            bytes([bf16::from_f32(3.0).to_le_bytes()]),
            3.0,
        ),
        ("Float", PtType::Float32, floats(&[third]), third),
        (
            "Double",
            PtType::Float64,
            (1.0f64 / 3.0).to_le_bytes().to_vec(),
            third,
        ),
        ("Bool", PtType::Bool, vec![2], 1.0),
        ("Byte", PtType::UInt8, vec![255], 255.0),
        ("Char", PtType::Int8, vec![255], -1.0),
        (
            "Short",
            PtType::Int16,
            (-300i16).to_le_bytes().to_vec(),
            -300.0,
        ),
        (
            "Int",
            PtType::Int32,
            (1i32 << 30).to_le_bytes().to_vec(),
            1_073_741_824.0,
        ),
        ("Long", PtType::Int64, longs(&[-7]), -7.0),
    ];
    for (kind, dtype, storage, expected) in cases {
        assert_eq!(storage.len(), dtype.bytes());
        let tensor = read_one(|p| p.tensor(kind, "0", &[1]), &storage);
        assert_eq!(tensor.dtype, dtype);
        assert_eq!(dense(tensor), [expected], "{dtype}");
    }
}

#[test]
fn views_follow_their_strides() {
    let storage = floats(&(0..24u8).map(f32::from).collect::<Vec<_>>());
    let view = |offset, shape: &[i64], strides: &[i64]| {
        dense(read_one(
            |p| p.view("Float", "0", 24, offset, shape, strides),
            &storage,
        ))
    };
    let (shape, strides) = ([2, 2, 3], [1, 12, 4]);
    let mut expected = Vec::new();
    for i in 0..2u8 {
        for j in 0..2u8 {
            expected.extend((0..3u8).map(|k| f32::from(2 + i + 12 * j + 4 * k)));
        }
    }
    assert_eq!(view(2, &shape, &strides), expected);
    assert_eq!(view(23, &[1, 1], &[1000, 1000]), [23.0]);
    assert_eq!(view(0, &[2, 3], &[0, 5]), [0.0, 5.0, 10.0, 0.0, 5.0, 10.0]);
    assert_eq!(view(7, &[3], &[0]), [7.0; 3]);
    assert_eq!(view(9, &[], &[]), [9.0]);
    assert!(view(0, &[2, 0, 3], &[3, 3, 1]).is_empty());
}

#[test]
fn archives_in_the_wide_form_and_with_a_comment() {
    let pickle = Pickle::only(|p| p.tensor("Float", "0", &[2]));
    let entries = entries(&pickle, &[&floats(&[1.0, 2.0])]);
    for mut file in [zip(&entries), zip64(&entries)] {
        assert_eq!(dense(read(&file).remove(0)), [1.0, 2.0]);
        let at = file.len() - 2;
        file[at..].copy_from_slice(&[5, 0]);
        file.extend(b"PK\x05\x06!");
        assert_eq!(dense(read(&file).remove(0)), [1.0, 2.0]);
    }
}

#[test]
fn entries_may_be_deflated_and_in_any_folder() {
    let pickle = Pickle::only(|p| p.tensor("Float", "0", &[64]));
    for folder in ["archive/", "a name with spaces/", ""] {
        let name = |tail: &str| format!("{folder}{tail}");
        let file = zip(&[
            Entry::deflated(&name("data.pkl"), &pickle),
            Entry::stored(&name("version"), b"3\n"),
            Entry::deflated(&name("data/0"), &floats(&[0.5; 64])),
        ]);
        assert_eq!(dense(read(&file).remove(0)), [0.5; 64]);
    }
}

/// The paper's authors' UNet for segmentation: its coefficients, written as the authors wrote them.
#[test]
fn the_released_unet() {
    let golden = include_bytes!("data/unet_fr_coeffs.safetensors");
    let golden_tensors = safetensors::SafeTensors::deserialize(golden).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(golden).unwrap();
    let shapes = &metadata.metadata().as_ref().unwrap()["shapes"];
    let shapes: serde_json::Value = serde_json::from_str(shapes).unwrap();

    let (mut pickle, mut storages) = (Pickle::new().raw(b"}("), Vec::new());
    for (key, (name, shape)) in shapes.as_object().unwrap().iter().enumerate() {
        let shape: Vec<i64> = serde_json::from_value(shape.clone()).unwrap();
        pickle = pickle.text(name).sparse(2 * key as u32, &shape, 33);
        storages.push(longs(&lowest(&shape, 33)));
        let halves = golden_tensors.tensor(name).unwrap().data().as_chunks().0;
        storages.push(floats(
            &halves
                .iter()
                .map(|&h| f16::from_le_bytes(h).to_f32())
                .collect::<Vec<_>>(),
        ));
    }
    let storages: Vec<&[u8]> = storages.iter().map(Vec::as_slice).collect();
    let tensors = read(&pt(&pickle.raw(b"u.").0, &storages));

    let imported = import_prefixes(&tensors, |name| Some(format!("unet.{name}"))).unwrap();
    assert_eq!(imported.len(), 23);
    for (tensor, (name, shape)) in imported.iter().zip(shapes.as_object().unwrap()) {
        assert_eq!(tensor.name, format!("unet.{name}"));
        assert_eq!(serde_json::to_value(&tensor.shape).unwrap(), *shape);
        let Values::F16(values) = &tensor.values else {
            panic!("{name} is not float16");
        };
        let halves = bytes(values.iter().map(|v| v.to_le_bytes()));
        assert_eq!(
            halves,
            golden_tensors.tensor(name).unwrap().data(),
            "{name}"
        );
    }
}

/// The first `k` indices by their sum, then lexicographically, found by sorting; as `[axes, k]`.
fn lowest(shape: &[i64], k: usize) -> Vec<i64> {
    // The sums of the first 33 indices along 64 or more positions of one axis stay below 33.
    let mut indices = vec![vec![]];
    for &n in shape {
        indices = indices
            .iter()
            .flat_map(|head: &Vec<i64>| {
                let longest = 32 - head.iter().sum::<i64>();
                (0..n.min(longest + 1)).map(move |i| [head.as_slice(), &[i]].concat())
            })
            .collect();
    }
    indices.sort_by_key(|index| (index.iter().sum::<i64>(), index.clone()));
    assert!(indices.len() >= k);
    let axes = 0..shape.len();
    axes.flat_map(|axis| {
        indices[..k]
            .iter()
            .map(move |index| index[axis])
            .collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn stored_in_any_order_with_gaps_filled() {
    // In keep order the offsets of a 4 x 5 tensor begin 0, 1, 5, 2, 6, 10.
    let tensor = sparse(&[4, 5], &[6, 0, 5], &[4.0, 1.0, 0.0]);
    assert_eq!(import(tensor).unwrap(), [1.0, 0.0, 0.0, 0.0, 4.0]);
    // An explicit zero at the end is a kept coefficient that is zero.
    let tensor = sparse(&[4, 5], &[0, 1], &[1.0, 0.0]);
    assert_eq!(import(tensor).unwrap(), [1.0, 0.0]);
    let full: Vec<usize> = (0..20).collect();
    assert_eq!(
        import(sparse(&[4, 5], &full, &[2.0; 20])).unwrap(),
        [2.0; 20]
    );

    let tensor = sparse(&[4, 5], &[0], &[1.0]);
    let imported = import_prefixes(&[tensor], |name| Some(name.to_owned())).unwrap();
    assert_eq!(imported[0].shape, [4, 5]);
    assert_eq!(
        imported[0].storage,
        Storage::Prefix {
            axes: vec![4, 5],
            order: freqreg_dct::KeepOrder::Zigzag
        }
    );
}

#[test]
fn float16_only_where_exact() {
    let values = |values: &[f32]| {
        let offsets: Vec<usize> = (0..values.len()).collect();
        let tensor = sparse(&[8], &offsets, values);
        import_prefixes(&[tensor], |name| Some(name.to_owned()))
            .unwrap()
            .remove(0)
            .values
    };
    let halves = [-0.0, 65504.0, 5.9604645e-8].map(f16::from_f32).to_vec();
    assert_eq!(values(&[-0.0, 65504.0, 5.9604645e-8]), Values::F16(halves));
    for one in [65520.0, 1.0 + f32::EPSILON, 2.9802322e-8, f32::MIN_POSITIVE] {
        assert_eq!(values(&[1.0, one]), Values::F32(vec![1.0, one]));
    }
}

#[test]
fn names_are_mapped_or_left_out() {
    let mut tensors = vec![sparse(&[2], &[0], &[1.0]); 3];
    for (tensor, name) in tensors.iter_mut().zip(["a", "b", "c"]) {
        tensor.name = name.into();
    }
    tensors[1].values = PtValues::Dense(vec![0.0; 2]);
    let rename = |name: &str| (name != "b").then(|| format!("{name}.weight"));
    let names: Vec<String> = import_prefixes(&tensors, rename)
        .unwrap()
        .into_iter()
        .map(|t| t.name)
        .collect();
    assert_eq!(names, ["a.weight", "c.weight"]);

    let same = |name: &str| (name != "b").then(|| "same".to_owned());
    let error = import_prefixes(&tensors, same).unwrap_err();
    assert!(matches!(error, Error::DuplicateName { name } if name == "same"));
    let error = import_prefixes(&tensors, |name| Some(name.to_owned())).unwrap_err();
    assert!(matches!(error, Error::Tensor { tensor, fault: Fault::Dense } if tensor == "b"));
}

#[test]
fn what_is_no_prefix_is_refused() {
    // In keep order: 0, 1, 8, 2, 9, 16, 3, 10, 17, 24: rank 7 is the last within 4 times 2.
    assert_eq!(
        import(sparse(&[8, 8], &[0, 10], &[1.0; 2])).unwrap().len(),
        8
    );
    match import(sparse(&[8, 8], &[0, 17], &[1.0; 2])).unwrap_err() {
        Fault::NotAPrefix {
            index,
            within: 8,
            stored: 2,
        } => assert_eq!(index, [2, 1]),
        other => panic!("{other:?}"),
    }
    match import(sparse(&[8, 8], &[0, 9, 9], &[1.0; 3])).unwrap_err() {
        Fault::IndexTwice { index } => assert_eq!(index, [1, 1]),
        other => panic!("{other:?}"),
    }
    let fault = import(sparse(&[8, 8], &[], &[])).unwrap_err();
    assert!(
        matches!(
            fault,
            Fault::Kept {
                elements: 64,
                got: 0
            }
        ),
        "{fault:?}"
    );
    let fault = import(sparse(&[8, 8], &[0, 1], &[1.0, f32::NAN])).unwrap_err();
    assert!(
        matches!(fault, Fault::NotFinite { index: 1, .. }),
        "{fault:?}"
    );
    // Tensors made by hand, such as no file yields.
    let fault = import(sparse(&[8, 0], &[0], &[1.0])).unwrap_err();
    assert!(matches!(fault, Fault::Shape { .. }), "{fault:?}");
    let fault = import(sparse(&[2, 2], &[0, 1000], &[1.0; 2])).unwrap_err();
    assert!(matches!(fault, Fault::NotAPrefix { .. }), "{fault:?}");
    let fault = import(sparse(&[2, 2], &[0, 1], &[1.0])).unwrap_err();
    assert!(matches!(fault, Fault::Count { .. }), "{fault:?}");
}
