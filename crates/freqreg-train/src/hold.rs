//! Training with numbers held to what a file will say: the loss and its gradient are those of the held numbers, and the gradient moves the
//! free ones behind them (the straight-through estimator of Bengio, Léonard and Courville 2013, arXiv:1308.3432).

use crate::{Error, Result};
use freqreg_file::{NumberKind, Values};
use freqreg_nn::{Form, Parameter};

/// What numbers are held to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Hold {
    /// As many weights as are not zero, the largest of the whole network; those with one axis (biases) are all kept beside them.
    pub(crate) weights: Option<usize>,
    /// Whole multiples of a step, as [`Values::in_bits`] makes them.
    pub(crate) bits: Option<u32>,
}

/// Holds the numbers of a network, and lets go of them again.
pub(crate) struct Holder<'a> {
    parameters: &'a [Parameter],
    hold: Hold,
    /// What the numbers are behind what they are held to.
    free: Vec<Vec<f64>>,
}

impl<'a> Holder<'a> {
    pub(crate) fn new(parameters: &'a [Parameter], hold: Hold) -> Self {
        Holder {
            parameters,
            hold,
            free: Vec::new(),
        }
    }

    /// Holds every number; does nothing where none is to be held.
    pub(crate) fn hold(&mut self) -> Result<()> {
        if self.hold == Hold::default() {
            return Ok(());
        }
        let free = self.parameters.iter().map(Parameter::values);
        let free: Vec<Vec<f64>> = free.collect::<Result<_, _>>()?;
        let least = self.hold.weights.map(|n| self.least(&free, n));
        for (p, values) in self.parameters.iter().zip(&free) {
            let mut held = values.clone();
            if let (Some(least), true) = (least, prunable(p)) {
                for v in held.iter_mut().filter(|v| v.abs() < least) {
                    *v = 0.0;
                }
            }
            if let Some(bits) = self.hold.bits {
                let single = Values::F32(held.iter().map(|&v| v as f32).collect());
                let coarse = single
                    .in_bits(bits, 0.5)
                    .map_err(|fault| Error::Unstorable {
                        tensor: p.name().into(),
                        form: NumberKind::Bits(bits),
                        fault,
                    })?;
                held = coarse.to_f32().into_iter().map(f64::from).collect();
            }
            p.set_values(&held)?;
        }
        self.free = free;
        Ok(())
    }

    /// Lets go of them; does nothing where none is held.
    pub(crate) fn release(&mut self) -> Result<()> {
        for (p, values) in self.parameters.iter().zip(std::mem::take(&mut self.free)) {
            p.set_values(&values)?;
        }
        Ok(())
    }

    /// The magnitude of the `n`-th largest of all weights.
    fn least(&self, free: &[Vec<f64>], n: usize) -> f64 {
        let weights = self.parameters.iter().zip(free);
        let mut sizes: Vec<f64> = weights
            .filter(|(p, _)| prunable(p))
            .flat_map(|(_, values)| values.iter().map(|v| v.abs()))
            .collect();
        match (n.min(sizes.len())).checked_sub(1) {
            Some(last) => *sizes.select_nth_unstable_by(last, |a, b| b.total_cmp(a)).1,
            None => f64::INFINITY,
        }
    }
}

/// Whether a list of numbers is one of weights that pruning may set to zero.
pub(crate) fn prunable(p: &Parameter) -> bool {
    matches!(p.form(), Form::Plain) && p.shape().len() > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use freqreg_nn::{Keep, Store, linear};

    fn store() -> Store {
        let store = Store::new(3, DType::F32, &Device::Cpu);
        linear(6, 5, Keep::dense(), store.root().pp("a")).unwrap();
        linear(5, 4, Keep::count(9), store.root().pp("b")).unwrap();
        store
    }

    fn values(parameters: &[Parameter]) -> Vec<Vec<f64>> {
        parameters.iter().map(|p| p.values().unwrap()).collect()
    }

    #[test]
    fn the_largest_weights_stay_and_come_back() {
        let parameters = store().parameters();
        let free = values(&parameters);
        let mut holder = Holder::new(
            &parameters,
            Hold {
                weights: Some(7),
                bits: None,
            },
        );
        holder.hold().unwrap();
        let held = values(&parameters);
        for ((p, free), held) in parameters.iter().zip(&free).zip(&held) {
            if !prunable(p) {
                assert_eq!(free, held);
                continue;
            }
            let kept = held.iter().filter(|v| **v != 0.0);
            assert_eq!(kept.clone().count(), 7);
            let least = kept.map(|v| v.abs()).fold(f64::INFINITY, f64::min);
            for (a, b) in free.iter().zip(held) {
                assert!(b == a || (*b == 0.0 && a.abs() < least));
            }
        }
        holder.release().unwrap();
        assert_eq!(values(&parameters), free);
    }

    #[test]
    fn held_to_bits_they_are_what_a_file_says() {
        let parameters = store().parameters();
        let free = values(&parameters);
        let mut holder = Holder::new(
            &parameters,
            Hold {
                weights: None,
                bits: Some(5),
            },
        );
        holder.hold().unwrap();
        for (held, free) in values(&parameters).iter().zip(&free) {
            let single = Values::F32(free.iter().map(|&v| v as f32).collect());
            let file = single.in_bits(5, 0.5).unwrap().to_f32();
            assert!(held.iter().zip(file).all(|(&a, b)| a == f64::from(b)));
            assert!(held != free || free.iter().all(|v| *v == 0.0));
        }
    }

    #[test]
    fn without_a_hold_nothing_is_touched() {
        let parameters = store().parameters();
        let before = values(&parameters);
        let mut holder = Holder::new(&parameters, Hold::default());
        holder.hold().unwrap();
        assert_eq!(values(&parameters), before);
        holder.release().unwrap();
        assert_eq!(values(&parameters), before);
    }
}
