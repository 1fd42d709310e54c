//! Labelled images, and how they are picked from.

use crate::draw::{below, stream};
use crate::{Error, Result};

/// Images of one size, each labelled with a class or with a mask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// How many there are.
    pub count: usize,
    /// Values a pixel has: 1 for grey, 3 for red, green and blue.
    pub channels: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// `[count, channels, height, width]`, row-major, top row first, 0 (black) to 255.
    pub pixels: Vec<u8>,
    /// `[count]`, the class of each image, from 0; or, where [`masked`](Self::masked), `[count, height, width]`: 1 for
    /// a pixel of the foreground, 0 for one of the background.
    pub labels: Vec<u8>,
    /// Whether the labels are masks. Shapes alone do not tell, where an image is one pixel.
    masked: bool,
}

impl Images {
    /// Grey images from their pixels, `[labels.len(), height, width]`, and their classes.
    ///
    /// # Errors
    /// [`Error::Images`] where there are not as many pixels as the labels and the size ask for.
    pub fn new(height: usize, width: usize, pixels: Vec<u8>, labels: Vec<u8>) -> Result<Self> {
        Self::with_channels(1, height, width, pixels, labels)
    }

    /// Images of any number of channels from their pixels, `[labels.len(), channels, height, width]`, and their
    /// classes.
    ///
    /// # Errors
    /// [`Error::Images`] where there are not as many pixels as the labels and the shape ask for.
    pub fn with_channels(
        channels: usize,
        height: usize,
        width: usize,
        pixels: Vec<u8>,
        labels: Vec<u8>,
    ) -> Result<Self> {
        let images = Self {
            count: labels.len(),
            channels,
            height,
            width,
            pixels,
            labels,
            masked: false,
        };
        images.check()?;
        Ok(images)
    }

    /// Images for segmentation from their pixels, `[count, channels, height, width]`, and masks,
    /// `[count, height, width]`: 1 for the foreground, 0 for the background. The count is that of the masks.
    ///
    /// # Errors
    /// [`Error::Images`] where there are not as many pixels or mask values as the shape asks for, or the shape has no
    /// pixels; [`Error::MaskValue`] for a mask value other than 0 and 1.
    pub fn segmentation(
        channels: usize,
        height: usize,
        width: usize,
        pixels: Vec<u8>,
        masks: Vec<u8>,
    ) -> Result<Self> {
        let images = Self {
            // Without pixels there is nothing to count by; `check` refuses what is left over.
            count: height
                .checked_mul(width)
                .and_then(|plane| masks.len().checked_div(plane))
                .unwrap_or(0),
            channels,
            height,
            width,
            pixels,
            labels: masks,
            masked: true,
        };
        images.check()?;
        match images.labels.iter().position(|&value| value > 1) {
            None => Ok(images),
            Some(at) => Err(Error::MaskValue {
                index: at / (height * width),
                found: images.labels[at],
            }),
        }
    }

    /// Whether the labels are masks, `[count, height, width]`, and not classes, `[count]`.
    pub fn masked(&self) -> bool {
        self.masked
    }

    /// The pixels of one image, `[channels, height, width]`; `None` past the last.
    pub fn image(&self, index: usize) -> Option<&[u8]> {
        part(
            &self.pixels,
            index,
            self.channels * self.height * self.width,
        )
    }

    /// The labels of one image: its class, or, where [`masked`](Self::masked), its mask, `[height, width]`; `None`
    /// past the last.
    pub fn labels_of(&self, index: usize) -> Option<&[u8]> {
        part(&self.labels, index, self.labels_each())
    }

    /// The images of the given indices, in their order; an index may come more than once.
    ///
    /// # Errors
    /// [`Error::Index`] for an index past the last image.
    pub fn subset(&self, indices: &[usize]) -> Result<Self> {
        self.check()?;
        let size = self.channels * self.height * self.width;
        let mut pixels = Vec::with_capacity(indices.len().saturating_mul(size));
        let mut labels = Vec::with_capacity(indices.len().saturating_mul(self.labels_each()));
        for &index in indices {
            let (Some(image), Some(label)) = (self.image(index), self.labels_of(index)) else {
                return Err(Error::Index {
                    index,
                    count: self.count,
                });
            };
            pixels.extend_from_slice(image);
            labels.extend_from_slice(label);
        }
        Ok(Self {
            count: indices.len(),
            pixels,
            labels,
            ..self.shape()
        })
    }

    /// The first `n` images; all of them where there are fewer.
    pub fn first(&self, n: usize) -> Self {
        let count = n.min(self.count);
        let front = |all: &[u8], each: usize| all[..all.len().min(count * each)].to_vec();
        Self {
            count,
            pixels: front(&self.pixels, self.channels * self.height * self.width),
            labels: front(&self.labels, self.labels_each()),
            ..self.shape()
        }
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
        let mut rng = stream(seed);
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

    /// The images in the middle of `height` x `width` pixels, zeros (black, and background in masks) around them.
    /// Where the border is odd, the smaller half stands above or to the left.
    ///
    /// # Errors
    /// [`Error::Padded`] for a size below that of the images.
    pub fn padded(&self, height: usize, width: usize) -> Result<Self> {
        self.check()?;
        let (from, to) = ((self.height, self.width), (height, width));
        let planes = self.count * self.channels;
        let total = height
            .checked_mul(width)
            .and_then(|plane| plane.checked_mul(planes.max(self.count)));
        if height < self.height || width < self.width || total.is_none() {
            return Err(Error::Padded { from, to });
        }
        Ok(Self {
            height,
            width,
            pixels: padded(&self.pixels, planes, from, to),
            labels: match self.masked {
                true => padded(&self.labels, self.count, from, to),
                false => self.labels.clone(),
            },
            ..self.shape()
        })
    }

    /// Grey images as images of several equal channels, such as 3 for a network that takes colours. Images that have
    /// so many channels already come back as they are.
    ///
    /// # Errors
    /// [`Error::Colour`] for images that are neither grey nor of so many channels, and for `channels` 0.
    pub fn with_colour(&self, channels: usize) -> Result<Self> {
        self.check()?;
        if self.channels == channels {
            return Ok(self.clone());
        }
        if self.channels != 1 || channels == 0 {
            return Err(Error::Colour {
                found: self.channels,
                wanted: channels,
            });
        }
        // `max(1)`: images without pixels have none to repeat.
        let images = self.pixels.chunks_exact((self.height * self.width).max(1));
        Ok(Self {
            channels,
            pixels: images.flat_map(|image| image.repeat(channels)).collect(),
            labels: self.labels.clone(),
            ..self.shape()
        })
    }

    /// How many labels an image has.
    fn labels_each(&self) -> usize {
        match self.masked {
            true => self.height * self.width,
            false => 1,
        }
    }

    /// All but the pixels and labels.
    fn shape(&self) -> Self {
        Self {
            pixels: Vec::new(),
            labels: Vec::new(),
            ..*self
        }
    }

    /// Checks that the fields fit together.
    pub(crate) fn check(&self) -> Result<()> {
        let fault = |what, expected: Option<usize>, found| {
            Err(Error::Images {
                what,
                expected: expected.unwrap_or(usize::MAX),
                found,
                channels: self.channels,
                height: self.height,
                width: self.width,
            })
        };
        let plane = self.height.checked_mul(self.width);
        let times_count = |each: Option<usize>| each.and_then(|each| each.checked_mul(self.count));
        let labels = match self.masked {
            true => times_count(plane),
            false => Some(self.count),
        };
        if labels != Some(self.labels.len()) {
            let what = if self.masked { "mask values" } else { "labels" };
            return fault(what, labels, self.labels.len());
        }
        let pixels = times_count(plane.and_then(|plane| plane.checked_mul(self.channels)));
        match pixels == Some(self.pixels.len()) {
            true => Ok(()),
            false => fault("pixels", pixels, self.pixels.len()),
        }
    }
}

/// The part of the given index where every part has `size` bytes.
fn part(all: &[u8], index: usize, size: usize) -> Option<&[u8]> {
    all.get(index.checked_mul(size)?..)?.get(..size)
}

/// Planes `[planes, from]` in the middle of zeros, `[planes, to]`; `to` is nowhere smaller than `from`.
fn padded(all: &[u8], planes: usize, from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    let (top, left) = ((to.0 - from.0) / 2, (to.1 - from.1) / 2);
    let mut out = vec![0; planes * to.0 * to.1];
    let rows = all.chunks_exact(from.1.max(1)).enumerate();
    for (i, row) in rows {
        let (plane, y) = (i / from.0, i % from.0);
        let start = (plane * to.0 + top + y) * to.1 + left;
        out[start..start + from.1].copy_from_slice(row);
    }
    out
}
