//! One training step of a layer (forward and backward): ours dense, ours regularised, and candle's own.

use candle_core::{DType, Device, Tensor};
use candle_nn::{Module, VarBuilder, VarMap};
use criterion::{Criterion, criterion_group, criterion_main};
use freqreg_nn::{Keep, Store, conv2d_no_bias, linear_no_bias};
use std::hint::black_box;

fn step(layer: &dyn Module, x: &Tensor) {
    let loss = layer.forward(x).and_then(|y| y.sqr()?.sum_all());
    black_box(loss.and_then(|l| l.backward()).expect("shapes fit"));
}

fn convolution(c: &mut Criterion) {
    let mut group = c.benchmark_group("convolution 8 to 128, k 5, batch 64 of 12 x 12");
    group.sample_size(20);
    let device = Device::Cpu;
    let x = Tensor::randn(0f32, 1.0, (64, 8, 12, 12), &device).expect("memory");
    for (name, keep) in [("dense", Keep::dense()), ("256 kept", Keep::count(256))] {
        let store = Store::new(1, DType::F32, &device);
        let layer = conv2d_no_bias(8, 128, 5, Default::default(), keep, store.root());
        let layer = layer.expect("a valid layer");
        group.bench_function(name, |b| b.iter(|| step(&layer, &x)));
    }
    let map = VarMap::new();
    let vb = VarBuilder::from_varmap(&map, DType::F32, &device);
    let layer = candle_nn::conv2d_no_bias(8, 128, 5, Default::default(), vb);
    let layer = layer.expect("a valid layer");
    group.bench_function("candle", |b| b.iter(|| step(&layer, &x)));
    group.finish();
}

fn linear(c: &mut Criterion) {
    let mut group = c.benchmark_group("linear 2048 to 196, batch 64");
    group.sample_size(20);
    let device = Device::Cpu;
    let x = Tensor::randn(0f32, 1.0, (64, 2048), &device).expect("memory");
    for (name, keep) in [
        ("dense", Keep::dense()),
        ("280 kept", Keep::count(280)),
        ("all kept", Keep::fraction(1.0)),
    ] {
        let store = Store::new(1, DType::F32, &device);
        let layer = linear_no_bias(2048, 196, keep, store.root()).expect("a valid layer");
        group.bench_function(name, |b| b.iter(|| step(&layer, &x)));
    }
    group.finish();
}

criterion_group!(benches, convolution, linear);
criterion_main!(benches);
