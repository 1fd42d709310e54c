//! What can go wrong in a run.

use freqreg_file::{Fault, NumberKind};
use std::path::PathBuf;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that stops a run, with what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No experiment has this name.
    #[error(
        "there is no experiment `{name}`{}; `freqreg reproduce --list` shows all, and a path to a TOML file does as well",
        hint(nearest)
    )]
    UnknownExperiment {
        /// The name asked for.
        name: String,
        /// The name most like it.
        nearest: Option<String>,
    },
    /// An experiment's text is not what it should be.
    #[error("experiment {name}: {reason}")]
    Experiment {
        /// Its name or path.
        name: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// The loss is no number any more.
    #[error(
        "the loss became {loss} at step {step} (epoch {epoch}) of the {phase} network: try a lower learning rate{}",
        match checkpoint { Some(p) => format!("; the last good state is kept in {}", p.display()), None => String::new() }
    )]
    Diverged {
        /// `dense` or `regularised`.
        phase: &'static str,
        /// The loss.
        loss: f64,
        /// Counted from 1.
        step: usize,
        /// Counted from 1.
        epoch: usize,
        /// The last checkpoint, if there is one.
        checkpoint: Option<PathBuf>,
    },
    /// A parameter got no gradient: the network does not use it.
    #[error("no gradient reached `{0}`: the network's output does not depend on it")]
    NoGradient(String),
    /// A checkpoint can't be used.
    #[error("checkpoint {}: {reason}; to start over, run without --resume", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The run was asked to stop, and has saved its state.
    #[error("stopped at step {step} of the {phase} network")]
    Stopped {
        /// `dense` or `regularised`.
        phase: &'static str,
        /// Steps made.
        step: usize,
    },
    /// A file of another program is not what can be imported.
    #[error("{}: {reason}", path.display())]
    Import {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file or folder can't be read or written.
    #[error("can't {action} {}: {cause}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A model file holds a network that this program does not know or that does not fit its configuration.
    #[error("the model file can't be used here: {0}")]
    Model(String),
    /// A number is too large for the form in which it is to be stored, or none at all.
    #[error(
        "tensor `{tensor}` can't be stored as {form}: {fault}; float32 takes every finite number"
    )]
    Unstorable {
        /// The tensor.
        tensor: String,
        /// The form.
        form: NumberKind,
        /// What does not fit.
        fault: Fault,
    },
    /// A setting that can't be.
    #[error("{0}")]
    Setting(String),
    /// A report can't be read or written.
    #[error("report {}: {reason}", path.display())]
    Report {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A device that this build or machine does not have.
    #[error("device `{name}`: {reason}")]
    Device {
        /// As asked for.
        name: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// The data set can't be had.
    #[error(transparent)]
    Data(#[from] freqreg_data::Error),
    /// A model file is damaged or can't be written.
    #[error(transparent)]
    File(#[from] freqreg_file::Error),
    /// The network can't be built.
    #[error(transparent)]
    Network(#[from] freqreg_models::Error),
    /// A layer refused something.
    #[error(transparent)]
    Layer(#[from] freqreg_nn::Error),
    /// candle refused an operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

fn hint(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map(|n| format!(" (did you mean `{n}`?)"))
        .unwrap_or_default()
}
