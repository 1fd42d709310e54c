//! The compositions for other devices against the kernels: values and every gradient, in f64 on the CPU.

mod common;

use candle_core::{DType, Device, Result, Tensor, Var};
use common::{difference, probe, values, variable};
use freqreg_nn::ops::{self, Conv2dShape, portable};

fn compare(
    what: &str,
    inputs: &[Var],
    ours: impl Fn(&[Var]) -> Result<Tensor>,
    theirs: impl Fn(&[Var]) -> Result<Tensor>,
) {
    let (a, b) = (ours(inputs).unwrap(), theirs(inputs).unwrap());
    assert_eq!(a.dims(), b.dims(), "{what}");
    assert!(difference(&values(&b), &values(&a)) < 1e-12, "{what}");
    let (ga, gb) = (
        probe(&a).unwrap().backward().unwrap(),
        probe(&b).unwrap().backward().unwrap(),
    );
    for (i, input) in inputs.iter().enumerate() {
        let (ga, gb) = (ga.get(input).unwrap(), gb.get(input).unwrap());
        assert!(
            difference(&values(gb), &values(ga)) < 1e-11,
            "{what}: input {i}"
        );
    }
}

#[test]
fn linear_layers_agree() {
    let v = [
        variable(&[3, 5], 1),
        variable(&[4, 5], 2),
        variable(&[4], 3),
    ];
    compare(
        "linear",
        &v,
        |v| ops::linear(&v[0], &v[1], Some(&v[2])),
        |v| portable::linear(&v[0], &v[1], Some(&v[2])),
    );
}

#[test]
fn convolutions_agree() {
    for (stride, padding, dilation, groups) in [
        ([1, 1], [0, 0], [1, 1], 1),
        ([2, 3], [1, 2], [1, 1], 1),
        ([1, 2], [2, 1], [2, 1], 2),
        ([3, 2], [1, 0], [1, 2], 3),
    ] {
        let shape = Conv2dShape {
            stride,
            padding,
            dilation,
            groups,
            output_padding: [0, 0],
        };
        let v = [
            variable(&[2, 2 * groups, 9, 7], 1),
            variable(&[2 * groups, 2, 3, 2], 2),
            variable(&[2 * groups], 3),
        ];
        compare(
            &format!("{shape:?}"),
            &v,
            |v| ops::conv2d(&v[0], &v[1], Some(&v[2]), shape),
            |v| portable::conv2d(&v[0], &v[1], Some(&v[2]), shape),
        );
    }
}

#[test]
fn transposed_convolutions_agree() {
    for (stride, padding, output_padding, dilation, groups) in [
        ([1, 1], [0, 0], [0, 0], [1, 1], 1),
        ([2, 2], [0, 0], [0, 0], [1, 1], 1),
        ([2, 3], [1, 1], [1, 2], [1, 1], 1),
        ([2, 1], [1, 0], [0, 0], [1, 2], 2),
    ] {
        let shape = Conv2dShape {
            stride,
            padding,
            dilation,
            groups,
            output_padding,
        };
        let v = [
            variable(&[2, 2 * groups, 4, 5], 1),
            variable(&[2 * groups, 3, 3, 4], 2),
            variable(&[3 * groups], 3),
        ];
        compare(
            &format!("{shape:?}"),
            &v,
            |v| ops::conv_transpose2d(&v[0], &v[1], Some(&v[2]), shape),
            |v| portable::conv_transpose2d(&v[0], &v[1], Some(&v[2]), shape),
        );
    }
}

#[test]
fn pools_norms_and_relu_agree() {
    let v = [variable(&[2, 4, 9, 7], 1)];
    for (k, s) in [([2, 2], [2, 2]), ([3, 3], [2, 2]), ([3, 2], [1, 3])] {
        let name = format!("pool {k:?} {s:?}");
        compare(
            &name,
            &v,
            |v| ops::max_pool2d(&v[0], k, s),
            |v| portable::max_pool2d(&v[0], k, s),
        );
        compare(
            &name,
            &v,
            |v| ops::avg_pool2d(&v[0], k, s),
            |v| portable::avg_pool2d(&v[0], k, s),
        );
    }
    compare("gelu", &v, |v| ops::gelu(&v[0]), |v| portable::gelu(&v[0]));
    compare(
        "attention",
        &[variable(&[2, 7, 24], 5)],
        |v| ops::self_attention(&v[0], 2),
        |v| portable::self_attention(&v[0], 2),
    );
    compare("relu", &v, |v| ops::relu(&v[0]), |v| portable::relu(&v[0]));
    compare(
        "batch norm",
        &v,
        |v| ops::normalize_batch(&v[0], 1e-5),
        |v| portable::normalize(&v[0], [2, 4, 63], 1e-5),
    );
    compare(
        "group norm",
        &v,
        |v| ops::normalize_groups(&v[0], 2, 1e-5),
        |v| portable::normalize(&v[0], [1, 4, 126], 1e-5),
    );
}

#[test]
fn synthesis_agrees() {
    use freqreg_nn::{Keep, KeepOrder, Store, conv2d_no_bias, linear_no_bias};
    let store = Store::new(3, DType::F64, &Device::Cpu);
    let keep = Keep::count(40).order(KeepOrder::InverseSqrt);
    conv2d_no_bias(6, 9, 3, Default::default(), keep, store.root().pp("a")).unwrap();
    let keep = Keep::count(33).axes([12, 4, 3, 2]);
    linear_no_bias(24, 12, keep, store.root().pp("b")).unwrap();
    linear_no_bias(5, 7, Keep::count(35), store.root().pp("c")).unwrap();
    for p in store.parameters() {
        let v = [Var::from_tensor(&p.variable()).unwrap()];
        let name = p.name().to_string();
        compare(&name, &v, |_| Ok(p.weight()?), |_| Ok(p.weight_portable()?));
    }
}
