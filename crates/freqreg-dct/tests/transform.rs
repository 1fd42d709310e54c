//! Whole-tensor transforms: values by hand, the naive sum, then the fast way against it.

mod common;

use common::{largest_difference, naive_forward, naive_inverse, numbers, shapes};
use freqreg_dct::{Basis, Dct, Error};
use proptest::prelude::*;

#[test]
fn by_hand() {
    // [1, 2, 3]: sum / sqrt 3; (1 - 3) sqrt(2/3) cos 30 = -sqrt 2; sqrt(2/3) (1 + 3 - 2 * 2) / 2 = 0.
    let mut x = [1.0, 2.0, 3.0];
    Dct::new(&[3]).unwrap().forward(&mut x).unwrap();
    assert!(largest_difference(&x, &[6.0 / 3f64.sqrt(), -(2f64.sqrt()), 0.0]) < 1e-15);
    // A 2 x 2 tensor: sums and differences, halved.
    let mut x = [1.0, 2.0, 3.0, 5.0];
    Dct::new(&[2, 2]).unwrap().forward(&mut x).unwrap();
    assert!(largest_difference(&x, &[5.5, -1.5, -2.5, 0.5]) < 2e-15);
    // One number is its own transform.
    let mut x = [7.0];
    Dct::new(&[1, 1, 1]).unwrap().forward(&mut x).unwrap();
    assert_eq!(x, [7.0]);
}

#[test]
fn basis_by_hand() {
    let basis = Basis::<f64>::new(4, 4).unwrap();
    assert_eq!(basis.row(0), [0.5; 4]);
    let half = 0.5f64;
    let (c1, c3) = (
        half.sqrt() * (std::f64::consts::PI / 8.0).cos(),
        half.sqrt() * (std::f64::consts::PI / 8.0).sin(),
    );
    assert!(largest_difference(basis.row(1), &[c1, c3, -c3, -c1]) < 1e-16);
    assert!(largest_difference(basis.row(2), &[0.5, -0.5, -0.5, 0.5]) < 1e-15);
    let middle = Basis::<f64>::new(3, 3).unwrap();
    assert_eq!(middle.row(1)[1], 0.0); // exactly
    assert_eq!(
        basis.truncated(2).unwrap().as_slice(),
        &basis.as_slice()[..8]
    );
    assert_eq!(
        Basis::<f32>::new(4, 5).unwrap_err(),
        Error::Rows { rows: 5, length: 4 }
    );
    assert_eq!(
        Basis::<f32>::new(4, 0).unwrap_err(),
        Error::Rows { rows: 0, length: 4 }
    );
    assert_eq!(
        Basis::<f32>::new(0, 0).unwrap_err(),
        Error::Rows { rows: 0, length: 0 }
    );
    assert_eq!(
        basis.truncated(5).unwrap_err(),
        Error::Rows { rows: 5, length: 4 }
    );
    assert!(Basis::<f32>::new(usize::MAX / 2, 2).is_err());
}

#[test]
fn long_bases_are_orthonormal() {
    for n in [1, 2, 7, 64, 513] {
        let basis = Basis::<f64>::new(n, n).unwrap();
        for (p, q) in (0..n)
            .step_by(1 + n / 20)
            .flat_map(|p| (0..n).map(move |q| (p, q)))
        {
            let dot: f64 = basis
                .row(p)
                .iter()
                .zip(basis.row(q))
                .map(|(a, b)| a * b)
                .sum();
            assert!(
                (dot - f64::from(u8::from(p == q))).abs() < 3e-14,
                "rows {p} and {q} of {n}: {dot}"
            );
        }
    }
}

#[test]
fn rows_do_not_depend_on_how_many_are_asked_for() {
    for n in [8, 9, 64, 513] {
        let all = Basis::<f32>::new(n, n).unwrap();
        for rows in 1..=8 {
            let some = Basis::<f32>::new(n, rows).unwrap();
            assert_eq!(
                some.as_slice(),
                &all.as_slice()[..rows * n],
                "{rows} of {n}"
            );
        }
    }
}

#[test]
fn long_axes_of_every_kind_of_length() {
    // Powers of two, highly composite, prime; at the end, in front and in the middle; even and odd numbers of passes.
    for shape in [
        &[128][..],
        &[67],
        &[4099],
        &[96, 67],
        &[2, 67, 66],
        &[67, 5, 128],
        &[65, 2, 66, 3],
        &[1, 90, 1, 70],
    ] {
        let x = numbers(1, shape.iter().product());
        let dct = Dct::<f64>::new(shape).unwrap();
        let mut fast = x.clone();
        dct.forward(&mut fast).unwrap();
        assert!(
            largest_difference(&fast, &naive_forward(shape, &x)) < 1e-12,
            "{shape:?} forward"
        );
        dct.inverse(&mut fast).unwrap();
        assert!(largest_difference(&fast, &x) < 1e-13, "{shape:?} and back");
        let mut narrow: Vec<f32> = x.iter().map(|&v| v as f32).collect();
        let dct = Dct::<f32>::new(shape).unwrap();
        dct.inverse(&mut narrow).unwrap();
        let slow = naive_inverse(shape, &x);
        let wide: Vec<f64> = narrow.iter().map(|&v| f64::from(v)).collect();
        let largest = slow.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        assert!(
            largest_difference(&wide, &slow) < 1e-6 * largest,
            "{shape:?} inverse in f32"
        );
    }
}

#[test]
fn refusals() {
    assert_eq!(Dct::<f32>::new(&[]).unwrap_err(), Error::NoAxes);
    assert_eq!(
        Dct::<f32>::new(&[0]).unwrap_err(),
        Error::EmptyAxis {
            shape: vec![0],
            axis: 0
        }
    );
    let refused = Dct::<f32>::new(&[2, 3])
        .unwrap()
        .forward(&mut [0.0; 5])
        .unwrap_err();
    assert_eq!(
        refused,
        Error::Length {
            what: "tensor",
            shape: vec![2, 3],
            expected: 6,
            actual: 5
        }
    );
    assert_eq!(
        refused.to_string(),
        "tensor of shape [2, 3]: expected 6 numbers, got 5"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn fast_is_naive(shape in shapes(200), seed: u64) {
        let x = numbers(seed, shape.iter().product());
        let dct = Dct::<f64>::new(&shape).unwrap();
        let mut fast = x.clone();
        dct.forward(&mut fast).unwrap();
        prop_assert!(largest_difference(&fast, &naive_forward(&shape, &x)) < 1e-12);
        let mut fast = x.clone();
        dct.inverse(&mut fast).unwrap();
        prop_assert!(largest_difference(&fast, &naive_inverse(&shape, &x)) < 1e-12);
        dct.forward(&mut fast).unwrap();
        prop_assert!(largest_difference(&fast, &x) < 1e-13);
    }
}
