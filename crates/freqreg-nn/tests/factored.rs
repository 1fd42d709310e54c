//! A layer run through the factors of its weight (project, small convolution, expand) does what it does with the
//! weight rebuilt, and its gradients at the input are the same: whatever the shape, the order and the budget.

mod common;

use candle_core::{DType, Device, Tensor};
use common::{difference, probe, values, variable};
use freqreg_dct::{KeepOrder, Plan};
use freqreg_nn::ops::{self, Conv2dShape};
use freqreg_nn::{Keep, Store, conv2d_no_bias, linear_no_bias};
use proptest::prelude::*;

fn tensor(values: &[f64], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
}

fn order() -> impl Strategy<Value = KeepOrder> {
    prop_oneof![Just(KeepOrder::Zigzag), Just(KeepOrder::InverseSqrt)]
}

fn same(spatial: &Tensor, factored: &Tensor, x: &candle_core::Var) {
    assert_eq!(spatial.dims(), factored.dims());
    assert!(difference(&values(factored), &values(spatial)) < 1e-11);
    let gradient = |y: &Tensor| {
        let grads = probe(y).unwrap().backward().unwrap();
        values(grads.get(x).unwrap())
    };
    assert!(difference(&gradient(factored), &gradient(spatial)) < 1e-11);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn convolution(
        (o, i, k) in (1..9_usize, 1..9_usize, 1..5_usize),
        share in 0.02..1.0_f64,
        order in order(),
        stride in 1..3_usize,
        padding in 0..3_usize,
        seed in 0..1000_u64,
    ) {
        let kept = ((share * (o * i * k * k) as f64) as usize).max(1);
        let store = Store::new(seed, DType::F64, &Device::Cpu);
        let config = candle_nn::Conv2dConfig { stride, padding, ..Default::default() };
        let keep = Keep::count(kept).order(order.clone());
        let layer = conv2d_no_bias(i, o, k, config, keep, store.root()).unwrap();
        let x = variable(&[2, i, 7, 6], seed);
        let spatial = candle_nn::Module::forward(&layer, &x).unwrap();

        let plan = Plan::<f64>::new(&[o, i, k, k], &order, kept).unwrap();
        let f = plan.factors(&layer.weight().values().unwrap()).unwrap();
        let (p, q) = (f.bounds[0], f.bounds[1]);
        let basis = |a: usize| tensor(f.bases[a].as_slice(), &[f.bounds[a], [o, i, k, k][a]]);
        // K[p, q, :, :] = sum over r, s of core[p, q, r, s] Bh[r] Bw[s].
        let core = tensor(&f.core, &[p * q, f.bounds[2], f.bounds[3]]);
        let small = core
            .broadcast_matmul(&basis(3)).unwrap()
            .transpose(1, 2).unwrap().contiguous().unwrap()
            .broadcast_matmul(&basis(2)).unwrap()
            .transpose(1, 2).unwrap()
            .reshape((p, q, k, k)).unwrap();
        let one = Conv2dShape::default();
        let project = basis(1).reshape((q, i, 1, 1)).unwrap();
        let expand = basis(0).t().unwrap().contiguous().unwrap().reshape((o, p, 1, 1)).unwrap();
        let shape = Conv2dShape { stride: [stride; 2], padding: [padding; 2], ..one };
        let narrow = ops::conv2d(&x, &project, None, one).unwrap();
        let narrow = ops::conv2d(&narrow, &small, None, shape).unwrap();
        let factored = ops::conv2d(&narrow, &expand, None, one).unwrap();
        same(&spatial, &factored, &x);
    }

    #[test]
    fn linear(
        (o, i) in (1..30_usize, 1..30_usize),
        share in 0.01..1.0_f64,
        order in order(),
        seed in 0..1000_u64,
    ) {
        let kept = ((share * (o * i) as f64) as usize).max(1);
        let store = Store::new(seed, DType::F64, &Device::Cpu);
        let keep = Keep::count(kept).order(order.clone());
        let layer = linear_no_bias(i, o, keep, store.root()).unwrap();
        let x = variable(&[3, i], seed);
        let spatial = candle_nn::Module::forward(&layer, &x).unwrap();
        let plan = Plan::<f64>::new(&[o, i], &order, kept).unwrap();
        let f = plan.factors(&layer.weight().values().unwrap()).unwrap();
        let basis = |a: usize| tensor(f.bases[a].as_slice(), &[f.bounds[a], [o, i][a]]);
        let narrow = ops::linear(&x, &basis(1), None).unwrap();
        let narrow = ops::linear(&narrow, &tensor(&f.core, &f.bounds), None).unwrap();
        let factored = narrow.matmul(&basis(0)).unwrap();
        same(&spatial, &factored, &x);
    }
}
