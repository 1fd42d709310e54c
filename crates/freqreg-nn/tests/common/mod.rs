//! What the tests of this crate share.
#![allow(dead_code, unreachable_pub)]

use candle_core::{DType, Device, Result, Tensor, Var};

/// Values that look random and are the same everywhere, in (-1, 1).
pub fn noise(n: usize, salt: u64) -> Vec<f64> {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    (0..n)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 / (1_u64 << 53) as f64) * 2.0 - 1.0
        })
        .collect()
}

/// A variable of that shape in f64.
pub fn variable(shape: &[usize], salt: u64) -> Var {
    let t = Tensor::from_vec(noise(shape.iter().product(), salt), shape, &Device::Cpu);
    Var::from_tensor(&t.unwrap()).unwrap()
}

pub fn values(t: &Tensor) -> Vec<f64> {
    let t = t.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
    t.to_vec1().unwrap()
}

/// The largest difference, as a share of the largest expected value.
pub fn difference(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let size = expected.iter().fold(1e-300_f64, |m, x| m.max(x.abs()));
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    worst.fold(0.0, f64::max) / size
}

/// A scalar that depends on every element of `y` in a way of its own.
pub fn probe(y: &Tensor) -> Result<Tensor> {
    let w = Tensor::from_vec(noise(y.elem_count(), 99), y.shape(), y.device())?;
    (y * w.to_dtype(y.dtype())?)?.sum_all()
}

/// Checks the gradients of `f` at `inputs` (f64 variables) against central differences.
pub fn check_gradients(inputs: &[Var], f: impl Fn(&[Var]) -> Result<Tensor>) {
    let loss = |inputs: &[Var]| probe(&f(inputs).unwrap()).unwrap();
    let grads = loss(inputs).backward().unwrap();
    for (i, input) in inputs.iter().enumerate() {
        let exact = values(
            grads
                .get(input)
                .unwrap_or_else(|| panic!("no gradient of input {i}")),
        );
        let at = values(input);
        let set = |x: &[f64]| {
            let t = Tensor::from_slice(x, input.shape(), &Device::Cpu).unwrap();
            input.set(&t).unwrap();
        };
        let h = 1e-5;
        let mut numeric = Vec::new();
        for j in 0..at.len() {
            let mut x = at.clone();
            let mut side = |d: f64| {
                x[j] = at[j] + d;
                set(&x);
                loss(inputs).to_scalar::<f64>().unwrap()
            };
            numeric.push((side(h) - side(-h)) / (2.0 * h));
        }
        set(&at);
        let d = difference(&exact, &numeric);
        assert!(d < 1e-7, "input {i}: {d:e}\n{exact:?}\n{numeric:?}");
    }
}
