//! The training loop: batches, loss, step, shrinking budgets, checkpoints.

mod shrinking;
mod step;

use crate::checkpoint::{self, Progress};
use crate::communicator::{Communicator, part};
use crate::exchange::Exchange;
use crate::experiment::{Prune, Share, Shrink, Training};
use crate::hold::{Hold, Holder, prunable};
use crate::images::{Preparation, epoch_order};
use crate::network::Network;
use crate::optimiser::Optimiser;
use crate::report::{EpochReport, Metric};
use crate::tasks::{self, Setting};
use crate::{Error, Result};
use candle_core::Device;
use freqreg_data::Images;
use freqreg_nn::Seed;
use freqreg_nn::ops::SumOverBatch;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use step::UnderWay;

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
        let (per_epoch, steps) = steps(self.phase, training, self.images)?;
        let shrinking = self.shrinking(network, steps);
        let seed = Seed(self.seed);
        let task = tasks::task(network.architecture.task());
        let mut optimiser = Optimiser::new(training.optimiser.clone(), network.parameters.clone());
        let together = self.communicator.size() > 1;
        let progress = self.start(network, &mut optimiser, observe)?;
        let mut order = (usize::MAX, Vec::new());
        let mine = parts_of_batch(self.phase, batch_size, self.parts, &*self.communicator)?;
        let own: usize = mine.iter().map(Range::len).sum();
        let mut under_way = UnderWay {
            trainer: self,
            network,
            task,
            setting: Setting {
                preparation: self.preparation,
                smoothing: training.smoothing,
                seed,
                device: self.device,
            },
            optimiser,
            exchange: Exchange::new(&*self.communicator, together || mine.len() > 1),
            mine,
            weight: own as f64 / batch_size as f64,
            steps,
            before: progress.seconds,
            clock: Instant::now(),
            progress,
        };

        while under_way.progress.step < steps {
            let step = under_way.progress.step;
            let epoch = step / per_epoch;
            // Processes stop together, behind the step in which one of them said that it would.
            if under_way.exchange.stopping || (!together && self.stop.load(Ordering::Relaxed)) {
                return Err(under_way.stop(epoch)?);
            }
            if order.0 != epoch {
                order = (epoch, epoch_order(seed, epoch, self.images.count));
            }
            self.shrink(network, &shrinking, step, &under_way.setting)?;
            let at = step % per_epoch * batch_size;
            let stepped = under_way.step(step, &order.1[at..at + batch_size])?;
            if !stepped.loss.is_finite() {
                return Err(self.diverged(stepped.loss, step, epoch));
            }
            under_way.count(&stepped);
            let running = under_way.progress.running;
            // On the way, the score is that of this process's samples.
            let score = running.score / under_way.weight / running.steps as f64;
            observe(Event::Step {
                phase: self.phase,
                step: step + 1,
                steps,
                epoch: epoch + 1,
                loss: running.loss / running.steps as f64,
                metric: task.metric(),
                score: stepped.score.map(|_| score),
                kept: network.kept(),
            });
            if (step + 1).is_multiple_of(per_epoch) {
                let report = under_way.end_epoch(epoch, stepped.score.is_some())?;
                observe(Event::Epoch {
                    phase: self.phase,
                    metric: task.metric(),
                    report: &report,
                    epochs: training.epochs,
                });
                under_way.progress.history.push(report);
                under_way.save()?;
            }
        }
        // Where the schedule ends with the last step, the last cut is still to be made.
        self.shrink(network, &shrinking, steps, &under_way.setting)?;
        // What is pruned is so for good. The steps of a quantiser follow from the free numbers, which is what a file is made of.
        let pruned = Hold {
            bits: None,
            ..self.hold(network, steps, steps)
        };
        Holder::new(&network.parameters, pruned).hold()?;
        Ok(Trained {
            history: under_way.progress.history,
            seconds: under_way.progress.seconds,
            seconds_before: under_way.before,
            exchanged: under_way.progress.exchanged,
        })
    }

    /// Where the training starts: with what a checkpoint holds, where it is to go on from one, or from the beginning.
    fn start(
        &self,
        network: &Network,
        optimiser: &mut Optimiser,
        observe: Observer<'_>,
    ) -> Result<Progress> {
        // One process reads and writes; the others need not see the same folders.
        let writes = self.communicator.rank() == 0;
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
        if bytes.pop().is_none() {
            if self.resume {
                observe(Event::Notice(&format!(
                    "{}: there is no {}, so it starts from the beginning",
                    self.phase,
                    self.checkpoint.display()
                )));
            }
            return Ok(Progress::start(self.identity.clone()));
        }
        let (path, identity) = (self.checkpoint, &self.identity);
        let mut progress = checkpoint::load(&bytes, path, identity, network, optimiser)?;
        observe(Event::Resumed {
            phase: self.phase,
            step: progress.step,
        });
        if !writes {
            // Scores of the processes are added up: what they had come to is with the one that had saved them.
            progress.running.score = 0.0;
        }
        Ok(progress)
    }

    /// How norms over a batch add up what they need of the parts of it.
    fn statistics(&self, parts: usize) -> Rc<SumOverBatch> {
        let communicator = self.communicator.clone();
        Rc::new(move |values| match parts {
            1 => Ok(communicator.sum(values)?),
            _ => Err(OF_WHOLE_BATCH.into()),
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
}

/// How many steps an epoch has, and all of them have.
///
/// # Errors
/// [`Error::Setting`] where there is no step to make.
pub(crate) fn steps(phase: &str, training: &Training, images: &Images) -> Result<(usize, usize)> {
    let batch = training.batch;
    // The last few images of an epoch's order that do not fill a batch wait for another epoch.
    let per_epoch = images.count.checked_div(batch).unwrap_or(0);
    match per_epoch.checked_mul(training.epochs) {
        Some(steps) if steps > 0 => Ok((per_epoch, steps)),
        _ => Err(Error::Setting(format!(
            "{phase}: {} epochs of {} images in batches of {batch} can't be: a batch takes 1 image at least and all at most",
            training.epochs, images.count
        ))),
    }
}

/// Why some networks can't go through a batch in parts.
pub(crate) const OF_WHOLE_BATCH: &str = "it normalises by the statistics of the whole batch, which parts that come one after the other do not have: leave --parts out";

/// This process's parts of every batch.
///
/// # Errors
/// [`Error::Setting`] where a batch can't be taken in so many.
pub(crate) fn parts_of_batch(
    phase: &str,
    batch: usize,
    parts: Option<usize>,
    communicator: &dyn Communicator,
) -> Result<Vec<Range<usize>>> {
    let processes = communicator.size();
    let parts = parts.unwrap_or(processes);
    let refuse = |reason: String| Err(Error::Setting(format!("{phase}: {reason}")));
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
    let mine = part(communicator, parts);
    Ok(mine
        .map(|i| i * batch / parts..(i + 1) * batch / parts)
        .collect())
}
