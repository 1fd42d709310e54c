//! The training loop: batches, loss, step, shrinking budgets, checkpoints.

use crate::checkpoint::{self, Progress, Running};
use crate::experiment::{Prune, Shrink, Training};
use crate::hold::{Hold, Holder, prunable};
use crate::images::{Preparation, Variation, batch, epoch_order};
use crate::network::Network;
use crate::optimiser::Optimiser;
use crate::report::{EpochReport, Metric};
use crate::tasks::{self, Batch, Setting};
use crate::{Error, Result};
use candle_core::Device;
use freqreg_data::Images;
use freqreg_nn::{Form, Schedule, Seed};
use std::path::Path;
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
        let schedules = self.schedules(network, steps);
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
        let saved = match self.resume {
            true => checkpoint::load(self.checkpoint, &self.identity, network, &mut optimiser)?,
            false => None,
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
        let before = progress.seconds;
        let clock = Instant::now();
        let mut order = (usize::MAX, Vec::new());

        while progress.step < steps {
            let (step, epoch) = (progress.step, progress.step / per_epoch);
            if self.stop.load(Ordering::Relaxed) {
                for p in &network.parameters {
                    if p.values()?.iter().any(|v| !v.is_finite()) {
                        return Err(self.diverged(f64::NAN, step, epoch));
                    }
                }
                progress.seconds = before + clock.elapsed().as_secs_f64();
                checkpoint::save(self.checkpoint, network, &optimiser, &progress)?;
                return Err(Error::Stopped {
                    phase: self.phase,
                    step,
                });
            }
            if order.0 != epoch {
                order = (epoch, epoch_order(seed, epoch, self.images.count));
            }
            for (p, schedule) in network.parameters.iter().zip(&schedules) {
                if let Some((schedule, start, end)) = schedule {
                    p.truncate(schedule.count(step, *start, *end).min(p.kept()))?;
                }
            }
            let at = step % per_epoch * batch_size;
            let variation = (training.shift > 0 || training.flip).then_some(Variation {
                shift: training.shift,
                flip: training.flip,
                seed,
                step,
            });
            let indices = &order.1[at..at + batch_size];
            let (x, labels) = batch(
                self.images,
                indices,
                self.preparation,
                variation,
                self.device,
            )?;
            let rate = training.rate.at(step, steps);
            optimiser.begin();
            let mut holder = Holder::new(&network.parameters, self.hold(network, step, steps));
            holder.hold()?;
            let stepped = task.step(
                network.model.as_ref(),
                Batch { x, labels, step },
                &setting,
                &mut |loss, prefix| {
                    let gradients = loss.backward()?;
                    holder.release()?;
                    optimiser.apply(&gradients, rate, prefix)?;
                    // A task may go on from here, with another loss.
                    holder.hold()
                },
            )?;
            holder.release()?;
            if !stepped.loss.is_finite() {
                return Err(self.diverged(stepped.loss, step, epoch));
            }

            let running = &mut progress.running;
            running.loss += stepped.loss;
            running.steps += 1;
            running.score += stepped.score.unwrap_or(0.0);
            progress.step += 1;
            let steps_made = progress.running.steps as f64;
            let mean_loss = progress.running.loss / steps_made;
            let score = stepped.score.map(|_| progress.running.score / steps_made);
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
                let v = tasks::evaluate(kind, model, self.validation, &setting)?;
                holder.release()?;
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
                checkpoint::save(self.checkpoint, network, &optimiser, &progress)?;
            }
        }
        // Where the schedule ends with the last step, the last cut is still to be made.
        if let Some((_, ends)) = &self.shrink {
            for (p, end) in network.parameters.iter().zip(ends) {
                if matches!(p.form(), Form::Prefix { .. }) {
                    p.truncate((*end).min(p.kept()))?;
                }
            }
        }
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

    /// For each parameter its schedule with the first and the last count; `None` where nothing shrinks.
    fn schedules(&self, network: &Network, steps: usize) -> Vec<Option<(Schedule, usize, usize)>> {
        let Some((shrink, ends)) = &self.shrink else {
            return vec![None; network.parameters.len()];
        };
        let over = (shrink.over * steps as f64).round() as usize;
        let schedule = Schedule::new(shrink.decay(), over);
        let of = |(p, &end): (&freqreg_nn::Parameter, &usize)| match p.form() {
            Form::Plain => None,
            Form::Prefix { .. } => Some((schedule, p.kept(), end)),
        };
        network.parameters.iter().zip(ends).map(of).collect()
    }
}
