//! To describe images by a few numbers: the evidence lower bound of a variational autoencoder (Kingma & Welling 2014),
//! with pixels as Bernoulli probabilities, in bits a pixel.

use super::{
    Batch, Evaluation, Learn, Setting, Stepped, Task, bytes, evaluated_at_once, in_batches, latent,
    latent_of_step, number, softplus, unfit,
};
use crate::Result;
use crate::images::batch;
use crate::report::{Grid, Metric};
use candle_core::Tensor;
use freqreg_data::Images;
use freqreg_models::{Autoencoder, Model};
use freqreg_nn::no_grad;
use std::collections::BTreeMap;

pub(super) struct Autoencoding;

/// Sums over a batch, in nats.
struct Bound {
    reconstruction: Tensor,
    divergence: Tensor,
}

/// The bound with one draw of the latent numbers, `noise` `[n, latent]`.
fn bound(coder: &dyn Autoencoder, x: &Tensor, noise: &Tensor) -> candle_core::Result<Bound> {
    let (mean, log_variance) = coder.encode(x)?;
    let drawn = (&mean + (noise * (&log_variance * 0.5)?.exp()?)?)?;
    let logits = coder.decode(&drawn)?;
    // -t log σ(l) - (1 - t) log(1 - σ(l)) = log(1 + exp(l)) - t l
    let reconstruction = (softplus(&logits)? - (x * &logits)?)?.sum_all()?;
    // KL(N(μ, σ²) | N(0, 1)) = (μ² + σ² - log σ² - 1) / 2
    let divergence = ((mean.sqr()? + log_variance.exp()?)? - log_variance)?;
    let divergence = ((divergence - 1.0)?.sum_all()? * 0.5)?;
    Ok(Bound {
        reconstruction,
        divergence,
    })
}

impl Task for Autoencoding {
    fn metric(&self) -> Metric {
        Metric::BitsPerPixel
    }

    fn step(
        &self,
        model: &dyn Model,
        batch: Batch,
        setting: &Setting<'_>,
        learn: Learn<'_>,
    ) -> Result<Stepped> {
        let coder = model.autoencoder().ok_or_else(|| unfit("encoder"))?;
        let noise = latent_of_step(&batch, coder.latent(), setting)?;
        let bound = bound(coder, &batch.x, &noise)?;
        let bits = batch.x.elem_count() as f64 * std::f64::consts::LN_2;
        let loss = ((bound.reconstruction + bound.divergence)? / bits)?;
        let own = number(&loss)?;
        Ok(Stepped {
            loss: learn(&loss, "")?,
            score: Some(own),
        })
    }

    fn evaluate(
        &self,
        model: &dyn Model,
        images: &Images,
        setting: &Setting<'_>,
    ) -> Result<Evaluation> {
        let coder = model.autoencoder().ok_or_else(|| unfit("encoder"))?;
        let (mut reconstruction, mut divergence, mut at, mut pixels) = (0.0, 0.0, 0, 0_usize);
        in_batches(
            images,
            evaluated_at_once(images, setting),
            setting,
            |x, labels| {
                let noise = latent(
                    &format!("latent of image {at}"),
                    labels.len(),
                    coder.latent(),
                    setting,
                )?;
                let bound = bound(coder, &x, &noise)?;
                reconstruction += number(&bound.reconstruction)?;
                divergence += number(&bound.divergence)?;
                at += labels.len();
                pixels += x.elem_count();
                Ok(())
            },
        )?;
        let bits = pixels.max(1) as f64 * std::f64::consts::LN_2;
        Ok(Evaluation {
            score: (reconstruction + divergence) / bits,
            measures: BTreeMap::from([
                ("reconstruction".into(), reconstruction / bits),
                ("divergence".into(), divergence / bits),
            ]),
            ..Evaluation::default()
        })
    }

    fn grids(
        &self,
        model: &dyn Model,
        images: &Images,
        setting: &Setting<'_>,
    ) -> Result<Vec<Grid>> {
        let coder = model.autoencoder().ok_or_else(|| unfit("encoder"))?;
        let columns = 10;
        let indices: Vec<usize> = (0..images.count.min(columns)).collect();
        let (x, _) = batch(images, &indices, setting.preparation, None, setting.device)?;
        let (again, drawn) = no_grad(|| -> Result<_> {
            let again = candle_nn::ops::sigmoid(&model.forward(&x)?)?;
            let z = latent("samples to look at", 3 * columns, coder.latent(), setting)?;
            Ok((again, candle_nn::ops::sigmoid(&coder.decode(&z)?)?))
        })?;
        let (_, channels, height, width) = x.dims4()?;
        let size = [channels, height, width];
        let unit = [0.0, 1.0];
        let mut pairs = bytes(&x, unit)?;
        pairs.extend(bytes(&again, unit)?);
        Ok(vec![
            Grid {
                name: "reconstructions",
                title: "Reconstructions".into(),
                caption: "Test images above; below each, what the network makes of the few numbers it takes from it.".into(),
                columns: indices.len(),
                size,
                images: pairs,
            },
            Grid {
                name: "samples",
                title: "Samples".into(),
                caption: "What the decoder makes of numbers drawn at random.".into(),
                columns,
                size,
                images: bytes(&drawn, unit)?,
            },
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    struct Fixed;

    impl Autoencoder for Fixed {
        fn latent(&self) -> usize {
            2
        }
        fn encode(&self, x: &Tensor) -> candle_core::Result<(Tensor, Tensor)> {
            let n = x.dim(0)?;
            let row = |v: [f32; 2]| Tensor::new(&[v], &Device::Cpu)?.repeat((n, 1));
            Ok((row([1.0, -2.0])?, row([0.0, 0.5])?))
        }
        fn decode(&self, z: &Tensor) -> candle_core::Result<Tensor> {
            // The first latent number as the logit of all four pixels.
            z.narrow(1, 0, 1)?
                .reshape((z.dim(0)?, 1, 1, 1))?
                .repeat((1, 1, 2, 2))
        }
    }

    #[test]
    fn the_bound_is_as_printed() {
        let x = Tensor::new(&[0.0_f32, 1.0, 0.25, 1.0], &Device::Cpu).unwrap();
        let x = x.reshape((1, 1, 2, 2)).unwrap();
        let noise = Tensor::new(&[[0.5_f32, 9.0]], &Device::Cpu).unwrap();
        let b = bound(&Fixed, &x, &noise).unwrap();
        let p = 1.0 / (1.0 + (-1.5_f64).exp());
        let expected: f64 = [0.0, 1.0, 0.25, 1.0]
            .iter()
            .map(|t| -t * p.ln() - (1.0 - t) * (1.0 - p).ln())
            .sum();
        assert!((number(&b.reconstruction).unwrap() - expected).abs() < 1e-5);
        let kl = 0.5 * ((1.0 + 1.0 - 0.0 - 1.0) + (4.0 + 0.5_f64.exp() - 0.5 - 1.0));
        assert!((number(&b.divergence).unwrap() - kl).abs() < 1e-5);
    }
}
