//! What holds for every network of the zoo, ordinary and regularised with the budgets of its experiments: it learns, all
//! of it gets a gradient, its file gives it back bit for bit, and it is the same however its layers run.

use candle_core::{DType, Device, Tensor};
use freqreg_file::Model as ModelFile;
use freqreg_models::{Architecture, Task};
use freqreg_nn::{Execution, Form, Seed, no_grad};
use freqreg_train::experiment::{Experiment, NumberKind, Optimiser as Settings};
use freqreg_train::images::{Preparation, Scale};
use freqreg_train::network::Network;
use freqreg_train::optimiser::Optimiser;
use freqreg_train::tasks::{Batch, Setting, task};

/// One experiment for each architecture, the one with the most numbers, and the size of the images it is tried with.
const ZOO: [(&str, usize); 8] = [
    ("lenet5", 28),
    ("alexnet-v1", 63),
    ("vgg16-v1", 32),
    ("resnet18-v1", 32),
    ("vit-v1", 32),
    ("unet", 65),
    ("dcgan-v1", 64),
    ("vae-v1", 28),
];

struct Case {
    experiment: Experiment,
    architecture: Architecture,
    /// `[n, channels, h, w]`, 0 to 1 or -1 to 1.
    x: Tensor,
    labels: Vec<u32>,
}

fn case(name: &str, side: usize, regularised: bool) -> Case {
    let experiment = Experiment::find(name).unwrap();
    let architecture = match regularised {
        true => experiment.regularised.model.clone(),
        false => experiment.dense.model.clone(),
    };
    // Few, since each pixel of a segmentation is a case of its own.
    let n = if architecture.task() == Task::Segmentation {
        2
    } else {
        4
    };
    let (channels, _) = architecture.input();
    // Smooth blobs, another one for each image, and a texture that excites every frequency.
    let low = if architecture.task() == Task::Generation {
        -1.0
    } else {
        0.0
    };
    let (mut pixels, mut inside) = (Vec::new(), Vec::new());
    for image in 0..n {
        for c in 0..channels {
            for i in 0..side * side {
                let (y, x) = (
                    (i / side) as f64 / side as f64,
                    (i % side) as f64 / side as f64,
                );
                let wave = ((3.0 * x + image as f64).sin() * (4.0 * y + c as f64).cos()).abs();
                let texture = ((i * 2_654_435_761 + image * 97 + c * 31) % 1000) as f64 / 1000.0;
                let value = 0.8 * wave + 0.2 * texture;
                pixels.push((low + (1.0 - low) * value) as f32);
                if c == 0 {
                    inside.push(u32::from(wave > 0.5));
                }
            }
        }
    }
    let labels = match architecture.task() {
        Task::Segmentation => inside,
        _ => (0..n as u32).collect(),
    };
    let x = Tensor::from_vec(pixels, (n, channels, side, side), &Device::Cpu).unwrap();
    Case {
        experiment,
        architecture,
        x,
        labels,
    }
}

fn network(case: &Case, regularised: bool) -> Network {
    let settings = &case.experiment.regularised;
    match regularised {
        false => Network::dense(&case.architecture, 1, &Device::Cpu),
        true => {
            let init = settings.init.into();
            Network::regularised(&case.architecture, &settings.budgets, init, 1, &Device::Cpu)
        }
    }
    .unwrap()
}

/// What the network makes of the case: of the images, or of latent numbers.
fn output(case: &Case, network: &Network) -> Vec<f32> {
    let n = case.x.dims()[0];
    let input = match network.model.adversarial() {
        None => case.x.clone(),
        Some(game) => {
            let mut z = vec![0.0; n * game.latent()];
            Seed(5).fill_normal("latent", 1.0, &mut z);
            let z = Tensor::from_vec(z, (n, game.latent()), &Device::Cpu).unwrap();
            z.to_dtype(DType::F32).unwrap()
        }
    };
    let mut y = no_grad(|| network.model.forward(&input)).unwrap();
    let (_, _, h, w) = case.x.dims4().unwrap();
    let expected = match case.architecture.task() {
        Task::Classification => vec![n, 10],
        Task::Segmentation => vec![n, 2, h, w],
        Task::Generation => vec![n, 1, 64, 64],
        Task::Autoencoding => case.x.dims().to_vec(),
    };
    assert_eq!(y.dims(), expected);
    if let Some(game) = network.model.adversarial() {
        let judged = no_grad(|| game.judge(&case.x)).unwrap();
        assert_eq!(judged.dims(), [n]);
        y = Tensor::cat(&[y.flatten_all().unwrap(), judged], 0).unwrap();
    }
    y.flatten_all().unwrap().to_vec1().unwrap()
}

/// Fifty steps on one batch: the loss of each, and before the first a look at every gradient.
/// Only the parameters whose names begin with `part` move, and only the losses that move them are given.
fn learn(case: &Case, network: &Network, regularised: bool, rate: f64, part: &str) -> Vec<f64> {
    let adam = Settings::Adam {
        beta1: 0.9,
        beta2: 0.99,
        decay: 0.0,
    };
    let mut optimiser = Optimiser::new(adam, network.parameters.clone());
    let setting = Setting {
        preparation: Preparation {
            scale: Scale {
                mean: 0.0,
                deviation: 1.0,
            },
            resize: None,
        },
        smoothing: 0.0,
        seed: Seed(1),
        device: &Device::Cpu,
    };
    let last = network
        .parameters
        .iter()
        .rfind(|p| p.name().ends_with("weight"));
    let last = last.map_or("", |p| p.name());
    let softmax = matches!(
        case.architecture.task(),
        Task::Classification | Task::Segmentation
    );
    let decides = |name: &str| softmax && name == last;
    let mut losses = Vec::new();
    for step in 0..50 {
        optimiser.begin();
        let batch = Batch {
            x: case.x.clone(),
            labels: case.labels.clone(),
            // The same latent numbers at every step: this is one batch.
            step: 0,
            before: 0,
            all: case.x.dim(0).unwrap(),
        };
        let mut all = 0.0;
        task(case.architecture.task())
            .step(
                network.model.as_ref(),
                batch,
                &setting,
                &mut |loss, prefix| {
                    let grads = loss.backward()?;
                    if step == 0 {
                        for p in network
                            .parameters
                            .iter()
                            .filter(|p| p.name().starts_with(prefix))
                        {
                            let g = grads
                                .get(&p.variable())
                                .unwrap_or_else(|| panic!("{}: none", p.name()));
                            let g: Vec<f32> = g.flatten_all()?.to_vec1()?;
                            let zeros = g.iter().filter(|g| **g == 0.0).count();
                            // Of an ordinary layer, the weights of a unit that answers to none of four images get nothing.
                            let most = match (regularised, p.form()) {
                                (true, Form::Prefix { axes, order }) => {
                                    // What is the same for every class cancels in the softmax; and what is the same for every input
                                    // of a linear layer meets their sum, which is zero but for rounding behind a norm of the sample.
                                    let prefix = order.prefix(axes, p.kept()).unwrap();
                                    let linear = p.shape().len() == 2;
                                    let cancels = |index: Vec<usize>| {
                                        decides(p.name()) && index[0] == 0
                                            || linear && index[1..].iter().all(|&i| i == 0)
                                    };
                                    (0..p.kept()).filter(|&i| cancels(prefix.index(i))).count()
                                }
                                _ => g.len() * 3 / 4,
                            };
                            assert!(
                                zeros <= most,
                                "{}: {zeros} of {} are zero",
                                p.name(),
                                g.len()
                            );
                            assert!(g.iter().all(|g| g.is_finite()), "{}", p.name());
                        }
                    }
                    let value = f64::from(loss.to_scalar::<f32>()?);
                    if prefix.starts_with(part) {
                        all += value;
                        optimiser.apply(&grads, rate, prefix)?;
                    }
                    Ok(value)
                },
            )
            .unwrap();
        losses.push(all);
    }
    losses
}

fn check(name: &str, regularised: bool) {
    let side = ZOO.iter().find(|z| z.0 == name).unwrap().1;
    let case = case(name, side, regularised);
    let network = network(&case, regularised);
    let rate = match (regularised, name) {
        // 33 numbers a layer have far to go.
        (true, "unet") => 0.05,
        (true, _) => 0.01,
        (false, _) => 0.0003,
    };
    // The players of a game learn one after the other, each against the other as it stands.
    let parts: &[&str] = match network.model.adversarial() {
        Some(_) => &["discriminator.", "generator."],
        None => &[""],
    };
    // No network can do better with grey pixels than this, in bits a pixel.
    let floor = match case.architecture.task() {
        Task::Autoencoding => {
            let pixels: Vec<f32> = case.x.flatten_all().unwrap().to_vec1().unwrap();
            let entropy = |t: f64| match t > 0.0 && t < 1.0 {
                true => -(t * t.log2() + (1.0 - t) * (1.0 - t).log2()),
                false => 0.0,
            };
            pixels.iter().map(|&t| entropy(f64::from(t))).sum::<f64>() / pixels.len() as f64
        }
        _ => 0.0,
    };
    for part in parts {
        let losses = learn(&case, &network, regularised, rate, part);
        let (first, last) = (losses[0] - floor, losses[49] - floor);
        assert!(
            last < 0.5 * first,
            "{name} {part}: from {first} to {last} above {floor}"
        );
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.freq");
    network
        .to_file(NumberKind::Float32)
        .unwrap()
        .write(&path)
        .unwrap();
    let file = ModelFile::read(&path).unwrap();
    let expected = output(&case, &network);
    let read = Network::from_file(&file, &Device::Cpu).unwrap();
    assert_eq!(
        output(&case, &read),
        expected,
        "{name}: its file gives another network"
    );
    let size = expected.iter().fold(0.0_f32, |m, y| m.max(y.abs()));
    for execution in [Execution::Spatial, Execution::Factored, Execution::Fused] {
        let other = Network::from_file_with(&file, &Device::Cpu, execution).unwrap();
        let worst = output(&case, &other)
            .iter()
            .zip(&expected)
            .fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(
            worst < 1e-3 * size,
            "{name}, {execution:?}: {worst} of {size}"
        );
    }
}

macro_rules! zoo {
    ($($test:ident: $name:literal;)*) => {
        mod ordinary {
            $(#[test] fn $test() { super::check($name, false); })*
        }
        mod regularised {
            $(#[test] fn $test() { super::check($name, true); })*
        }
    };
}

zoo! {
    lenet5: "lenet5";
    alexnet: "alexnet-v1";
    vgg: "vgg16-v1";
    resnet18: "resnet18-v1";
    vit: "vit-v1";
    unet: "unet";
    dcgan: "dcgan-v1";
    vae: "vae-v1";
}

#[test]
fn the_zoo_is_complete() {
    let mut architectures: Vec<&str> = ZOO
        .iter()
        .map(|(name, _)| Experiment::find(name).unwrap().regularised.model.name())
        .collect();
    architectures.sort_unstable();
    let all = [
        "alexnet", "dcgan", "lenet5", "resnet18", "unet", "vae", "vgg", "vit",
    ];
    assert_eq!(architectures, all);
    for (name, text) in freqreg_models::EXPERIMENTS {
        let e = Experiment::parse(name, text).unwrap();
        assert!(
            architectures.contains(&e.regularised.model.name()),
            "{name}"
        );
    }
}
