//! A layer that runs through the factors of its weight (project, small layer, expand) does what it does with the
//! weight rebuilt, and so do its gradients at the input and at the coefficients: whatever the shape, the order and
//! the budget.

mod common;

use candle_core::{DType, Device, Var};
use candle_nn::{Conv2dConfig, ConvTranspose2dConfig, Module};
use common::{difference, probe, values, variable};
use freqreg_nn::{Builder, Execution, Keep, KeepOrder, Result, Store};
use freqreg_nn::{conv_transpose2d, conv2d, linear};
use proptest::prelude::*;

fn order() -> impl Strategy<Value = KeepOrder> {
    prop_oneof![Just(KeepOrder::Zigzag), Just(KeepOrder::InverseSqrt)]
}

/// Output, gradient at the input, gradient at each parameter.
fn run(
    execution: Execution,
    seed: u64,
    x: &Var,
    make: impl Fn(Builder) -> Result<Box<dyn Module>>,
) -> Vec<Vec<f64>> {
    let store = Store::new(seed, DType::F64, &Device::Cpu).execution(execution);
    let y = make(store.root()).unwrap().forward(x).unwrap();
    let grads = probe(&y).unwrap().backward().unwrap();
    let mut all = vec![values(&y), values(grads.get(x).unwrap())];
    for p in store.parameters() {
        all.push(values(grads.get(&p.variable()).unwrap()));
    }
    all
}

fn same(seed: u64, x: &Var, make: impl Fn(Builder) -> Result<Box<dyn Module>>) {
    let [spatial, factored, auto] = [Execution::Spatial, Execution::Factored, Execution::Auto]
        .map(|execution| run(execution, seed, x, &make));
    for (i, expected) in spatial.iter().enumerate() {
        for found in [&factored, &auto] {
            let d = difference(&found[i], expected);
            assert!(d < 1e-11, "result {i}: {d:e}");
        }
    }
}

fn kept(share: f64, shape: &[usize]) -> usize {
    ((share * shape.iter().product::<usize>() as f64) as usize).max(1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn convolution(
        (o, i, k, groups) in (1..6_usize, 1..6_usize, 1..5_usize, 1..3_usize),
        share in 0.02..1.0_f64,
        order in order(),
        (stride, padding, dilation) in (1..3_usize, 0..3_usize, 1..3_usize),
        seed in 0..1000_u64,
    ) {
        let (o, i) = (o * groups, i * groups);
        let keep = Keep::count(kept(share, &[o, i / groups, k, k])).order(order);
        let config = Conv2dConfig { stride, padding, dilation, groups, ..Default::default() };
        same(seed, &variable(&[2, i, 8, 9], seed), |vb| {
            Ok(Box::new(conv2d(i, o, k, config, keep.clone(), vb)?))
        });
    }

    #[test]
    fn transposed_convolution(
        (i, o, k) in (1..9_usize, 1..9_usize, 1..5_usize),
        share in 0.02..1.0_f64,
        order in order(),
        (stride, dilation) in (1..4_usize, 1..3_usize),
        seed in 0..1000_u64,
    ) {
        let keep = Keep::count(kept(share, &[i, o, k, k])).order(order);
        let padding = usize::from(k > 2);
        let config = ConvTranspose2dConfig { stride, padding, output_padding: stride - 1, dilation };
        same(seed, &variable(&[2, i, 5, 4], seed), |vb| {
            Ok(Box::new(conv_transpose2d(i, o, k, config, keep.clone(), vb)?))
        });
    }

    #[test]
    fn fully_connected(
        (o, i) in (1..30_usize, 1..30_usize),
        share in 0.01..1.0_f64,
        order in order(),
        parted in any::<bool>(),
        seed in 0..1000_u64,
    ) {
        // The inputs may have axes of their own in the transform.
        let (i, axes) = if parted { (4 * i, vec![o, i, 2, 2]) } else { (i, vec![o, i]) };
        let keep = Keep::count(kept(share, &[o, i])).order(order).axes(axes);
        same(seed, &variable(&[3, i], seed), |vb| {
            Ok(Box::new(linear(i, o, keep.clone(), vb)?))
        });
    }
}
