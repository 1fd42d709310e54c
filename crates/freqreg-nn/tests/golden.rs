//! The layers against float64 reference values made with the authors' transform: outputs, gradients of the input,
//! and gradients of the coefficients.

mod common;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::Module;
use common::{difference, values};
use freqreg_nn::ops::{self, Conv2dShape};
use freqreg_nn::{Keep, KeepOrder, Parameter, Store};
use safetensors::SafeTensors;

struct Golden<'a>(SafeTensors<'a>);

impl Golden<'_> {
    fn get(&self, name: &str, part: &str) -> (Vec<usize>, Vec<f64>) {
        let t = self.0.tensor(&format!("{name}.{part}")).unwrap();
        let bytes = t.data().chunks_exact(8);
        let values = bytes.map(|b| f64::from_le_bytes(b.try_into().unwrap()));
        (t.shape().to_vec(), values.collect())
    }
}

fn check(dtype: DType, tolerance: f64) {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../freqreg-kernels/tests/golden/layers.safetensors"
    );
    let bytes = std::fs::read(path).unwrap();
    let golden = Golden(SafeTensors::deserialize(&bytes).unwrap());
    let conv = |stride, padding, dilation, groups| Conv2dShape {
        stride: [stride; 2],
        padding: [padding; 2],
        output_padding: [0; 2],
        dilation: [dilation; 2],
        groups,
    };
    let cases = [
        ("conv_1x1", Some(conv(1, 0, 1, 1)), false),
        ("conv_dil2", Some(conv(1, 2, 2, 1)), false),
        ("conv_groups2", Some(conv(1, 1, 1, 2)), false),
        ("conv_s1p1", Some(conv(1, 1, 1, 1)), false),
        ("conv_s2p1", Some(conv(2, 1, 1, 1)), false),
        ("convt_k4s2p1", Some(conv(2, 1, 1, 1)), true),
        ("convt_s2", Some(conv(2, 0, 1, 1)), true),
        ("linear", None, false),
    ];
    for (name, shape, transposed) in cases {
        let (dims, coefficients) = golden.get(name, "coeffs");
        // The references keep a prefix in zigzag order; what lies behind it is zero, and its gradient is not given.
        let order = KeepOrder::Zigzag.prefix(&dims, coefficients.len()).unwrap();
        let in_order = |all: &[f64]| order.offsets().iter().map(|&o| all[o]).collect::<Vec<_>>();
        let coefficients = in_order(&coefficients);
        let count = coefficients.iter().rposition(|&c| c != 0.0).unwrap() + 1;
        assert!(coefficients[..count].iter().all(|&c| c != 0.0), "{name}");
        let store = Store::new(1, dtype, &Device::Cpu);
        let root = store.root();
        let keep = Keep::count(count);
        let config = shape.map(|s| candle_nn::Conv2dConfig {
            stride: s.stride[0],
            padding: s.padding[0],
            dilation: s.dilation[0],
            groups: s.groups,
            ..Default::default()
        });
        let layer: Box<dyn Module> = match config {
            None => Box::new(freqreg_nn::linear_no_bias(dims[1], dims[0], keep, root).unwrap()),
            Some(c) if transposed => {
                let c = candle_nn::ConvTranspose2dConfig {
                    stride: c.stride,
                    padding: c.padding,
                    ..Default::default()
                };
                Box::new(
                    freqreg_nn::conv_transpose2d_no_bias(dims[0], dims[1], dims[2], c, keep, root)
                        .unwrap(),
                )
            }
            Some(c) => Box::new(
                freqreg_nn::conv2d_no_bias(dims[1] * c.groups, dims[0], dims[2], c, keep, root)
                    .unwrap(),
            ),
        };
        let p: Parameter = store.parameters().remove(0);
        p.set_values(&coefficients[..count]).unwrap();

        let (_, weight) = golden.get(name, "weight");
        let d = difference(&values(&p.weight().unwrap()), &weight);
        assert!(d < tolerance, "{name}: weight {d:e}");

        let (xs, x) = golden.get(name, "x");
        let x = Tensor::from_vec(x, xs, &Device::Cpu)
            .unwrap()
            .to_dtype(dtype)
            .unwrap();
        let x = Var::from_tensor(&x).unwrap();
        let y = layer.forward(&x).unwrap();
        let (ys, expected) = golden.get(name, "y");
        assert_eq!(y.dims(), ys, "{name}");
        let d = difference(&values(&y), &expected);
        assert!(d < tolerance, "{name}: y {d:e}");

        let (gs, grad_y) = golden.get(name, "grad_y");
        let grad_y = Tensor::from_vec(grad_y, gs, &Device::Cpu)
            .unwrap()
            .to_dtype(dtype)
            .unwrap();
        let loss = (y * grad_y).unwrap().sum_all().unwrap();
        let grads = loss.backward().unwrap();
        let d = difference(
            &values(grads.get(&x).unwrap()),
            &golden.get(name, "grad_x").1,
        );
        assert!(d < tolerance, "{name}: grad_x {d:e}");
        let expected = in_order(&golden.get(name, "grad_coeffs").1);
        let found = values(grads.get(&p.variable()).unwrap());
        let d = difference(&found, &expected[..count]);
        assert!(d < tolerance, "{name}: grad_coeffs {d:e}");
    }
}

#[test]
fn in_f64() {
    check(DType::F64, 1e-10);
}

#[test]
fn in_f32() {
    check(DType::F32, 1e-5);
}

#[test]
fn the_portable_convolution_meets_them_too() {
    let shape = Conv2dShape {
        padding: [1, 1],
        ..Conv2dShape::default()
    };
    let x = common::variable(&[2, 3, 5, 6], 1);
    let w = common::variable(&[4, 3, 3, 3], 2);
    let a = ops::conv2d(&x, &w, None, shape).unwrap();
    let b = ops::portable::conv2d(&x, &w, None, shape).unwrap();
    assert!(difference(&values(&b), &values(&a)) < 1e-13);
}
