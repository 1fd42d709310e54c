//! Kernels against plain loops, over random shapes.

mod naive;

use freqreg_kernels::{Attention, Conv2d, ConvTranspose2d, Linear, Norm, Pool2d};
use naive::{conv_terms, conv_transpose_terms, distance, narrow, numbers, pool_windows};
use proptest::prelude::*;

const F64: f64 = 1e-12;
const F32: f64 = 2e-5;

fn pair(range: std::ops::Range<usize>) -> impl Strategy<Value = [usize; 2]> {
    [range.clone(), range]
}

prop_compose! {
    fn conv()(
        batch in 1usize..5, groups in 1usize..4, inputs in 1usize..6, outputs in 1usize..6,
        size in pair(1..14), kernel in pair(1..6), stride in pair(1..4), padding in pair(0..4), dilation in pair(1..4),
    ) -> Conv2d {
        Conv2d {
            batch, channels_in: groups * inputs, height: size[0], width: size[1], channels_out: groups * outputs,
            kernel, stride, padding, dilation, groups,
        }
    }
}

prop_compose! {
    fn conv_transpose()(
        batch in 1usize..5, groups in 1usize..4, inputs in 1usize..6, outputs in 1usize..6,
        size in pair(1..8), kernel in pair(1..6), stride in pair(1..4), padding in pair(0..3), output_padding in pair(0..3),
        dilation in pair(1..4),
    ) -> ConvTranspose2d {
        ConvTranspose2d {
            batch, channels_in: groups * inputs, height: size[0], width: size[1], channels_out: groups * outputs,
            kernel, stride, padding, output_padding, dilation, groups,
        }
    }
}

fn check_conv(c: Conv2d) -> Result<(), TestCaseError> {
    let (x, w) = (numbers(c.input_len(), 1), numbers(c.weight_len(), 2));
    let (b, g) = (numbers(c.channels_out, 3), numbers(c.output_len(), 4));
    let plane = c.output_size()[0] * c.output_size()[1];
    let mut y: Vec<f64> = (0..c.output_len())
        .map(|i| b[i / plane % c.channels_out])
        .collect();
    let (mut gx, mut gw, mut gb) = (vec![0.0; x.len()], vec![0.0; w.len()], vec![0.0; b.len()]);
    conv_terms(&c, |i, k, o| {
        y[o] += x[i] * w[k];
        gx[i] += g[o] * w[k];
        gw[k] += g[o] * x[i];
    });
    g.iter()
        .enumerate()
        .for_each(|(i, v)| gb[i / plane % c.channels_out] += v);

    // Outputs start as NaN: a kernel must overwrite every element.
    let (mut y1, mut gx1) = (vec![f64::NAN; y.len()], vec![f64::NAN; x.len()]);
    let (mut gw1, mut gb1) = (vec![f64::NAN; w.len()], vec![f64::NAN; b.len()]);
    c.forward(&x, &w, Some(&b), &mut y1).unwrap();
    c.grad_input(&w, &g, &mut gx1).unwrap();
    c.grad_weight(&x, &g, &mut gw1).unwrap();
    c.grad_bias(&g, &mut gb1).unwrap();
    for (what, got, want) in [
        ("y", &y1, &y),
        ("gx", &gx1, &gx),
        ("gw", &gw1, &gw),
        ("gb", &gb1, &gb),
    ] {
        prop_assert!(
            distance(got, want) < F64,
            "{what} of {c:?}: {}",
            distance(got, want)
        );
    }

    let (x, w, b, g) = (narrow(&x), narrow(&w), narrow(&b), narrow(&g));
    let (mut y1, mut gx1) = (vec![f32::NAN; y.len()], vec![f32::NAN; x.len()]);
    let (mut gw1, mut gb1) = (vec![f32::NAN; w.len()], vec![f32::NAN; b.len()]);
    c.forward(&x, &w, Some(&b), &mut y1).unwrap();
    c.grad_input(&w, &g, &mut gx1).unwrap();
    c.grad_weight(&x, &g, &mut gw1).unwrap();
    c.grad_bias(&g, &mut gb1).unwrap();
    for (what, got, want) in [
        ("y", &y1, &y),
        ("gx", &gx1, &gx),
        ("gw", &gw1, &gw),
        ("gb", &gb1, &gb),
    ] {
        prop_assert!(
            distance(got, want) < F32,
            "f32 {what} of {c:?}: {}",
            distance(got, want)
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn convolution(c in conv()) {
        prop_assume!(c.validated().is_ok());
        check_conv(c)?;
    }

    #[test]
    fn transposed_convolution(c in conv_transpose()) {
        prop_assume!(c.validated().is_ok());
        let (x, w) = (numbers(c.input_len(), 1), numbers(c.weight_len(), 2));
        let (b, g) = (numbers(c.channels_out, 3), numbers(c.output_len(), 4));
        let plane = c.output_size()[0] * c.output_size()[1];
        let mut y: Vec<f64> = (0..c.output_len()).map(|i| b[i / plane % c.channels_out]).collect();
        let (mut gx, mut gw, mut gb) = (vec![0.0; x.len()], vec![0.0; w.len()], vec![0.0; b.len()]);
        conv_transpose_terms(&c, |i, k, o| {
            y[o] += x[i] * w[k];
            gx[i] += g[o] * w[k];
            gw[k] += g[o] * x[i];
        });
        g.iter().enumerate().for_each(|(i, v)| gb[i / plane % c.channels_out] += v);
        let (mut y1, mut gx1) = (vec![f64::NAN; y.len()], vec![f64::NAN; x.len()]);
        let (mut gw1, mut gb1) = (vec![f64::NAN; w.len()], vec![f64::NAN; b.len()]);
        c.forward(&x, &w, Some(&b), &mut y1).unwrap();
        c.grad_input(&w, &g, &mut gx1).unwrap();
        c.grad_weight(&x, &g, &mut gw1).unwrap();
        c.grad_bias(&g, &mut gb1).unwrap();
        for (what, got, want) in [("y", &y1, &y), ("gx", &gx1, &gx), ("gw", &gw1, &gw), ("gb", &gb1, &gb)] {
            prop_assert!(distance(got, want) < F64, "{what} of {c:?}: {}", distance(got, want));
        }
    }

    #[test]
    fn pooling(
        planes in 1usize..4, size in pair(1..14), kernel in pair(1..5), stride in pair(1..5), padding in pair(0..3),
    ) {
        let p = Pool2d { planes, height: size[0], width: size[1], kernel, stride, padding };
        prop_assume!(p.validated().is_ok());
        // Few distinct values: many ties.
        let x: Vec<f64> = numbers(p.input_len(), 1).iter().map(|v| (v * 3.0).round()).collect();
        let g = numbers(p.output_len(), 2);
        let (plane_in, windows) = (p.height * p.width, pool_windows(&p));
        let (mut max, mut avg) = (vec![], vec![]);
        let (mut max_gx, mut avg_gx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        let area = (kernel[0] * kernel[1]) as f64;
        for n in 0..planes {
            for (o, window) in windows.iter().enumerate() {
                let values = window.iter().map(|&i| x[n * plane_in + i]);
                let best = values.clone().fold(f64::NEG_INFINITY, f64::max);
                let first = window.iter().find(|&&i| x[n * plane_in + i] == best).unwrap();
                max.push(best);
                avg.push(values.sum::<f64>() / area);
                max_gx[n * plane_in + first] += g[n * windows.len() + o];
                window.iter().for_each(|i| avg_gx[n * plane_in + i] += g[n * windows.len() + o] / area);
            }
        }
        let (mut y, mut gx) = (vec![f64::NAN; max.len()], vec![f64::NAN; x.len()]);
        p.max_forward(&x, &mut y).unwrap();
        p.max_backward(&x, &g, &mut gx).unwrap();
        prop_assert_eq!(&y, &max);
        prop_assert!(distance(&gx, &max_gx) < F64, "max gradient of {:?}", p);
        p.avg_forward(&x, &mut y).unwrap();
        p.avg_backward(&g, &mut gx).unwrap();
        prop_assert!(distance(&y, &avg) < F64, "average of {:?}", p);
        prop_assert!(distance(&gx, &avg_gx) < F64, "average gradient of {:?}", p);
    }

    #[test]
    fn linear(rows in 1usize..40, features_in in 1usize..70, features_out in 1usize..70) {
        let l = Linear { rows, features_in, features_out };
        let (x, w) = (numbers(l.input_len(), 1), numbers(l.weight_len(), 2));
        let (b, g) = (numbers(features_out, 3), numbers(l.output_len(), 4));
        let (mut y, mut gb) = (vec![0.0; g.len()], vec![0.0; b.len()]);
        let (mut gx, mut gw) = (vec![0.0; x.len()], vec![0.0; w.len()]);
        for r in 0..rows {
            for o in 0..features_out {
                y[r * features_out + o] += b[o];
                gb[o] += g[r * features_out + o];
                for i in 0..features_in {
                    y[r * features_out + o] += x[r * features_in + i] * w[o * features_in + i];
                    gx[r * features_in + i] += g[r * features_out + o] * w[o * features_in + i];
                    gw[o * features_in + i] += g[r * features_out + o] * x[r * features_in + i];
                }
            }
        }
        let (mut y1, mut gb1) = (vec![f64::NAN; g.len()], vec![f64::NAN; b.len()]);
        let (mut gx1, mut gw1) = (vec![f64::NAN; x.len()], vec![f64::NAN; w.len()]);
        l.forward(&x, &w, Some(&b), &mut y1).unwrap();
        l.grad_input(&w, &g, &mut gx1).unwrap();
        l.grad_weight(&x, &g, &mut gw1).unwrap();
        l.grad_bias(&g, &mut gb1).unwrap();
        for (what, got, want) in [("y", &y1, &y), ("gx", &gx1, &gx), ("gw", &gw1, &gw), ("gb", &gb1, &gb)] {
            prop_assert!(distance(got, want) < F64, "{what} of {l:?}: {}", distance(got, want));
        }
    }

    #[test]
    fn normalisation(outer in 1usize..6, channels in 1usize..6, inner in 1usize..40) {
        let n = Norm { outer, channels, inner, eps: 1e-5 };
        // A large offset: one-pass statistics would lose all digits of the variance.
        let x: Vec<f64> = numbers(n.input_len(), 1).iter().map(|v| v + 1e6).collect();
        let (mut want, mut want_rstd) = (vec![0.0; x.len()], vec![0.0; channels]);
        for (c, want_rstd) in want_rstd.iter_mut().enumerate() {
            let at: Vec<usize> = (0..x.len()).filter(|i| i / inner % channels == c).collect();
            let mean = at.iter().map(|&i| x[i]).sum::<f64>() / at.len() as f64;
            let variance = at.iter().map(|&i| (x[i] - mean).powi(2)).sum::<f64>() / at.len() as f64;
            *want_rstd = 1.0 / (variance + 1e-5).sqrt();
            at.iter().for_each(|&i| want[i] = (x[i] - mean) * *want_rstd);
        }
        let (mut y, mut rstd) = (vec![f64::NAN; x.len()], vec![f64::NAN; channels]);
        n.forward(&x, &mut y, &mut rstd).unwrap();
        prop_assert!((distance(&rstd, &want_rstd)) < 1e-8);
        prop_assert!(y.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-6), "{:?}", n);
    }
}

/// Shapes large enough for several tiles, channel blocks and partial sums.
#[test]
fn convolutions_of_many_tiles() {
    let shapes = [
        Conv2d {
            batch: 3,
            channels_in: 40,
            height: 33,
            width: 29,
            channels_out: 7,
            kernel: [5, 3],
            padding: [2, 1],
            ..Conv2d::default()
        },
        Conv2d {
            batch: 37,
            channels_in: 3,
            height: 9,
            width: 8,
            channels_out: 5,
            kernel: [3, 3],
            ..Conv2d::default()
        },
        Conv2d {
            batch: 1,
            channels_in: 2,
            height: 70,
            width: 61,
            channels_out: 3,
            kernel: [3, 3],
            padding: [1, 1],
            ..Conv2d::default()
        },
        Conv2d {
            batch: 2,
            channels_in: 130,
            height: 31,
            width: 37,
            channels_out: 4,
            ..Conv2d::default()
        },
        Conv2d {
            batch: 5,
            channels_in: 130,
            height: 4,
            width: 5,
            channels_out: 66,
            kernel: [3, 3],
            padding: [1, 1],
            ..Conv2d::default()
        },
        Conv2d {
            batch: 2,
            channels_in: 1,
            height: 1,
            width: 3000,
            channels_out: 2,
            kernel: [1, 7],
            ..Conv2d::default()
        },
        // Small padded maps of many channels, filter elements one by one; one of them never meets the input.
        Conv2d {
            batch: 140,
            channels_in: 64,
            height: 2,
            width: 2,
            channels_out: 64,
            kernel: [3, 5],
            padding: [1, 2],
            ..Conv2d::default()
        },
        Conv2d {
            batch: 3,
            channels_in: 128,
            height: 5,
            width: 4,
            channels_out: 140,
            kernel: [3, 3],
            stride: [2, 1],
            padding: [2, 3],
            dilation: [2, 1],
            groups: 2,
        },
        // Whole registers of input channels, and registers that span filter columns, side by side or apart.
        Conv2d {
            batch: 3,
            channels_in: 64,
            height: 9,
            width: 10,
            channels_out: 33,
            kernel: [3, 3],
            padding: [1, 1],
            ..Conv2d::default()
        },
        Conv2d {
            batch: 3,
            channels_in: 20,
            height: 12,
            width: 13,
            channels_out: 9,
            kernel: [3, 5],
            dilation: [2, 2],
            stride: [1, 2],
            ..Conv2d::default()
        },
        Conv2d {
            batch: 2,
            channels_in: 140,
            height: 7,
            width: 6,
            channels_out: 150,
            kernel: [2, 3],
            groups: 2,
            stride: [2, 1],
            padding: [1, 0],
            ..Conv2d::default()
        },
    ];
    for c in shapes {
        check_conv(c).unwrap();
    }
}

#[test]
fn pooling_propagates_nan() {
    let p = Pool2d {
        planes: 1,
        height: 2,
        width: 2,
        kernel: [2, 2],
        stride: [2, 2],
        padding: [0, 0],
    };
    let strided = Pool2d {
        kernel: [2, 1],
        stride: [1, 1],
        ..p
    };
    for at in 0..4 {
        let mut x = [1f32, 2., 3., 4.];
        x[at] = f32::NAN;
        let (mut y, mut gx) = ([0f32], [9f32; 4]);
        p.max_forward(&x, &mut y).unwrap();
        assert!(y[0].is_nan());
        p.max_backward(&x, &[5.], &mut gx).unwrap();
        let mut want = [0f32; 4];
        want[at] = 5.;
        assert_eq!(gx, want);
        let mut y = [0f32; 2];
        strided.max_forward(&x, &mut y).unwrap();
        assert!(y[at % 2].is_nan() && !y[1 - at % 2].is_nan());
    }
}

#[test]
fn windows_that_are_mostly_padding_cost_no_more_than_the_plane() {
    let far = 1 << 40;
    let p = Pool2d {
        planes: 1,
        height: 2,
        width: 3,
        kernel: [2 * far, 2 * far],
        stride: [1, 2],
        padding: [far, far],
    };
    // Every window sees the whole plane.
    assert_eq!(p.output_size(), [3, 2]);
    let x = [1.0, -5.0, 4.0, 2.0, 3.0, f64::NEG_INFINITY];
    let (mut y, mut gx) = ([0.0; 6], [0.0; 6]);
    p.max_forward(&x, &mut y).unwrap();
    assert_eq!(y, [4.0; 6]);
    p.max_backward(&x, &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0], &mut gx)
        .unwrap();
    assert_eq!(gx, [0.0, 0.0, 63.0, 0.0, 0.0, 0.0]);
    p.avg_backward(&[1.0; 6], &mut gx).unwrap();
    let share = 1.0 / (2.0 * far as f64).powi(2);
    assert_eq!(gx, [6.0 * share; 6]);
}

/// Attention in plain loops and f64.
fn plain_attention(a: Attention, x: &[f64]) -> Vec<f64> {
    let at = |image, token, part, head, i| {
        x[(((image * a.tokens + token) * 3 + part) * a.heads + head) * a.head_dim + i]
    };
    let mut y = Vec::new();
    for image in 0..a.batch {
        for token in 0..a.tokens {
            for head in 0..a.heads {
                let weights: Vec<f64> = (0..a.tokens)
                    .map(|other| {
                        let dot: f64 = (0..a.head_dim)
                            .map(|i| at(image, token, 0, head, i) * at(image, other, 1, head, i))
                            .sum();
                        (dot / (a.head_dim as f64).sqrt()).exp()
                    })
                    .collect();
                for i in 0..a.head_dim {
                    let sum: f64 = (0..a.tokens)
                        .map(|other| weights[other] * at(image, other, 2, head, i))
                        .sum();
                    y.push(sum / weights.iter().sum::<f64>());
                }
            }
        }
    }
    y
}

#[test]
fn attention_in_both_precisions() {
    for (batch, tokens, heads, head_dim) in [(1, 1, 1, 1), (2, 65, 3, 16), (3, 9, 2, 5)] {
        let a = Attention {
            batch,
            tokens,
            heads,
            head_dim,
        };
        let x: Vec<f64> = numbers(a.input_len(), 1).iter().map(|v| v * 3.0).collect();
        let want = plain_attention(a, &x);
        let mut y = vec![f64::NAN; want.len()];
        a.forward(&x, &mut y).unwrap();
        assert!(distance(&y, &want) < 1e-13, "{a:?}");
        let mut y = vec![f32::NAN; want.len()];
        a.forward(&narrow(&x), &mut y).unwrap();
        assert!(
            distance(&y, &want) < 2e-6,
            "{a:?}: {:e}",
            distance(&y, &want)
        );
    }
    // Scores far beyond the exponential's range: the largest takes all.
    let a = Attention {
        batch: 1,
        tokens: 2,
        heads: 1,
        head_dim: 1,
    };
    let mut y = [f32::NAN; 2];
    a.forward(&[100., 100., 1., 100., 90., 2.], &mut y).unwrap();
    assert_eq!(y, [1.0, 1.0]);
}
