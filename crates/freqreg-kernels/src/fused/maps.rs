//! Narrow maps: a few channels at every pixel of a batch.

use pulp::Simd;

use super::sinks::Place;
use crate::conv::Conv2d;
use crate::error::{Error, Result, at_least_one, count, length};
use crate::parallel::{self, CHUNK, Shared};
use crate::scratch::with_scratch;
use crate::simd::vectorized;

/// Sizes of a stack of maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapShape {
    /// Channels.
    pub channels: usize,
    /// Images of the batch.
    pub images: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl MapShape {
    /// Pixels of all images: elements of one channel.
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.images * self.height * self.width
    }

    /// The same if it is a possible one.
    pub(super) fn validated(self, border: [usize; 2]) -> Result<Self> {
        at_least_one("channels", self.channels)?;
        at_least_one("images", self.images)?;
        at_least_one("height", self.height)?;
        at_least_one("width", self.width)?;
        let too_large = Error::Overflow { what: "maps" };
        let [rows, columns] = border;
        let padded = |size: usize, border: usize| border.checked_mul(2)?.checked_add(size);
        let (Some(rows), Some(columns)) = (padded(self.height, rows), padded(self.width, columns))
        else {
            return Err(too_large);
        };
        count("maps", &[self.channels, self.images, rows, columns])?;
        Ok(self)
    }
}

/// A batch of images of a few channels, all images of a channel side by side: `[channels, images, height, width]`, each image within
/// a border of zeros where a convolution is to follow.
#[derive(Debug, Clone, PartialEq)]
pub struct Maps {
    shape: MapShape,
    border: [usize; 2],
    /// With room behind the last element, which a tile of a convolution may read and forget.
    data: Vec<f32>,
}

/// Widest tile, in pixels: four registers of 16 numbers.
pub(super) const WIDEST: usize = 64;

impl Maps {
    /// All zeros, with `border` rows above and below and columns left and right of each image.
    ///
    /// # Errors
    /// A size of zero, or more elements than can be counted.
    pub fn zeros(shape: MapShape, border: [usize; 2]) -> Result<Self> {
        shape.validated(border)?;
        let mut maps = Self {
            shape,
            border,
            data: Vec::new(),
        };
        let len = shape.channels * maps.plane() + maps.row() + WIDEST;
        maps.data = vec![0.0; len];
        Ok(maps)
    }

    /// From images `[images, channels, height, width]`.
    ///
    /// # Errors
    /// An impossible shape, or a number of values that is not the shape's.
    pub fn from_images(shape: MapShape, border: [usize; 2], images: &[f32]) -> Result<Self> {
        let mut maps = Self::zeros(shape, border)?;
        length("images", images, shape.channels * shape.pixels())?;
        let (w, row, first) = (shape.width, maps.row(), maps.layout().first);
        let (plane, image) = (maps.plane(), maps.image());
        let pixels = shape.height * w;
        let shared = Shared::new(&mut maps.data);
        parallel::for_each(shape.images * shape.channels, images.len(), |i| {
            let (n, c) = (i / shape.channels, i % shape.channels);
            let start = c * plane + n * image;
            // SAFETY: every task has an image of a channel of its own.
            let to = unsafe { shared.part(start..start + image) };
            let from = &images[i * pixels..][..pixels];
            if row == w {
                to[first..first + pixels].copy_from_slice(from);
                return;
            }
            for (from, to) in from.chunks_exact(w).zip(to[first..].chunks_mut(row)) {
                to[..w].copy_from_slice(from);
            }
        });
        Ok(maps)
    }

    /// What a convolution's windows hold of images `[images, channels, height, width]`: for each channel and place of the window, in this
    /// order, a channel of the pixels found there, and zeros where a window reaches beyond the image. A filter's weights are the
    /// expansion of these maps to its output.
    ///
    /// # Errors
    /// An impossible geometry, or a number of values that is not that of its input.
    pub fn windows(conv: &Conv2d, images: &[f32]) -> Result<Self> {
        conv.validated()?;
        length("images", images, conv.input_len())?;
        let [height, width] = conv.output_size();
        let [kh, kw] = conv.kernel;
        let shape = MapShape {
            channels: conv.channels_in * kh * kw,
            images: conv.batch,
            height,
            width,
        };
        let mut maps = Self::zeros(shape, [0, 0])?;
        let plane = maps.plane();
        let (pixels, image) = (conv.height * conv.width, height * width);
        let shared = Shared::new(&mut maps.data);
        parallel::for_each(conv.batch, plane * shape.channels, |n| {
            for c in 0..shape.channels {
                let (q, a, b) = (c / (kh * kw), c / kw % kh, c % kw);
                let from = &images[(n * conv.channels_in + q) * pixels..][..pixels];
                let start = c * plane + n * image;
                // SAFETY: every task has an image of its own.
                let to = unsafe { shared.part(start..start + image) };
                for (y, to) in to.chunks_exact_mut(width).enumerate() {
                    let line = (y * conv.stride[0] + a * conv.dilation[0])
                        .checked_sub(conv.padding[0])
                        .filter(|&line| line < conv.height);
                    let Some(line) = line else {
                        continue;
                    };
                    let from = &from[line * conv.width..][..conv.width];
                    for (x, to) in to.iter_mut().enumerate() {
                        let at = (x * conv.stride[1] + b * conv.dilation[1])
                            .wrapping_sub(conv.padding[1]);
                        *to = from.get(at).copied().unwrap_or(0.0);
                    }
                }
            }
        });
        Ok(maps)
    }

    /// As images `[images, channels, height, width]`.
    #[must_use]
    pub fn to_images(&self) -> Vec<f32> {
        let s = self.shape;
        let pixels = s.height * s.width;
        let mut out = vec![0.0; s.channels * s.pixels()];
        let work = out.len();
        parallel::for_each_chunk(&mut out, pixels, work, |i, to| {
            let start = self.start(i % s.channels, i / s.channels);
            for (to, from) in to
                .chunks_exact_mut(s.width)
                .zip(self.data[start..].chunks(self.row()))
            {
                to.copy_from_slice(&from[..s.width]);
            }
        });
        out
    }

    /// The same with rows of zeros below each image and columns of zeros right of it, and without a border.
    ///
    /// # Errors
    /// More elements than can be counted.
    pub fn extended(&self, rows: usize, columns: usize) -> Result<Self> {
        let s = self.shape;
        let add = |size: usize, more| {
            let what = "maps";
            size.checked_add(more).ok_or(Error::Overflow { what })
        };
        let shape = MapShape {
            height: add(s.height, rows)?,
            width: add(s.width, columns)?,
            ..s
        };
        let mut out = Self::zeros(shape, [0, 0])?;
        let work = shape.channels * shape.pixels();
        out.fill_from(work, |c, n, y, to| {
            if y < s.height {
                let from = &self.data[self.start(c, n) + y * self.row()..];
                to[..s.width].copy_from_slice(&from[..s.width]);
            }
        });
        Ok(out)
    }

    /// Calls `f(channel, image, row, its pixels)` for every row. Only without a border.
    fn fill_from(
        &mut self,
        work: usize,
        f: impl Fn(usize, usize, usize, &mut [f32]) + Sync + Send,
    ) {
        let (s, plane, image) = (self.shape, self.plane(), self.image());
        let band = (CHUNK / s.width).clamp(1, s.height);
        let bands = s.height.div_ceil(band);
        let shared = Shared::new(&mut self.data);
        parallel::for_each(s.channels * s.images * bands, work, |task| {
            let (i, first) = (task / bands, task % bands * band);
            let (c, n) = (i / s.images, i % s.images);
            let rows = first..s.height.min(first + band);
            let start = c * plane + n * image;
            let pixels = start + rows.start * s.width..start + rows.end * s.width;
            // SAFETY: every task has rows of its own.
            let to = unsafe { shared.part(pixels) };
            for (y, to) in rows.zip(to.chunks_exact_mut(s.width)) {
                f(c, n, y, to);
            }
        });
    }

    /// A transposed convolution whose stride is the size of its kernel: every pixel becomes a window of pixels. The weights are
    /// `[channels, channels out, rows, columns]`, the result is without a border.
    ///
    /// # Errors
    /// A kernel of size zero, a number of weights that does not fit, and more elements than can be counted.
    pub fn spread(&self, channels: usize, kernel: [usize; 2], weights: &[f32]) -> Result<Self> {
        let s = self.shape;
        let [kh, kw] = kernel;
        for size in [channels, kh, kw] {
            at_least_one("size of a transposed convolution", size)?;
        }
        let expected = count("weights", &[s.channels, channels, kh, kw])?;
        length("weights", weights, expected)?;
        let times = |size: usize, by: usize| {
            let what = "maps";
            size.checked_mul(by).ok_or(Error::Overflow { what })
        };
        let shape = MapShape {
            channels,
            height: times(s.height, kh)?,
            width: times(s.width, kw)?,
            ..s
        };
        let mut out = Self::zeros(shape, [0, 0])?;
        let work = s.channels * channels * shape.pixels();
        out.fill_from(work, |q, n, y, to| {
            let (y, a) = (y / kh, y % kh);
            with_scratch(s.width, |sums: &mut [f32]| {
                vectorized(
                    #[inline(always)]
                    || {
                        for b in 0..kw {
                            sums.fill(0.0);
                            for p in 0..s.channels {
                                let from =
                                    &self.data[self.start(p, n) + y * self.row()..][..s.width];
                                let weight = weights[((p * channels + q) * kh + a) * kw + b];
                                for (sum, value) in sums.iter_mut().zip(from) {
                                    *sum += weight * value;
                                }
                            }
                            for (to, &sum) in to.chunks_exact_mut(kw).zip(&*sums) {
                                to[b] = sum;
                            }
                        }
                    },
                );
            });
        });
        Ok(out)
    }

    /// The pixels that a pool's windows have at each of their places: one stack of maps for each place of the window, in row-major
    /// order, so that the largest of a window is the largest over these stacks. No padding.
    ///
    /// # Errors
    /// A window or stride of zero, or a window larger than the image.
    pub fn phases(&self, kernel: [usize; 2], stride: [usize; 2]) -> Result<Vec<Self>> {
        let s = self.shape;
        for size in kernel.into_iter().chain(stride) {
            at_least_one("window and stride of a pool", size)?;
        }
        for (what, got, limit) in [
            ("height of a pool's window", kernel[0], s.height),
            ("width of a pool's window", kernel[1], s.width),
        ] {
            if got > limit {
                return Err(Error::TooLarge { what, limit, got });
            }
        }
        let shape = MapShape {
            height: (s.height - kernel[0]) / stride[0] + 1,
            width: (s.width - kernel[1]) / stride[1] + 1,
            ..s
        };
        let mut phases = Vec::new();
        for place in 0..kernel[0] * kernel[1] {
            let (a, b) = (place / kernel[1], place % kernel[1]);
            let mut out = Self::zeros(shape, [0, 0])?;
            let work = shape.channels * shape.pixels();
            out.fill_from(work, |c, n, y, to| {
                let from = &self.data[self.start(c, n) + (y * stride[0] + a) * self.row() + b..];
                match stride[1] {
                    // A pool of the usual step, which the compiler makes vectors of.
                    2 => {
                        let (pairs, _) = from.as_chunks::<2>();
                        to.iter_mut()
                            .zip(pairs)
                            .for_each(|(to, pair)| *to = pair[0]);
                    }
                    step => {
                        let from = from.iter().step_by(step);
                        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                    }
                }
            });
            phases.push(out);
        }
        Ok(phases)
    }

    /// The sizes.
    #[must_use]
    pub fn shape(&self) -> MapShape {
        self.shape
    }

    /// Rows above and below, columns left and right of each image.
    #[must_use]
    pub fn border(&self) -> [usize; 2] {
        self.border
    }

    /// Elements of a row with its border.
    pub(super) fn row(&self) -> usize {
        self.shape.width + 2 * self.border[1]
    }

    /// Elements from one channel to the next: those of its images with their borders, and some more where channels would lie so that
    /// the same pixel of each falls into the same few lines of a cache.
    pub(super) fn plane(&self) -> usize {
        let images = self.shape.images * self.image();
        match images.is_multiple_of(512) {
            true => images + 5 * 16,
            false => images,
        }
    }

    /// Elements of one image of one channel with its border.
    pub(super) fn image(&self) -> usize {
        (self.shape.height + 2 * self.border[0]) * self.row()
    }

    /// Where the first pixel of an image lies.
    fn start(&self, channel: usize, image: usize) -> usize {
        channel * self.plane() + image * self.image() + self.border[0] * self.row() + self.border[1]
    }

    /// The channels at some pixels of maps without a border, into the next of the rows `to`, with zeros behind the last pixel.
    #[inline(always)]
    pub(super) fn rows<S: Simd, const V: usize>(
        &self,
        at: Place,
        to: &mut std::slice::ChunksExactMut<'_, f32>,
    ) {
        let planes = self.data.chunks_exact(self.plane());
        for (plane, to) in planes.take(self.shape.channels).zip(to) {
            let from = &plane[at.start..at.start + at.count];
            if from.len() == to.len() {
                copy_registers::<S, V>(from, to);
            } else {
                to[..at.count].copy_from_slice(from);
                to[at.count..].fill(0.0);
            }
        }
    }

    pub(super) fn data(&self) -> &[f32] {
        &self.data
    }

    pub(super) fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// Where pixels lie within a channel: calls `f(offset in the channel, offset from the first pixel, how many)` for every run of
    /// neighbours among `count` pixels from pixel `first` on, counted over rows and images.
    #[inline(always)]
    pub(super) fn runs(
        layout: Layout,
        first: usize,
        count: usize,
        mut f: impl FnMut(usize, usize, usize),
    ) {
        let mut done = 0;
        while done < count {
            let at = first + done;
            let (line, x) = (at / layout.width, at % layout.width);
            let (image, y) = (line / layout.height, line % layout.height);
            let run = (layout.width - x).min(count - done);
            f(
                layout.first + image * layout.image + y * layout.row + x,
                done,
                run,
            );
            done += run;
        }
    }

    pub(super) fn layout(&self) -> Layout {
        // Without a border the pixels of all images are one row.
        if self.border == [0, 0] {
            return Layout {
                first: 0,
                image: 0,
                row: 0,
                height: 1,
                width: self.shape.pixels(),
            };
        }
        Layout {
            first: self.start(0, 0),
            image: self.image(),
            row: self.row(),
            height: self.shape.height,
            width: self.shape.width,
        }
    }
}

/// Copies `V` registers, inline: for so few numbers a call costs more than they do.
#[inline(always)]
pub(super) fn copy_registers<S: Simd, const V: usize>(from: &[f32], to: &mut [f32]) {
    let from = &S::as_simd_f32s(from).0[..V];
    let to = &mut S::as_mut_simd_f32s(to).0[..V];
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// How the pixels of a channel lie in memory.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    first: usize,
    image: usize,
    row: usize,
    height: usize,
    width: usize,
}
