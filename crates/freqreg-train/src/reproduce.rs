//! The whole walk of an experiment: data, both trainings, the model file, the networks as read back from their
//! files, the one look at the test set, the report.

mod data;
mod dense_from;
mod device;
mod measure;
mod sets;
mod training;

pub use data::{Loaded, load};
pub use device::device;
pub use sets::Yardstick;

use crate::communicator::Communicator;
use crate::experiment::{Experiment, NumberKind, Preset};
use crate::images::Preparation;
use crate::network::{Network, codec};
use crate::report::{DataReport, Grid, Processes, Report, SCHEMA, Seconds, machine};
use crate::tasks::{self, Setting};
use crate::train::{self, Event, Observer};
use crate::{Error, Result, page};
use candle_core::Device;
use data::fingerprint;
use dense_from::Dense;
use device::device_name;
use freqreg_data::{Dataset, Images};
use freqreg_file::write_atomically;
use freqreg_models::Budgets;
use freqreg_nn::{Form, Parameter};
use sets::{Sets, misfit};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// How an experiment is run.
pub struct Options<'a> {
    /// The seed of everything random.
    pub seed: u64,
    /// Where it runs.
    pub device: Device,
    /// The folder that all results go into; made if it is not there.
    pub out: PathBuf,
    /// Whether to go on from the checkpoints in `out`.
    pub resume: bool,
    /// What the experiment was changed in, as `--epochs 3`, for the report; empty for the experiment as it stands.
    pub changes: Vec<String>,
    /// Which of the experiment's lengths the run has.
    pub preset: Preset,
    /// Folders of other runs. A training that one of them has made in exactly the same way is taken over, not made again.
    pub others: &'a [PathBuf],
    /// The report of a run that trained the same ordinary network: it is not trained again, and its part of that report is taken over.
    pub dense_from: Option<&'a Report>,
    /// Set from outside to make it save and stop.
    pub stop: &'a AtomicBool,
    /// The processes that train together: all of them run the same, each on its part of every batch.
    pub communicator: Rc<dyn Communicator>,
    /// See [`train::Trainer::parts`].
    pub parts: Option<usize>,
}

/// Runs the experiment on `data` and leaves its results in `options.out`: `report.json`, `report.html`,
/// `model.freq`, `model.safetensors`, `dense.freq`, `log.jsonl`, and the checkpoints. Of several processes the first one writes and
/// measures; the others train along with it and give `None`. With [`Options::dense_from`] there is no `dense.freq`, and no picture that the
/// ordinary network made.
///
/// # Errors
/// Whatever goes wrong on the way; every file is whole or not there.
pub fn reproduce(
    loaded: &Loaded,
    options: &Options<'_>,
    observe: Observer<'_>,
) -> Result<Option<Report>> {
    let clock = Instant::now();
    let experiment = loaded.experiment.clone().in_lengths(options.preset)?;
    let data = &loaded.dataset;
    let run = Run::new(&experiment, data, options)?;
    // Everything that can be refused is refused before the first step.
    let (regularised, ends) = run.build_regularised()?;
    let dense = Network::dense(&experiment.dense.model, options.seed, &options.device)?;
    run.check("dense", &dense)?;
    run.check("regularised", &regularised)?;
    run.check_batches([&dense, &regularised])?;
    let data_report = run.data_report(loaded);
    if let Some(other) = options.dense_from {
        run.check_dense_from(other, &data_report)?;
    }
    let writes = options.communicator.rank() == 0;
    let mut log = match writes {
        true => Some(run.prepare_folder()?),
        false => None,
    };
    let mut complete = true;
    let mut observe = |event: Event<'_>| {
        let Some(log) = &mut log else {
            return;
        };
        let written = write_log(log, &event);
        observe(event);
        if let Err(cause) = written
            && std::mem::take(&mut complete)
        {
            observe(Event::Notice(&format!("log.jsonl is incomplete: {cause}")));
        }
    };

    let dense_done = match options.dense_from {
        None => Dense::Trained(run.train("dense", &dense, None, &mut observe)?),
        Some(other) => {
            observe(Event::Notice(&dense_from::notice(other)));
            Dense::From(other)
        }
    };
    if experiment.regularised.prune.is_some() {
        for (to, from) in regularised.parameters.iter().zip(&dense.parameters) {
            to.set_values(&from.values()?)?;
        }
    }
    let regularised_trained = run.train("regularised", &regularised, Some(ends), &mut observe)?;
    if !writes {
        return Ok(None);
    }
    // From here on the folder's results change: no report may stand beside files that are not its own.
    run.remove(&REPORTS)?;
    run.remove_pictures()?;
    let number = experiment.regularised.number;
    match dense_done {
        Dense::Trained(_) => {
            let file = dense.to_file(NumberKind::Float32)?;
            codec().write(&file, run.path("dense.freq"))?;
        }
        // One that is there is an older run's.
        Dense::From(_) => run.remove(&["dense.freq"])?,
    }
    codec().write(&regularised.to_file(number)?, run.path("model.freq"))?;
    drop((dense, regularised));

    let dense = run.dense_part(dense_done)?;
    let (regularised, pictures) = run.measure(
        "model.freq",
        &experiment.regularised.training,
        regularised_trained.history,
    )?;
    let file = codec().read(run.path("model.freq"))?;
    file.write_safetensors(run.path("model.safetensors"))?;
    let report = Report {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").into(),
        experiment: experiment.name.clone(),
        title: experiment.title.clone(),
        preset: options.preset,
        metric: tasks::task(run.task).metric(),
        changes: options.changes.clone(),
        seed: options.seed,
        data: data_report,
        device: device_name(&options.device),
        machine: machine(),
        dense: dense.report,
        dense_from: dense.from,
        regularised,
        processes: (options.communicator.size() > 1).then(|| Processes {
            count: options.communicator.size(),
            dense_bytes: dense.exchanged,
            regularised_bytes: regularised_trained.exchanged,
        }),
        paper: experiment.paper.clone(),
        cut_curve: run.cut_curve(&file)?,
        seconds: Seconds {
            dense: dense.seconds,
            regularised: regularised_trained.seconds,
            total: clock.elapsed().as_secs_f64()
                + dense.seconds_before
                + regularised_trained.seconds_before,
        },
    };
    let json = serde_json::to_string_pretty(&report).map_err(|e| Error::Report {
        path: run.path("report.json"),
        reason: e.to_string(),
    })?;
    let html = page::render(&report, &pictures);
    for (pictures, network) in [(&dense.pictures, PHASES[0]), (&pictures, PHASES[1])] {
        for grid in &pictures.grids {
            if let Some(png) = page::picture(grid) {
                write_atomically(run.path(&Grid::file(grid.name, network)), &png)?;
            }
        }
    }
    write_atomically(run.path("report.html"), html.as_bytes())?;
    write_atomically(run.path("report.json"), format!("{json}\n").as_bytes())?;
    Ok(Some(report))
}

struct Run<'a> {
    experiment: &'a Experiment,
    options: &'a Options<'a>,
    data: &'a Dataset,
    task: freqreg_models::Task,
    train: Images,
    validation: Images,
    test: Images,
    /// What tells the training and the validation images from any others.
    prints: [String; 2],
    preparation: Preparation,
}

const PHASES: [&str; 2] = ["dense", "regularised"];
const REPORTS: [&str; 2] = ["report.json", "report.html"];

fn checkpoint_name(phase: &str) -> String {
    format!("{phase}.checkpoint.safetensors")
}

impl<'a> Run<'a> {
    fn new(
        experiment: &'a Experiment,
        data: &'a Dataset,
        options: &'a Options<'a>,
    ) -> Result<Self> {
        let sets = Sets::new(experiment, data)?;
        Ok(Run {
            experiment,
            options,
            data,
            task: sets.task,
            prints: [fingerprint(&sets.train), fingerprint(&sets.validation)],
            train: sets.train,
            validation: sets.validation,
            test: sets.test,
            preparation: sets.preparation,
        })
    }

    fn setting(&self) -> Setting<'_> {
        Setting {
            preparation: self.preparation,
            smoothing: 0.0,
            seed: freqreg_nn::Seed(self.options.seed),
            device: &self.options.device,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.options.out.join(name)
    }

    fn data_report(&self, loaded: &Loaded) -> DataReport {
        DataReport {
            name: self.data.name.to_string(),
            source: self.data.source.id().into(),
            sample: self.data.source.is_sample(),
            stands_in_for: loaded.stands_in_for.map(|name| name.to_string()),
            content: Some(format!(
                "{}; {}; mean {}, deviation {}{}",
                self.prints[0],
                self.prints[1],
                self.preparation.scale.mean,
                self.preparation.scale.deviation,
                match self.preparation.resize {
                    Some(side) => format!("; brought to {side} x {side}"),
                    None => String::new(),
                }
            )),
            train: self.train.count,
            validation: self.validation.count,
            test: self.test.count,
        }
    }

    fn io(&self, action: &'static str, path: PathBuf) -> impl FnOnce(std::io::Error) -> Error {
        move |cause| Error::Io {
            action,
            path,
            cause,
        }
    }

    /// The regularised network with as many coefficients as it starts with, and the final counts.
    fn build_regularised(&self) -> Result<(Network, Vec<usize>)> {
        let settings = &self.experiment.regularised;
        let (seed, device) = (self.options.seed, &self.options.device);
        let build = |budgets: &Budgets| {
            let init = settings.init.into();
            Network::regularised(&settings.model, budgets, init, seed, device)
        };
        let small = build(&settings.budgets)?;
        let ends = small.parameters.iter().map(Parameter::kept).collect();
        let mut first = settings.budgets.clone();
        for p in &small.parameters {
            let layer = p
                .name()
                .strip_suffix(".weight")
                .and_then(|l| first.get_mut(l));
            if let (Some(keep), Form::Prefix { .. }) = (layer, p.form()) {
                let start = settings.shrink.start.map_or(p.weights(), |factor| {
                    ((p.kept() as f64 * factor).round() as usize).min(p.weights())
                });
                keep.keep = Some(start);
                keep.fraction = None;
            }
        }
        Ok((build(&first)?, ends))
    }

    /// The folder as a run must find it, and its log, which is locked as long as it is open: no two runs write to one folder.
    fn prepare_folder(&self) -> Result<fs::File> {
        let out = &self.options.out;
        fs::create_dir_all(out).map_err(self.io("create", out.clone()))?;
        // A folder that can't be written to is found out now, not after the training.
        let probe = tempfile::NamedTempFile::new_in(out);
        probe.map_err(self.io("write", out.clone()))?;
        let log = self.open_log()?;
        if self.options.resume {
            return Ok(log);
        }
        log.set_len(0)
            .map_err(self.io("write", self.path("log.jsonl")))?;
        // What an older run left would pass for this one's if this one failed.
        self.remove(&REPORTS)?;
        self.remove(&["model.freq", "model.safetensors", "dense.freq"])?;
        self.remove_pictures()?;
        forget(out)?;
        Ok(log)
    }

    fn remove(&self, names: &[&str]) -> Result<()> {
        remove(&self.options.out, names)
    }

    fn remove_pictures(&self) -> Result<()> {
        for network in PHASES {
            for name in Grid::NAMES {
                self.remove(&[&Grid::file(name, network)])?;
            }
        }
        Ok(())
    }

    /// Refuses a network that does not fit the data before it is trained for minutes.
    fn check(&self, phase: &str, network: &Network) -> Result<()> {
        let name = self.data.name;
        let device = &self.options.device;
        let reason = misfit(network, &self.train, self.preparation, name, device);
        reason.map_err(|reason| Error::Experiment {
            name: self.experiment.name.clone(),
            reason: format!("{phase}.model: {reason}"),
        })
    }

    /// Whether the images can be gone through as the settings say.
    fn check_batches(&self, networks: [&Network; 2]) -> Result<()> {
        let e = self.experiment;
        let trainings = [&e.dense.training, &e.regularised.training];
        for ((phase, training), network) in PHASES.into_iter().zip(trainings).zip(networks) {
            let communicator = &*self.options.communicator;
            train::steps(phase, training, &self.train)?;
            let parts =
                train::parts_of_batch(phase, training.batch, self.options.parts, communicator)?;
            if parts.len() > 1
                && let Err(reason) =
                    sets::takes_parts(network, &self.train, self.preparation, &self.options.device)
            {
                return Err(Error::Setting(format!("{phase}: {reason}")));
            }
        }
        Ok(())
    }

    /// Whether the user has had enough; all of the training is saved by then.
    fn check_stop(&self) -> Result<()> {
        match self.options.stop.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(Error::Stopped {
                phase: "regularised",
                step: 0,
            }),
        }
    }

    fn open_log(&self) -> Result<fs::File> {
        let path = self.path("log.jsonl");
        let mut how = fs::OpenOptions::new();
        how.create(true).append(true);
        let log = how.open(&path).map_err(self.io("write", path))?;
        match log.try_lock() {
            Err(fs::TryLockError::WouldBlock) => Err(Error::Setting(format!(
                "another run is at work in {}: wait for it, or give this one another folder with --out",
                self.options.out.display()
            ))),
            // Not every file system has locks; then nothing tells.
            _ => Ok(log),
        }
    }
}

/// Removes the checkpoints in a folder of results, so that nothing goes on from them.
///
/// # Errors
/// A file that can't be removed.
pub fn forget(folder: &Path) -> Result<()> {
    remove(
        folder,
        &PHASES.map(checkpoint_name).each_ref().map(String::as_str),
    )
}

fn remove(folder: &Path, names: &[&str]) -> Result<()> {
    for path in names.iter().map(|name| folder.join(name)) {
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::Io {
                    action: "replace",
                    path,
                    cause,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

fn write_log(log: &mut fs::File, event: &Event<'_>) -> std::io::Result<()> {
    let line = match event {
        Event::Step { .. } => return Ok(()),
        Event::Epoch { phase, report, .. } => {
            serde_json::json!({"event": "epoch", "phase": phase, "report": report})
        }
        Event::Resumed { phase, step } => {
            serde_json::json!({"event": "resumed", "phase": phase, "step": step})
        }
        Event::Notice(text) => serde_json::json!({"event": "notice", "text": text}),
    };
    log.write_all(format!("{line}\n").as_bytes())
}
