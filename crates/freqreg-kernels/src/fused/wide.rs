//! Wide channels computed from narrow maps, a tile of pixels at a time.

use std::sync::Arc;

use pulp::Arch;

use super::block::{BLOCK, blocks, pack, pack_columns, padded};
use super::maps::{MapShape, Maps, WIDEST};
use super::norm::{Normalised, Over};
use super::sinks::{Images, Project, Sink, Sums};
use super::term::{Factors, Term};
use super::tile::{Tile, Tiling};
use crate::error::{Error, Result, length};
use crate::parallel::{self, Shared};
use crate::scratch::with_scratch;

/// Wide channels at every pixel of a batch, which are computed where they are read and stored nowhere.
///
/// They are a sum of terms. Each expands its narrow maps (`expand`, `[channels, narrow]`) and adds a shift for each channel, or is
/// normalised; that is added to the sum so far, which may then be replaced by `max(sum, 0)`. One term with a ReLU is a convolution's
/// output behind a norm and a ReLU; further terms are those of residual networks. Behind a max-pool all of it is done for each place
/// of the pool's window, a phase, and the largest result counts.
#[derive(Debug, Clone)]
pub struct Wide {
    pub(super) shape: MapShape,
    pub(super) phases: usize,
    /// Windows and their step, behind a pool.
    pub(super) pool: Option<[[usize; 2]; 2]>,
    pub(super) terms: Vec<Term>,
}

impl Wide {
    /// `expand` (`[channels, narrow]`) times the maps, plus `shift` (`[channels]`, or empty).
    ///
    /// # Errors
    /// Maps with a border, and slices whose lengths do not fit.
    pub fn new(channels: usize, maps: Arc<Maps>, expand: &[f32], shift: &[f32]) -> Result<Self> {
        let (shape, narrow) = (maps.shape(), maps.shape().channels);
        if maps.border() != [0, 0] {
            return Err(Error::TooLarge {
                what: "border of maps that are expanded",
                limit: 0,
                got: maps.border()[0].max(maps.border()[1]),
            });
        }
        let shape = MapShape { channels, ..shape };
        shape.validated([0, 0])?;
        length("expansion", expand, channels * narrow)?;
        if !shift.is_empty() {
            length("shifts", shift, channels)?;
        }
        let mut packed = Vec::with_capacity(blocks(channels) * BLOCK * narrow);
        pack(expand, narrow, &mut packed);
        Ok(Self {
            shape,
            phases: 1,
            pool: None,
            terms: vec![Term {
                source: maps.clone(),
                maps: vec![maps],
                narrow,
                factors: Arc::new(Factors {
                    expand: Arc::new(packed),
                    sets: 1,
                    scale: Vec::new(),
                    shift: padded(shift, channels),
                }),
                expand: Arc::new(expand.to_vec()),
                norm: None,
                relu: false,
            }],
        })
    }

    /// Normalised: each channel, or each group of channels of each image, to mean 0 and variance 1. The statistics follow from those of
    /// the maps, and the norm becomes other factors and a shift.
    ///
    /// # Errors
    /// Anything but one expansion without a shift, which nothing has been done to yet; groups that do not divide the channels.
    pub fn normalize(mut self, over: Over, eps: f64) -> Result<Self> {
        let channels = self.shape.channels;
        if let Over::Groups(groups) = over
            && (groups == 0 || !channels.is_multiple_of(groups))
        {
            return Err(Error::Range {
                what: "groups of a norm",
                expected: "a divisor of the channels",
                got: groups as f64,
            });
        }
        let plain = self.is_expansion();
        let ([term], true) = (&mut self.terms[..], plain) else {
            return Err(Error::Range {
                what: "norm",
                expected: "of a single expansion without shift, ReLU and pool",
                got: f64::NAN,
            });
        };
        let norm = Normalised::new(&term.source, &term.expand, channels, over, eps)?;
        let (scale, shift) = norm.factors();
        term.factors = Arc::new(Factors {
            expand: term.factors.expand.clone(),
            sets: norm.sets,
            scale: padded(&scale, channels),
            shift: padded(&shift, channels),
        });
        term.norm = Some(Arc::new(norm));
        Ok(self)
    }

    /// Whether this is an expansion of maps and nothing else: no shift, norm, ReLU or pool.
    #[must_use]
    pub fn is_expansion(&self) -> bool {
        self.pool.is_none()
            && matches!(&self.terms[..], [t] if !t.relu && t.factors.shift.is_empty() && t.norm.is_none())
    }

    /// The terms of `other` after those of this one.
    ///
    /// # Errors
    /// Sizes or pools that differ.
    pub fn and(mut self, other: &Self) -> Result<Self> {
        if (self.shape, self.pool) != (other.shape, other.pool) {
            return Err(Error::Length {
                what: "added channels",
                expected: self.shape.channels * self.shape.pixels(),
                got: other.shape.channels * other.shape.pixels(),
            });
        }
        self.terms.extend(other.terms.iter().cloned());
        Ok(self)
    }

    /// Behind a ReLU.
    #[must_use]
    pub fn relu(mut self) -> Self {
        if let Some(last) = self.terms.last_mut() {
            last.relu = true;
        }
        self
    }

    /// Whether the channels are linear in the maps, each a single phase's.
    #[must_use]
    pub fn is_linear(&self) -> bool {
        self.phases == 1 && self.terms.iter().all(|t| !t.relu)
    }

    /// Behind a max-pool without padding.
    ///
    /// # Errors
    /// A window that does not fit, and channels that went through a pool already: compute them first.
    pub fn max_pool(&self, kernel: [usize; 2], stride: [usize; 2]) -> Result<Self> {
        if self.pool.is_some() {
            return Err(Error::TooLarge {
                what: "number of pools one behind the other",
                limit: 1,
                got: 2,
            });
        }
        let mut pooled = self.clone();
        pooled.pool = Some([kernel, stride]);
        for term in &mut pooled.terms {
            let phases = term.source.phases(kernel, stride)?;
            pooled.phases = phases.len();
            let shape = phases[0].shape();
            pooled.shape = MapShape {
                channels: self.shape.channels,
                ..shape
            };
            term.maps = phases.into_iter().map(Arc::new).collect();
        }
        Ok(pooled)
    }

    /// With zeros below and right of each image. Only for an expansion.
    ///
    /// # Errors
    /// Shifts, norms or a pool.
    pub fn extended(&self, rows: usize, columns: usize) -> Result<Self> {
        let ([term], true) = (&self.terms[..], self.is_expansion()) else {
            return Err(Error::Range {
                what: "extension by zeros",
                expected: "of a single expansion without shift, norm, ReLU and pool",
                got: f64::NAN,
            });
        };
        let maps = Arc::new(term.source.extended(rows, columns)?);
        Self::new(self.shape.channels, maps, &term.expand, &[])
    }

    /// `weights` (`[out, channels]`) times the expansion, `[out, narrow]`: what the maps of an expansion are projected by, as nothing
    /// stands between the two.
    ///
    /// # Errors
    /// Anything but an expansion, and weights that do not fit.
    pub fn joined(&self, weights: &[f32]) -> Result<Vec<f32>> {
        let ([term], true) = (&self.terms[..], self.is_expansion()) else {
            return Err(Error::Range {
                what: "product of projection and expansion",
                expected: "of a single expansion without shift, norm, ReLU and pool",
                got: f64::NAN,
            });
        };
        let (channels, narrow) = (self.shape.channels, term.narrow);
        let out = weights.len() / channels;
        length("projection", weights, out * channels)?;
        let mut joined = vec![0.0; out * narrow];
        for (to, row) in joined
            .chunks_exact_mut(narrow)
            .zip(weights.chunks_exact(channels))
        {
            for (&factor, expand) in row.iter().zip(term.expand.chunks_exact(narrow)) {
                to.iter_mut()
                    .zip(expand)
                    .for_each(|(to, e)| *to += factor * e);
            }
        }
        Ok(joined)
    }

    /// The sizes, with the number of wide channels.
    #[must_use]
    pub fn shape(&self) -> MapShape {
        self.shape
    }

    /// The terms' narrow channels.
    #[must_use]
    pub fn narrow(&self) -> Vec<usize> {
        self.terms.iter().map(|t| t.narrow).collect()
    }

    /// Results of which the largest counts: 1 without a pool.
    #[must_use]
    pub fn phases(&self) -> usize {
        self.phases
    }

    /// Multiply-adds of computing all channels once.
    #[must_use]
    pub fn work(&self) -> usize {
        let narrow: usize = self.narrow().iter().sum();
        self.shape.pixels() * self.phases * narrow * self.shape.channels
    }

    /// Writes `weights` (`[out, channels]`) times the channels to `out`, or adds it.
    ///
    /// # Errors
    /// Weights or an output whose sizes do not fit.
    pub fn project(&self, weights: &[f32], out: &mut Maps, add: bool) -> Result<()> {
        let to = out.shape().channels;
        length("projection", weights, to * self.shape.channels)?;
        let fits = MapShape {
            channels: to,
            ..self.shape
        };
        if out.shape() != fits {
            return Err(Error::Length {
                what: "output maps",
                expected: fits.channels * fits.pixels(),
                got: out.shape().channels * out.shape().pixels(),
            });
        }
        let channels = self.shape.channels;
        let narrow = self.terms[0].narrow;
        if self.is_expansion() && narrow < channels {
            // The maps themselves, as channels of which there are fewer.
            let mut identity = vec![0.0; narrow * narrow];
            identity
                .iter_mut()
                .step_by(narrow + 1)
                .for_each(|v| *v = 1.0);
            let maps = Self::new(narrow, self.terms[0].source.clone(), &identity, &[])?;
            return maps.project(&self.joined(weights)?, out, add);
        }
        let packed = pack_columns(weights, channels);
        let (layout, plane) = (out.layout(), out.plane());
        let out = Shared::new(out.data_mut());
        let sink = Project {
            weights: &packed,
            to,
            layout,
            plane,
            add,
            out,
        };
        self.run(&sink, 2 * to * channels, self.sets() > 1);
        Ok(())
    }

    /// The channels themselves, `[images, channels, height, width]`.
    #[must_use]
    pub fn images(&self) -> Vec<f32> {
        let s = self.shape;
        let mut out = vec![0.0; s.channels * s.pixels()];
        let sink = Images {
            shape: s,
            out: Shared::new(&mut out),
        };
        self.run(&sink, s.channels, self.sets() > 1);
        out
    }

    /// Each channel's mean over each image, `[images, channels]`.
    #[must_use]
    pub fn means(&self) -> Vec<f32> {
        let s = self.shape;
        let pixels = s.height * s.width;
        // Tiles write sums of their own, which are added in the order of the tiles.
        let tiles = pixels.div_ceil(WIDEST);
        let mut sums = vec![0.0; s.images * tiles * s.channels];
        let sink = Sums {
            shape: s,
            tiles,
            out: Shared::new(&mut sums),
        };
        self.run(&sink, s.channels, true);
        let mut means = Vec::with_capacity(s.images * s.channels);
        for image in sums.chunks_exact(tiles * s.channels) {
            for c in 0..s.channels {
                let sum: f64 = (0..tiles)
                    .map(|t| f64::from(image[t * s.channels + c]))
                    .sum();
                means.push((sum / pixels as f64) as f32);
            }
        }
        means
    }

    /// Images that have factors of their own in some term: all, or one for all of them.
    pub(super) fn sets(&self) -> usize {
        self.terms.iter().map(|t| t.factors.sets).max().unwrap_or(1)
    }

    /// Calls `sink` with every tile of every block of channels.
    fn run<K: Sink>(&self, sink: &K, sink_work: usize, within_images: bool) {
        self.run_by(sink, sink_work, within_images, |tile| {
            Arch::new().dispatch(tile);
        });
    }

    fn run_by<K: Sink>(
        &self,
        sink: &K,
        sink_work: usize,
        within_images: bool,
        compute: impl Fn(Tile<'_, K>) + Sync + Send,
    ) {
        let narrow: usize = self.narrow().iter().sum();
        let tiling = Tiling::new(
            self.shape,
            self.work() + self.shape.pixels() * sink_work,
            within_images,
            1,
        );
        let rows = self.phases * narrow + sink.scratch();
        parallel::for_each(tiling.tasks(), tiling.work(), |task| {
            // The working memory is taken here: what is called between a dispatch and its loops must be inlined.
            with_scratch(rows * WIDEST, |scratch: &mut [f32]| {
                for (part, at) in tiling.tiles(task) {
                    compute(Tile {
                        wide: self,
                        sink,
                        part,
                        start: at.start,
                        count: at.count,
                        scratch,
                    });
                }
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::backward::{Towards, Upstream};
    use super::*;
    use pulp::Simd;

    fn values(len: usize, seed: usize) -> Vec<f32> {
        (0..len)
            .map(|i| ((i * 37 + seed * 11) % 23) as f32 / 11.0 - 1.0)
            .collect()
    }

    /// Two terms, one of them normalised for each image, behind a pool, over images of odd sizes: as computed for the best instruction
    /// set, whose results other tests compare with plain loops.
    fn check<S: Simd>(simd: S) {
        let shape = MapShape {
            channels: 3,
            images: 2,
            height: 9,
            width: 11,
        };
        let maps = |seed| Arc::new(Maps::from_images(shape, [0, 0], &values(594, seed)).unwrap());
        let one = Wide::new(6, maps(1), &values(18, 3), &[]).unwrap();
        let two = Wide::new(6, maps(2), &values(18, 4), &values(6, 5)).unwrap();
        let wide = one.normalize(Over::Groups(2), 1e-5).unwrap().relu();
        let wide = wide.and(&two).unwrap().max_pool([1, 2], [1, 1]).unwrap();
        let out = MapShape {
            channels: 5,
            width: 10,
            ..shape
        };
        let weights = values(30, 6);
        let (mut got, mut want) = (
            Maps::zeros(out, [1, 2]).unwrap(),
            Maps::zeros(out, [1, 2]).unwrap(),
        );
        wide.project(&weights, &mut want, false).unwrap();
        let packed = pack_columns(&weights, 6);
        let (layout, plane) = (got.layout(), got.plane());
        let sink = Project {
            weights: &packed,
            to: 5,
            layout,
            plane,
            add: false,
            out: Shared::new(got.data_mut()),
        };
        wide.run_by(&sink, 0, true, |tile| simd.vectorize(tile));
        let (got, want) = (got.to_images(), want.to_images());
        assert!(want.iter().any(|v| v.abs() > 1.0));
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            assert!((got - want).abs() < 1e-5, "{i}: {got} for {want}");
        }
        let gradient = values(5 * 180, 7);
        let upstream = Upstream::Projected {
            weights: &weights,
            gradient: &gradient,
        };
        let towards = [Towards::Expansion, Towards::Maps];
        let best = wide.backward(upstream, &towards).unwrap();
        let found = wide
            .backward_by(upstream, &towards, |tile| simd.vectorize(tile))
            .unwrap();
        for (found, best) in found.iter().flatten().zip(best.iter().flatten()) {
            assert!((found - best).abs() < 1e-3, "{found} for {best}");
        }
        assert!(best.iter().flatten().any(|v| v.abs() > 1.0));
    }

    #[test]
    fn every_instruction_set_of_this_machine() {
        check(pulp::Scalar);
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(simd) = pulp::x86::V3::try_new() {
                check(simd);
            }
            if let Some(simd) = pulp::x86::V4::try_new() {
                check(simd);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if let Some(simd) = pulp::aarch64::Neon::try_new() {
            check(simd);
        }
    }
}
