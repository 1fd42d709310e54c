//! The images of an experiment as its networks take them, and whether a network fits them.

use super::Loaded;
use crate::exchange::IN_TURNS;
use crate::experiment::Experiment;
use crate::images::{Preparation, Scale};
use crate::network::Network;
use crate::tasks::{self, Setting};
use crate::train::OF_WHOLE_BATCH;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use freqreg_data::{Dataset, DatasetName, Images};
use freqreg_file::Model as ModelFile;
use freqreg_models::Task;
use freqreg_nn::ops::shared_batch;
use std::cell::Cell;
use std::rc::Rc;

/// The split does not follow the run's seed, so that runs of several seeds validate on the same images.
const SPLIT_SEED: u64 = 0;

/// The images of an experiment, as its networks take them.
pub(super) struct Sets {
    pub(super) task: Task,
    pub(super) train: Images,
    pub(super) validation: Images,
    pub(super) test: Images,
    pub(super) preparation: Preparation,
}

impl Sets {
    pub(super) fn new(experiment: &Experiment, data: &Dataset) -> Result<Self> {
        let mut held_out = experiment.data.validation;
        if data.source.is_sample() {
            // It is smaller than the set that the experiment was written for: a sixth of it validates at most.
            held_out = held_out.min(data.train.count / 6);
        }
        let refuse = |reason: String| Error::Experiment {
            name: experiment.name.clone(),
            reason,
        };
        let trainings = [&experiment.dense.training, &experiment.regularised.training];
        let (side, most) = (data.train.height.min(data.train.width), data.train.count);
        let shift = trainings.iter().map(|t| t.shift).max().unwrap_or(0);
        if held_out >= most || shift >= side {
            return Err(refuse(format!(
                "it holds out {held_out} of {most} images and shifts them by up to {shift} of {side} pixels: nothing is left"
            )));
        }
        let task = experiment.regularised.model.task();
        let masked = task == Task::Segmentation;
        if data.name.masked() != masked {
            return Err(refuse(format!(
                "{} has {} and its network needs {}",
                data.name,
                if masked { "no masks" } else { "masks" },
                if masked { "masks" } else { "classes" }
            )));
        }
        let (train, validation) = data.train.split(held_out, SPLIT_SEED)?;
        // Each part only as large as it is used, then in the form that the network takes.
        let (channels, _) = experiment.regularised.model.input();
        let form = |images: Images, most: Option<usize>| -> Result<Images> {
            let mut images = match most {
                Some(n) if n < images.count => images.first(n),
                _ => images,
            };
            if let Some(side) = experiment.data.pad {
                images = images.padded(side, side)?;
            }
            if images.channels == 1 && channels != 1 {
                images = images.with_colour(channels)?;
            }
            Ok(images)
        };
        let (train, validation) = (form(train, experiment.data.train)?, form(validation, None)?);
        if let Some(t) = trainings.iter().find(|t| t.batch > train.count) {
            let (batch, count) = (t.batch, train.count);
            return Err(refuse(format!(
                "a batch of {batch} is more than the {count} training images"
            )));
        }
        Ok(Sets {
            task,
            train,
            validation,
            test: form(data.test.clone(), experiment.data.test)?,
            preparation: Preparation {
                scale: Scale {
                    mean: experiment.data.mean,
                    deviation: experiment.data.deviation,
                },
                resize: experiment.data.resize,
            },
        })
    }
}

/// The held-out images of an experiment, to measure model files on.
pub struct Yardstick {
    sets: Sets,
    name: DatasetName,
    seed: u64,
    device: Device,
}

impl Yardstick {
    /// Those of an experiment whose data were found. The seed is that of what is drawn, as for pictures that a network makes up.
    ///
    /// # Errors
    /// Data that do not fit the experiment.
    pub fn new(loaded: &Loaded, seed: u64, device: &Device) -> Result<Self> {
        Ok(Yardstick {
            sets: Sets::new(&loaded.experiment, &loaded.dataset)?,
            name: loaded.dataset.name,
            seed,
            device: device.clone(),
        })
    }

    /// What scores are measured in.
    pub fn metric(&self) -> crate::report::Metric {
        tasks::task(self.sets.task).metric()
    }

    /// How well a network does on the validation images, the ones for every choice.
    ///
    /// # Errors
    /// A file that holds no network of the zoo, or one for another task or other images.
    pub fn validation(&self, file: &ModelFile) -> Result<tasks::Evaluation> {
        self.measure(file, &self.sets.validation)
    }

    /// How well it does on the first of them, as many as have `pixels` together, but 16 at least: for measuring often.
    ///
    /// # Errors
    /// As [`validation`](Self::validation).
    pub fn glance(&self, file: &ModelFile, pixels: usize) -> Result<tasks::Evaluation> {
        let images = &self.sets.validation;
        let each = images.height * images.width;
        self.measure(file, &images.first((pixels / each.max(1)).max(16)))
    }

    /// How well a network does on the test images, which are for the end, when everything is chosen.
    ///
    /// # Errors
    /// As [`validation`](Self::validation).
    pub fn test(&self, file: &ModelFile) -> Result<tasks::Evaluation> {
        self.measure(file, &self.sets.test)
    }

    fn measure(&self, file: &ModelFile, images: &Images) -> Result<tasks::Evaluation> {
        let network = Network::from_file(file, &self.device)?;
        let task = network.architecture.task();
        if task != self.sets.task {
            return Err(Error::Model(format!(
                "it holds a network for {task:?}, the experiment is for {:?}",
                self.sets.task
            )));
        }
        let preparation = self.sets.preparation;
        misfit(&network, images, preparation, self.name, &self.device).map_err(Error::Model)?;
        let setting = Setting {
            preparation: self.sets.preparation,
            smoothing: 0.0,
            seed: freqreg_nn::Seed(self.seed),
            device: &self.device,
        };
        tasks::evaluate(task, network.model.as_ref(), images, &setting)
    }
}

/// Runs one image through a network; why it does not fit the images or their classes.
pub(super) fn misfit(
    network: &Network,
    images: &Images,
    preparation: Preparation,
    name: DatasetName,
    device: &Device,
) -> std::result::Result<(), String> {
    let (c, [h, w]) = (images.channels, preparation.size(images));
    let (channels, size) = network.architecture.input();
    if channels != c || size.is_some_and(|size| size != [h, w]) {
        let [height, width] = size.unwrap_or([h, w]);
        return Err(format!(
            "it takes images of {:?} (channels, height, width), {name} has {:?}",
            [channels, height, width],
            [c, h, w]
        ));
    }
    use Task::{Classification, Segmentation};
    if !matches!(network.architecture.task(), Classification | Segmentation) {
        return Ok(());
    }
    let needed = usize::from(name.classes());
    let answer = answer(network, [c, h, w], device);
    let classes = answer.and_then(|answer| answer.dim(1));
    let classes = classes.map_err(|e| e.to_string())?;
    match (needed..=256).contains(&classes) {
        true => Ok(()),
        false => Err(format!(
            "it tells {classes} classes apart, {name} has {needed} (and 256 are the most)"
        )),
    }
}

/// What the network makes of one black image.
fn answer(
    network: &Network,
    [c, h, w]: [usize; 3],
    device: &Device,
) -> candle_core::Result<Tensor> {
    let image = Tensor::zeros((1, c, h, w), DType::F32, device)?;
    let forward = || network.model.forward(&image);
    freqreg_nn::no_grad(forward).map_err(candle_core::Error::wrap)
}

/// Why a network can't go through a batch in parts that come one after the other, if it can't.
pub(super) fn takes_parts(
    network: &Network,
    images: &Images,
    preparation: Preparation,
    device: &Device,
) -> std::result::Result<(), &'static str> {
    if network.architecture.task() == Task::Generation {
        return Err(IN_TURNS);
    }
    let (c, [h, w]) = (images.channels, preparation.size(images));
    // Norms over the batch ask for the sum over all of its parts.
    let asked = Rc::new(Cell::new(false));
    let asks = {
        let asked = asked.clone();
        move |_: &mut [f32]| {
            asked.set(true);
            Ok(())
        }
    };
    // Whatever else goes wrong on the way is reported by whoever checks for it.
    let _ = shared_batch(Rc::new(asks), || answer(network, [c, h, w], device));
    match asked.get() {
        true => Err(OF_WHOLE_BATCH),
        false => Ok(()),
    }
}
