//! Every backward kernel against central differences of its forward kernel, in f64.
//!
//! The loss is the sum of the outputs times fixed random numbers, so the output gradient is these numbers.

mod naive;

use freqreg_kernels::{
    Attention, Conv2d, ConvTranspose2d, Linear, Norm, Pool2d, gelu, gelu_backward, relu,
    relu_backward, softmax_cross_entropy, softmax_cross_entropy_backward,
};
use naive::{distance, numbers};

/// Gradient of `loss` at `at` by central differences.
fn differences(at: &[f64], mut loss: impl FnMut(&[f64]) -> f64) -> Vec<f64> {
    let (mut at, step) = (at.to_vec(), 1e-5);
    (0..at.len())
        .map(|i| {
            let middle = at[i];
            at[i] = middle + step;
            let above = loss(&at);
            at[i] = middle - step;
            let below = loss(&at);
            at[i] = middle;
            (above - below) / (2.0 * step)
        })
        .collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn agree(what: &str, got: &[f64], want: &[f64]) {
    let distance = distance(got, want);
    assert!(distance < 1e-8, "{what}: off by {distance:e}");
}

/// Checks the four methods that convolutions and linear layers share. `bias` is the bias' length.
macro_rules! check_layer {
    ($what:expr, $layer:expr, $bias:expr) => {{
        let layer = $layer.validated().unwrap();
        let what = format!("{} {layer:?}", $what);
        let (x, w) = (
            numbers(layer.input_len(), 1),
            numbers(layer.weight_len(), 2),
        );
        let (b, g) = (numbers($bias, 3), numbers(layer.output_len(), 4));
        let mut y = vec![0.0; g.len()];
        let (mut gx, mut gw, mut gb) = (x.clone(), w.clone(), b.clone());
        layer.grad_input(&w, &g, &mut gx).unwrap();
        layer.grad_weight(&x, &g, &mut gw).unwrap();
        layer.grad_bias(&g, &mut gb).unwrap();
        let mut loss = |x: &[f64], w: &[f64], b: &[f64]| {
            layer.forward(x, w, Some(b), &mut y).unwrap();
            dot(&y, &g)
        };
        agree(
            &format!("input of {what}"),
            &gx,
            &differences(&x, |x| loss(x, &w, &b)),
        );
        agree(
            &format!("weight of {what}"),
            &gw,
            &differences(&w, |w| loss(&x, w, &b)),
        );
        agree(
            &format!("bias of {what}"),
            &gb,
            &differences(&b, |b| loss(&x, &w, b)),
        );
    }};
}

#[test]
fn convolution() {
    let base = Conv2d {
        batch: 3,
        channels_in: 2,
        height: 7,
        width: 5,
        channels_out: 3,
        kernel: [3, 2],
        ..Conv2d::default()
    };
    for c in [
        base,
        Conv2d {
            stride: [2, 3],
            ..base
        },
        Conv2d {
            padding: [1, 2],
            ..base
        },
        Conv2d {
            dilation: [2, 3],
            ..base
        },
        Conv2d {
            channels_in: 4,
            channels_out: 6,
            groups: 2,
            ..base
        },
        Conv2d {
            channels_in: 3,
            channels_out: 3,
            groups: 3,
            stride: [3, 2],
            padding: [2, 1],
            dilation: [1, 2],
            ..base
        },
        Conv2d {
            kernel: [1, 1],
            ..base
        },
        Conv2d {
            kernel: [1, 1],
            stride: [2, 2],
            padding: [1, 0],
            ..base
        },
    ] {
        check_layer!("convolution", c, c.channels_out);
    }
}

#[test]
fn transposed_convolution() {
    let base = ConvTranspose2d {
        batch: 2,
        channels_in: 3,
        height: 4,
        width: 3,
        channels_out: 2,
        kernel: [3, 2],
        ..ConvTranspose2d::default()
    };
    for c in [
        base,
        ConvTranspose2d {
            stride: [2, 3],
            ..base
        },
        ConvTranspose2d {
            stride: [2, 3],
            padding: [1, 0],
            output_padding: [1, 2],
            ..base
        },
        ConvTranspose2d {
            dilation: [2, 3],
            output_padding: [1, 2],
            ..base
        },
        ConvTranspose2d {
            channels_in: 4,
            channels_out: 6,
            groups: 2,
            stride: [2, 2],
            ..base
        },
    ] {
        check_layer!("transposed convolution", c, c.channels_out);
    }
}

#[test]
fn linear() {
    for (rows, features_in, features_out) in [(1, 1, 1), (3, 7, 5), (5, 40, 3)] {
        check_layer!(
            "linear",
            Linear {
                rows,
                features_in,
                features_out
            },
            features_out
        );
    }
}

#[test]
fn pooling() {
    for (kernel, stride, padding) in [
        ([2, 2], [2, 2], [0, 0]),
        ([3, 2], [2, 1], [1, 1]),
        ([2, 3], [3, 4], [0, 1]),
        ([3, 3], [1, 2], [0, 0]),
    ] {
        for (height, width) in [(7, 9), (6, 4), (5, 5)] {
            let p = Pool2d {
                planes: 3,
                height,
                width,
                kernel,
                stride,
                padding,
            };
            let (x, g) = (numbers(p.input_len(), 1), numbers(p.output_len(), 2));
            let (mut y, mut gx) = (vec![0.0; g.len()], x.clone());
            p.max_backward(&x, &g, &mut gx).unwrap();
            let want = differences(&x, |x| {
                p.max_forward(x, &mut y).unwrap();
                dot(&y, &g)
            });
            agree(&format!("maximum {p:?}"), &gx, &want);
            p.avg_backward(&g, &mut gx).unwrap();
            let want = differences(&x, |x| {
                p.avg_forward(x, &mut y).unwrap();
                dot(&y, &g)
            });
            agree(&format!("average {p:?}"), &gx, &want);
        }
    }
}

/// Where several elements are the maximum, the first one gets the whole gradient.
#[test]
fn pooling_with_ties() {
    for (height, width) in [(4, 4), (5, 7)] {
        let p = Pool2d {
            planes: 1,
            height,
            width,
            kernel: [2, 2],
            stride: [2, 2],
            padding: [0, 0],
        };
        let mut want = vec![0.0; height * width];
        for i in 0..height / 2 {
            for j in 0..width / 2 {
                want[2 * i * width + 2 * j] = 1.0;
            }
        }
        for constant in [0.0, f64::NEG_INFINITY, f64::INFINITY] {
            let mut gx = vec![f64::NAN; height * width];
            p.max_backward(
                &vec![constant; height * width],
                &vec![1.0; p.output_len()],
                &mut gx,
            )
            .unwrap();
            assert_eq!(gx, want);
        }
    }
    // Overlapping, padded windows over a constant: each one's first element inside the plane.
    let p = Pool2d {
        planes: 1,
        height: 3,
        width: 3,
        kernel: [3, 3],
        stride: [1, 1],
        padding: [1, 1],
    };
    let mut gx = [f64::NAN; 9];
    p.max_backward(&[2.0; 9], &[1.0; 9], &mut gx).unwrap();
    assert_eq!(gx, [4.0, 2.0, 0.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn normalisation() {
    for (outer, channels, inner) in [(4, 3, 5), (1, 4, 6), (7, 3, 1), (2, 1, 40)] {
        let n = Norm {
            outer,
            channels,
            inner,
            eps: 1e-2,
        };
        let (x, g) = (numbers(n.input_len(), 1), numbers(n.input_len(), 2));
        let (mut y, mut rstd, mut gx) = (x.clone(), vec![0.0; channels], x.clone());
        n.forward(&x, &mut y, &mut rstd).unwrap();
        n.backward(&y, &rstd, &g, &mut gx).unwrap();
        let want = differences(&x, |x| {
            n.forward(x, &mut y, &mut rstd).unwrap();
            dot(&y, &g)
        });
        agree(&format!("{n:?}"), &gx, &want);
    }
}

#[test]
fn rectified_linear_unit() {
    let (x, g) = (numbers(100, 1), numbers(100, 2));
    let (mut y, mut gx) = (x.clone(), x.clone());
    relu(&x, &mut y).unwrap();
    relu_backward(&y, &g, &mut gx).unwrap();
    let want = differences(&x, |x| {
        relu(x, &mut y).unwrap();
        dot(&y, &g)
    });
    agree("relu", &gx, &want);
    // At zero the gradient is zero, also at minus zero.
    let mut gx = [9f64; 2];
    relu_backward(&[0.0, -0.0], &[1.0, 1.0], &mut gx).unwrap();
    assert_eq!(gx, [0.0, 0.0]);
}

#[test]
fn gaussian_error_linear_unit() {
    let x: Vec<f64> = numbers(100, 1).iter().map(|v| v * 6.0).collect();
    let g = numbers(100, 2);
    let (mut y, mut gx) = (x.clone(), x.clone());
    gelu_backward(&x, &g, &mut gx).unwrap();
    let want = differences(&x, |x| {
        gelu(x, &mut y).unwrap();
        dot(&y, &g)
    });
    agree("gelu", &gx, &want);
}

#[test]
fn attention() {
    for (batch, tokens, heads, head_dim) in [(1, 1, 1, 1), (2, 5, 3, 4), (1, 19, 1, 7)] {
        let a = Attention {
            batch,
            tokens,
            heads,
            head_dim,
        };
        let x: Vec<f64> = numbers(a.input_len(), 1).iter().map(|v| v * 2.0).collect();
        let g = numbers(a.output_len(), 2);
        let (mut y, mut gx) = (g.clone(), vec![f64::NAN; x.len()]);
        a.backward(&x, &g, &mut gx).unwrap();
        let want = differences(&x, |x| {
            a.forward(x, &mut y).unwrap();
            dot(&y, &g)
        });
        agree(&format!("{a:?}"), &gx, &want);
    }
}

#[test]
fn cross_entropy() {
    for (rows, classes, smoothing) in [(1, 2, 0.0), (5, 7, 0.0), (4, 3, 0.1)] {
        let logits: Vec<f64> = numbers(rows * classes, 1).iter().map(|v| v * 4.0).collect();
        let targets: Vec<u32> = (0..rows).map(|r| (r * 5 % classes) as u32).collect();
        let mut grad = vec![f64::NAN; logits.len()];
        softmax_cross_entropy_backward(&logits, &targets, classes, smoothing, 3.0, &mut grad)
            .unwrap();
        let want = differences(&logits, |l| {
            3.0 * softmax_cross_entropy(l, &targets, classes, smoothing).unwrap()
        });
        agree(
            &format!("{rows} rows, {classes} classes, smoothing {smoothing}"),
            &grad,
            &want,
        );
    }
}

/// An activation with two consumers gets the sum of their gradients; the kernels overwrite, the caller adds.
#[test]
fn two_consumers() {
    let a = Linear {
        rows: 3,
        features_in: 4,
        features_out: 5,
    };
    let b = Linear {
        features_out: 2,
        ..a
    };
    let (x, wa, wb) = (numbers(12, 1), numbers(20, 2), numbers(8, 3));
    let (ga, gb) = (numbers(15, 4), numbers(6, 5));
    let (mut from_a, mut from_b) = (vec![0.0; 12], vec![0.0; 12]);
    a.grad_input(&wa, &ga, &mut from_a).unwrap();
    b.grad_input(&wb, &gb, &mut from_b).unwrap();
    from_a.iter_mut().zip(&from_b).for_each(|(a, b)| *a += b);
    let (mut ya, mut yb) = (vec![0.0; 15], vec![0.0; 6]);
    let want = differences(&x, |x| {
        a.forward(x, &wa, None, &mut ya).unwrap();
        b.forward(x, &wb, None, &mut yb).unwrap();
        dot(&ya, &ga) + dot(&yb, &gb)
    });
    agree("two consumers", &from_a, &want);
}
