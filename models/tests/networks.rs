//! What every network promises: its table of tensors, a gradient at every coefficient, and errors that name the layer.

use candle_core::{DType, Device, Tensor};
use freqreg_models::{Architecture, Budgets, LayerKeep, Layers};
use freqreg_nn::{Init, Store, ops};

fn lenet5(extra: &str) -> Architecture {
    let text = format!("architecture = 'lenet5'\nchannels = [8, 128]\nhidden = 196\n{extra}");
    toml::from_str(&text).unwrap()
}

fn budgets(counts: &[(&str, usize)]) -> Budgets {
    let keep = |n| LayerKeep {
        keep: Some(n),
        ..LayerKeep::default()
    };
    counts
        .iter()
        .map(|&(name, n)| (name.to_string(), keep(n)))
        .collect()
}

const PAPER: [(&str, usize); 4] = [("conv1", 128), ("conv2", 128), ("fc1", 256), ("fc2", 256)];

fn images(n: usize, size: usize) -> Tensor {
    // A texture that excites every frequency.
    let pixel = |i: usize| ((i * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0;
    let pixels: Vec<f32> = (0..n * size * size).map(pixel).collect();
    Tensor::from_vec(pixels, (n, 1, size, size), &Device::Cpu).unwrap()
}

#[test]
fn the_papers_lenet5_has_its_weights_and_its_numbers() {
    let store = Store::new(1, DType::F32, &Device::Cpu);
    let budgets = budgets(&PAPER);
    let layers = Layers::regularised(store.root(), &budgets, Init::Paper);
    assert!(lenet5("biases = ['conv1']").build(layers).is_ok());
    let table: Vec<_> = store
        .parameters()
        .iter()
        .map(|p| (p.name().to_string(), p.shape().to_vec(), p.kept()))
        .collect();
    let expected = [
        ("conv1.weight", vec![8, 1, 5, 5], 128),
        ("conv1.bias", vec![8], 8),
        ("conv2.weight", vec![128, 8, 5, 5], 128),
        ("fc1.weight", vec![196, 2048], 256),
        ("fc2.weight", vec![10, 196], 256),
    ];
    assert_eq!(table, expected.map(|(n, s, k)| (n.to_string(), s, k)));
    let parameters = store.parameters();
    assert_eq!(parameters.iter().map(|p| p.kept()).sum::<usize>(), 776);
    assert_eq!(
        parameters.iter().map(|p| p.weights()).sum::<usize>(),
        429_168 + 8
    );
}

#[test]
fn every_coefficient_gets_a_gradient_in_every_form() {
    for norm in ["none", "sample", "batch"] {
        for pool in ["max", "average"] {
            for regularised in [true, false] {
                let all = "biases = ['conv1', 'conv2', 'fc1', 'fc2']";
                let architecture = lenet5(&format!("norm = '{norm}'\npool = '{pool}'\n{all}"));
                let store = Store::new(1, DType::F32, &Device::Cpu);
                let budgets = budgets(&PAPER);
                let layers = match regularised {
                    true => Layers::regularised(store.root(), &budgets, Init::VariancePreserving),
                    false => Layers::dense(store.root()),
                };
                let model = architecture.build(layers).unwrap();
                let logits = model.forward(&images(8, 28)).unwrap();
                let loss = ops::cross_entropy(&logits, &[0, 1, 2, 3, 4, 5, 6, 7], 0.0).unwrap();
                let grads = loss.backward().unwrap();
                for p in store.parameters() {
                    let case = format!("{norm} {pool} {regularised} {}", p.name());
                    let g = grads
                        .get(&p.variable())
                        .unwrap_or_else(|| panic!("{case}: none"));
                    let g: Vec<f32> = g.flatten_all().unwrap().to_vec1().unwrap();
                    let nonzero = g.iter().filter(|x| **x != 0.0).count();
                    // A bias in front of a norm over its own channel moves nothing, and a ReLU may be silent on
                    // eight images: whole lists of coefficients may not.
                    if regularised && p.name().ends_with("weight") {
                        assert_eq!(nonzero, g.len(), "{case}");
                    } else if !p.name().ends_with("bias") {
                        assert!(nonzero * 4 > g.len(), "{case}: {nonzero} of {}", g.len());
                    }
                }
            }
        }
    }
}

#[test]
fn sizes_and_classes_are_free() {
    let text = "input = [3, 32, 37]\nclasses = 7";
    let store = Store::new(1, DType::F32, &Device::Cpu);
    let model = lenet5(text).build(Layers::dense(store.root())).unwrap();
    let x = Tensor::zeros((2, 3, 32, 37), DType::F32, &Device::Cpu).unwrap();
    assert_eq!(model.forward(&x).unwrap().dims(), [2, 7]);
}

#[test]
fn what_does_not_fit_is_named() {
    let error = |extra: &str, counts: &[(&str, usize)]| {
        let store = Store::new(1, DType::F32, &Device::Cpu);
        let budgets = budgets(counts);
        let layers = Layers::regularised(store.root(), &budgets, Init::Paper);
        match lenet5(extra).build(layers) {
            Ok(_) => panic!("built"),
            Err(e) => e.to_string(),
        }
    };
    assert!(error("", &PAPER[..3]).contains("`fc2` has no budget"));
    let with_more: Vec<_> = PAPER.into_iter().chain([("conv3", 1)]).collect();
    let e = error("", &with_more);
    assert!(
        e.contains("conv3") && e.contains("conv1, conv2, fc1, fc2"),
        "{e}"
    );
    assert!(error("input = [1, 15, 28]", &PAPER).contains("15 x 28"));
    assert!(error("biases = ['conv9']", &PAPER).contains("conv9"));
    assert!(error("classes = 0", &PAPER).contains("must be 1 to"));
}

#[test]
fn configurations_survive_json_and_refuse_unknown_keys() {
    let a = lenet5("norm = 'sample'");
    let json = serde_json::to_string(&a).unwrap();
    assert_eq!(serde_json::from_str::<Architecture>(&json).unwrap(), a);
    let wrong = toml::from_str::<Architecture>(
        "architecture = 'lenet5'\nchannels = [1, 2]\nhidden = 3\nnrom = 'sample'",
    );
    assert!(wrong.unwrap_err().to_string().contains("nrom"));
}
