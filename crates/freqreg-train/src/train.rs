//! The training loop: batches, loss, step, shrinking budgets, checkpoints.

use crate::budget::share_out;
use crate::checkpoint::{self, Progress, Running};
use crate::communicator::{Communicator, part};
use crate::exchange::Exchange;
use crate::experiment::{NumberKind, Prune, Share, Shrink, Training};
use crate::hold::{Hold, Holder, prunable};
use crate::images::{Preparation, Variation, batch, epoch_order};
use crate::network::Network;
use crate::optimiser::Optimiser;
use crate::report::{EpochReport, Metric};
use crate::sensitivity;
use crate::tasks::{self, Batch, Setting, Stepped};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use freqreg_data::Images;
use freqreg_file::{Model as ModelFile, Tensor as FileTensor};
use freqreg_nn::ops::{SumOverBatch, shared_batch};
use freqreg_nn::{Decay, Form, Parameter, Schedule, Seed};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What a training tells while it runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// A step was made.
    Step {
        /// `dense` or `regularised`.
        phase: &'static str,
        /// Steps made, of how many.
        step: usize,
        /// See `step`.
        steps: usize,
        /// The epoch under way, from 1.
        epoch: usize,
        /// Mean loss of the epoch so far.
        loss: f64,
        /// What scores are measured in.
        metric: Metric,
        /// The mean score of the epoch's steps so far, where steps tell it.
        score: Option<f64>,
        /// Numbers stored now.
        kept: usize,
    },
    /// An epoch is complete.
    Epoch {
        /// `dense` or `regularised`.
        phase: &'static str,
        /// What its scores are measured in.
        metric: Metric,
        /// What it came to.
        report: &'a EpochReport,
        /// Epochs in all.
        epochs: usize,
    },
    /// A training goes on where a checkpoint left it.
    Resumed {
        /// `dense` or `regularised`.
        phase: &'static str,
        /// Steps that it had made.
        step: usize,
    },
    /// A line for the user.
    Notice(&'a str),
}

/// Takes what a training tells.
pub type Observer<'a> = &'a mut dyn FnMut(Event<'_>);

/// One network's training.
pub struct Trainer<'a> {
    /// `dense` or `regularised`.
    pub phase: &'static str,
    /// How.
    pub training: &'a Training,
    /// How budgets shrink, with the final count of each parameter; `None` for an ordinary network.
    pub shrink: Option<(&'a Shrink, Vec<usize>)>,
    /// What of their sum each parameter has in the end is measured, so.
    pub share: Option<&'a Share>,
    /// Magnitude pruning.
    pub prune: Option<&'a Prune>,
    /// In so many of the last epochs numbers are held to so many bits each.
    pub quantised: Option<(usize, u32)>,
    /// The seed of order and augmentation.
    pub seed: u64,
    /// Images to train on.
    pub images: &'a Images,
    /// Images to validate on, after each epoch.
    pub validation: &'a Images,
    /// How images become numbers.
    pub preparation: Preparation,
    /// Where it runs.
    pub device: &'a Device,
    /// Where its state goes, after each epoch and when it is stopped.
    pub checkpoint: &'a Path,
    /// Whether it goes on from there, if there is something.
    pub resume: bool,
    /// All that determines the training, settings and seed included: only the same one is gone on with.
    pub identity: String,
    /// Set from outside to make it save and stop.
    pub stop: &'a AtomicBool,
    /// The processes that train the network together; all of them run this.
    pub communicator: Rc<dyn Communicator>,
    /// Parts of a batch that are gone through one after the other, or by one process each: as many for each process. `None`: one each. Parts are
    /// added up in a fixed order, so that 1, 2 and 4 processes with 4 parts give the same bits.
    pub parts: Option<usize>,
}

/// What a training came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// Its epochs.
    pub history: Vec<EpochReport>,
    /// Seconds that it took, those before an interruption included.
    pub seconds: f64,
    /// Those of them that were spent before the interruption.
    pub seconds_before: f64,
    /// Bytes that each process gave to sums over all of them in the last step: four a number that is trained, and eight. 0 for one process.
    pub exchanged: usize,
}

impl Trainer<'_> {
    /// Trains `network`.
    ///
    /// # Errors
    /// [`Error::Diverged`] at the first loss that is no number, [`Error::Stopped`] when asked to stop (the
    /// state is saved), and whatever fails on the way.
    pub fn run(&self, network: &Network, observe: Observer<'_>) -> Result<Trained> {
        let training = self.training;
        let batch_size = training.batch;
        // The last few images of an epoch's order that do not fill a batch wait for another epoch.
        let per_epoch = self.images.count.checked_div(batch_size).unwrap_or(0);
        let steps = match per_epoch.checked_mul(training.epochs) {
            Some(steps) if steps > 0 => steps,
            _ => {
                return Err(Error::Setting(format!(
                    "{}: {} epochs of {} images in batches of {batch_size} can't be: a batch takes 1 image at least and all at most",
                    self.phase, training.epochs, self.images.count
                )));
            }
        };
        let shrinking = self.shrinking(network, steps);
        let seed = Seed(self.seed);
        let kind = network.architecture.task();
        let task = tasks::task(kind);
        let setting = Setting {
            preparation: self.preparation,
            smoothing: training.smoothing,
            seed,
            device: self.device,
        };
        let mut optimiser = Optimiser::new(training.optimiser.clone(), network.parameters.clone());
        let together = self.communicator.size() > 1;
        let writes = self.communicator.rank() == 0;
        // One process reads and writes; the others need not see the same folders.
        let mut bytes = Vec::new();
        if self.resume
            && writes
            && let Some(found) = checkpoint::read(self.checkpoint)?
        {
            bytes = found;
            // Tells a file that is empty from none.
            bytes.push(1);
        }
        self.communicator.broadcast(&mut bytes)?;
        let (path, identity) = (self.checkpoint, &self.identity);
        let saved = match bytes.pop() {
            None => None,
            Some(_) => Some(checkpoint::load(
                &bytes,
                path,
                identity,
                network,
                &mut optimiser,
            )?),
        };
        match &saved {
            Some(progress) => observe(Event::Resumed {
                phase: self.phase,
                step: progress.step,
            }),
            None if self.resume => observe(Event::Notice(&format!(
                "{}: there is no {}, so it starts from the beginning",
                self.phase,
                self.checkpoint.display()
            ))),
            None => {}
        }
        let mut progress = saved.unwrap_or_else(|| Progress::start(self.identity.clone()));
        if !writes {
            // Scores of the processes are added up: what they had come to is with the one that had saved them.
            progress.running.score = 0.0;
        }
        let before = progress.seconds;
        let clock = Instant::now();
        let mut order = (usize::MAX, Vec::new());
        let mine = self.parts_of_batch()?;
        let in_parts = together || mine.len() > 1;
        let own: usize = mine.iter().map(Range::len).sum();
        let weight = own as f64 / batch_size as f64;
        let mut exchange = Exchange::new(&*self.communicator, in_parts);

        while progress.step < steps {
            let (step, epoch) = (progress.step, progress.step / per_epoch);
            // Processes stop together, behind the step in which one of them said that it would.
            if exchange.stopping || (!together && self.stop.load(Ordering::Relaxed)) {
                for p in &network.parameters {
                    if p.values()?.iter().any(|v| !v.is_finite()) {
                        return Err(self.diverged(f64::NAN, step, epoch));
                    }
                }
                progress.seconds = before + clock.elapsed().as_secs_f64();
                progress.running.score = exchange.total(progress.running.score)?;
                if writes {
                    checkpoint::save(self.checkpoint, network, &optimiser, &progress)?;
                }
                return Err(Error::Stopped {
                    phase: self.phase,
                    step,
                });
            }
            if order.0 != epoch {
                order = (epoch, epoch_order(seed, epoch, self.images.count));
            }
            self.shrink(network, &shrinking, step, &setting)?;
            let at = step % per_epoch * batch_size;
            let rate = training.rate.at(step, steps);
            optimiser.begin();
            let mut holder = Holder::new(&network.parameters, self.hold(network, step, steps));
            holder.hold()?;
            exchange.begin(self.stop.load(Ordering::Relaxed));
            let model = network.model.as_ref();
            let mut stepped = Stepped {
                loss: 0.0,
                score: None,
            };
            for (i, samples) in mine.iter().enumerate() {
                let variation = (training.shift > 0 || training.flip).then_some(Variation {
                    shift: training.shift,
                    flip: training.flip,
                    seed,
                    step,
                    before: samples.start,
                });
                let indices = &order.1[at + samples.start..at + samples.end];
                let (images, preparation) = (self.images, self.preparation);
                let (x, labels) = batch(images, indices, preparation, variation, self.device)?;
                let batch = Batch {
                    x,
                    labels,
                    step,
                    before: samples.start,
                    all: batch_size,
                };
                let last = i + 1 == mine.len();
                let share = samples.len() as f64 / batch_size as f64;
                let mut learn = |loss: &Tensor, prefix: &str| {
                    let own = tasks::number(loss)?;
                    // Gradients of the part's share of the whole batch's loss are shares as well.
                    let shared = match in_parts {
                        true => (loss * share)?,
                        false => loss.clone(),
                    };
                    let mut gradients = shared.backward()?;
                    exchange.put(&gradients, &network.parameters, prefix, share * own)?;
                    if !last {
                        return Ok(own);
                    }
                    holder.release()?;
                    let all = exchange.sum(&mut gradients, &network.parameters, prefix)?;
                    if all.is_finite() {
                        optimiser.apply(&gradients, rate, prefix)?;
                    }
                    // A task may go on from here, with another loss.
                    holder.hold()?;
                    Ok(all)
                };
                let part = match in_parts {
                    false => task.step(model, batch, &setting, &mut learn)?,
                    true => shared_batch(self.statistics(mine.len()), || {
                        task.step(model, batch, &setting, &mut learn)
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
            if !stepped.loss.is_finite() {
                return Err(self.diverged(stepped.loss, step, epoch));
            }

            let running = &mut progress.running;
            running.loss += stepped.loss;
            running.steps += 1;
            running.score += weight * stepped.score.unwrap_or(0.0);
            progress.step += 1;
            let steps_made = progress.running.steps as f64;
            let mean_loss = progress.running.loss / steps_made;
            let mean_score = |sum: f64| stepped.score.map(|_| sum / steps_made);
            // On the way, that of this process's samples.
            let score = mean_score(progress.running.score / weight);
            observe(Event::Step {
                phase: self.phase,
                step: progress.step,
                steps,
                epoch: epoch + 1,
                loss: mean_loss,
                metric: task.metric(),
                score,
                kept: network.kept(),
            });
            if progress.step.is_multiple_of(per_epoch) {
                let model = network.model.as_ref();
                let mut holder = Holder::new(&network.parameters, self.hold(network, step, steps));
                holder.hold()?;
                let v = match writes {
                    true => tasks::evaluate(kind, model, self.validation, &setting)?,
                    false => tasks::Evaluation::default(),
                };
                holder.release()?;
                let v = self.agreed(v, network)?;
                let score = mean_score(exchange.total(progress.running.score)?);
                // The last step of the epoch may have been the fatal one: its state must not replace a good one.
                if let Some(&bad) = v
                    .measures
                    .values()
                    .chain([&v.score])
                    .find(|x| !x.is_finite())
                {
                    return Err(self.diverged(bad, step, epoch));
                }
                let report = EpochReport {
                    epoch: epoch + 1,
                    step: progress.step,
                    loss: mean_loss,
                    train: score,
                    validation: v.score,
                    kept: network.kept(),
                    rate,
                };
                observe(Event::Epoch {
                    phase: self.phase,
                    metric: task.metric(),
                    report: &report,
                    epochs: training.epochs,
                });
                progress.history.push(report);
                progress.running = Running::default();
                progress.seconds = before + clock.elapsed().as_secs_f64();
                if writes {
                    checkpoint::save(self.checkpoint, network, &optimiser, &progress)?;
                }
            }
        }
        // Where the schedule ends with the last step, the last cut is still to be made.
        self.shrink(network, &shrinking, steps, &setting)?;
        // What is pruned is so for good. The steps of a quantiser follow from the free numbers, which is what a file is made of.
        let pruned = Hold {
            bits: None,
            ..self.hold(network, steps, steps)
        };
        Holder::new(&network.parameters, pruned).hold()?;
        Ok(Trained {
            history: progress.history,
            seconds: progress.seconds,
            seconds_before: before,
            exchanged: exchange.bytes,
        })
    }

    /// This process's parts of every batch.
    fn parts_of_batch(&self) -> Result<Vec<Range<usize>>> {
        let (processes, batch) = (self.communicator.size(), self.training.batch);
        let parts = self.parts.unwrap_or(processes);
        let refuse = |reason: String| Err(Error::Setting(format!("{}: {reason}", self.phase)));
        if parts == 0 || !parts.is_multiple_of(processes) {
            return refuse(format!(
                "--parts {parts}: each of {processes} processes takes as many parts of a batch, so it must be a multiple of {processes}"
            ));
        }
        if parts > batch {
            return refuse(format!(
                "a batch of {batch} images can't be taken in {parts} parts: take fewer processes or parts, or --scale-batch"
            ));
        }
        let mine = part(&*self.communicator, parts);
        Ok(mine
            .map(|i| i * batch / parts..(i + 1) * batch / parts)
            .collect())
    }

    /// How norms over a batch add up what they need of the parts of it.
    fn statistics(&self, parts: usize) -> Rc<SumOverBatch> {
        let communicator = self.communicator.clone();
        Rc::new(move |values| {
            match parts {
            1 => Ok(communicator.sum(values)?),
            _ => Err(
                "it normalises by the statistics of the whole batch, which parts that come one after the other do not have: leave --parts out".into(),
            ),
        }
        })
    }

    /// What process 0 measured, for all; and that all processes hold the same numbers still.
    fn agreed(&self, found: tasks::Evaluation, network: &Network) -> Result<tasks::Evaluation> {
        if self.communicator.size() == 1 {
            return Ok(found);
        }
        let mut sum = crc32fast::Hasher::new();
        for p in &network.parameters {
            p.values()?
                .iter()
                .for_each(|v| sum.update(&v.to_le_bytes()));
        }
        let sum = sum.finalize();
        // As bits: what is no number must arrive as such, for then all have to stop.
        let bits = |(name, value): (String, f64)| (name, value.to_bits());
        let measures: BTreeMap<String, u64> = found.measures.into_iter().map(bits).collect();
        let broken = |e: serde_json::Error| Error::Setting(e.to_string());
        let said = (sum, found.score.to_bits(), measures);
        let mut bytes = serde_json::to_vec(&said).map_err(broken)?;
        self.communicator.broadcast(&mut bytes)?;
        let (theirs, score, measures): (u32, u64, BTreeMap<String, u64>) =
            serde_json::from_slice(&bytes).map_err(broken)?;
        if theirs != sum {
            return Err(Error::Setting(format!(
                "{}: process {} no longer holds the numbers that process 0 has, although both were given the same sums: a fault of a machine, or of the connection",
                self.phase,
                self.communicator.rank()
            )));
        }
        let number = |(name, bits)| (name, f64::from_bits(bits));
        Ok(tasks::Evaluation {
            score: f64::from_bits(score),
            measures: measures.into_iter().map(number).collect(),
            ..tasks::Evaluation::default()
        })
    }

    /// What numbers are held to at a step.
    fn hold(&self, network: &Network, step: usize, steps: usize) -> Hold {
        let weights = || {
            let weights = network.parameters.iter().filter(|p| prunable(p));
            weights.map(|p| p.weights()).sum()
        };
        let quantised = self.quantised.filter(|(epochs, _)| {
            (step + 1) * self.training.epochs > steps * (self.training.epochs - epochs)
        });
        Hold {
            weights: self.prune.map(|p| p.count(step, steps, weights())),
            bits: quantised.map(|(_, bits)| bits),
        }
    }

    fn diverged(&self, loss: f64, step: usize, epoch: usize) -> Error {
        Error::Diverged {
            phase: self.phase,
            loss,
            step: step + 1,
            epoch: epoch + 1,
            checkpoint: self.checkpoint.exists().then(|| self.checkpoint.into()),
        }
    }

    /// The way that budgets take, from what the network has now.
    fn shrinking(&self, network: &Network, steps: usize) -> Shrinking {
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
    fn shrink(
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
        let factor = (total as f64 / all as f64).min(1.0).powi(2);
        let least = |t: &FileTensor| (t.values.len() as f64 * factor).ceil() as usize;
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

/// The way that budgets take: from these counts, in so many steps.
struct Shrinking {
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

#[cfg(test)]
mod tests {
    use super::*;

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
