//! Adam, AdamW and SGD with momentum, whose state is saved, restored, and cut together with a prefix.

use crate::experiment::Optimiser as Settings;
use crate::{Error, Result};
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, InplaceOp2, Layout, Tensor, Var, bail};
use freqreg_nn::Parameter;
use std::sync::Mutex;

/// An optimiser over a fixed list of parameters in f32.
pub struct Optimiser {
    settings: Settings,
    parameters: Vec<Parameter>,
    slots: Vec<Slot>,
    steps: u64,
}

/// The state of one parameter: as long as the parameter is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slot {
    /// Mean gradient, or velocity.
    pub first: Vec<f32>,
    /// Mean squared gradient; empty for SGD.
    pub second: Vec<f32>,
}

const EPSILON: f64 = 1e-8;

impl Optimiser {
    /// A fresh optimiser.
    pub fn new(settings: Settings, parameters: Vec<Parameter>) -> Self {
        let second = matches!(settings, Settings::Adam { .. });
        let slots = parameters
            .iter()
            .map(|p| Slot {
                first: vec![0.0; p.kept()],
                second: vec![0.0; if second { p.kept() } else { 0 }],
            })
            .collect();
        Optimiser {
            settings,
            parameters,
            slots,
            steps: 0,
        }
    }

    /// The parameters, in the order of [`Optimiser::slots`].
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The state, one slot a parameter.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Steps made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Puts back a state that was saved; the parameters must have their saved lengths already.
    ///
    /// # Errors
    /// A sentence on the first slot that does not fit.
    pub fn restore(&mut self, slots: Vec<Slot>, steps: u64) -> Result<(), String> {
        let second = |n| {
            if matches!(self.settings, Settings::Adam { .. }) {
                n
            } else {
                0
            }
        };
        for (slot, p) in slots.iter().zip(&self.parameters) {
            if slot.first.len() != p.kept() || slot.second.len() != second(p.kept()) {
                return Err(format!(
                    "the optimiser's state of `{}` has another length",
                    p.name()
                ));
            }
        }
        if slots.len() != self.parameters.len() {
            return Err(format!(
                "it has {} parameters, the network {}",
                slots.len(),
                self.parameters.len()
            ));
        }
        self.slots = slots;
        self.steps = steps;
        Ok(())
    }

    /// One step down the gradients, at learning rate `rate`. Where a prefix was cut since the last step, its
    /// state is cut first.
    ///
    /// # Errors
    /// [`Error::NoGradient`] for a parameter that the loss does not depend on.
    pub fn step(&mut self, gradients: &GradStore, rate: f64) -> Result<()> {
        self.begin();
        self.apply(gradients, rate, "")
    }

    /// Begins a step that is made in parts.
    pub fn begin(&mut self) {
        self.steps += 1;
    }

    /// A part of the step: for the parameters whose names begin with `prefix`. Each takes part once a step.
    ///
    /// # Errors
    /// [`Error::NoGradient`] for such a parameter that the loss does not depend on.
    pub fn apply(&mut self, gradients: &GradStore, rate: f64, prefix: &str) -> Result<()> {
        for (parameter, slot) in self.parameters.iter().zip(&mut self.slots) {
            if !parameter.name().starts_with(prefix) {
                continue;
            }
            let value = parameter.variable();
            let gradient = gradients
                .get(&value)
                .ok_or_else(|| Error::NoGradient(parameter.name().into()))?
                .contiguous()?;
            slot.first.truncate(parameter.kept());
            slot.second.truncate(parameter.kept());
            let update = Update {
                settings: &self.settings,
                rate,
                steps: self.steps,
                slot: Mutex::new(slot),
            };
            if value.device().is_cpu() {
                value.inplace_op2(&gradient, &update)?;
            } else {
                // The lists of a regularised network are so short that the way through the host is no cost.
                let mut x: Vec<f32> = value.flatten_all()?.to_vec1()?;
                update.apply(&mut x, &gradient.flatten_all()?.to_vec1::<f32>()?);
                let new = Tensor::from_vec(x, value.shape(), value.device())?;
                Var::from_tensor(&value)?.set(&new)?;
            }
        }
        Ok(())
    }
}

struct Update<'a> {
    settings: &'a Settings,
    rate: f64,
    steps: u64,
    slot: Mutex<&'a mut Slot>,
}

impl Update<'_> {
    fn apply(&self, x: &mut [f32], gradient: &[f32]) {
        let mut slot = self.slot.lock().unwrap_or_else(|e| e.into_inner());
        let Slot { first, second } = &mut **slot;
        let t = self.steps.min(i32::MAX as u64) as i32;
        match *self.settings {
            Settings::Adam {
                beta1,
                beta2,
                decay,
            } => {
                // The corrections for the zero start, folded into two constants of the step.
                let correction = (1.0 - beta2.powi(t)).sqrt();
                let rate = (self.rate * correction / (1.0 - beta1.powi(t))) as f32;
                let epsilon = (EPSILON * correction) as f32;
                let keep = (1.0 - self.rate * decay) as f32;
                let (b1, b2) = (beta1 as f32, beta2 as f32);
                for (((x, &g), m), v) in x.iter_mut().zip(gradient).zip(first).zip(second) {
                    *m = b1 * *m + (1.0 - b1) * g;
                    *v = b2 * *v + (1.0 - b2) * g * g;
                    *x = *x * keep - rate * *m / (v.sqrt() + epsilon);
                }
            }
            Settings::Sgd { momentum, decay } => {
                let (momentum, decay, rate) = (momentum as f32, decay as f32, self.rate as f32);
                for ((x, &g), v) in x.iter_mut().zip(gradient).zip(first) {
                    *v = momentum * *v + g + decay * *x;
                    *x -= rate * *v;
                }
            }
        }
    }
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "optimiser step"
    }

    fn cpu_fwd(
        &self,
        value: &mut CpuStorage,
        value_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> candle_core::Result<()> {
        match (
            value,
            value_layout.contiguous_offsets(),
            gradient,
            gradient_layout.contiguous_offsets(),
        ) {
            (CpuStorage::F32(x), Some((a, b)), CpuStorage::F32(g), Some((c, d))) => {
                self.apply(&mut x[a..b], &g[c..d]);
                Ok(())
            }
            _ => bail!("the optimisers take contiguous f32 parameters and gradients"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use freqreg_nn::{Keep, Store, linear_no_bias};

    fn run(settings: Settings, gradients: &[[f32; 2]]) -> Vec<f64> {
        let store = Store::new(1, DType::F32, &Device::Cpu);
        let keep = Keep::count(2);
        linear_no_bias(2, 1, keep, store.root()).unwrap();
        let p = store.parameters().remove(0);
        p.set_values(&[1.0, -2.0]).unwrap();
        let mut optimiser = Optimiser::new(settings, vec![p.clone()]);
        for g in gradients {
            // The gradient of sum(x g) is g.
            let g = Tensor::new(g, &Device::Cpu).unwrap();
            let loss = (p.variable() * g).unwrap().sum_all().unwrap();
            optimiser.step(&loss.backward().unwrap(), 0.1).unwrap();
        }
        p.values().unwrap()
    }

    #[test]
    fn adam_follows_the_printed_recurrence() {
        let (b1, b2, lr, decay) = (0.9_f64, 0.99_f64, 0.1_f64, 0.01_f64);
        let gradients = [[0.5, -1.0], [0.25, 2.0], [-3.0, 0.0]];
        let got = run(
            Settings::Adam {
                beta1: b1,
                beta2: b2,
                decay,
            },
            &gradients,
        );
        for i in 0..2 {
            let (mut x, mut m, mut v) = ([1.0, -2.0][i], 0.0, 0.0);
            for (t, g) in gradients.iter().enumerate() {
                let g = f64::from(g[i]);
                m = b1 * m + (1.0 - b1) * g;
                v = b2 * v + (1.0 - b2) * g * g;
                let t = t as i32 + 1;
                let (mh, vh) = (m / (1.0 - b1.powi(t)), v / (1.0 - b2.powi(t)));
                x = x - lr * decay * x - lr * mh / (vh.sqrt() + EPSILON);
            }
            assert!((x - got[i]).abs() < 2e-6, "{x} {}", got[i]);
        }
    }

    #[test]
    fn sgd_follows_pytorchs_recurrence() {
        let gradients = [[0.5, -1.0], [0.25, 2.0]];
        let got = run(
            Settings::Sgd {
                momentum: 0.9,
                decay: 0.1,
            },
            &gradients,
        );
        for i in 0..2 {
            let (mut x, mut v) = ([1.0, -2.0][i], 0.0);
            for g in &gradients {
                v = 0.9 * v + f64::from(g[i]) + 0.1 * x;
                x -= 0.1 * v;
            }
            assert!((x - got[i]).abs() < 1e-6, "{x} {}", got[i]);
        }
    }

    #[test]
    fn a_cut_prefix_takes_its_state_along() {
        let store = Store::new(1, DType::F32, &Device::Cpu);
        linear_no_bias(4, 3, Keep::count(12), store.root()).unwrap();
        let p = store.parameters().remove(0);
        let settings = Settings::Adam {
            beta1: 0.9,
            beta2: 0.99,
            decay: 0.0,
        };
        let mut optimiser = Optimiser::new(settings, vec![p.clone()]);
        let step = |optimiser: &mut Optimiser| {
            let loss = p.weight().unwrap().sqr().unwrap().sum_all().unwrap();
            optimiser.step(&loss.backward().unwrap(), 0.01).unwrap();
        };
        step(&mut optimiser);
        let before = optimiser.slots()[0].clone();
        p.truncate(5).unwrap();
        // The transform is orthonormal, so the gradient of the sum of squares is twice the coefficient.
        let gradient = 2.0 * p.values().unwrap()[0] as f32;
        step(&mut optimiser);
        assert_eq!(optimiser.slots()[0].first.len(), 5);
        assert_eq!(optimiser.slots()[0].second.len(), 5);
        // The state goes on from what it was.
        let expected = 0.9 * before.first[0] + 0.1 * gradient;
        let found = optimiser.slots()[0].first[0];
        assert!(
            (found - expected).abs() < 1e-5 * expected.abs(),
            "{found} and not {expected}"
        );
    }
}
