//! Entropy coding of quantised coefficients: an adaptive model of integers, whose decisions a range coder turns into bytes.
//!
//! Everything is integer arithmetic, so that every machine decodes the same numbers. The model is part of the format and described in the
//! crate's page; it learns as it goes, the same way on both sides, so that no parameters are stored.

use alloc::vec::Vec;

/// The largest magnitude that can be coded.
pub(crate) const LARGEST: u32 = (1 << CLASSES) - 1;
/// Classes of magnitudes but that of zero: class c holds those of c bits.
const CLASSES: usize = 20;
/// Coded bytes are at least one for so many values: a long row of zeros takes next to nothing, and a few bytes must not stand for more
/// values than anybody expects of them.
pub(crate) const PER_BYTE: usize = 64;
/// Probabilities are parts of 2^16.
const PRECISION: usize = 16;

/// A decision between two, with the probability that it is "no": at least 1, less than 2^16.
#[derive(Clone, Copy)]
struct Decision(u32);

impl Decision {
    const EVEN: Self = Self(1 << (PRECISION - 1));

    /// The part of a range that stands for "no".
    fn no(self, range: u64) -> u64 {
        (range >> PRECISION) * u64::from(self.0)
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
    /// Codes `yes`, or ignores it and decodes.
    fn decide(&mut self, decision: Decision, yes: bool) -> bool;
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
    fn code<C: Coder>(&mut self, coder: &mut C, level: i32) -> i32 {
        let magnitude = level.unsigned_abs();
        let class = bits(magnitude);
        let expected = bits(self.mean >> 4).min(CLASSES);
        let mut found = 0;
        while found < CLASSES {
            let learnt = &mut self.above[expected * CLASSES + found];
            let yes = coder.decide(learnt.decision(), class > found);
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
                    let bit = coder.decide(second.decision(), bit);
                    second.learn(bit);
                    bit
                }
                false => coder.decide(Decision::EVEN, bit),
            };
            value = value << 1 | u32::from(bit);
        }
        // The mean of the last few: a quarter of the way to each.
        self.mean = self.mean - self.mean / 4 + value * 4;
        let negative = value > 0 && coder.decide(Decision::EVEN, level < 0);
        // Below 2^20.
        let value = value as i32;
        if negative { -value } else { value }
    }
}

/// The number of bits of `value`: 0 for 0.
fn bits(value: u32) -> usize {
    (u32::BITS - value.leading_zeros()) as usize
}

/// Bits of a range and of the numbers within it: a byte leaves as soon as the range is a byte smaller.
const BITS: u32 = 56;
const WHOLE: u64 = (1 << BITS) - 1;
const SMALL: u64 = 1 << (BITS - 8);

/// A range coder (Martin 1979) of binary decisions: what is coded is a number within a range of which each decision keeps a part. A
/// carry may yet reach bytes that have left, so the last one is held back, with the 255s behind it, which a carry would pass through.
#[cfg(feature = "std")]
struct Encoder {
    bytes: Vec<u8>,
    low: u64,
    range: u64,
    /// The byte held back, if there is one, and how many bytes of 255 follow it.
    held: Option<u8>,
    full: usize,
}

#[cfg(feature = "std")]
impl Encoder {
    fn new() -> Self {
        Self {
            bytes: Vec::new(),
            low: 0,
            range: WHOLE,
            held: None,
            full: 0,
        }
    }

    /// Takes the highest byte off the number.
    fn shift(&mut self) {
        let carry = (self.low >> BITS) as u8;
        let byte = (self.low >> (BITS - 8)) as u8;
        if carry == 1 || byte != 255 {
            // There is a byte before each carry: the number began below the whole range.
            if let Some(held) = self.held {
                self.bytes.push(held + carry);
            }
            let full = 255u8.wrapping_add(carry);
            self.bytes.extend(core::iter::repeat_n(full, self.full));
            (self.held, self.full) = (Some(byte), 0);
        } else {
            self.full += 1;
        }
        self.low = (self.low & (SMALL - 1)) << 8;
    }

    /// Ends with the number within the range that has the most zeros at its end, which need not be written.
    fn finish(mut self) -> Vec<u8> {
        let end = self.low + self.range;
        let rounded = |zeros: u32| (self.low + (1 << zeros) - 1) >> zeros << zeros;
        let zeros = (0..=BITS).rev().find(|&zeros| rounded(zeros) < end);
        self.low = rounded(zeros.unwrap_or(0));
        for _ in 0..=BITS / 8 {
            self.shift();
        }
        // A decoder reads zeros behind the end.
        while self.bytes.last() == Some(&0) {
            self.bytes.pop();
        }
        self.bytes
    }
}

#[cfg(feature = "std")]
impl Coder for Encoder {
    fn decide(&mut self, decision: Decision, yes: bool) -> bool {
        let no = decision.no(self.range);
        if yes {
            self.low += no;
            self.range -= no;
        } else {
            self.range = no;
        }
        while self.range < SMALL {
            self.shift();
            self.range <<= 8;
        }
        yes
    }
}

struct Decoder<'a> {
    bytes: core::slice::Iter<'a, u8>,
    /// Where the number lies within the range.
    at: u64,
    range: u64,
}

impl<'a> Decoder<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let mut new = Self {
            bytes: bytes.iter(),
            at: 0,
            range: WHOLE,
        };
        for _ in 0..BITS / 8 {
            new.shift();
        }
        // Seven bytes of 255 would lie beyond the range, and come from no encoder.
        new.at = new.at.min(WHOLE - 1);
        new
    }

    /// Takes in a byte; behind the end, zeros.
    fn shift(&mut self) {
        self.at = self.at << 8 | u64::from(self.bytes.next().copied().unwrap_or(0));
    }
}

impl Coder for Decoder<'_> {
    fn decide(&mut self, decision: Decision, _: bool) -> bool {
        let no = decision.no(self.range);
        let yes = self.at >= no;
        if yes {
            self.at -= no;
            self.range -= no;
        } else {
            self.range = no;
        }
        while self.range < SMALL {
            self.shift();
            self.range <<= 8;
        }
        yes
    }
}

/// The bytes of integers, none of a magnitude above [`LARGEST`]; empty for none.
#[cfg(feature = "std")]
pub(crate) fn encode(levels: &[i32]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    let mut model = Model::new();
    for &level in levels {
        model.code(&mut encoder, level);
    }
    let mut bytes = encoder.finish();
    // A decoder reads these zeros anyway.
    bytes.resize(bytes.len().max(least(levels.len())), 0);
    bytes
}

/// The fewest bytes that `count` integers are coded in.
pub(crate) fn least(count: usize) -> usize {
    count / PER_BYTE
}

/// The integers that bytes stand for, one after the other: any bytes stand for some.
pub(crate) struct Levels<'a> {
    decoder: Decoder<'a>,
    model: Model,
}

impl<'a> Levels<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            decoder: Decoder::new(bytes),
            model: Model::new(),
        }
    }

    /// The next `count` of them.
    pub(crate) fn take(&mut self, count: usize) -> Vec<i32> {
        let next = |_| self.model.code(&mut self.decoder, 0);
        (0..count).map(next).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(bytes: &[u8], count: usize) -> Vec<i32> {
        Levels::new(bytes).take(count)
    }

    proptest! {
        #[test]
        fn integers_come_back(levels in prop::collection::vec(prop_oneof![-3i32..4, -2000i32..2000, -(LARGEST as i32)..=LARGEST as i32], 0..300)) {
            prop_assert_eq!(decode(&encode(&levels), levels.len()), levels);
        }

        #[test]
        fn any_bytes_give_integers_within_range(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0usize..500) {
            let levels = decode(&bytes, count);
            prop_assert_eq!(levels.len(), count);
            prop_assert!(levels.iter().all(|l| l.unsigned_abs() <= LARGEST));
        }

        /// Decisions of any probability, which makes for carries and long rows of full bytes.
        #[test]
        fn decisions_come_back(decisions in prop::collection::vec((1u32..1 << 16, any::<bool>()), 0..2000), extreme in any::<bool>()) {
            let decisions: Vec<_> = decisions.into_iter().map(|(p, yes)| match extreme {
                true => (Decision(if p & 1 == 0 { 1 } else { (1 << 16) - 1 }), yes),
                false => (Decision(p), yes),
            }).collect();
            let mut encoder = Encoder::new();
            for &(decision, yes) in &decisions {
                encoder.decide(decision, yes);
            }
            let bytes = encoder.finish();
            let mut decoder = Decoder::new(&bytes);
            for (i, &(decision, yes)) in decisions.iter().enumerate() {
                prop_assert_eq!(decoder.decide(decision, false), yes, "{}", i);
            }
        }
    }

    #[test]
    fn long_rows_of_zeros_take_a_byte_for_64_of_them() {
        let mut levels = vec![0; 1_000_000];
        assert_eq!(encode(&levels).len(), 15_625);
        levels[..500].fill(700);
        let bytes = encode(&levels);
        assert!(bytes.len() < 16_000 && decode(&bytes, levels.len()) == levels);
    }

    /// The same numbers in the same bytes, today and on every machine.
    #[test]
    fn the_bytes_of_some_integers() {
        let levels = [0, 1, -1, 0, 5, -300, 17, 0, 0, LARGEST as i32];
        let bytes = encode(&levels);
        assert_eq!(decode(&bytes, levels.len()), levels);
        assert_eq!(bytes, GOLDEN);
        assert!(encode(&[]).is_empty());
    }

    const GOLDEN: [u8; 22] = [
        90, 222, 208, 74, 102, 73, 70, 198, 55, 157, 107, 43, 43, 2, 30, 111, 255, 255, 255, 255,
        255, 252,
    ];

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
