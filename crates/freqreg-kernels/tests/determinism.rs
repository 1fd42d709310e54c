//! The number of threads never changes a bit of a result.

mod naive;

use freqreg_kernels::{Attention, Conv2d, ConvTranspose2d, Linear, Norm, Pool2d};
use naive::{narrow, numbers};

/// Runs `f` with 1, 2 and 3 threads and compares the bits.
fn same_for_all_pools(what: &str, f: impl Fn() -> Vec<Vec<f32>> + Sync) {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let bits = |v: &Vec<f32>| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        pool.install(&f).iter().map(bits).collect::<Vec<_>>()
    };
    let one = run(1);
    for threads in [2, 3] {
        assert!(run(threads) == one, "{what} differs with {threads} threads");
    }
}

#[test]
fn convolution() {
    for c in [
        Conv2d {
            batch: 13,
            channels_in: 20,
            height: 12,
            width: 12,
            channels_out: 50,
            kernel: [5, 5],
            ..Conv2d::default()
        },
        Conv2d {
            batch: 16,
            channels_in: 1,
            height: 28,
            width: 28,
            channels_out: 20,
            kernel: [5, 5],
            ..Conv2d::default()
        },
        Conv2d {
            batch: 2,
            channels_in: 66,
            height: 40,
            width: 40,
            channels_out: 32,
            kernel: [3, 3],
            padding: [1, 1],
            ..Conv2d::default()
        },
        Conv2d {
            batch: 3,
            channels_in: 64,
            height: 24,
            width: 24,
            channels_out: 32,
            groups: 2,
            ..Conv2d::default()
        },
        Conv2d {
            batch: 150,
            channels_in: 128,
            height: 2,
            width: 3,
            channels_out: 128,
            kernel: [3, 3],
            padding: [1, 1],
            ..Conv2d::default()
        },
    ] {
        let (x, w) = (
            narrow(&numbers(c.input_len(), 1)),
            narrow(&numbers(c.weight_len(), 2)),
        );
        let (b, g) = (
            narrow(&numbers(c.channels_out, 3)),
            narrow(&numbers(c.output_len(), 4)),
        );
        same_for_all_pools(&format!("{c:?}"), || {
            let (mut y, mut gx) = (vec![0f32; g.len()], vec![0f32; x.len()]);
            let (mut gw, mut gb) = (vec![0f32; w.len()], vec![0f32; b.len()]);
            c.forward(&x, &w, Some(&b), &mut y).unwrap();
            c.grad_input(&w, &g, &mut gx).unwrap();
            c.grad_weight(&x, &g, &mut gw).unwrap();
            c.grad_bias(&g, &mut gb).unwrap();
            vec![y, gx, gw, gb]
        });
    }
}

#[test]
fn transposed_convolution() {
    let c = ConvTranspose2d {
        batch: 4,
        channels_in: 24,
        height: 16,
        width: 15,
        channels_out: 12,
        kernel: [4, 4],
        stride: [2, 2],
        padding: [1, 1],
        ..ConvTranspose2d::default()
    };
    let (x, w) = (
        narrow(&numbers(c.input_len(), 1)),
        narrow(&numbers(c.weight_len(), 2)),
    );
    let (b, g) = (
        narrow(&numbers(c.channels_out, 3)),
        narrow(&numbers(c.output_len(), 4)),
    );
    same_for_all_pools("transposed convolution", || {
        let (mut y, mut gx, mut gw) = (
            vec![0f32; g.len()],
            vec![0f32; x.len()],
            vec![0f32; w.len()],
        );
        c.forward(&x, &w, Some(&b), &mut y).unwrap();
        c.grad_input(&w, &g, &mut gx).unwrap();
        c.grad_weight(&x, &g, &mut gw).unwrap();
        vec![y, gx, gw]
    });
}

#[test]
fn linear_norm_and_pooling() {
    let l = Linear {
        rows: 128,
        features_in: 800,
        features_out: 500,
    };
    let n = Norm {
        outer: 8,
        channels: 50,
        inner: 1000,
        eps: 1e-5,
    };
    let p = Pool2d {
        planes: 400,
        height: 25,
        width: 40,
        kernel: [3, 3],
        stride: [2, 2],
        padding: [1, 1],
    };
    let (x, w, g) = (
        narrow(&numbers(400_000, 1)),
        narrow(&numbers(400_000, 2)),
        narrow(&numbers(400_000, 3)),
    );
    same_for_all_pools("linear, norm or pooling", || {
        let (mut y, mut gx, mut gw) = (
            vec![0f32; l.output_len()],
            vec![0f32; l.input_len()],
            vec![0f32; l.weight_len()],
        );
        l.forward(&x[..l.input_len()], &w, None, &mut y).unwrap();
        l.grad_input(&w, &g[..l.output_len()], &mut gx).unwrap();
        l.grad_weight(&x[..l.input_len()], &g[..l.output_len()], &mut gw)
            .unwrap();
        let (mut ny, mut rstd, mut ngx) =
            (vec![0f32; 400_000], vec![0f32; 50], vec![0f32; 400_000]);
        n.forward(&x, &mut ny, &mut rstd).unwrap();
        n.backward(&ny, &rstd, &g, &mut ngx).unwrap();
        let (mut py, mut pgx) = (vec![0f32; p.output_len()], vec![0f32; 400_000]);
        p.max_forward(&x, &mut py).unwrap();
        p.max_backward(&x, &g[..p.output_len()], &mut pgx).unwrap();
        vec![y, gx, gw, ny, rstd, ngx, py, pgx]
    });
}

#[test]
fn attention() {
    let a = Attention {
        batch: 3,
        tokens: 65,
        heads: 4,
        head_dim: 32,
    };
    let (x, g) = (
        narrow(&numbers(a.input_len(), 1)),
        narrow(&numbers(a.output_len(), 2)),
    );
    same_for_all_pools("attention", || {
        let (mut y, mut gx) = (g.clone(), x.clone());
        a.forward(&x, &mut y).unwrap();
        a.backward(&x, &g, &mut gx).unwrap();
        vec![y, gx]
    });
}
