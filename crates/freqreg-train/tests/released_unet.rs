//! The released UNet gives what the authors' code gives: logits in float64 of an image of odd sizes.

use candle_core::Device;
use freqreg_data::folder::Picture;
use freqreg_file::Model as ModelFile;
use freqreg_nn::Execution;
use freqreg_train::experiment::NumberKind;
use freqreg_train::network::{Network, codec};
use freqreg_train::segmenter::Segmenter;
use safetensors::SafeTensors;

#[test]
fn logits_are_those_of_the_authors_code() {
    let bytes = include_bytes!("golden/unet_fr_crop.safetensors");
    let golden = SafeTensors::deserialize(bytes).unwrap();
    let (x, logits) = (
        golden.tensor("x").unwrap(),
        golden.tensor("logits").unwrap(),
    );
    let [1, 3, height, width] = *x.shape() else {
        panic!("{:?}", x.shape())
    };
    // The input is a picture's pixels over 255.
    let pixels = x.data().chunks_exact(4).map(|b| {
        let value = 255.0 * f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        assert!((value - value.round()).abs() < 1e-3);
        value.round() as u8
    });
    let picture = Picture {
        height,
        width,
        pixels: pixels.collect(),
    };
    let expected = logits
        .data()
        .chunks_exact(8)
        .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]));
    let expected: Vec<f64> = expected.collect();
    let file = ModelFile::from_bytes(include_bytes!("golden/unet.freq")).unwrap();
    assert_eq!((file.kept(), file.tensors.len()), (759, 23));
    for execution in [
        Execution::Spatial,
        Execution::Factored,
        Execution::Fused,
        Execution::Auto,
    ] {
        let segmenter = Segmenter::with_execution(&file, &Device::Cpu, execution).unwrap();
        let found: Vec<f32> = segmenter
            .logits(&picture)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        assert_eq!(found.len(), expected.len());
        let worst = found
            .iter()
            .zip(&expected)
            .map(|(a, b)| (f64::from(*a) - b).abs());
        let worst = worst.fold(0.0, f64::max);
        assert!(worst < 1e-3, "{execution:?}: {worst:e}");
        println!("{execution:?}: at most {worst:.2e} off");
    }
}

#[test]
fn a_network_of_another_kind_and_a_picture_too_small_are_refused() {
    let file = ModelFile::from_bytes(include_bytes!("golden/unet.freq")).unwrap();
    let small = Picture {
        height: 15,
        width: 40,
        pixels: vec![0; 3 * 15 * 40],
    };
    let error = Segmenter::new(&file, &Device::Cpu)
        .unwrap()
        .run(&small)
        .unwrap_err();
    assert!(error.to_string().contains("15 x 40"), "{error}");
    let lenet5 = ModelFile::from_bytes(include_bytes!("../src/tasks/lenet5.freq")).unwrap();
    let Err(error) = Segmenter::new(&lenet5, &Device::Cpu) else {
        panic!("a LeNet5 does not segment")
    };
    assert!(error.to_string().contains("lenet5"), "{error}");
}

/// 759 numbers of two bytes are 1,518 of them.
#[test]
fn its_file_is_hardly_more_than_its_numbers() {
    // Of version 1, with the names of all tensors.
    let bytes = include_bytes!("golden/unet.freq");
    let old = ModelFile::from_bytes(bytes).unwrap();
    let network = Network::from_file(&old, &Device::Cpu).unwrap();
    let file = network.to_file(NumberKind::Float16).unwrap();
    assert_eq!((file.kept(), file.payload_bytes()), (759, 1518));
    let named = file.to_bytes().unwrap();
    let short = codec().encode(&file).unwrap();
    assert_eq!((bytes.len(), short.len()), (2209, 1552));
    assert!(named.len() < 1900, "{} bytes", named.len());
    for bytes in [named, short] {
        let read = codec().decode(&bytes).unwrap();
        assert_eq!(read, file);
        for tensor in &old.tensors {
            assert_eq!(read.tensor(&tensor.name), Some(tensor));
        }
    }
}
