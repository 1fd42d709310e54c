//! The gradient of a term, while tasks compute it and from what they wrote.

use super::Towards;
use crate::fused::block::{BLOCK, blocks};
use crate::fused::maps::{MapShape, Maps};
use crate::fused::norm::Sums;
use crate::fused::term::Term;
use crate::fused::wide::Wide;
use crate::parallel::{self, Shared};

/// The gradient of one term, while it is computed.
pub(super) struct Gradient {
    towards: Towards,
    /// Running totals of what a norm needs, two each: one for each of its groups where no block of channels lies in two groups, else
    /// one for each channel; none without a norm.
    slots: usize,
    /// With respect to the maps, `[phases, images, narrow, pixels]`.
    maps: Vec<f32>,
    /// Of each task, `[slots, 2]`.
    sums: Vec<f32>,
    /// Of each task, `[blocks, narrow, BLOCK]`.
    expansion: Vec<f32>,
}

/// The same as tasks write it.
pub(super) struct Written<'a> {
    pub(super) towards: Towards,
    pub(super) slots: usize,
    /// Running totals for an expansion.
    pub(super) factors: usize,
    pub(super) maps: Shared<'a, f32>,
    pub(super) sums: Shared<'a, f32>,
    pub(super) expansion: Shared<'a, f32>,
}

impl Gradient {
    pub(super) fn new(wide: &Wide, term: &Term, towards: Towards, tasks: usize) -> Self {
        let s = wide.shape;
        let slots = match (&term.norm, towards) {
            (None, _) | (_, Towards::Nothing) => 0,
            (Some(norm), _) if norm.per.is_multiple_of(BLOCK) => norm.groups,
            (Some(_), _) => blocks(s.channels) * BLOCK,
        };
        let zeros = |wanted, len| vec![0.0; if towards == wanted { len } else { 0 }];
        let factors = blocks(s.channels) * BLOCK * term.narrow;
        Self {
            towards,
            slots,
            maps: zeros(Towards::Maps, wide.phases * term.narrow * s.pixels()),
            sums: vec![0.0; tasks * slots * 2],
            expansion: zeros(Towards::Expansion, tasks * factors),
        }
    }

    pub(super) fn shared(&mut self, tasks: usize) -> Written<'_> {
        Written {
            towards: self.towards,
            slots: self.slots,
            factors: self.expansion.len() / tasks,
            maps: Shared::new(&mut self.maps),
            sums: Shared::new(&mut self.sums),
            expansion: Shared::new(&mut self.expansion),
        }
    }

    /// The gradient, from what the tasks wrote; `parts` are those of the tasks.
    pub(super) fn end(self, wide: &Wide, term: &Term, parts: &[usize]) -> Vec<f32> {
        let s = wide.shape;
        let norm = term.norm.as_deref();
        // The tasks' sums are added in their order, in double precision.
        let sums = norm.filter(|_| self.slots > 0).map(|norm| {
            let mut sums: Vec<Sums> = vec![[0.0; 2]; norm.sets * norm.groups];
            for (&part, slots) in parts.iter().zip(self.sums.chunks_exact(2 * self.slots)) {
                for (slot, pair) in slots.chunks_exact(2).enumerate() {
                    let group = if self.slots == norm.groups {
                        slot
                    } else if slot < s.channels {
                        slot / norm.per
                    } else {
                        continue;
                    };
                    let to = &mut sums[part % norm.sets * norm.groups + group];
                    to.iter_mut()
                        .zip(pair)
                        .for_each(|(to, &v)| *to += f64::from(v));
                }
            }
            (norm, sums)
        });
        match self.towards {
            Towards::Nothing => Vec::new(),
            Towards::Maps => {
                let mut gradient = match wide.pool {
                    None => self.maps,
                    Some(pool) => unpooled(&self.maps, &term.source, s, pool),
                };
                if let Some((norm, sums)) = sums {
                    norm.correct(&sums, &term.expand, &term.source, &mut gradient);
                }
                gradient
            }
            Towards::Expansion => {
                let mut gradient = vec![0.0; s.channels * term.narrow];
                let len = self.expansion.len() / parts.len();
                for (&part, expansion) in parts.iter().zip(self.expansion.chunks_exact(len)) {
                    for (c, to) in gradient.chunks_exact_mut(term.narrow).enumerate() {
                        let scale = norm.map_or(1.0, |norm| norm.scale(part % norm.sets, c));
                        let from = &expansion[c / BLOCK * term.narrow * BLOCK..];
                        for (p, to) in to.iter_mut().enumerate() {
                            *to += scale * f64::from(from[p * BLOCK + c % BLOCK]);
                        }
                    }
                }
                if let Some((norm, sums)) = sums {
                    let pixels = term.source.shape().pixels() / norm.sets;
                    norm.correct_expansion(&sums, &term.expand, pixels, &mut gradient);
                }
                gradient.into_iter().map(|g| g as f32).collect()
            }
        }
    }
}

/// The gradient of maps from that of the phases they were split into.
fn unpooled(
    phases: &[f32],
    source: &Maps,
    pooled: MapShape,
    [kernel, stride]: [[usize; 2]; 2],
) -> Vec<f32> {
    let s = source.shape();
    let (pixels, small) = (s.height * s.width, pooled.height * pooled.width);
    let planes = s.images * s.channels;
    let mut out = vec![0.0; planes * pixels];
    let shared = Shared::new(&mut out);
    parallel::for_each(planes, phases.len(), |plane| {
        // SAFETY: every task has a plane of its own.
        let out = unsafe { shared.part(plane * pixels..(plane + 1) * pixels) };
        for place in 0..kernel[0] * kernel[1] {
            let (a, b) = (place / kernel[1], place % kernel[1]);
            let from = &phases[(place * planes + plane) * small..][..small];
            for (y, from) in from.chunks_exact(pooled.width).enumerate() {
                let to = &mut out[(y * stride[0] + a) * s.width + b..];
                for (to, from) in to.iter_mut().step_by(stride[1]).zip(from) {
                    *to += from;
                }
            }
        }
    });
    out
}
