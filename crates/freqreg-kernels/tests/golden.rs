//! Layers against golden vectors: outputs and gradients in f64 of an independent implementation (the authors' transform and
//! PyTorch). `coeffs` are the weight's DCT coefficients, of which only some are kept and the others zero; `grad_coeffs` is the
//! gradient with respect to the kept ones: the DCT of the weight gradient, for the transform is orthonormal.

mod naive;

use freqreg_kernels::{Conv2d, ConvTranspose2d, Linear, Real};
use naive::{distance, narrow};
use safetensors::SafeTensors;

const F64: f64 = 1e-10;
const F32: f64 = 1e-5;

struct Golden {
    shape: Vec<usize>,
    values: Vec<f64>,
}

fn golden(name: &str, part: &str) -> Golden {
    let bytes = include_bytes!("golden/layers.safetensors");
    let file = SafeTensors::deserialize(bytes).unwrap();
    let view = file.tensor(&format!("{name}.{part}")).unwrap();
    assert_eq!(view.dtype(), safetensors::Dtype::F64);
    let values = view
        .data()
        .as_chunks::<8>()
        .0
        .iter()
        .map(|&b| f64::from_le_bytes(b))
        .collect();
    Golden {
        shape: view.shape().to_vec(),
        values,
    }
}

/// Orthonormal DCT-II along every axis, from its definition.
fn dct(values: &[f64], shape: &[usize]) -> Vec<f64> {
    let mut values = values.to_vec();
    for (axis, &n) in shape.iter().enumerate() {
        let stride: usize = shape[axis + 1..].iter().product();
        let before = values.clone();
        for (i, out) in values.iter_mut().enumerate() {
            let (k, base) = (i / stride % n, i - i / stride % n * stride);
            let scale = if k == 0 {
                1.0 / n as f64
            } else {
                2.0 / n as f64
            }
            .sqrt();
            let angle =
                |j: usize| std::f64::consts::PI * (2 * j + 1) as f64 * k as f64 / (2 * n) as f64;
            *out = scale
                * (0..n)
                    .map(|j| before[base + j * stride] * angle(j).cos())
                    .sum::<f64>();
        }
    }
    values
}

/// Runs `layer` (x, w, grad_y to y, grad_x, grad_w) in both precisions and compares with the golden vectors.
fn check<A, B>(name: &str, f64_layer: A, f32_layer: B)
where
    A: Fn(&[f64], &[f64], &[f64]) -> [Vec<f64>; 3],
    B: Fn(&[f32], &[f32], &[f32]) -> [Vec<f32>; 3],
{
    let [x, w, grad_y] = ["x", "weight", "grad_y"].map(|part| golden(name, part).values);
    let shape = golden(name, "weight").shape;
    let coefficients = golden(name, "coeffs");
    assert_eq!(coefficients.shape, shape);
    assert!(
        distance(&dct(&w, &shape), &coefficients.values) < F64,
        "{name}: the transform of this test"
    );
    let compare = |precision: &str, limit: f64, y: &[f64], grad_x: &[f64], grad_w: &[f64]| {
        let mut grad_coefficients = dct(grad_w, &shape);
        let kept = coefficients
            .values
            .iter()
            .map(|&c| f64::from(u8::from(c != 0.0)));
        grad_coefficients
            .iter_mut()
            .zip(kept)
            .for_each(|(g, kept)| *g *= kept);
        for (part, got) in [
            ("y", y),
            ("grad_x", grad_x),
            ("grad_coeffs", &grad_coefficients),
        ] {
            let distance = distance(got, &golden(name, part).values);
            assert!(
                distance < limit,
                "{name}.{part} in {precision} is off by {distance:e}"
            );
        }
    };
    let [y, grad_x, grad_w] = f64_layer(&x, &w, &grad_y);
    compare("f64", F64, &y, &grad_x, &grad_w);
    let results = f32_layer(&narrow(&x), &narrow(&w), &narrow(&grad_y));
    let [y, grad_x, grad_w] = results.map(|v| v.into_iter().map(f64::from).collect::<Vec<_>>());
    compare("f32", F32, &y, &grad_x, &grad_w);
}

/// The convolution of the golden vectors of this name: sizes from the tensors' shapes, the rest given.
fn conv(name: &str, stride: usize, padding: usize, dilation: usize) -> Conv2d {
    let (x, w, y) = (
        golden(name, "x").shape,
        golden(name, "weight").shape,
        golden(name, "y").shape,
    );
    let c = Conv2d {
        batch: x[0],
        channels_in: x[1],
        height: x[2],
        width: x[3],
        channels_out: w[0],
        kernel: [w[2], w[3]],
        stride: [stride; 2],
        padding: [padding; 2],
        dilation: [dilation; 2],
        groups: x[1] / w[1],
    };
    assert_eq!(c.output_size(), [y[2], y[3]]);
    c.validated().unwrap()
}

fn conv_transpose(name: &str, stride: usize, padding: usize) -> ConvTranspose2d {
    let (x, w, y) = (
        golden(name, "x").shape,
        golden(name, "weight").shape,
        golden(name, "y").shape,
    );
    let c = ConvTranspose2d {
        batch: x[0],
        channels_in: x[1],
        height: x[2],
        width: x[3],
        channels_out: w[1],
        kernel: [w[2], w[3]],
        stride: [stride; 2],
        padding: [padding; 2],
        ..ConvTranspose2d::default()
    };
    assert_eq!(c.output_size(), [y[2], y[3]]);
    c.validated().unwrap()
}

macro_rules! run {
    ($layer:expr) => {
        |x, w, grad_y| {
            let layer = $layer;
            let (mut y, mut grad_x, mut grad_w) = (grad_y.to_vec(), x.to_vec(), w.to_vec());
            layer.forward(x, w, None, &mut y).unwrap();
            layer.grad_input(w, grad_y, &mut grad_x).unwrap();
            layer.grad_weight(x, grad_y, &mut grad_w).unwrap();
            [y, grad_x, grad_w]
        }
    };
}

#[test]
fn convolutions() {
    for (name, stride, padding, dilation) in [
        ("conv_1x1", 1, 0, 1),
        ("conv_s1p1", 1, 1, 1),
        ("conv_s2p1", 2, 1, 1),
        ("conv_dil2", 1, 2, 2),
        ("conv_groups2", 1, 1, 1),
    ] {
        let c = conv(name, stride, padding, dilation);
        check(name, run!(c), run!(c));
    }
}

#[test]
fn transposed_convolutions() {
    for (name, stride, padding) in [("convt_s2", 2, 0), ("convt_k4s2p1", 2, 1)] {
        let c = conv_transpose(name, stride, padding);
        check(name, run!(c), run!(c));
    }
}

#[test]
fn linear() {
    let (x, w) = (
        golden("linear", "x").shape,
        golden("linear", "weight").shape,
    );
    let l = Linear {
        rows: x[0],
        features_in: w[1],
        features_out: w[0],
    };
    check("linear", run!(l), run!(l));
}

/// One type serves both precisions through the sealed trait.
#[test]
fn kernels_are_generic_over_the_scalar() {
    fn twice<T: Real>(l: &Linear, x: &[T], w: &[T]) -> T {
        let mut y = vec![T::zero(); l.output_len()];
        l.forward(x, w, None, &mut y).unwrap();
        y[0]
    }
    let l = Linear {
        rows: 1,
        features_in: 1,
        features_out: 1,
    };
    assert_eq!(twice(&l, &[2f32], &[3.]), 6.0);
    assert_eq!(twice(&l, &[2f64], &[3.]), 6.0);
}
