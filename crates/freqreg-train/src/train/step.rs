//! One step of a training, and what is done between steps: measuring and saving.

use super::Trainer;
use crate::checkpoint::{self, Progress, Running};
use crate::exchange::Exchange;
use crate::hold::Holder;
use crate::images::{Variation, batch};
use crate::network::Network;
use crate::optimiser::Optimiser;
use crate::report::EpochReport;
use crate::tasks::{self, Batch, Evaluation, Setting, Stepped, Task};
use crate::{Error, Result};
use candle_core::Tensor;
use freqreg_nn::ops::shared_batch;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Instant;

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
    /// What part of a batch they are.
    pub(super) weight: f64,
    /// Steps in all.
    pub(super) steps: usize,
    /// What is behind it.
    pub(super) progress: Progress,
    /// Seconds that were spent before an interruption.
    pub(super) before: f64,
    /// Counts those since.
    pub(super) clock: Instant,
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

    /// Takes a step that was made into the epoch's sums.
    pub(super) fn count(&mut self, stepped: &Stepped) {
        let running = &mut self.progress.running;
        running.loss += stepped.loss;
        running.steps += 1;
        running.score += self.weight * stepped.score.unwrap_or(0.0);
        self.progress.step += 1;
        self.progress.exchanged = self.exchange.bytes;
    }

    /// Saves, and gives the error that says so.
    pub(super) fn stop(&mut self, epoch: usize) -> Result<Error> {
        let (phase, step) = (self.trainer.phase, self.progress.step);
        for p in &self.network.parameters {
            if p.values()?.iter().any(|v| !v.is_finite()) {
                return Ok(self.trainer.diverged(f64::NAN, step, epoch));
            }
        }
        self.progress.running.score = self.exchange.total(self.progress.running.score)?;
        self.save()?;
        Ok(Error::Stopped { phase, step })
    }

    /// What the epoch that ends with the last step came to, its training score where steps have one; the next one's sums begin anew.
    pub(super) fn end_epoch(&mut self, epoch: usize, scored: bool) -> Result<EpochReport> {
        let step = self.progress.step - 1;
        let v = self.validate(step)?;
        let Running { loss, score, steps } = std::mem::take(&mut self.progress.running);
        let score = self.exchange.total(score)?;
        // The last step of the epoch may have been the fatal one: its state must not replace a good one.
        let mut measures = v.measures.values().chain([&v.score]);
        if let Some(&bad) = measures.find(|x| !x.is_finite()) {
            return Err(self.trainer.diverged(bad, step, epoch));
        }
        Ok(EpochReport {
            epoch: epoch + 1,
            step: self.progress.step,
            loss: loss / steps as f64,
            train: scored.then(|| score / steps as f64),
            validation: v.score,
            kept: self.network.kept(),
            rate: self.trainer.training.rate.at(step, self.steps),
        })
    }

    /// Writes the checkpoint.
    pub(super) fn save(&mut self) -> Result<()> {
        self.progress.seconds = self.before + self.clock.elapsed().as_secs_f64();
        // One process writes; the others need not see the same folders.
        if self.trainer.communicator.rank() > 0 {
            return Ok(());
        }
        let path = self.trainer.checkpoint;
        checkpoint::save(path, self.network, &self.optimiser, &self.progress)
    }

    /// How the network does on the validation images behind this step: process 0 measures, all are told.
    fn validate(&self, step: usize) -> Result<Evaluation> {
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
