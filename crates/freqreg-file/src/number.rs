//! The forms in which a number can be stored.

use std::fmt;
use std::str::FromStr;
use std::string::String;
use std::vec::Vec;

use half::f16;

use crate::{Fault, Values};

/// How the numbers of a tensor are stored; as text `float16`, `float32`, or `bits:8` (2 to 16).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NumberKind {
    /// Two bytes a number.
    #[default]
    Float16,
    /// Four bytes a number.
    Float32,
    /// Whole multiples of a step, entropy coded, of about this many bits each; see [`Values::in_bits`].
    Bits(u32),
}

impl fmt::Display for NumberKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NumberKind::Float16 => f.write_str("float16"),
            NumberKind::Float32 => f.write_str("float32"),
            NumberKind::Bits(bits) => write!(f, "bits:{bits}"),
        }
    }
}

impl FromStr for NumberKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bits = text.strip_prefix("bits:").map(str::parse);
        match (text, bits) {
            ("float16", _) => Ok(NumberKind::Float16),
            ("float32", _) => Ok(NumberKind::Float32),
            (_, Some(Ok(bits))) if (2..=16).contains(&bits) => Ok(NumberKind::Bits(bits)),
            _ => Err(format!(
                "`{text}` is no form of numbers: there are float16, float32 and bits:N with N from 2 to 16"
            )),
        }
    }
}

impl Values {
    /// These numbers in another form.
    ///
    /// # Errors
    /// [`Fault::NotFinite`] for a number that is not finite in that form (a float16 ends at 65,504); those of
    /// [`in_bits`](Self::in_bits).
    pub fn in_form(&self, kind: NumberKind) -> Result<Self, Fault> {
        let numbers = self.to_f32();
        let values = match kind {
            NumberKind::Float16 => {
                Self::F16(numbers.into_iter().map(f16::from_f32).collect::<Vec<_>>())
            }
            NumberKind::Float32 => Self::F32(numbers),
            NumberKind::Bits(bits) => return self.in_bits(bits, 0.5),
        };
        match values.first_not_finite() {
            Some((index, value)) => Err(Fault::NotFinite { index, value }),
            None => Ok(values),
        }
    }

    /// These numbers as whole multiples of a step, such that they take about `bits` each when they are entropy coded: as many as the
    /// numbers of a Laplace distribution take whose mean square is theirs, log2(sqrt(2) e r) of them for a root mean square of r steps; and so
    /// that the error is the same part of every tensor, which is what counts behind a norm. Zeros, which take next to none, are not
    /// counted in the mean. What is not `dead` of a step beyond a multiple is rounded towards zero: 0.5 rounds to the nearest.
    ///
    /// # Errors
    /// As [`quantised`](Self::quantised).
    pub fn in_bits(&self, bits: u32, dead: f32) -> Result<Self, Fault> {
        let numbers = self.to_f32().into_iter().filter(|&v| v != 0.0);
        let (count, power) = numbers.fold((0_usize, 0.0), |(count, power), v| {
            (count + 1, power + f64::from(v).powi(2))
        });
        let rms = (power / count.max(1) as f64).sqrt();
        let step = f16::from_f64(step(rms, bits));
        // Of numbers that are all zero, or nearly.
        let step = if step > f16::ZERO {
            step
        } else {
            f16::MIN_POSITIVE
        };
        self.quantised(step, dead)
    }
}

/// The step for numbers of a root mean square of `rms` that are to take `bits` each.
pub(crate) fn step(rms: f64, bits: u32) -> f64 {
    std::f64::consts::SQRT_2 * std::f64::consts::E * rms / f64::from(bits.clamp(2, 16)).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_as_they_are_written() {
        for kind in [
            NumberKind::Float16,
            NumberKind::Float32,
            NumberKind::Bits(2),
            NumberKind::Bits(16),
        ] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        for text in ["bits:1", "bits:17", "bits:", "float", "8", ""] {
            let said = text.parse::<NumberKind>().unwrap_err();
            assert!(said.contains(text) && said.contains("float16"), "{said}");
        }
    }

    #[test]
    fn what_a_form_cannot_hold_is_refused() {
        let large = Values::F32(vec![1.0, -70_000.0]);
        let fault = large.in_form(NumberKind::Float16).unwrap_err().to_string();
        assert!(fault.contains('1'), "{fault}");
        assert_eq!(large.in_form(NumberKind::Float32).unwrap(), large);
        assert!(
            Values::F32(vec![f32::NAN])
                .in_form(NumberKind::Bits(8))
                .is_err()
        );
    }

    #[test]
    fn zeros_do_not_make_the_step_smaller() {
        let few: Vec<f32> = (1..50).map(|i| (i as f32).sin()).collect();
        let mut sparse = vec![0.0; 10_000];
        sparse[..few.len()].copy_from_slice(&few);
        let step = |values: Vec<f32>| match Values::F32(values).in_bits(7, 0.5) {
            Ok(Values::Quantised { step, .. }) => step,
            other => panic!("{other:?}"),
        };
        assert_eq!(step(few), step(sparse));
        // Nothing but zeros has a step as well.
        assert!(step(vec![0.0; 5]) > f16::ZERO);
    }
}
