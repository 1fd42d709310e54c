//! Every model comes back as it was, through bytes and through files.

use std::fs;

use freqreg_dct::{KeepOrder, Plan};
use freqreg_file::{Codec, Error, Model, Storage, Tensor, Values, write_atomically};
use half::f16;
use proptest::collection::{SizeRange, vec};
use proptest::prelude::*;
use proptest::sample::Index;

/// The most axes that are tried: the format allows no more.
const AXES: usize = freqreg_file::MAX_AXES;

fn order(axes: usize) -> impl Strategy<Value = KeepOrder> {
    prop_oneof![
        Just(KeepOrder::Zigzag),
        Just(KeepOrder::InverseSqrt),
        vec(1..=u32::MAX, axes).prop_map(KeepOrder::Weighted),
    ]
}

/// A shape of this many axes with at most about a thousand elements.
fn shape(axes: impl Into<SizeRange>) -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![9 => 1usize..9, 1 => 1usize..400], axes).prop_map(|mut shape| {
        let mut left = 1000;
        for axis in &mut shape {
            *axis = (*axis).min(left);
            left /= *axis;
        }
        shape
    })
}

/// Axes with as many elements as the shape: itself, or its prime factors dealt out anew.
fn axes(shape: &[usize]) -> impl Strategy<Value = Vec<usize>> + use<> {
    let mut factors = Vec::new();
    for &axis in shape {
        let mut rest = axis;
        for factor in 2..=axis {
            while rest % factor == 0 {
                factors.push(factor);
                rest /= factor;
            }
        }
    }
    let places = vec(any::<Index>(), factors.len());
    let others = (1..=AXES, places).prop_map(move |(count, places)| {
        let mut axes = vec![1; count];
        for (factor, place) in factors.iter().zip(places) {
            axes[place.index(count)] *= factor;
        }
        axes
    });
    prop_oneof![Just(shape.to_vec()), others]
}

fn storage(shape: Vec<usize>) -> impl Strategy<Value = (Vec<usize>, Storage)> {
    let prefix = axes(&shape).prop_flat_map(|axes| {
        let order = order(axes.len());
        (Just(axes), order).prop_map(|(axes, order)| Storage::Prefix { axes, order })
    });
    (
        Just(shape),
        prop_oneof![1 => Just(Storage::Plain), 3 => prefix],
    )
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
    let with_storage = shape(1..=AXES).prop_flat_map(storage);
    let with_count = with_storage.prop_flat_map(|(shape, storage)| {
        let elements = shape.iter().product();
        let least = if storage == Storage::Plain {
            elements
        } else {
            1
        };
        let count = prop_oneof![
            least..=elements,
            least..=elements.min(least + 9),
            Just(elements)
        ];
        (Just(shape), Just(storage), count)
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
    let suffixes = vec(any::<bool>(), 6);
    let named =
        (vec(tensor(), 0..6), ".{0,9}", suffixes).prop_map(|(mut tensors, name, suffixes)| {
            for (i, (tensor, suffix)) in tensors.iter_mut().zip(suffixes).enumerate() {
                let suffix = if suffix { ".weight" } else { "" };
                tensor.name = format!("{name}{i}{suffix}");
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

    /// As above, where the architecture says the names and shapes.
    #[test]
    fn so_it_is_by_architecture(model in model()) {
        let rows = |architecture: &str, config: &str| {
            let own = (architecture, config) == (&model.architecture, &model.config);
            own.then(|| model.tensors.iter().map(|t| (t.name.clone(), t.shape.clone())).collect())
        };
        let codec = Codec { tables: &rows, ..Codec::default() };
        let bytes = codec.encode(&model).unwrap();
        let back = codec.decode(&bytes).unwrap();
        prop_assert_eq!(&back, &model);
        prop_assert_eq!(&codec.encode(&back).unwrap(), &bytes);
        let names: usize = model.tensors.iter().map(|t| t.shape.len() + 2).sum();
        let named = model.to_bytes().unwrap();
        prop_assert!(bytes.len() + names < named.len(), "{} bytes, {} with names", bytes.len(), named.len());
        // A file that is written without that knowledge is read with it, too.
        prop_assert_eq!(codec.decode(&named).unwrap(), back);
    }

    /// A tensor of which every coefficient is kept is what it was.
    #[test]
    fn every_coefficient_kept_gives_the_weights_back((shape, axes, order, weights) in whole()) {
        check_whole(&shape, &axes, &order, &weights);
    }

    #[test]
    fn nothing_but_a_few_numbers_for_each_tensor_is_added(model in model()) {
        let texts = model.architecture.len() + model.config.len();
        let names: usize = model.tensors.iter().map(|t| t.name.len()).sum();
        // Code, what a name shares and its length, two shapes of 1 + 8 axes of which few are above 127, weights of 5 bytes each, k.
        let most = 6 + 4 + 5 + model.tensors.len() * (1 + 2 + 10 + 10 + 5 * AXES + 2);
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

/// A shape of up to 6 axes, axes of its transform, an order, and any weights of one size.
fn whole() -> impl Strategy<Value = (Vec<usize>, Vec<usize>, KeepOrder, Vec<f32>)> {
    let with_axes = shape(1..=6).prop_flat_map(|shape| (axes(&shape), Just(shape)));
    with_axes.prop_flat_map(|(axes, shape)| {
        let elements = shape.iter().product::<usize>();
        let size = (-60i32..60).prop_map(|power| 2f32.powi(power));
        let weights = (vec(-1f32..1.0, elements), size)
            .prop_map(|(weights, size)| weights.iter().map(|w| w * size).collect());
        (Just(shape), order(axes.len()), Just(axes), weights)
            .prop_map(|(shape, order, axes, weights)| (shape, axes, order, weights))
    })
}

/// The largest difference, as a part of the largest weight.
fn relative_error(got: &[f32], weights: &[f32]) -> f64 {
    assert_eq!(got.len(), weights.len());
    let largest = weights.iter().fold(0f32, |m, w| m.max(w.abs()));
    let pairs = got.iter().zip(weights);
    let worst = pairs.fold(0f64, |m, (a, b)| m.max(f64::from((a - b).abs())));
    worst / f64::from(largest.max(f32::MIN_POSITIVE))
}

/// Analyses the weights, and reads all their coefficients back from a file. In float64 they give every weight within a millionth of the largest,
/// so that the file holds them; [`Tensor::expand`] computes in float32, whose sums of hundreds of terms cost some digits more.
fn check_whole(shape: &[usize], axes: &[usize], order: &KeepOrder, weights: &[f32]) {
    let plan = Plan::<f64>::new(axes, order, weights.len()).unwrap();
    let wide: Vec<f64> = weights.iter().map(|&w| w.into()).collect();
    let coefficients = plan.analyze(&wide).unwrap();
    let tensor = Tensor {
        name: "w".into(),
        shape: shape.into(),
        storage: Storage::Prefix {
            axes: axes.into(),
            order: order.clone(),
        },
        values: Values::F32(coefficients.iter().map(|&c| c as f32).collect()),
    };
    let model = Model {
        architecture: String::new(),
        config: String::new(),
        tensors: vec![tensor],
    };
    let read = Model::from_bytes(&model.to_bytes().unwrap()).unwrap();
    let tensor = &read.tensors[0];

    let error = relative_error(&tensor.expand().unwrap(), weights);
    assert!(error <= 4e-6, "{axes:?}: expanded, {error}");
    let stored: Vec<f64> = tensor.values.to_f32().iter().map(|&c| c.into()).collect();
    let exact = plan.synthesize(&stored).unwrap();
    let exact: Vec<f32> = exact.iter().map(|&w| w as f32).collect();
    let error = relative_error(&exact, weights);
    assert!(error <= 1e-6, "{axes:?}: stored, {error}");
}

/// As above, of about a million weights; axes of prime length cost most.
#[test]
fn so_it_does_of_a_large_tensor() {
    for axes in [
        &[1_000_000][..],
        &[997, 1009],
        &[500, 222, 3, 3],
        &[10; 6],
        &[999_983],
    ] {
        let mut state = 1u64;
        let weight = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        let weights: Vec<f32> = (0..axes.iter().product()).map(weight).collect();
        check_whole(axes, axes, &KeepOrder::Zigzag, &weights);
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
