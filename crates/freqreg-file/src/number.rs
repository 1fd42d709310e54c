//! The forms in which a number can be stored.

use std::fmt;
use std::str::FromStr;
use std::string::String;
use std::vec::Vec;

use half::f16;

use crate::coder::LARGEST;
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
    /// A step is a float16, 6e-8 at the least, and no number may be more than 1,048,575 steps: where more bits would take a smaller
    /// one, the smallest that can be had is taken.
    ///
    /// # Errors
    /// As [`quantised`](Self::quantised).
    pub fn in_bits(&self, bits: u32, dead: f32) -> Result<Self, Fault> {
        let numbers = self.to_f32();
        let numbers = numbers.iter().map(|&v| f64::from(v));
        let numbers = numbers.filter(|&v| v != 0.0);
        let (count, power, largest) = numbers
            .fold((0_usize, 0.0, 0.0), |(count, power, largest), v| {
                (count + 1, power + v * v, v.abs().max(largest))
            });
        let rms = (power / count.max(1) as f64).sqrt();
        self.quantised(step(rms, largest, bits), dead)
    }
}

/// The step for numbers of a root mean square of `rms`, none of a magnitude above `largest`, that are to take `bits` each, or the nearest
/// to it that can be stored.
pub(crate) fn step(rms: f64, largest: f64, bits: u32) -> f16 {
    if rms == 0.0 {
        // Any will do.
        return f16::MIN_POSITIVE;
    }
    let bits = f64::from(bits.clamp(2, 16)).exp2();
    let exact = std::f64::consts::SQRT_2 * std::f64::consts::E * rms / bits;
    // With a dead zone of nothing a number is rounded up, to a level more; and float32 divides not quite exactly.
    let smallest = largest / f64::from(LARGEST - 2);
    let step = f16::from_f64(exact.max(smallest)).clamp(f16::from_bits(1), f16::MAX);
    match step.to_f64() < smallest && step < f16::MAX {
        true => f16::from_bits(step.to_bits() + 1),
        false => step,
    }
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

    /// The part of the numbers' energy that is lost, as a root.
    fn error(values: &[f32], bits: u32) -> f64 {
        let stored = Values::F32(values.to_vec()).in_bits(bits, 0.5).unwrap();
        let power = |v: f64| v * v;
        let off = values.iter().zip(stored.to_f32());
        let off: f64 = off.map(|(&a, b)| power(f64::from(a) - f64::from(b))).sum();
        (off / values.iter().map(|&v| power(f64::from(v))).sum::<f64>()).sqrt()
    }

    #[test]
    fn more_bits_never_lose_more() {
        for size in [1e-6_f32, 2e-5, 1e-4, 1.0, 1e4, 1e7] {
            let numbers: Vec<f32> = (1..400).map(|i| size * (i as f32).sin()).collect();
            let errors: Vec<f64> = (2..=16).map(|bits| error(&numbers, bits)).collect();
            for pair in errors.windows(2) {
                // The least step ends it; up to there each bit halves the error.
                assert!(pair[1] <= pair[0], "{size}: {errors:?}");
            }
            // Steps of 6e-8 are coarse for numbers of 1e-6, and no others.
            let least = if size < 1e-5 { 0.05 } else { 0.005 };
            assert!(errors[14] < least, "{size}: {errors:?}");
        }
    }

    #[test]
    fn one_number_far_above_the_others_has_a_level() {
        let mut numbers: Vec<f32> = (1..4096).map(|i| 1e-3 * (i as f32).sin()).collect();
        for largest in [1.0, 60.0, 1e4, 3e38] {
            numbers.push(largest);
            for dead in [0.0, 0.5] {
                let stored = Values::F32(numbers.clone()).in_bits(16, dead);
                match largest > 6.8e10 {
                    // Not even with the largest step.
                    true => assert!(matches!(stored, Err(Fault::Step { .. }))),
                    false => {
                        let last = *stored.unwrap().to_f32().last().unwrap();
                        assert!((last / largest - 1.0).abs() < 1e-5, "{largest}: {last}");
                    }
                }
            }
            numbers.pop();
        }
    }
}
