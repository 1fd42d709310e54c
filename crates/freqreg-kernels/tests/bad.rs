//! Wrong arguments are refused with an error that says what was wrong, and nothing is written.

use freqreg_kernels::{
    Attention, Conv2d, ConvTranspose2d, Error, Linear, Norm, Pool2d, gelu, gelu_backward, relu,
    relu_backward, softmax_cross_entropy, softmax_cross_entropy_backward,
};

fn conv() -> Conv2d {
    Conv2d {
        batch: 2,
        channels_in: 4,
        height: 6,
        width: 5,
        channels_out: 6,
        kernel: [3, 3],
        groups: 2,
        ..Conv2d::default()
    }
}

/// Calls `f` with correct lengths, then with each slice one element short and one too long.
fn lengths<const N: usize>(right: [usize; N], f: impl Fn([usize; N]) -> Result<(), Error>) {
    f(right).unwrap();
    for i in 0..N {
        for got in [right[i] - 1, right[i] + 1] {
            let mut wrong = right;
            wrong[i] = got;
            match f(wrong) {
                Err(Error::Length {
                    expected,
                    got: reported,
                    ..
                }) => assert_eq!((expected, reported), (right[i], got)),
                other => panic!("slice {i} of {got} elements gave {other:?}"),
            }
        }
    }
}

/// A slice of `len` ones to write to, which must stay untouched if the call fails.
fn untouched(len: usize, f: impl FnOnce(&mut [f32]) -> Result<(), Error>) -> Result<(), Error> {
    let mut out = vec![1f32; len];
    let result = f(&mut out);
    assert!(
        result.is_ok() || out.iter().all(|&v| v == 1.0),
        "a refused call wrote to its output"
    );
    result
}

fn z(len: usize) -> Vec<f32> {
    vec![0.0; len]
}

#[test]
fn lengths_of_convolutions() {
    let c = conv();
    let (x, w, y, b) = (
        c.input_len(),
        c.weight_len(),
        c.output_len(),
        c.channels_out,
    );
    lengths([x, w, b, y], |[x, w, b, y]| {
        untouched(y, |y| c.forward(&z(x), &z(w), Some(&z(b)), y))
    });
    lengths([w, y, x], |[w, y, x]| {
        untouched(x, |x| c.grad_input(&z(w), &z(y), x))
    });
    lengths([x, y, w], |[x, y, w]| {
        untouched(w, |w| c.grad_weight(&z(x), &z(y), w))
    });
    lengths([y, b], |[y, b]| untouched(b, |b| c.grad_bias(&z(y), b)));

    let c = ConvTranspose2d {
        channels_in: 2,
        channels_out: 3,
        height: 3,
        width: 2,
        kernel: [2, 3],
        ..ConvTranspose2d::default()
    };
    let (x, w, y, b) = (
        c.input_len(),
        c.weight_len(),
        c.output_len(),
        c.channels_out,
    );
    lengths([x, w, b, y], |[x, w, b, y]| {
        untouched(y, |y| c.forward(&z(x), &z(w), Some(&z(b)), y))
    });
    lengths([w, y, x], |[w, y, x]| {
        untouched(x, |x| c.grad_input(&z(w), &z(y), x))
    });
    lengths([x, y, w], |[x, y, w]| {
        untouched(w, |w| c.grad_weight(&z(x), &z(y), w))
    });
    lengths([y, b], |[y, b]| untouched(b, |b| c.grad_bias(&z(y), b)));
}

#[test]
fn lengths_of_the_others() {
    let l = Linear {
        rows: 3,
        features_in: 4,
        features_out: 5,
    };
    lengths([12, 20, 5, 15], |[x, w, b, y]| {
        untouched(y, |y| l.forward(&z(x), &z(w), Some(&z(b)), y))
    });
    lengths([20, 15, 12], |[w, y, x]| {
        untouched(x, |x| l.grad_input(&z(w), &z(y), x))
    });
    lengths([12, 15, 20], |[x, y, w]| {
        untouched(w, |w| l.grad_weight(&z(x), &z(y), w))
    });
    lengths([15, 5], |[y, b]| untouched(b, |b| l.grad_bias(&z(y), b)));

    let p = Pool2d {
        planes: 2,
        height: 4,
        width: 5,
        kernel: [2, 2],
        stride: [2, 2],
        padding: [0, 0],
    };
    lengths([40, 8], |[x, y]| untouched(y, |y| p.max_forward(&z(x), y)));
    lengths([40, 8], |[x, y]| untouched(y, |y| p.avg_forward(&z(x), y)));
    lengths([8, 40], |[y, x]| untouched(x, |x| p.avg_backward(&z(y), x)));
    // Input and its gradient share their length; each is checked.
    lengths([40, 8, 40], |[x, y, gx]| {
        untouched(gx, |gx| p.max_backward(&z(x), &z(y), gx))
    });

    let n = Norm {
        outer: 2,
        channels: 3,
        inner: 4,
        eps: 1e-5,
    };
    lengths([24, 24, 3], |[x, y, r]| {
        untouched(y, |y| n.forward(&z(x), y, &mut z(r)))
    });
    lengths([24, 3, 24, 24], |[y, r, g, x]| {
        untouched(x, |x| n.backward(&z(y), &z(r), &z(g), x))
    });

    assert_eq!(
        relu(&[0f32; 3], &mut [0.0; 2]),
        Err(Error::Length {
            what: "output",
            expected: 3,
            got: 2
        })
    );
    assert!(gelu(&[0f32; 3], &mut [0.0; 2]).is_err());
    assert!(gelu_backward(&[0f32; 3], &[0.0; 2], &mut [0.0; 3]).is_err());
    assert!(gelu_backward(&[0f32; 3], &[0.0; 3], &mut [0.0; 4]).is_err());
    let a = Attention {
        batch: 2,
        tokens: 3,
        heads: 1,
        head_dim: 2,
    };
    lengths([36, 12], |[x, y]| a.forward(&z(x), &mut z(y)));
    lengths([36, 12, 36], |[x, g, gx]| {
        a.backward(&z(x), &z(g), &mut z(gx))
    });
    untouched(12, |y| a.forward(&z(35), y)).unwrap_err();
    for bad in [
        Attention { batch: 0, ..a },
        Attention { tokens: 0, ..a },
        Attention { heads: 0, ..a },
        Attention { head_dim: 0, ..a },
        Attention {
            tokens: usize::MAX / 2,
            ..a
        },
    ] {
        assert!(bad.validated().is_err(), "{bad:?}");
    }
    assert!(relu_backward(&[0f32; 3], &[0.0; 2], &mut [0.0; 3]).is_err());
    assert!(relu_backward(&[0f32; 3], &[0.0; 3], &mut [0.0; 4]).is_err());

    lengths([6], |[x]| {
        softmax_cross_entropy(&z(x), &[0, 1], 3, 0.0).map(drop)
    });
    lengths([6, 6], |[x, g]| {
        untouched(g, |g| {
            softmax_cross_entropy_backward(&z(x), &[0, 1], 3, 0.0, 1.0, g)
        })
    });
}

#[test]
fn impossible_convolutions() {
    let zero = |c: Conv2d| matches!(c.validated(), Err(Error::Zero { .. }));
    assert!(zero(Conv2d { batch: 0, ..conv() }));
    assert!(zero(Conv2d {
        channels_in: 0,
        ..conv()
    }));
    assert!(zero(Conv2d {
        channels_out: 0,
        ..conv()
    }));
    assert!(zero(Conv2d {
        groups: 0,
        ..conv()
    }));
    assert!(zero(Conv2d {
        height: 0,
        ..conv()
    }));
    assert!(zero(Conv2d {
        kernel: [3, 0],
        ..conv()
    }));
    assert!(zero(Conv2d {
        stride: [0, 1],
        ..conv()
    }));
    assert!(zero(Conv2d {
        dilation: [1, 0],
        ..conv()
    }));
    assert_eq!(
        Conv2d {
            channels_out: 7,
            ..conv()
        }
        .validated(),
        Err(Error::NotAMultiple {
            what: "output channels",
            got: 7,
            divisor: 2
        })
    );
    assert_eq!(
        Conv2d {
            dilation: [3, 1],
            ..conv()
        }
        .validated(),
        Err(Error::TooLarge {
            what: "dilated kernel size",
            limit: 6,
            got: 7
        })
    );
    let overflow = |c: Conv2d| matches!(c.validated(), Err(Error::Overflow { .. }));
    assert!(overflow(Conv2d {
        batch: usize::MAX / 8,
        ..conv()
    }));
    assert!(overflow(Conv2d {
        padding: [usize::MAX / 2, 0],
        ..conv()
    }));
    assert!(overflow(Conv2d {
        height: usize::MAX,
        ..conv()
    }));
    assert!(overflow(Conv2d {
        dilation: [usize::MAX, 1],
        ..conv()
    }));
    assert!(overflow(Conv2d {
        channels_in: 1 << 40,
        channels_out: 1 << 40,
        groups: 1,
        ..conv()
    }));

    // An impossible shape is refused by every method, whatever the slices; its sizes are no panic either.
    let c = Conv2d {
        groups: 0,
        ..conv()
    };
    assert_eq!((c.output_size(), c.output_len()), ([0, 0], 0));
    assert!(c.forward::<f32>(&[], &[], None, &mut []).is_err());
    assert!(c.grad_input::<f32>(&[], &[], &mut []).is_err());
    assert!(c.grad_weight::<f32>(&[], &[], &mut []).is_err());
    assert!(c.grad_bias::<f32>(&[], &mut []).is_err());
    let _ = c.weight_len();
}

#[test]
fn impossible_transposed_convolutions() {
    let base = ConvTranspose2d {
        height: 2,
        width: 2,
        kernel: [2, 2],
        stride: [2, 2],
        ..ConvTranspose2d::default()
    };
    let bad = |c: ConvTranspose2d| c.validated().unwrap_err();
    assert_eq!(
        bad(ConvTranspose2d {
            output_padding: [2, 0],
            ..base
        }),
        Error::TooLarge {
            what: "output padding",
            limit: 1,
            got: 2
        }
    );
    assert_eq!(
        bad(ConvTranspose2d {
            padding: [0, 2],
            ..base
        }),
        Error::TooLarge {
            what: "padding",
            limit: 1,
            got: 2
        }
    );
    assert!(matches!(
        bad(ConvTranspose2d { width: 0, ..base }),
        Error::Zero { .. }
    ));
    assert!(matches!(
        bad(ConvTranspose2d { groups: 2, ..base }),
        Error::NotAMultiple { .. }
    ));
    assert!(matches!(
        bad(ConvTranspose2d {
            stride: [usize::MAX, 1],
            ..base
        }),
        Error::Overflow { .. }
    ));
    assert!(matches!(
        bad(ConvTranspose2d {
            dilation: [usize::MAX, 1],
            ..base
        }),
        Error::Overflow { .. }
    ));
    assert_eq!(ConvTranspose2d { groups: 0, ..base }.output_size(), [0, 0]);
}

#[test]
fn impossible_others() {
    let p = Pool2d {
        planes: 1,
        height: 4,
        width: 4,
        kernel: [2, 2],
        stride: [2, 2],
        padding: [0, 0],
    };
    assert_eq!(
        Pool2d {
            padding: [2, 0],
            ..p
        }
        .validated(),
        Err(Error::TooLarge {
            what: "pooling padding",
            limit: 1,
            got: 2
        })
    );
    assert!(matches!(
        Pool2d {
            kernel: [5, 2],
            ..p
        }
        .validated(),
        Err(Error::TooLarge { .. })
    ));
    assert!(matches!(
        Pool2d { planes: 0, ..p }.validated(),
        Err(Error::Zero { .. })
    ));
    assert!(matches!(
        Pool2d {
            planes: usize::MAX,
            ..p
        }
        .validated(),
        Err(Error::Overflow { .. })
    ));
    assert!(matches!(
        Linear {
            rows: 0,
            features_in: 1,
            features_out: 1
        }
        .validated(),
        Err(Error::Zero { .. })
    ));
    assert!(matches!(
        Linear {
            rows: 1 << 40,
            features_in: 1 << 40,
            features_out: 1
        }
        .validated(),
        Err(Error::Overflow { .. })
    ));
    let n = Norm {
        outer: 1,
        channels: 1,
        inner: 1,
        eps: 0.0,
    };
    assert!(matches!(
        Norm { inner: 0, ..n }.validated(),
        Err(Error::Zero { .. })
    ));
    for eps in [-1e-5, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            Norm { eps, ..n }.validated(),
            Err(Error::Range { what: "eps", .. })
        ));
    }
}

#[test]
fn impossible_losses() {
    let loss = |targets: &[u32], classes, smoothing| {
        softmax_cross_entropy(&[0f32; 6], targets, classes, smoothing)
    };
    assert_eq!(
        loss(&[2, 3], 3, 0.0),
        Err(Error::Target {
            row: 1,
            classes: 3,
            got: 3
        })
    );
    assert_eq!(
        loss(&[2, 3], 3, 0.0).unwrap_err().to_string(),
        "target of row 1 is class 3, but there are only 3 classes (0 to 2)"
    );
    assert!(matches!(loss(&[], 3, 0.0), Err(Error::Zero { .. })));
    assert!(matches!(loss(&[0, 0], 0, 0.0), Err(Error::Zero { .. })));
    for smoothing in [-0.1, 1.0, f64::NAN] {
        assert!(matches!(
            loss(&[0, 0], 3, smoothing),
            Err(Error::Range { .. })
        ));
    }
}

#[test]
fn large_logits_stay_finite() {
    let logits = [1e30f32, -1e30, 0.0, f32::MAX, f32::MAX, f32::MIN];
    let loss = softmax_cross_entropy(&logits, &[0, 1], 3, 0.0).unwrap();
    assert!((loss - 2f64.ln() / 2.0).abs() < 1e-12, "{loss}");
    let mut grad = [f32::NAN; 6];
    softmax_cross_entropy_backward(&logits, &[0, 1], 3, 0.0, 1.0, &mut grad).unwrap();
    assert_eq!(grad, [0.0, 0.0, 0.0, 0.25, -0.25, 0.0]);
}

#[test]
fn nan_is_not_hidden() {
    let mut y = [0f32; 2];
    relu(&[f32::NAN, -1.0], &mut y).unwrap();
    assert!(y[0].is_nan() && y[1] == 0.0);
    assert!(
        softmax_cross_entropy(&[f32::NAN, 0.0], &[1], 2, 0.0)
            .unwrap()
            .is_nan()
    );
}
