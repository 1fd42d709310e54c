//! Labelled grey images, and how they are picked from.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::{Error, Result};

/// Labelled grey images of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// How many there are.
    pub count: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// `[count, height, width]`, row-major, 0 (background) to 255.
    pub pixels: Vec<u8>,
    /// `[count]`, the class of each image: 0 to 9.
    pub labels: Vec<u8>,
}

impl Images {
    /// Puts images together from their pixels, `[labels.len(), height, width]`, and labels.
    ///
    /// # Errors
    /// [`Error::Images`] where there are not as many pixels as the labels and the size ask for.
    pub fn new(height: usize, width: usize, pixels: Vec<u8>, labels: Vec<u8>) -> Result<Self> {
        let images = Self {
            count: labels.len(),
            height,
            width,
            pixels,
            labels,
        };
        images.check()?;
        Ok(images)
    }

    /// The pixels of one image, `[height, width]`; `None` past the last.
    pub fn image(&self, index: usize) -> Option<&[u8]> {
        let size = self.height * self.width;
        self.pixels.get(index.checked_mul(size)?..)?.get(..size)
    }

    /// The images of the given indices, in their order; an index may come more than once.
    ///
    /// # Errors
    /// [`Error::Index`] for an index past the last image.
    pub fn subset(&self, indices: &[usize]) -> Result<Self> {
        self.check()?;
        let size = self.height * self.width;
        let mut pixels = Vec::with_capacity(indices.len() * size);
        let mut labels = Vec::with_capacity(indices.len());
        for &index in indices {
            let past = Error::Index {
                index,
                count: self.count,
            };
            let (Some(image), Some(&label)) = (self.image(index), self.labels.get(index)) else {
                return Err(past);
            };
            pixels.extend_from_slice(image);
            labels.push(label);
        }
        Ok(Self {
            count: indices.len(),
            height: self.height,
            width: self.width,
            pixels,
            labels,
        })
    }

    /// Parts the images at random into those to train on and `validation` to choose by, each in the original order.
    ///
    /// The parts follow from the count and the seed alone: the draw is the ChaCha8 stream of the seed (its eight bytes,
    /// little-endian, then zeros), the same on every machine.
    ///
    /// # Errors
    /// [`Error::Split`] where `validation` exceeds the count.
    pub fn split(&self, validation: usize, seed: u64) -> Result<(Self, Self)> {
        let count = self.count;
        if validation > count {
            return Err(Error::Split {
                wanted: validation,
                count,
            });
        }
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        // A shuffle of which only the first steps are needed.
        let mut order: Vec<usize> = (0..count).collect();
        for i in 0..validation {
            let step = below(&mut rng, (count - i) as u64) as usize;
            order.swap(i, i + step);
        }
        let (chosen, rest) = order.split_at_mut(validation);
        chosen.sort_unstable();
        rest.sort_unstable();
        Ok((self.subset(rest)?, self.subset(chosen)?))
    }

    /// Checks that the fields fit together.
    pub(crate) fn check(&self) -> Result<()> {
        let Self {
            count,
            height,
            width,
            ref pixels,
            ref labels,
        } = *self;
        let fault = |what, expected, found| {
            Err(Error::Images {
                what,
                expected,
                found,
                height,
                width,
            })
        };
        if labels.len() != count {
            return fault("labels", count, labels.len());
        }
        match height
            .checked_mul(width)
            .and_then(|size| size.checked_mul(count))
        {
            Some(expected) if expected == pixels.len() => Ok(()),
            expected => fault("pixels", expected.unwrap_or(usize::MAX), pixels.len()),
        }
    }
}

/// A number below `bound`, each equally likely: the high half of a 128-bit product, drawn again in the few cases that
/// would favour some numbers (Lemire, "Fast random integer generation in an interval", 2019).
fn below(rng: &mut ChaCha8Rng, bound: u64) -> u64 {
    loop {
        let product = u128::from(rng.next_u64()) * u128::from(bound);
        if product as u64 >= bound.wrapping_neg() % bound {
            return (product >> 64) as u64;
        }
    }
}
