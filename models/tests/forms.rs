//! Other forms than the paper's: image sizes, channels, classes and shapes that a user may ask for.

use candle_core::{DType, Device, Tensor};
use freqreg_models::{Architecture, Layers, Model};
use freqreg_nn::{Store, no_grad};

fn build(text: &str) -> (Box<dyn Model>, Store) {
    let architecture: Architecture = toml::from_str(text).unwrap();
    let store = Store::new(1, DType::F32, &Device::Cpu);
    let model = architecture.build(Layers::dense(store.root())).unwrap();
    (model, store)
}

fn output(text: &str, input: [usize; 4]) -> Vec<usize> {
    let (model, _) = build(text);
    let x = Tensor::ones(&input, DType::F32, &Device::Cpu).unwrap();
    no_grad(|| model.forward(&x)).unwrap().dims().to_vec()
}

fn refused(text: &str) -> String {
    let architecture: Architecture = match toml::from_str(text) {
        Ok(architecture) => architecture,
        Err(e) => return e.to_string(),
    };
    let store = Store::new(1, DType::F32, &Device::Cpu);
    match architecture.build(Layers::dense(store.root())) {
        Ok(_) => panic!("{text} was built"),
        Err(e) => e.to_string(),
    }
}

#[test]
fn vgg_of_sixteen_layers() {
    let sixteen =
        "architecture = 'vgg'\nconvolutions = [2, 2, 3, 3, 3]\nnorm = 'batch'\nclasses = 7";
    let (_, store) = build(sixteen);
    let weights = |name: &str| -> usize {
        let all = store.parameters();
        all.iter()
            .filter(|p| p.name().contains(name))
            .map(|p| p.weights())
            .sum()
    };
    // 13 convolutions without biases, as in Simonyan & Zisserman's configuration D.
    assert_eq!(weights("conv"), 14_710_464);
    assert_eq!(store.parameters().len(), 14);
    let small = "architecture = 'vgg'\nconvolutions = [1, 2]\nchannels = [4, 8]\nhidden = [6]\nclasses = 3\nchannels_in = 1";
    assert_eq!(output(small, [2, 1, 21, 30]), [2, 3]);
}

#[test]
fn resnet18_with_the_stem_for_large_images() {
    let text =
        "architecture = 'resnet18'\nstem = 'imagenet'\nwidth = 8\nclasses = 5\nnorm = 'group:4'";
    let (_, store) = build(text);
    assert_eq!(store.parameters()[0].shape(), [8, 3, 7, 7]);
    assert_eq!(output(text, [1, 3, 70, 97]), [1, 5]);
    let wide = "architecture = 'resnet18'\nstem = 'imagenet'\nclasses = 1000";
    let (_, store) = build(wide);
    let sum: usize = store.parameters().iter().map(|p| p.weights()).sum();
    // torchvision's 11,689,512 without the 9,600 numbers of its norms and the 1,000 biases of its last layer.
    assert_eq!(sum, 11_689_512 - 9_600 - 1_000);
}

#[test]
fn any_size_of_image() {
    assert_eq!(
        output("architecture = 'alexnet'\nclasses = 4", [1, 3, 96, 80]),
        [1, 4]
    );
    let unet = "architecture = 'unet'\nchannels_in = 1\nclasses = 3\nwidth = 4\ndepth = 3";
    assert_eq!(output(unet, [2, 1, 27, 44]), [2, 3, 27, 44]);
    let vit = "architecture = 'vit'\ninput = [1, 28, 14]\npatch = 7\ndim = 24\ndepth = 1\nheads = 2\nhead_dim = 8\nmlp = 12\nclasses = 6";
    assert_eq!(output(vit, [3, 1, 28, 14]), [3, 6]);
    let vae = "architecture = 'vae'\ninput = [3, 32, 24]\nchannels = [4, 6]\nlatent = 5";
    assert_eq!(output(vae, [2, 3, 32, 24]), [2, 3, 32, 24]);
    let (dcgan, _) = build("architecture = 'dcgan'\nchannels = 3\nlatent = 10\nwidth = 4");
    let z = Tensor::ones((2, 10), DType::F32, &Device::Cpu).unwrap();
    assert_eq!(dcgan.forward(&z).unwrap().dims(), [2, 3, 64, 64]);
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let cases = [
        ("architecture = 'vgg'\nconvolutions = [2, 2]", "2 stages"),
        ("architecture = 'vit'\npatch = 5", "do not tile"),
        ("architecture = 'vae'\ninput = [1, 30, 28]", "30 x 28"),
        ("architecture = 'unet'\nnorm = 'group:7'", "7 groups"),
        ("architecture = 'unet'\nclasses = 1000", "1000"),
        ("architecture = 'resnet18'\nnorm = 'group:0'", "no norm"),
        ("architecture = 'resnet18'\nwidth = 0", "must be 1 to"),
        (
            "architecture = 'alexnet'\nchannels_in = 9223372036854775807",
            "must be 1 to",
        ),
        ("architecture = 'dcgan'\nlatent = 0", "must be 1 to"),
        ("architecture = 'lenet6'", "lenet6"),
    ];
    for (text, part) in cases {
        let error = refused(text);
        assert!(error.contains(part), "{text}: {error}");
    }
}
