//! What runs in a page computes what the zoo's networks do.

use candle_core::{Device, Tensor};
use freqreg_data::folder::Picture;
use freqreg_data::{DatasetName, Images, Options, garments, load};
use freqreg_train::network::{Network, codec};
use freqreg_train::segmenter::Segmenter;
use freqreg_web::{Digits, Unet};

const LENET5: &[u8] = include_bytes!("../models/lenet5.freq");
const UNET: &[u8] = include_bytes!("../models/unet.freq");
/// Ten images of 28 x 28, one of each digit, that the page offers.
const TEN: &[u8] = include_bytes!("../models/digits.bin");

/// The test images of the sample of MNIST that comes along.
fn sample() -> Images {
    let empty = std::env::temp_dir().join("freqreg-web-has-no-cache");
    let options = Options {
        cache: Some(empty),
        ..Options::offline()
    };
    load(DatasetName::Mnist, &options).unwrap().test
}

#[test]
fn the_ten_digits_are_the_first_of_each_class() {
    let images = sample();
    let size = images.height * images.width;
    for digit in 0..10 {
        let first = images.labels.iter().position(|&l| usize::from(l) == digit);
        let first = first.unwrap();
        assert_eq!(
            TEN[digit * size..][..size],
            images.pixels[first * size..][..size],
            "{digit}"
        );
    }
}

#[test]
fn digits_are_read_as_the_zoo_s_network_reads_them() {
    let network = Network::from_file(&codec().decode(LENET5).unwrap(), &Device::Cpu).unwrap();
    let digits = Digits::new(LENET5).unwrap();
    assert_eq!(
        (digits.kept(), digits.weights(), digits.classes()),
        (776, 429_168, 10)
    );
    let images = sample();
    let size = images.height * images.width;
    let mut right = 0;
    for (pixels, &label) in images.pixels.chunks(size).zip(&images.labels).take(200) {
        let x: Vec<f32> = pixels
            .iter()
            .map(|&p| ((f64::from(p) / 255.0 - 0.1307) / 0.3081) as f32)
            .collect();
        let x = Tensor::from_vec(x, (1, 1, 28, 28), &Device::Cpu).unwrap();
        let expected = network.model.forward(&x).unwrap().flatten_all().unwrap();
        let expected: Vec<f32> = expected.to_vec1().unwrap();
        let found = digits.read(pixels).unwrap();
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-3, "{found:?} and {expected:?}");
        }
        let best = (0..10).max_by(|&a, &b| found[a].total_cmp(&found[b]));
        right += usize::from(best == Some(usize::from(label)));
    }
    assert!(right >= 190, "{right} of 200");
}

#[test]
fn what_is_cut_comes_back() {
    let mut digits = Digits::new(LENET5).unwrap();
    let three = &TEN[3 * 784..][..784];
    let before = digits.read(three).unwrap();
    digits.cut(0.5).unwrap();
    assert_eq!(digits.kept_by_layer(), [48, 128, 140, 72]);
    assert_ne!(digits.read(three).unwrap(), before);
    digits.cut(0.0).unwrap();
    assert_eq!(digits.kept(), 4);
    digits.cut(1.0).unwrap();
    assert_eq!(digits.read(three).unwrap(), before);
}

/// A picture with a garment on a ground, as the pages have pixels: red, green and blue of each.
fn picture(height: usize, width: usize) -> (Picture, Vec<u8>) {
    let whole = garments(&sample(), 1, height.max(width), 3).unwrap();
    let side = whole.height;
    let plane = |c: usize| {
        let plane = &whole.pixels[c * side * side..][..side * side];
        (0..height).flat_map(move |y| plane[y * side..][..width].iter().copied())
    };
    let pixels: Vec<u8> = (0..3).flat_map(plane).collect();
    let mixed = (0..height * width)
        .flat_map(|i| (0..3).map(move |c| (c, i)))
        .map(|(c, i)| pixels[c * height * width + i])
        .collect();
    (
        Picture {
            height,
            width,
            pixels,
        },
        mixed,
    )
}

#[test]
fn pictures_are_segmented_as_the_zoo_s_network_does() {
    let segmenter = Segmenter::new(&codec().decode(UNET).unwrap(), &Device::Cpu).unwrap();
    let unet = Unet::new(UNET).unwrap();
    for (height, width) in [(64, 96), (75, 131), (160, 239)] {
        let (picture, pixels) = picture(height, width);
        let expected = segmenter.logits(&picture).unwrap().flatten_all().unwrap();
        let expected: Vec<f32> = expected.to_vec1().unwrap();
        let found = unet.logits(&pixels, height, width).unwrap();
        let most = expected.iter().fold(1.0_f32, |m, x| m.max(x.abs()));
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-3 * most, "{a} and {b}");
        }
        let expected = segmenter.run(&picture).unwrap().values;
        let mask = unet.segment(&pixels, height, width).unwrap();
        let same = mask.iter().zip(&expected).filter(|(a, b)| a == b).count();
        assert!(1000 * same >= 999 * mask.len(), "{same} of {}", mask.len());
    }
}

#[test]
fn what_does_not_fit_is_refused_with_a_sentence() {
    let said = |e: freqreg_web::Error| e.to_string();
    let e = said(Digits::new(UNET).err().unwrap());
    assert!(e.contains("`unet`") && e.contains("LeNet5"), "{e}");
    let e = said(Unet::new(LENET5).err().unwrap());
    assert!(e.contains("UNet"), "{e}");
    let e = said(Unet::new(&UNET[..700]).err().unwrap());
    assert!(e.contains("the model file"), "{e}");
    let digits = Digits::new(LENET5).unwrap();
    let e = said(digits.read(&[0; 783]).unwrap_err());
    assert!(e.contains("783") && e.contains("784"), "{e}");
    let unet = Unet::new(UNET).unwrap();
    let e = said(unet.logits(&[0; 15 * 20 * 3], 15, 20).unwrap_err());
    assert!(e.contains("16") && e.contains("15"), "{e}");
    let e = said(unet.logits(&[0; 16 * 20], 16, 20).unwrap_err());
    assert!(e.contains("960") && e.contains("320"), "{e}");
}

#[test]
fn the_pages_say_how_large_the_files_are() {
    let first = include_str!("../../src/index.md");
    assert!(first.starts_with("# A neural network in 1,604 bytes") && LENET5.len() == 1604);
    assert!(first.contains("**776 numbers**") && first.contains("429,168"));
    let segment = include_str!("../../src/segment.md");
    assert!(segment.contains("The same 1,552 bytes as a QR code") && UNET.len() == 1552);
}
