//! One step of a training, and the measure that is taken between its epochs.

use super::Trainer;
use crate::Result;
use crate::exchange::Exchange;
use crate::hold::Holder;
use crate::images::{Variation, batch};
use crate::network::Network;
use crate::optimiser::Optimiser;
use crate::tasks::{self, Batch, Evaluation, Setting, Stepped, Task};
use candle_core::Tensor;
use freqreg_nn::ops::shared_batch;
use std::ops::Range;
use std::sync::atomic::Ordering;

/// What a training holds while it is under way.
pub(super) struct UnderWay<'a> {
    pub(super) trainer: &'a Trainer<'a>,
    pub(super) network: &'a Network,
    pub(super) task: &'static dyn Task,
    pub(super) setting: Setting<'a>,
    pub(super) optimiser: Optimiser,
    pub(super) exchange: Exchange<'a>,
    /// This process's parts of every batch.
    pub(super) mine: Vec<Range<usize>>,
    /// Steps in all.
    pub(super) steps: usize,
}

impl UnderWay<'_> {
    /// Learns from the images with these indices, which are the batch of the step with this number, counted from 0. Where the loss is no
    /// number, nothing is learnt.
    pub(super) fn step(&mut self, step: usize, indices: &[usize]) -> Result<Stepped> {
        let trainer = self.trainer;
        let (model, parameters) = (self.network.model.as_ref(), &self.network.parameters);
        let rate = trainer.training.rate.at(step, self.steps);
        let in_parts = self.exchange.in_parts;
        let own: usize = self.mine.iter().map(Range::len).sum();
        let mut holder = Holder::new(parameters, trainer.hold(self.network, step, self.steps));
        holder.hold()?;
        self.optimiser.begin();
        self.exchange.begin(trainer.stop.load(Ordering::Relaxed));
        let mut stepped = Stepped {
            loss: 0.0,
            score: None,
        };
        for (i, samples) in self.mine.iter().enumerate() {
            let batch = self.batch(step, samples, indices)?;
            let last = i + 1 == self.mine.len();
            let share = samples.len() as f64 / indices.len() as f64;
            let mut learn = |loss: &Tensor, prefix: &str| {
                let own = tasks::number(loss)?;
                // Gradients of the part's share of the whole batch's loss are shares as well.
                let shared = match in_parts {
                    true => (loss * share)?,
                    false => loss.clone(),
                };
                let mut gradients = shared.backward()?;
                let exchange = &mut self.exchange;
                exchange.put(&gradients, parameters, prefix, share * own)?;
                if !last {
                    return Ok(own);
                }
                holder.release()?;
                let all = exchange.sum(&mut gradients, parameters, prefix)?;
                if all.is_finite() {
                    self.optimiser.apply(&gradients, rate, prefix)?;
                }
                // A task may go on from here, with another loss.
                holder.hold()?;
                Ok(all)
            };
            let part = match in_parts {
                false => self.task.step(model, batch, &self.setting, &mut learn)?,
                true => shared_batch(trainer.statistics(self.mine.len()), || {
                    self.task.step(model, batch, &self.setting, &mut learn)
                })?,
            };
            // The last one knows the loss of all.
            stepped.loss = part.loss;
            let score = part.score.map(|s| s * samples.len() as f64 / own as f64);
            stepped.score = match (stepped.score, score) {
                (Some(a), Some(b)) => Some(a + b),
                (a, b) => a.or(b),
            };
        }
        holder.release()?;
        Ok(stepped)
    }

    /// These samples of a batch, varied as the step wants it.
    fn batch(&self, step: usize, samples: &Range<usize>, indices: &[usize]) -> Result<Batch> {
        let (trainer, training) = (self.trainer, self.trainer.training);
        let variation = (training.shift > 0 || training.flip).then_some(Variation {
            shift: training.shift,
            flip: training.flip,
            seed: self.setting.seed,
            step,
            before: samples.start,
        });
        let (images, preparation) = (trainer.images, trainer.preparation);
        let part = &indices[samples.clone()];
        let (x, labels) = batch(images, part, preparation, variation, trainer.device)?;
        Ok(Batch {
            x,
            labels,
            step,
            before: samples.start,
            all: indices.len(),
        })
    }

    /// How the network does on the validation images behind this step: process 0 measures, all are told.
    pub(super) fn validate(&self, step: usize) -> Result<Evaluation> {
        let (trainer, network) = (self.trainer, self.network);
        let hold = trainer.hold(network, step, self.steps);
        let mut holder = Holder::new(&network.parameters, hold);
        holder.hold()?;
        let found = match trainer.communicator.rank() {
            0 => {
                let (kind, model) = (network.architecture.task(), network.model.as_ref());
                tasks::evaluate(kind, model, trainer.validation, &self.setting)?
            }
            _ => Evaluation::default(),
        };
        holder.release()?;
        trainer.agreed(found, network)
    }
}
