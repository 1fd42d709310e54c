//! Every operation against central differences, in f64: more than one sample, sizes that are neither square nor
//! even, strides, dilation, groups, ties, and an input with two consumers.

mod common;

use candle_core::{Device, Result, Tensor, Var};
use common::{check_gradients, variable};
use freqreg_nn::ops::{self, Conv2dShape};

#[test]
fn linear() {
    let inputs = [
        variable(&[3, 5], 1),
        variable(&[4, 5], 2),
        variable(&[4], 3),
    ];
    check_gradients(&inputs, |v| ops::linear(&v[0], &v[1], Some(&v[2])));
    check_gradients(&inputs[..2], |v| ops::linear(&v[0], &v[1], None));
    let deep = [variable(&[2, 3, 5], 1), variable(&[4, 5], 2)];
    check_gradients(&deep, |v| ops::linear(&v[0], &v[1], None));
}

const SHAPES: [Conv2dShape; 4] = [
    Conv2dShape {
        stride: [1, 1],
        padding: [0, 0],
        output_padding: [0, 0],
        dilation: [1, 1],
        groups: 1,
    },
    Conv2dShape {
        stride: [2, 3],
        padding: [1, 2],
        output_padding: [0, 0],
        dilation: [1, 1],
        groups: 1,
    },
    Conv2dShape {
        stride: [1, 2],
        padding: [2, 1],
        output_padding: [0, 0],
        dilation: [2, 1],
        groups: 2,
    },
    Conv2dShape {
        stride: [3, 2],
        padding: [0, 1],
        output_padding: [0, 0],
        dilation: [1, 2],
        groups: 1,
    },
];

#[test]
fn convolution() {
    for shape in SHAPES {
        let g = shape.groups;
        let inputs = [
            variable(&[2, 2 * g, 7, 9], 1),
            variable(&[3 * g, 2, 3, 2], 2),
            variable(&[3 * g], 3),
        ];
        check_gradients(&inputs, |v| ops::conv2d(&v[0], &v[1], Some(&v[2]), shape));
        check_gradients(&inputs[..2], |v| ops::conv2d(&v[0], &v[1], None, shape));
    }
}

#[test]
fn transposed_convolution() {
    for shape in SHAPES {
        let g = shape.groups;
        let inputs = [
            variable(&[2, 2 * g, 4, 5], 1),
            variable(&[2 * g, 3, 3, 4], 2),
            variable(&[3 * g], 3),
        ];
        check_gradients(&inputs, |v| {
            ops::conv_transpose2d(&v[0], &v[1], Some(&v[2]), shape)
        });
    }
}

#[test]
fn pools() {
    for (kernel, stride) in [
        ([2, 2], [2, 2]),
        ([3, 3], [2, 2]),
        ([3, 2], [1, 3]),
        ([1, 4], [2, 1]),
    ] {
        let x = [variable(&[2, 3, 7, 9], 5)];
        check_gradients(&x, |v| ops::max_pool2d(&v[0], kernel, stride));
        check_gradients(&x, |v| ops::avg_pool2d(&v[0], kernel, stride));
    }
}

#[test]
fn norms() {
    let x = [variable(&[3, 4, 3, 5], 7)];
    check_gradients(&x, |v| ops::normalize_batch(&v[0], 1e-5));
    check_gradients(&x, |v| ops::normalize_groups(&v[0], 1, 1e-5));
    check_gradients(&x, |v| ops::normalize_groups(&v[0], 2, 1e-5));
    check_gradients(&[variable(&[3, 5], 8)], |v| {
        ops::normalize_groups(&v[0], 1, 1e-5)
    });
}

#[test]
fn relu_and_losses() {
    let x = [variable(&[3, 7], 9)];
    check_gradients(&x, |v| ops::relu(&v[0]));
    check_gradients(&x, |v| ops::gelu(&v[0]));
    check_gradients(&x, |v| ops::cross_entropy(&v[0], &[6, 0, 3], 0.0));
    check_gradients(&x, |v| ops::cross_entropy(&v[0], &[6, 0, 3], 0.1));
}

#[test]
fn attention() {
    check_gradients(&[variable(&[2, 5, 12], 4)], |v| {
        ops::self_attention(&v[0], 2)
    });
    let x = Tensor::zeros((2, 5, 12), candle_core::DType::F32, &Device::Cpu).unwrap();
    for heads in [0, 3, 5] {
        let error = ops::self_attention(&x, heads).unwrap_err().to_string();
        assert!(error.contains("12 features"), "{error}");
    }
}

#[test]
fn an_input_with_two_consumers_gets_both_gradients() {
    let inputs = [variable(&[2, 2, 6, 5], 1), variable(&[2, 2, 3, 3], 2)];
    let shape = Conv2dShape {
        padding: [1, 1],
        ..Conv2dShape::default()
    };
    check_gradients(&inputs, |v| {
        let a = ops::conv2d(&v[0], &v[1], None, shape)?;
        let b = ops::relu(&ops::conv2d(&a, &v[1], None, shape)?)?;
        let c = ops::normalize_groups(&a, 1, 1e-5)?;
        (b + c)? + &a
    });
}

fn gradient(x: &Var, y: &Tensor) -> Vec<f64> {
    let grads = y.sum_all().unwrap().backward().unwrap();
    common::values(grads.get(x).unwrap())
}

#[test]
fn ties_send_the_gradient_to_the_first_maximum_only() -> Result<()> {
    let x = Var::ones((1, 1, 4, 4), candle_core::DType::F64, &Device::Cpu)?;
    let first = vec![
        1., 0., 1., 0., 0., 0., 0., 0., 1., 0., 1., 0., 0., 0., 0., 0.,
    ];
    assert_eq!(gradient(&x, &ops::max_pool2d(&x, [2, 2], [2, 2])?), first);
    assert_eq!(
        gradient(&x, &ops::portable::max_pool2d(&x, [2, 2], [2, 2])?),
        first
    );
    Ok(())
}

#[test]
fn relu_has_gradient_zero_at_zero() -> Result<()> {
    let x = Var::from_tensor(&Tensor::new(&[-1.0, 0.0, 2.0], &Device::Cpu)?)?;
    assert_eq!(gradient(&x, &ops::relu(&x)?), [0., 0., 1.]);
    assert_eq!(gradient(&x, &ops::portable::relu(&x)?), [0., 0., 1.]);
    Ok(())
}

#[test]
fn nobody_pays_for_the_gradient_of_the_data() -> Result<()> {
    let x = variable(&[2, 1, 6, 6], 1).as_tensor().copy()?.detach();
    let w = variable(&[2, 1, 3, 3], 2);
    let y = ops::conv2d(&x, &w, None, Conv2dShape::default())?;
    let grads = y.sum_all()?.backward()?;
    assert!(grads.get(&x).is_none());
    assert!(grads.get(&w).is_some());
    Ok(())
}

#[test]
fn targets_that_are_no_classes_are_refused() {
    let x = variable(&[2, 3], 1);
    let text = |r: Result<Tensor>| r.unwrap_err().to_string();
    assert!(text(ops::cross_entropy(&x, &[0, 3], 0.0)).contains("target 3"));
    assert!(text(ops::cross_entropy(&x, &[0], 0.0)).contains("1 targets"));
}

#[test]
fn large_logits_do_not_overflow_the_loss() -> Result<()> {
    let x = Var::from_tensor(&Tensor::new(&[[1e4, -1e4, 0.0]], &Device::Cpu)?)?;
    let loss = ops::cross_entropy(&x, &[1], 0.0)?;
    assert!((loss.to_scalar::<f64>()? - 2e4).abs() < 1e-6);
    let g = common::values(loss.backward()?.get(&x).unwrap());
    assert_eq!(g, [1.0, -1.0, 0.0]);
    Ok(())
}
