//! What a network is trained for: what a training step does with a batch, and how well the network does.

mod autoencoding;
mod classification;
mod frechet;
mod generation;
mod segmentation;

pub use frechet::{Statistics, distance};
pub(crate) use segmentation::masks;
pub use segmentation::{Overlap, overlap};

use crate::images::{Preparation, batch};
use crate::report::{Grid, Metric};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use freqreg_data::Images;
use freqreg_models::Model;
use freqreg_nn::{Seed, no_grad};
use std::collections::BTreeMap;

/// What a task needs to know beside the network.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// How images become numbers.
    pub preparation: Preparation,
    /// Label smoothing, 0 to 1.
    pub smoothing: f64,
    /// The seed of everything that is drawn.
    pub seed: Seed,
    /// Where it runs.
    pub device: &'a Device,
}

/// A batch in training.
pub struct Batch {
    /// `[n, channels, height, width]`.
    pub x: Tensor,
    /// A class each, or a class a pixel.
    pub labels: Vec<u32>,
    /// The step, from 0: what is drawn follows from it.
    pub step: usize,
    /// Samples of the step that come before these, with other processes.
    pub before: usize,
    /// Samples of the step in all.
    pub all: usize,
}

/// What a step came to.
pub struct Stepped {
    /// The loss before the step, over all samples.
    pub loss: f64,
    /// In the task's metric, where the step tells it, of these samples.
    pub score: Option<f64>,
}

/// Takes the mean loss of these samples and with what the names of the parameters begin that it moves; gives the mean over all samples. It
/// learns nothing from a loss that is no number.
pub type Learn<'a> = &'a mut dyn FnMut(&Tensor, &str) -> Result<f64>;

/// How well a network does on some images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// In the task's metric.
    pub score: f64,
    /// What else was measured, by name.
    pub measures: BTreeMap<String, f64>,
    /// For classification: the class that each image was taken for.
    pub answers: Vec<u8>,
    /// For classification: the probability that the network gave to its answer.
    pub confidence: Vec<f32>,
}

/// A task of the zoo.
pub trait Task: Send + Sync {
    /// What scores are measured in.
    fn metric(&self) -> Metric;

    /// Computes the losses of a step and hands each to `learn`.
    ///
    /// # Errors
    /// What candle reports, images of another size than the network takes among it; what `learn` reports.
    fn step(
        &self,
        model: &dyn Model,
        batch: Batch,
        setting: &Setting<'_>,
        learn: Learn<'_>,
    ) -> Result<Stepped>;

    /// Measures the network. Run it in [`no_grad`], as [`evaluate`] does.
    ///
    /// # Errors
    /// As [`Task::step`].
    fn evaluate(
        &self,
        model: &dyn Model,
        images: &Images,
        setting: &Setting<'_>,
    ) -> Result<Evaluation>;

    /// Pictures for a person to look at, of the same images.
    ///
    /// # Errors
    /// As [`Task::step`].
    fn grids(
        &self,
        _model: &dyn Model,
        _images: &Images,
        _setting: &Setting<'_>,
    ) -> Result<Vec<Grid>> {
        Ok(Vec::new())
    }
}

/// The task of a network.
pub fn task(kind: freqreg_models::Task) -> &'static dyn Task {
    match kind {
        freqreg_models::Task::Classification => &classification::Classification,
        freqreg_models::Task::Segmentation => &segmentation::Segmentation,
        freqreg_models::Task::Generation => &generation::Generation,
        freqreg_models::Task::Autoencoding => &autoencoding::Autoencoding,
    }
}

/// Measures a network for `kind` of task on `images`.
///
/// # Errors
/// What candle reports, images of another size than the network takes among it.
pub fn evaluate(
    kind: freqreg_models::Task,
    model: &dyn Model,
    images: &Images,
    setting: &Setting<'_>,
) -> Result<Evaluation> {
    no_grad(|| task(kind).evaluate(model, images, setting))
}

/// Numbers of images that are evaluated at once. A norm by batch statistics depends on it, so it follows from the size of
/// the images alone.
fn evaluated_at_once(images: &Images, setting: &Setting<'_>) -> usize {
    let side = setting.preparation.resize;
    let pixels = side.map_or(images.height * images.width, |s| s * s);
    ((1 << 21) / (images.channels * pixels).max(1)).clamp(1, 500)
}

/// Calls `f` with the images batch by batch, in order.
fn in_batches(
    images: &Images,
    at_once: usize,
    setting: &Setting<'_>,
    mut f: impl FnMut(Tensor, Vec<u32>) -> Result<()>,
) -> Result<()> {
    let order: Vec<usize> = (0..images.count).collect();
    // Evenly, so that a norm over the batch never sees a few images that are left over.
    let parts = images.count.div_ceil(at_once).max(1);
    for indices in order.chunks(images.count.div_ceil(parts).max(1)) {
        let (x, labels) = batch(images, indices, setting.preparation, None, setting.device)?;
        f(x, labels)?;
    }
    Ok(())
}

/// A loss as a number; one that is none is the caller's to report.
pub(crate) fn number(loss: &Tensor) -> Result<f64> {
    Ok(f64::from(loss.to_scalar::<f32>()?))
}

/// The rows that belong to a batch of those that are drawn for all samples of its step.
fn latent_of_step(batch: &Batch, latent_numbers: usize, setting: &Setting<'_>) -> Result<Tensor> {
    let name = format!("latent of step {}", batch.step);
    let all = latent(&name, batch.all, latent_numbers, setting)?;
    Ok(all.narrow(0, batch.before, batch.x.dim(0)?)?)
}

/// `[n, latent]` numbers from the standard normal distribution, from the stream called `name`.
fn latent(name: &str, n: usize, latent: usize, setting: &Setting<'_>) -> Result<Tensor> {
    let mut values = vec![0.0; n * latent];
    setting.seed.fill_normal(name, 1.0, &mut values);
    let values = Tensor::from_vec(values, (n, latent), &Device::Cpu)?;
    Ok(values.to_dtype(DType::F32)?.to_device(setting.device)?)
}

/// log(1 + exp(x)), without overflow.
fn softplus(x: &Tensor) -> candle_core::Result<Tensor> {
    // (x + |x|) / 2 + log(1 + exp(-|x|)): whatever gradient |x| is given at 0, the whole has 1/2 there.
    let size = x.abs()?;
    ((x + &size)? * 0.5)? + (size.neg()?.exp()? + 1.0)?.log()?
}

/// Pixels of `low` to `high` as bytes, `[channels, height, width]` an image.
fn bytes(x: &Tensor, [low, high]: [f64; 2]) -> Result<Vec<Vec<u8>>> {
    let n = x.dim(0)?;
    let scaled = ((x - low)? * (255.0 / (high - low)))?.reshape((n, x.elem_count() / n.max(1)))?;
    let rows: Vec<Vec<f32>> = scaled.to_dtype(DType::F32)?.to_vec2()?;
    Ok(rows
        .into_iter()
        .map(|row| row.into_iter().map(|p| p.round() as u8).collect())
        .collect())
}

/// What a network was asked for that it is not.
fn unfit(what: &str) -> Error {
    Error::Setting(format!("the network has no {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;

    #[test]
    fn the_gradient_of_softplus_is_the_sigmoid() {
        let at = [-90.0_f32, -1.0, 0.0, 1.0, 90.0];
        let x = Var::new(&at, &Device::Cpu).unwrap();
        let y = softplus(&x).unwrap();
        let g: Vec<f32> = y.backward().unwrap().get(&x).unwrap().to_vec1().unwrap();
        for ((x, y), g) in at.iter().zip(y.to_vec1::<f32>().unwrap()).zip(g) {
            let x = f64::from(*x);
            assert!((f64::from(y) - (x.max(0.0) + (-x.abs()).exp().ln_1p())).abs() < 1e-6);
            assert!(
                (f64::from(g) - 1.0 / (1.0 + (-x).exp())).abs() < 1e-6,
                "{x}: {g}"
            );
        }
    }
}
