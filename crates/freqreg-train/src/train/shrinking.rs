//! Budgets that shrink while a network is trained, by a schedule or by what is measured.

use super::Trainer;
use crate::budget::share_out;
use crate::experiment::{NumberKind, Share};
use crate::network::Network;
use crate::sensitivity;
use crate::tasks::{self, Setting};
use crate::{Error, Result};
use freqreg_file::{Model as ModelFile, Tensor as FileTensor};
use freqreg_nn::{Decay, Form, Parameter, Schedule};

/// The way that budgets take: from these counts, in so many steps.
pub(super) struct Shrinking {
    schedule: Schedule,
    over: usize,
    starts: Vec<usize>,
}

impl Shrinking {
    /// Whether a step is one of `times` that lie evenly in those in which budgets shrink, at the end of the last of as many parts.
    fn is_time(&self, step: usize, times: usize) -> bool {
        let part = |step: usize| step * times / self.over.max(1);
        match self.over {
            0 => step == 0,
            over => step > 0 && step <= over && part(step) > part(step - 1),
        }
    }
}

impl Trainer<'_> {
    /// The way that budgets take, from what the network has now.
    pub(super) fn shrinking(&self, network: &Network, steps: usize) -> Shrinking {
        let (decay, over) = match &self.shrink {
            Some((shrink, _)) => (
                shrink.decay(),
                (shrink.over * steps as f64).round() as usize,
            ),
            None => (Decay::Linear, 0),
        };
        Shrinking {
            schedule: Schedule::new(decay, over),
            over,
            starts: network.parameters.iter().map(Parameter::kept).collect(),
        }
    }

    /// Cuts the network to what it may have before the step with this number, counted from 0.
    pub(super) fn shrink(
        &self,
        network: &Network,
        shrinking: &Shrinking,
        step: usize,
        setting: &Setting<'_>,
    ) -> Result<()> {
        let Some((_, ends)) = &self.shrink else {
            return Ok(());
        };
        let prefixes: Vec<_> = network
            .parameters
            .iter()
            .zip(shrinking.starts.iter().zip(ends))
            .filter(|(p, _)| matches!(p.form(), Form::Prefix { .. }))
            .collect();
        let schedule = &shrinking.schedule;
        match self.share {
            None => {
                for (p, (&start, &end)) in prefixes {
                    p.truncate(schedule.count(step, start, end).min(p.kept()))?;
                }
            }
            Some(share) if shrinking.is_time(step, share.times) => {
                let start = prefixes.iter().map(|(_, (start, _))| **start).sum();
                let end = prefixes.iter().map(|(_, (_, end))| **end).sum();
                let parameters: Vec<_> = prefixes.into_iter().map(|(p, _)| p).collect();
                let total = schedule.count(step, start, end);
                let shares = match self.communicator.rank() {
                    0 => self.measured(network, &parameters, total, share, setting)?,
                    _ => Vec::new(),
                };
                let bytes = shares.iter().flat_map(|&k| (k as u64).to_le_bytes());
                let mut bytes: Vec<u8> = bytes.collect();
                self.communicator.broadcast(&mut bytes)?;
                let (shares, _) = bytes.as_chunks::<8>();
                let shares = shares.iter().map(|&k| u64::from_le_bytes(k) as usize);
                for (p, k) in parameters.into_iter().zip(shares) {
                    p.truncate(k.min(p.kept()))?;
                }
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// How many of `total` numbers each of these parameters is to have, by what the network loses on validation images without the
    /// others.
    fn measured(
        &self,
        network: &Network,
        parameters: &[&Parameter],
        total: usize,
        share: &Share,
        setting: &Setting<'_>,
    ) -> Result<Vec<usize>> {
        let kind = network.architecture.task();
        let metric = tasks::task(kind).metric();
        let file = network.to_file(NumberKind::Float32)?;
        // A loss goes no higher than that of guessing: ruin one layer, and no more can be lost there. So a layer is cut by no more than twice
        // the common factor, where what is lost still adds up; the next time tells how it did.
        let all: usize = parameters.iter().map(|p| p.kept()).sum();
        let factor = (total as f64 / all as f64).min(1.0);
        let least = |t: &FileTensor| least(t.values.len(), factor);
        let ways = file.tensors.iter().map(|t| sensitivity::cuts(t, least(t)));
        let ways: Vec<_> = ways.collect();
        let images = self
            .validation
            .first(share.images.min(self.validation.count));
        let kept = |file: &ModelFile| -> Vec<usize> {
            let of = |p: &&Parameter| file.tensors.iter().find(|t| t.name == p.name());
            let kept = |p| of(p).map_or(0, |t| t.values.len());
            parameters.iter().map(kept).collect()
        };
        let found = sensitivity::share_out(
            &file,
            &ways,
            |tensor| tensor.values.len() as f64,
            |file| {
                let network = Network::from_file(file, self.device)?;
                Ok(tasks::evaluate(kind, network.model.as_ref(), &images, setting)?.loss(metric))
            },
            |file| Ok(kept(file).iter().sum::<usize>() <= total),
        )?;
        let found = found.ok_or_else(|| {
            Error::Setting(format!(
                "{}: {total} numbers do not go round among {} tensors",
                self.phase,
                parameters.len()
            ))
        })?;
        // Few counts of each were tried: in the proportions of those found, all of the total is given out.
        let sizes: Vec<usize> = parameters.iter().map(|p| p.kept()).collect();
        Ok(share_out(total, &kept(&found), &sizes))
    }
}

/// The fewest of `kept` numbers that a layer is cut to where all together are cut by `factor`. The floors of the shares are at most the whole.
fn least(kept: usize, factor: f64) -> usize {
    let share = kept as f64 * factor;
    let twice = (share * factor).ceil();
    (twice.min(share.floor()) as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_is_cut_to_at_the_most_goes_round() {
        for kept in [vec![11; 4], vec![1, 1, 500], vec![3, 40, 7, 2]] {
            let all: usize = kept.iter().sum();
            for total in kept.len()..=all {
                let factor = total as f64 / all as f64;
                let floors: Vec<usize> = kept.iter().map(|&k| least(k, factor)).collect();
                let small = kept.iter().filter(|&&k| (k as f64 * factor) < 1.0).count();
                let sum: usize = floors.iter().sum();
                assert!(sum <= total + small, "{floors:?} of {total}");
                assert!(floors.iter().zip(&kept).all(|(f, k)| f <= k && *f > 0));
            }
        }
        assert_eq!(least(11, 43.0 / 44.0), 10);
        assert_eq!(least(100, 0.5), 25);
    }

    #[test]
    fn times_lie_evenly_and_the_last_is_at_the_end() {
        let of = |over, times| {
            let shrinking = Shrinking {
                schedule: Schedule::new(Decay::Geometric, over),
                over,
                starts: Vec::new(),
            };
            (0..20)
                .filter(|&step| shrinking.is_time(step, times))
                .collect::<Vec<usize>>()
        };
        assert_eq!(of(12, 3), [4, 8, 12]);
        assert_eq!(of(10, 4), [3, 5, 8, 10]);
        assert_eq!(of(3, 12), [1, 2, 3]);
        assert_eq!(of(0, 12), [0]);
    }
}
