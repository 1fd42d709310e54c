//! Every model comes back as it was, through bytes and through files.

use std::fs;

use freqreg_dct::KeepOrder;
use freqreg_file::{Error, Model, Storage, Tensor, Values, write_atomically};
use half::f16;
use proptest::collection::vec;
use proptest::prelude::*;

fn order(axes: usize) -> impl Strategy<Value = KeepOrder> {
    prop_oneof![
        Just(KeepOrder::Zigzag),
        Just(KeepOrder::InverseSqrt),
        vec(1..=u32::MAX, axes).prop_map(KeepOrder::Weighted),
    ]
}

fn storage(shape: Vec<usize>) -> impl Strategy<Value = (Vec<usize>, Storage)> {
    let mut turned = shape.clone();
    turned.rotate_left(1);
    let flat = vec![shape.iter().product()];
    let axes = prop_oneof![Just(shape.clone()), Just(turned), Just(flat)];
    let prefix = axes.prop_flat_map(|axes| {
        let order = order(axes.len());
        (Just(axes), order).prop_map(|(axes, order)| Storage::Prefix { axes, order })
    });
    (Just(shape), prop_oneof![Just(Storage::Plain), prefix])
}

fn values(count: usize) -> impl Strategy<Value = Values> {
    let half = any::<u16>()
        .prop_map(f16::from_bits)
        .prop_filter("finite", |v| v.is_finite());
    let single = any::<u32>()
        .prop_map(f32::from_bits)
        .prop_filter("finite", |v| v.is_finite());
    let step = (1u16..0x7C00).prop_map(f16::from_bits);
    let level = prop_oneof![-2..3, -300..300, -0xF_FFFF..=0xF_FFFF];
    prop_oneof![
        vec(half, count).prop_map(Values::F16),
        vec(single, count).prop_map(Values::F32),
        (step, vec(level, count)).prop_map(|(step, levels)| Values::Quantised { step, levels }),
    ]
}

fn tensor() -> impl Strategy<Value = Tensor> {
    let with_storage = vec(1usize..7, 1..5).prop_flat_map(storage);
    let with_count = with_storage.prop_flat_map(|(shape, storage)| {
        let elements = shape.iter().product();
        let least = if storage == Storage::Plain {
            elements
        } else {
            1
        };
        (Just(shape), Just(storage), least..=elements)
    });
    with_count.prop_flat_map(|(shape, storage, count)| {
        let name = Just(String::new());
        (name, Just(shape), Just(storage), values(count)).prop_map(
            |(name, shape, storage, values)| Tensor {
                name,
                shape,
                storage,
                values,
            },
        )
    })
}

fn model() -> impl Strategy<Value = Model> {
    let named = (vec(tensor(), 0..6), ".{0,9}").prop_map(|(mut tensors, name)| {
        for (i, tensor) in tensors.iter_mut().enumerate() {
            tensor.name = format!("{name}{i}");
        }
        tensors
    });
    (".{0,20}", ".{0,200}", named).prop_map(|(architecture, config, tensors)| Model {
        architecture,
        config,
        tensors,
    })
}

proptest! {
    #[test]
    fn bytes_give_the_model_and_the_model_gives_the_bytes(model in model()) {
        let bytes = model.to_bytes().unwrap();
        let back = Model::from_bytes(&bytes).unwrap();
        prop_assert_eq!(&back, &model);
        // Equal numbers need not be equal bits (0 and -0); the bytes say that they are.
        prop_assert_eq!(back.to_bytes().unwrap(), bytes);
    }

    #[test]
    fn nothing_but_a_few_numbers_for_each_tensor_is_added(model in model()) {
        let texts = model.architecture.len() + model.config.len();
        let names: usize = model.tensors.iter().map(|t| t.name.len()).sum();
        // Code, what a name shares and its length, two shapes of 1 + 4, weights of 5 bytes each, k.
        let most = 6 + 4 + 5 + model.tensors.len() * (1 + 2 + 5 + 5 + 20 + 2);
        let given = texts + names + model.payload_bytes();
        let bytes = model.to_bytes().unwrap().len();
        prop_assert!(bytes <= given + most, "{} > {} + {}", bytes, given, most);
    }

    #[test]
    fn any_bytes_whatever_cause_no_panic(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(Model::from_bytes(&bytes).is_err());
        // Behind a good beginning and with a good checksum, more of the reader is reached.
        for begin in [&[1, 0, 0][..], &[2, 0, 0], &[2, 0x32], &[2, 0x34]] {
            let body = [b"\xFDFRQ", begin, &bytes].concat();
            let sealed = [&body[..], &crc32fast::hash(&body).to_le_bytes()].concat();
            if let Ok(model) = Model::from_bytes(&sealed) {
                prop_assert_eq!(Model::from_bytes(&model.to_bytes().unwrap()).unwrap(), model);
            }
        }
    }
}

fn example() -> Model {
    let storage = Storage::Prefix {
        axes: vec![4, 3],
        order: KeepOrder::Zigzag,
    };
    let values = Values::F16(vec![f16::from_f32(1.5); 5]);
    let tensor = Tensor {
        name: "w".into(),
        shape: vec![12],
        storage,
        values,
    };
    Model {
        architecture: "net".into(),
        config: String::new(),
        tensors: vec![tensor],
    }
}

#[test]
fn files_are_written_whole_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.freq");
    fs::write(
        &path,
        "something older and longer than the model that replaces it, and no model at all",
    )
    .unwrap();
    example().write(&path).unwrap();
    assert_eq!(Model::read(&path).unwrap(), example());
    assert_eq!(fs::read(&path).unwrap(), example().to_bytes().unwrap());
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "a temporary file was left behind"
    );
}

#[test]
fn a_model_at_fault_leaves_the_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.freq");
    example().write(&path).unwrap();
    let mut broken = example();
    broken.tensors[0].values = Values::F32(vec![f32::NAN]);
    assert!(broken.write(&path).is_err() && broken.write_safetensors(&path).is_err());
    assert_eq!(Model::read(&path).unwrap(), example());
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "a temporary file was left behind"
    );
}

#[cfg(unix)]
#[test]
fn a_written_file_is_as_open_as_the_umask_allows() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let mode = |name: &str| {
        fs::metadata(folder.path().join(name))
            .unwrap()
            .permissions()
            .mode()
    };
    fs::write(folder.path().join("ordinary"), "").unwrap();
    write_atomically(folder.path().join("ours"), b"").unwrap();
    assert_eq!(mode("ours"), mode("ordinary"));
}

#[test]
fn errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent/model.freq");
    match example().write(&absent) {
        Err(Error::Io {
            action: "write",
            path,
            ..
        }) => assert_eq!(path, absent),
        other => panic!("{other:?}"),
    }
    match Model::read(&absent) {
        Err(Error::Io {
            action: "read",
            path,
            ..
        }) => assert_eq!(path, absent),
        other => panic!("{other:?}"),
    }
    let other = folder.path().join("other");
    fs::write(&other, "text").unwrap();
    let error = Model::read(&other).unwrap_err().to_string();
    assert!(
        error.starts_with(&other.display().to_string()) && error.contains("not a .freq file"),
        "{error}"
    );
}
