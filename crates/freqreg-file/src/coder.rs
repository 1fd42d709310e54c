//! Entropy coding of quantised coefficients: an adaptive model of integers, whose decisions a range coder turns into bytes.
//!
//! Everything is integer arithmetic, so that every machine decodes the same numbers. The model is part of the format and described in the
//! crate's page; it learns as it goes, the same way on both sides, so that no parameters are stored.

use alloc::vec::Vec;
use core::borrow::Borrow;

use constriction::stream::model::{DecoderModel, EncoderModel, EntropyModel};
use constriction::stream::queue::{DefaultRangeDecoder, DefaultRangeEncoder};
use constriction::stream::{Decode, Encode};

/// The largest magnitude that can be coded.
pub(crate) const LARGEST: u32 = (1 << CLASSES) - 1;
/// Classes of magnitudes but that of zero: class c holds those of c bits.
const CLASSES: usize = 20;
/// Probabilities are parts of 2^16.
const PRECISION: usize = 16;

/// A decision between two, with the probability that it is "no": at least 1, less than 2^16.
#[derive(Clone, Copy)]
struct Decision(u32);

impl Decision {
    const EVEN: Self = Self(1 << (PRECISION - 1));
}

impl EntropyModel<PRECISION> for Decision {
    type Symbol = bool;
    type Probability = u32;
}

impl EncoderModel<PRECISION> for Decision {
    fn left_cumulative_and_probability(
        &self,
        symbol: impl Borrow<bool>,
    ) -> Option<(u32, core::num::NonZeroU32)> {
        let (start, width) = match symbol.borrow() {
            false => (0, self.0),
            true => (self.0, (1 << PRECISION) - self.0),
        };
        Some((start, core::num::NonZeroU32::new(width)?))
    }
}

impl DecoderModel<PRECISION> for Decision {
    fn quantile_function(&self, quantile: u32) -> (bool, u32, core::num::NonZeroU32) {
        let yes = quantile >= self.0;
        let (start, width) = match yes {
            false => (0, self.0),
            true => (self.0, (1 << PRECISION) - self.0),
        };
        // Never zero, as the probability is neither 0 nor 2^16.
        (
            yes,
            start,
            core::num::NonZeroU32::new(width).unwrap_or(core::num::NonZeroU32::MIN),
        )
    }
}

/// What has been learnt of one decision: the mean of two estimates, of which one learns fast and one slowly.
#[derive(Clone, Copy)]
struct Learnt {
    fast: u32,
    slow: u32,
}

impl Learnt {
    /// The probability of "no" before anything is known.
    fn new(no: u32) -> Self {
        Self { fast: no, slow: no }
    }

    fn decision(self) -> Decision {
        Decision(((self.fast + self.slow) / 2).clamp(64, (1 << PRECISION) - 64))
    }

    fn learn(&mut self, yes: bool) {
        let step = |old: u32, shift: u32| match yes {
            true => old - (old >> shift),
            false => old + (((1 << PRECISION) - old) >> shift),
        };
        self.fast = step(self.fast, 4);
        self.slow = step(self.slow, 7);
    }
}

/// How decisions are coded or decoded.
trait Coder {
    type Error;
    /// Codes `yes`, or ignores it and decodes.
    fn decide(&mut self, decision: Decision, yes: bool) -> Result<bool, Self::Error>;
}

/// What is known of the integers so far.
struct Model {
    /// Whether the class is above c, for each class that is expected and each c.
    above: Vec<Learnt>,
    /// The bit below the highest, for each class.
    second: [Learnt; CLASSES + 1],
    /// Sixteen times a running mean of magnitudes.
    mean: u32,
}

/// Parts of 2^16 that a class is not above c, by how far c is above the class that is expected: from 4 below to 4 above.
const EXPECTED: [u32; 9] = [
    1_000, 2_000, 5_000, 14_000, 34_000, 52_000, 61_000, 63_500, 64_500,
];

impl Model {
    fn new() -> Self {
        let above = (0..=CLASSES).flat_map(|expected| {
            (0..CLASSES).map(move |c| {
                let far = (c + 4).saturating_sub(expected).min(EXPECTED.len() - 1);
                Learnt::new(EXPECTED[far])
            })
        });
        Self {
            above: above.collect(),
            second: [Learnt::new(Decision::EVEN.0); CLASSES + 1],
            mean: 0,
        }
    }

    /// Codes `level`, or decodes one.
    fn code<C: Coder>(&mut self, coder: &mut C, level: i32) -> Result<i32, C::Error> {
        let magnitude = level.unsigned_abs();
        let class = bits(magnitude);
        let expected = bits(self.mean >> 4).min(CLASSES);
        let mut found = 0;
        while found < CLASSES {
            let learnt = &mut self.above[expected * CLASSES + found];
            let yes = coder.decide(learnt.decision(), class > found)?;
            learnt.learn(yes);
            if !yes {
                break;
            }
            found += 1;
        }
        let mut value = u32::from(found > 0);
        for place in (0..found.saturating_sub(1)).rev() {
            let bit = magnitude >> place & 1 == 1;
            let bit = match place + 2 == found {
                true => {
                    let second = &mut self.second[found];
                    let bit = coder.decide(second.decision(), bit)?;
                    second.learn(bit);
                    bit
                }
                false => coder.decide(Decision::EVEN, bit)?,
            };
            value = value << 1 | u32::from(bit);
        }
        // The mean of the last few: a quarter of the way to each.
        self.mean = self.mean - self.mean / 4 + value * 4;
        let negative = value > 0 && coder.decide(Decision::EVEN, level < 0)?;
        // Below 2^20.
        let value = value as i32;
        Ok(if negative { -value } else { value })
    }
}

/// The number of bits of `value`: 0 for 0.
fn bits(value: u32) -> usize {
    (u32::BITS - value.leading_zeros()) as usize
}

struct Encoder(DefaultRangeEncoder);

impl Coder for Encoder {
    type Error = ();
    fn decide(&mut self, decision: Decision, yes: bool) -> Result<bool, ()> {
        self.0.encode_symbol(yes, decision).map_err(|_| ())?;
        Ok(yes)
    }
}

struct Decoder(DefaultRangeDecoder);

impl Coder for Decoder {
    type Error = ();
    fn decide(&mut self, decision: Decision, _: bool) -> Result<bool, ()> {
        self.0.decode_symbol(decision).map_err(|_| ())
    }
}

/// The bytes of integers, none of a magnitude above [`LARGEST`]; empty for none.
#[cfg(feature = "std")]
pub(crate) fn encode(levels: &[i32]) -> Vec<u8> {
    let mut encoder = Encoder(DefaultRangeEncoder::new());
    let mut model = Model::new();
    for &level in levels {
        // Every decision has a probability, and memory takes every word.
        let _ = model.code(&mut encoder, level);
    }
    if levels.is_empty() {
        return Vec::new();
    }
    let words = encoder.0.into_compressed().unwrap_or_else(|e| match e {});
    let mut bytes: Vec<u8> = words.iter().flat_map(|w| w.to_be_bytes()).collect();
    // A decoder reads zeros behind the end, and most of the last words says no more than that there is an end.
    while let Some(last) = bytes.pop() {
        if decode(&bytes, levels.len()).as_deref() != Some(levels) {
            bytes.push(last);
            break;
        }
    }
    bytes
}

/// The next `count` integers that bytes stand for; `None` if they can't come from [`encode`].
pub(crate) fn decode(bytes: &[u8], count: usize) -> Option<Vec<i32>> {
    let (whole, rest) = bytes.as_chunks::<4>();
    let mut words: Vec<u32> = whole.iter().map(|&w| u32::from_be_bytes(w)).collect();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    words.push(u32::from_be_bytes(last));
    // As many zeros as a decoder reads ahead.
    words.extend([0; 2]);
    let mut decoder = Decoder(DefaultRangeDecoder::from_compressed(words).ok()?);
    let mut model = Model::new();
    (0..count)
        .map(|_| model.code(&mut decoder, 0).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_come_back(levels in prop::collection::vec(prop_oneof![-3i32..4, -2000i32..2000, -(LARGEST as i32)..=LARGEST as i32], 0..300)) {
            prop_assert_eq!(decode(&encode(&levels), levels.len()).unwrap(), levels);
        }

        #[test]
        fn any_bytes_give_integers_within_range_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0usize..500) {
            if let Some(levels) = decode(&bytes, count) {
                prop_assert_eq!(levels.len(), count);
                prop_assert!(levels.iter().all(|l| l.unsigned_abs() <= LARGEST));
            }
        }
    }

    /// Against the entropy of what is coded, which no coder that knew the distribution beforehand could beat on average.
    #[test]
    fn the_length_is_near_the_entropy() {
        let mut state = 1u64;
        let mut uniform = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        for scale in [0.5, 3.0, 40.0, 700.0] {
            let levels: Vec<i32> = (0..2000)
                .map(|_| {
                    let u = uniform() - 0.5;
                    (-scale * u.signum() * (1.0 - 2.0 * u.abs()).ln()).round() as i32
                })
                .collect();
            let mut counts = std::collections::HashMap::new();
            levels
                .iter()
                .for_each(|l| *counts.entry(l).or_insert(0.0) += 1.0);
            let laplace = |l: i32| {
                let cdf = |x: f64| {
                    if x < 0.0 {
                        0.5 * (x / scale).exp()
                    } else {
                        1.0 - 0.5 * (-x / scale).exp()
                    }
                };
                cdf(f64::from(l) + 0.5) - cdf(f64::from(l) - 0.5)
            };
            let entropy: f64 = levels
                .iter()
                .map(|&l| -laplace(l).max(1e-12).log2())
                .sum::<f64>()
                / 8.0;
            let got = encode(&levels).len() as f64;
            assert!(
                got < 1.06 * entropy + 20.0 && got > 0.9 * entropy,
                "{scale}: {got} bytes for {entropy}"
            );
        }
    }
}
