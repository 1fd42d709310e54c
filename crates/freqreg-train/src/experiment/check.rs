//! What the text of an experiment alone does not make sure of, section by section. Nothing that a section says may go unheeded without a word.

use super::{
    Data, DecayKind, Experiment, Lengths, NumberKind, Optimiser, RateShape, Shrink, Training,
};
use freqreg_data::DatasetName;
use freqreg_models::Task;

type Checked = Result<(), String>;

/// Refuses what does not hold, with the reason.
fn need(holds: bool, reason: impl Into<String>) -> Checked {
    match holds {
        true => Ok(()),
        false => Err(reason.into()),
    }
}

impl Experiment {
    pub(super) fn check(&self) -> Checked {
        let task = self.regularised.model.task();
        data(&self.data, "data", task)?;
        if let Some(other) = self.data.on_stand_in() {
            data(&other, "data.stand_in", task)?;
        }
        need(
            self.data.validation > 0,
            "data.validation must be 1 or more: choices need images that were not trained on",
        )?;
        lengths("quick", &self.quick)?;
        if let Some(full) = &self.full {
            lengths("full", full)?;
        }
        need(
            self.dense.model.task() == task,
            "dense.model and regularised.model are for different tasks",
        )?;
        self.quantised()?;
        self.pruned()?;
        if let Some(share) = &self.regularised.share {
            need(
                share.times > 0 && share.images > 0,
                "regularised.share: times and images must be 1 or more",
            )?;
        }
        shrink(&self.regularised.shrink)?;
        training("dense", &self.dense.training, task)?;
        training("regularised", &self.regularised.training, task)
    }

    fn quantised(&self) -> Checked {
        let regularised = &self.regularised;
        let (quantised, epochs) = (regularised.quantised_epochs, regularised.training.epochs);
        need(
            quantised == 0 || matches!(regularised.number, NumberKind::Bits(_)),
            "regularised.quantised_epochs needs a regularised.number of \"bits:N\"",
        )?;
        need(
            quantised <= epochs,
            format!(
                "regularised.quantised_epochs must be at most regularised.training.epochs, but is {quantised} of {epochs}"
            ),
        )
    }

    fn pruned(&self) -> Checked {
        let regularised = &self.regularised;
        let Some(prune) = &regularised.prune else {
            return Ok(());
        };
        need(
            (0.0..=1.0).contains(&prune.over) && prune.keep > 0,
            "regularised.prune.keep must be 1 or more and regularised.prune.over 0 to 1",
        )?;
        need(
            regularised.model == self.dense.model,
            "regularised.prune begins with the trained ordinary network: regularised.model must be dense.model",
        )?;
        need(
            regularised.share.is_none(),
            "regularised.prune takes the smallest weights wherever they are: regularised.share does not go with it",
        )?;
        match regularised.budgets.iter().find(|(_, keep)| !keep.dense) {
            Some((layer, _)) => Err(format!(
                "regularised.prune is for ordinary layers: regularised.budgets.{layer} must be {{ dense = true }}"
            )),
            None => Ok(()),
        }
    }
}

fn data(data: &Data, at: &str, task: Task) -> Checked {
    data.name
        .parse::<DatasetName>()
        .map_err(|e| format!("{at}.name: {e}"))?;
    let ends = [0.0, 1.0].map(|p| ((p - data.mean) / data.deviation) as f32);
    need(
        data.deviation > 0.0 && ends.iter().all(|x| x.is_finite()),
        format!("{at}.mean must be a number and {at}.deviation a number well above 0"),
    )?;
    let sizes = [data.pad, data.resize];
    need(
        sizes.iter().flatten().all(|size| (1..=4096).contains(size)),
        format!("{at}: pad and resize must be 1 to 4096"),
    )?;
    need(
        task != Task::Segmentation || data.resize.is_none(),
        format!(
            "{at}.resize: images with masks can't be resized: give them in the size they are wanted in"
        ),
    )?;
    need(
        ![data.train, data.test].contains(&Some(0)),
        format!("{at}: train and test must be 1 or more"),
    )?;
    // These tasks take pixels in a range of their own.
    let (range, give) = match task {
        Task::Autoencoding | Task::Segmentation => ([0.0, 1.0], "mean = 0 and deviation = 1"),
        Task::Generation => ([-1.0, 1.0], "mean = 0.5 and deviation = 0.5"),
        Task::Classification => return Ok(()),
    };
    need(
        ends == range,
        format!(
            "{at}: this network takes pixels from {} to {}: give {give}",
            range[0], range[1]
        ),
    )
}

fn lengths(part: &str, l: &Lengths) -> Checked {
    let epochs = [l.dense_epochs, l.regularised_epochs].map(Some);
    let images = [l.train, l.validation, l.test];
    need(
        !epochs.iter().chain(&images).any(|n| *n == Some(0)),
        format!("every number in [{part}] must be 1 or more"),
    )
}

fn shrink(shrink: &Shrink) -> Checked {
    let rates = [
        ("drop_rate", shrink.drop_rate),
        ("min_rate", shrink.min_rate),
    ];
    for (key, rate) in rates {
        let Some(rate) = rate else { continue };
        need(
            (0.0..=1.0).contains(&rate),
            format!("regularised.shrink.{key} must be 0 to 1"),
        )?;
        need(
            shrink.decay == DecayKind::Paper,
            format!("regularised.shrink.{key} belongs to decay = \"paper\" alone"),
        )?;
    }
    need(
        (0.0..=1.0).contains(&shrink.over),
        "regularised.shrink.over must be 0 to 1",
    )?;
    need(
        shrink.start.is_none_or(|s| s >= 1.0),
        "regularised.shrink.start must be 1 or more",
    )
}

fn training(part: &str, t: &Training, task: Task) -> Checked {
    for (key, n) in [("epochs", t.epochs), ("batch", t.batch)] {
        need(n > 0, format!("{part}.training.{key} must be 1 or more"))?;
    }
    need(
        t.rate.peak.is_finite() && t.rate.peak > 0.0,
        format!("{part}.training.rate.peak must be above 0"),
    )?;
    need(
        (0.0..1.0).contains(&t.rate.warmup),
        format!("{part}.training.rate.warmup must be 0 or more and below 1"),
    )?;
    need(
        t.rate.warmup == 0.0 || t.rate.shape != RateShape::Constant,
        format!("{part}.training.rate.warmup does not go with shape = \"constant\""),
    )?;
    let (in_unit, decay) = match t.optimiser {
        Optimiser::Adam {
            beta1,
            beta2,
            decay,
        } => ([beta1, beta2], decay),
        Optimiser::Sgd { momentum, decay } => ([momentum, 0.0], decay),
    };
    need(
        in_unit.iter().all(|b| (0.0..1.0).contains(b)) && (0.0..1e6).contains(&decay),
        format!(
            "{part}.training.optimiser: beta1, beta2 and momentum must be 0 or more and below 1, decay 0 or more"
        ),
    )?;
    need(
        (0.0..1.0).contains(&t.smoothing),
        format!("{part}.training.smoothing must be 0 or more and below 1"),
    )?;
    need(
        t.smoothing == 0.0 || matches!(task, Task::Classification | Task::Segmentation),
        format!("{part}.training.smoothing is for networks that tell classes apart"),
    )
}
