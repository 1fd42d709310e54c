//! Kernels at the sizes of real networks, and plain loops beside them.
//!
//! `cargo bench -p freqreg-bench --bench kernels`

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use freqreg_kernels::{Conv2d, Linear, Norm, Pool2d, relu};

fn values(len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| ((i * 7919) % 1009) as f32 / 504.5 - 1.0)
        .collect()
}

/// Multiply-adds of one pass.
fn work(c: &Conv2d) -> u64 {
    (c.output_len() * c.weight_len() / c.channels_out) as u64
}

fn convolutions(criterion: &mut Criterion) {
    let same = |batch, channels_in, size, channels_out, stride| Conv2d {
        batch,
        channels_in,
        height: size,
        width: size,
        channels_out,
        kernel: [3, 3],
        padding: [1, 1],
        stride: [stride, stride],
        ..Conv2d::default()
    };
    let lenet1 = Conv2d {
        batch: 128,
        height: 28,
        width: 28,
        channels_out: 20,
        kernel: [5, 5],
        ..Conv2d::default()
    };
    let lenet2 = Conv2d {
        channels_in: 20,
        height: 12,
        width: 12,
        channels_out: 50,
        ..lenet1
    };
    let pointwise = Conv2d {
        kernel: [1, 1],
        padding: [0, 0],
        ..same(16, 64, 32, 128, 1)
    };
    for (name, c) in [
        ("lenet conv1", lenet1),
        ("lenet conv2", lenet2),
        ("3x3 64 to 64, 32x32", same(16, 64, 32, 64, 1)),
        ("3x3 64 to 128, stride 2", same(16, 64, 32, 128, 2)),
        ("3x3 512 to 512, 4x4", same(32, 512, 4, 512, 1)),
        ("1x1 64 to 128, 32x32", pointwise),
    ] {
        let mut group = criterion.benchmark_group(name);
        group
            .throughput(Throughput::Elements(work(&c)))
            .sample_size(20);
        let (x, w, g) = (
            values(c.input_len()),
            values(c.weight_len()),
            values(c.output_len()),
        );
        let (mut y, mut gx, mut gw) = (g.clone(), x.clone(), w.clone());
        group.bench_function("forward", |b| b.iter(|| c.forward(&x, &w, None, &mut y)));
        group.bench_function("grad_input", |b| b.iter(|| c.grad_input(&w, &g, &mut gx)));
        group.bench_function("grad_weight", |b| b.iter(|| c.grad_weight(&x, &g, &mut gw)));
    }
    // Plain loops for scale.
    let c = Conv2d { batch: 8, ..lenet2 };
    let mut group = criterion.benchmark_group("lenet conv2, 8 images");
    group
        .throughput(Throughput::Elements(work(&c)))
        .sample_size(10);
    let (x, w, mut y) = (
        values(c.input_len()),
        values(c.weight_len()),
        values(c.output_len()),
    );
    group.bench_function("forward", |b| b.iter(|| c.forward(&x, &w, None, &mut y)));
    group.bench_function("forward, plain loops", |b| {
        b.iter(|| plain_forward(&c, &x, &w, &mut y))
    });
}

fn plain_forward(c: &Conv2d, x: &[f32], w: &[f32], y: &mut [f32]) {
    let ([oh, ow], [kh, kw]) = (c.output_size(), c.kernel);
    for (index, out) in y.iter_mut().enumerate() {
        let (j, i) = (index % ow, index / ow % oh);
        let (o, n) = (
            index / ow / oh % c.channels_out,
            index / ow / oh / c.channels_out,
        );
        *out = 0.0;
        for q in 0..c.channels_in {
            for a in 0..kh {
                for b in 0..kw {
                    *out += w[((o * c.channels_in + q) * kh + a) * kw + b]
                        * x[((n * c.channels_in + q) * c.height + i + a) * c.width + j + b];
                }
            }
        }
    }
}

fn linear(criterion: &mut Criterion) {
    for (rows, features_in, features_out) in [(128, 800, 500), (128, 500, 10), (64, 4096, 4096)] {
        let l = Linear {
            rows,
            features_in,
            features_out,
        };
        let mut group =
            criterion.benchmark_group(format!("linear {rows} x {features_in} to {features_out}"));
        group
            .throughput(Throughput::Elements(
                (rows * features_in * features_out) as u64,
            ))
            .sample_size(20);
        let (x, w, g) = (
            values(l.input_len()),
            values(l.weight_len()),
            values(l.output_len()),
        );
        let (mut y, mut gx, mut gw) = (g.clone(), x.clone(), w.clone());
        group.bench_function("forward", |b| b.iter(|| l.forward(&x, &w, None, &mut y)));
        group.bench_function("grad_input", |b| b.iter(|| l.grad_input(&w, &g, &mut gx)));
        group.bench_function("grad_weight", |b| b.iter(|| l.grad_weight(&x, &g, &mut gw)));
    }
}

fn elementwise(criterion: &mut Criterion) {
    let planes = 128 * 20;
    let halve = Pool2d {
        planes,
        height: 24,
        width: 24,
        kernel: [2, 2],
        stride: [2, 2],
        padding: [0, 0],
    };
    let overlap = Pool2d {
        kernel: [3, 3],
        padding: [1, 1],
        ..halve
    };
    let norm = Norm {
        outer: 128,
        channels: 20,
        inner: 576,
        eps: 1e-5,
    };
    let len = halve.input_len();
    let (x, g) = (values(len), values(len));
    let (mut y, mut rstd) = (values(len), values(20));
    let mut group = criterion.benchmark_group("128 x 20 x 24 x 24");
    group
        .throughput(Throughput::Elements(len as u64))
        .sample_size(20);
    for (name, p) in [("2x2", halve), ("3x3 stride 2", overlap)] {
        let out = p.output_len();
        group.bench_with_input(BenchmarkId::new("max pool", name), &p, |b, p| {
            b.iter(|| p.max_forward(&x, &mut y[..out]))
        });
        group.bench_with_input(BenchmarkId::new("max pool backward", name), &p, |b, p| {
            b.iter(|| p.max_backward(&x, &g[..out], &mut y))
        });
    }
    group.bench_function("relu", |b| b.iter(|| relu(&x, &mut y)));
    group.bench_function("norm", |b| b.iter(|| norm.forward(&x, &mut y, &mut rstd)));
    let mut grad = values(len);
    group.bench_function("norm backward", |b| {
        b.iter(|| norm.backward(&y, &rstd, &g, &mut grad))
    });
}

criterion_group!(benches, convolutions, linear, elementwise);
criterion_main!(benches);
