//! Norms of channels that are expanded from narrow maps: statistics, factors, and what they add to gradients.

use super::maps::Maps;
use super::moments::{Moments, moments};
use crate::error::Result;
use crate::parallel::{self, Shared};
use crate::simd::vectorized;

/// What a norm takes its statistics over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Each channel, over all images.
    Batch,
    /// This many groups of neighbouring channels, of each image on its own.
    Groups(usize),
}

/// The statistics of expanded channels. In what follows a group is what is normalised together: x to y = scale (x - mean).
#[derive(Debug)]
pub(super) struct Normalised {
    /// Channels of a group.
    pub(super) per: usize,
    /// Groups of a set.
    pub(super) groups: usize,
    /// Images with statistics of their own: all, or one for all of them.
    pub(super) sets: usize,
    /// `[sets, groups]`.
    mean: Vec<f64>,
    scale: Vec<f64>,
    moments: Moments,
}

/// What the gradient of a norm needs from the pixels: of each group of each set, the sum of the gradients with respect to y, and of
/// their products with y.
pub(super) type Sums = [f64; 2];

impl Normalised {
    pub(super) fn new(
        maps: &Maps,
        expand: &[f32],
        channels: usize,
        over: Over,
        eps: f64,
    ) -> Result<Self> {
        let mut moments = moments(maps)?;
        let (per, sets) = match over {
            Over::Batch => {
                moments = moments.pooled();
                (1, 1)
            }
            Over::Groups(groups) => (channels / groups, maps.shape().images),
        };
        let (mean, scale) = moments
            .expanded(expand, per)
            .into_iter()
            .map(|(mean, variance)| (mean, 1.0 / (variance + eps).sqrt()))
            .unzip();
        Ok(Self {
            per,
            groups: channels / per,
            sets,
            mean,
            scale,
            moments,
        })
    }

    /// The scale of each channel of each set, `[sets, channels]`, and the shift that is added to the scaled channel.
    pub(super) fn factors(&self) -> (Vec<f32>, Vec<f32>) {
        let of_channels = |of_group: fn(f64, f64) -> f64| {
            let groups = self.mean.iter().zip(&self.scale);
            groups
                .flat_map(|(&mean, &scale)| {
                    std::iter::repeat_n(of_group(mean, scale) as f32, self.per)
                })
                .collect()
        };
        (
            of_channels(|_, scale| scale),
            of_channels(|mean, scale| -mean * scale),
        )
    }

    /// Where the numbers of a group of a set lie.
    fn place(&self, set: usize, group: usize) -> usize {
        set * self.groups + group
    }

    /// The scale of a channel of a set.
    pub(super) fn scale(&self, set: usize, channel: usize) -> f64 {
        self.scale[self.place(set, channel / self.per)]
    }

    /// With the gradient g with respect to y, that with respect to x is `scale (g - mean of g - y mean of (g y))`, and to the maps z,
    /// from which x = E z, the expansion's transpose times that. As y is linear in z, all behind the first term is an affine function
    /// of z, one for each set: `gradient` (`[images, narrow, pixels]`) holds the first term, and gets the others.
    pub(super) fn correct(&self, sums: &[Sums], expand: &[f32], maps: &Maps, gradient: &mut [f32]) {
        let s = maps.shape();
        let (narrow, pixels) = (s.channels, s.height * s.width);
        let (rows, products) = self.of_groups(expand, narrow);
        let count = (self.per * pixels * s.images / self.sets) as f64;
        let (mut shift, mut matrix) = (
            vec![0.0; self.sets * narrow],
            vec![0.0; self.sets * narrow * narrow],
        );
        for set in 0..self.sets {
            let shift = &mut shift[set * narrow..][..narrow];
            let matrix = &mut matrix[set * narrow * narrow..][..narrow * narrow];
            for group in 0..self.groups {
                let at = self.place(set, group);
                let (scale, mean) = (self.scale[at], self.mean[at]);
                let [first, second] = sums[at].map(|sum| sum / count);
                let slope = scale * scale * second;
                let constant = scale * first - slope * mean;
                let row = &rows[group * narrow..][..narrow];
                let product = &products[group * narrow * narrow..][..narrow * narrow];
                shift
                    .iter_mut()
                    .zip(row)
                    .for_each(|(to, e)| *to += constant * e);
                matrix
                    .iter_mut()
                    .zip(product)
                    .for_each(|(to, p)| *to += slope * p);
            }
        }
        let (data, plane) = (maps.data(), maps.plane());
        let work = gradient.len() * (1 + narrow);
        let shared = Shared::new(gradient);
        parallel::for_each(s.images, work, |image| {
            let set = image % self.sets;
            // SAFETY: every task has an image of its own.
            let gradient =
                unsafe { shared.part(image * narrow * pixels..(image + 1) * narrow * pixels) };
            for (i, to) in gradient.chunks_exact_mut(pixels).enumerate() {
                let constant = shift[set * narrow + i] as f32;
                to.iter_mut().for_each(|to| *to -= constant);
                for j in 0..narrow {
                    let factor = matrix[(set * narrow + i) * narrow + j] as f32;
                    let from = &data[j * plane + image * pixels..][..pixels];
                    subtract(to, from, factor);
                }
            }
        });
    }

    /// The same for the expansion: `gradient` (`[channels, narrow]`) holds the sum over sets and pixels of `scale g z`, and gets the
    /// rest, which the moments of the maps give. `pixels` are those of a set.
    pub(super) fn correct_expansion(
        &self,
        sums: &[Sums],
        expand: &[f32],
        pixels: usize,
        gradient: &mut [f64],
    ) {
        let narrow = self.moments.channels;
        let (pixels, count) = (pixels as f64, (self.per * pixels) as f64);
        for group in 0..self.groups {
            let (mut shift, mut matrix) = (vec![0.0; narrow], vec![0.0; narrow * narrow]);
            for set in 0..self.sets {
                let at = self.place(set, group);
                let (scale, mean) = (self.scale[at], self.mean[at]);
                let [first, second] = sums[at].map(|sum| sum / count);
                let slope = scale * scale * second * pixels;
                let constant = scale * first * pixels - slope * mean;
                let means = &self.moments.means[set * narrow..][..narrow];
                let covariance =
                    &self.moments.covariances[set * narrow * narrow..][..narrow * narrow];
                for i in 0..narrow {
                    shift[i] += constant * means[i];
                    for j in 0..narrow {
                        matrix[i * narrow + j] +=
                            slope * (covariance[i * narrow + j] + means[i] * means[j]);
                    }
                }
            }
            let channels = group * self.per * narrow..(group + 1) * self.per * narrow;
            let rows = expand[channels.clone()].chunks_exact(narrow);
            for (to, row) in gradient[channels].chunks_exact_mut(narrow).zip(rows) {
                for (j, to) in to.iter_mut().enumerate() {
                    let product: f64 = row
                        .iter()
                        .zip(matrix[j..].iter().step_by(narrow))
                        .map(|(&e, m)| f64::from(e) * m)
                        .sum();
                    *to -= shift[j] + product;
                }
            }
        }
    }

    /// Of each group, the sum of the expansion's rows e and of the products e e'.
    fn of_groups(&self, expand: &[f32], narrow: usize) -> (Vec<f64>, Vec<f64>) {
        let mut rows = vec![0.0; self.groups * narrow];
        let mut products = vec![0.0; self.groups * narrow * narrow];
        for (c, row) in expand.chunks_exact(narrow).enumerate() {
            let group = c / self.per;
            for (i, &a) in row.iter().enumerate() {
                rows[group * narrow + i] += f64::from(a);
                let products = &mut products[(group * narrow + i) * narrow..][..narrow];
                for (to, &b) in products.iter_mut().zip(row) {
                    *to += f64::from(a) * f64::from(b);
                }
            }
        }
        (rows, products)
    }
}

fn subtract(to: &mut [f32], from: &[f32], factor: f32) {
    vectorized(
        #[inline(always)]
        || {
            for (to, &from) in to.iter_mut().zip(from) {
                *to -= factor * from;
            }
        },
    );
}
