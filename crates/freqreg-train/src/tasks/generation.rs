//! To make images: a generator against a discriminator (Goodfellow et al. 2014, with the loss that does not saturate).

use super::{
    Batch, Evaluation, Learn, Setting, Stepped, Task, bytes, frechet, in_batches, latent,
    latent_of_step, softplus, unfit,
};
use crate::Result;
use crate::report::{Grid, Metric};
use candle_core::Tensor;
use freqreg_data::Images;
use freqreg_models::Model;
use freqreg_nn::no_grad;

pub(super) struct Generation;

/// Images generated at once when they are measured. A norm by batch statistics depends on it, so it is fixed.
const AT_ONCE: usize = 100;

impl Task for Generation {
    fn metric(&self) -> Metric {
        Metric::FrechetDistance
    }

    fn step(
        &self,
        model: &dyn Model,
        batch: Batch,
        setting: &Setting<'_>,
        learn: Learn<'_>,
    ) -> Result<Stepped> {
        let game = model.adversarial().ok_or_else(|| unfit("generator"))?;
        let z = latent_of_step(&batch, game.latent(), setting)?;
        let made = game.generate(&z)?;
        // -log D(x) - log(1 - D(G(z))), with D as a logit.
        let real = softplus(&game.judge(&batch.x)?.neg()?)?.mean_all()?;
        let fake = softplus(&game.judge(&made.detach())?)?.mean_all()?;
        let discriminator = (real + fake)?;
        let first = learn(&discriminator, game.discriminator_prefix())?;
        if !first.is_finite() {
            return Ok(Stepped {
                loss: first,
                score: None,
            });
        }
        let generator = softplus(&game.judge(&made)?.neg()?)?.mean_all()?;
        let second = learn(&generator, game.generator_prefix())?;
        Ok(Stepped {
            loss: first + second,
            score: None,
        })
    }

    fn evaluate(
        &self,
        model: &dyn Model,
        images: &Images,
        setting: &Setting<'_>,
    ) -> Result<Evaluation> {
        let game = model.adversarial().ok_or_else(|| unfit("generator"))?;
        let judge = frechet::Judge::new(setting.device)?;
        let (mut real, mut made) = (judge.statistics(), judge.statistics());
        let mut at = 0;
        in_batches(images, AT_ONCE, setting, |x, labels| {
            judge.add(&mut real, &x)?;
            let z = latent(
                &format!("latent of sample {at}"),
                labels.len(),
                game.latent(),
                setting,
            )?;
            judge.add(&mut made, &game.generate(&z)?)?;
            at += labels.len();
            Ok(())
        })?;
        Ok(Evaluation {
            score: frechet::distance(&real, &made),
            ..Evaluation::default()
        })
    }

    fn grids(&self, model: &dyn Model, _: &Images, setting: &Setting<'_>) -> Result<Vec<Grid>> {
        let game = model.adversarial().ok_or_else(|| unfit("generator"))?;
        let z = latent("samples to look at", 64, game.latent(), setting)?;
        let made: Tensor = no_grad(|| game.generate(&z))?;
        Ok(vec![Grid {
            name: "samples",
            title: "Samples".into(),
            caption: "What the generator makes of numbers drawn at random.".into(),
            columns: 16,
            size: game.image(),
            images: bytes(&made, [-1.0, 1.0])?,
        }])
    }
}
