//! To tell to which class an image belongs.

use super::{Batch, Evaluation, Learn, Setting, Stepped, Task, evaluated_at_once, in_batches};
use crate::Result;
use crate::report::Metric;
use candle_core::{DType, Tensor};
use freqreg_data::Images;
use freqreg_models::Model;
use freqreg_nn::ops;
use std::collections::BTreeMap;

pub(super) struct Classification;

impl Task for Classification {
    fn metric(&self) -> Metric {
        Metric::Accuracy
    }

    fn step(
        &self,
        model: &dyn Model,
        batch: Batch,
        setting: &Setting<'_>,
        learn: Learn<'_>,
    ) -> Result<Stepped> {
        let logits = model.forward(&batch.x)?;
        let loss = ops::cross_entropy(&logits, &batch.labels, setting.smoothing)?;
        let value = learn(&loss, "")?;
        let right = rows(&logits)?
            .iter()
            .zip(&batch.labels)
            .filter(|(row, label)| argmax(row).0 == **label as usize)
            .count();
        Ok(Stepped {
            loss: value,
            score: Some(right as f64 / batch.labels.len().max(1) as f64),
        })
    }

    fn evaluate(
        &self,
        model: &dyn Model,
        images: &Images,
        setting: &Setting<'_>,
    ) -> Result<Evaluation> {
        let mut found = Evaluation::default();
        let (mut right, mut loss) = (0_usize, 0.0_f64);
        in_batches(
            images,
            evaluated_at_once(images, setting),
            setting,
            |x, labels| {
                for (row, label) in rows(&model.forward(&x)?)?.iter().zip(labels) {
                    let (answer, top) = argmax(row);
                    let sum: f64 = row.iter().map(|z| f64::from(z - top).exp()).sum();
                    let target = row.get(label as usize).copied().unwrap_or(f32::NAN);
                    loss += sum.ln() - f64::from(target - top);
                    found.confidence.push((1.0 / sum) as f32);
                    right += usize::from(answer == label as usize);
                    found.answers.push(answer as u8);
                }
                Ok(())
            },
        )?;
        let count = images.count.max(1) as f64;
        found.score = right as f64 / count;
        found.measures = BTreeMap::from([("cross_entropy".into(), loss / count)]);
        Ok(found)
    }
}

fn rows(logits: &Tensor) -> Result<Vec<Vec<f32>>> {
    Ok(logits.detach().to_dtype(DType::F32)?.to_vec2()?)
}

/// The first place of the largest value, and that value.
fn argmax(row: &[f32]) -> (usize, f32) {
    let first = (0, f32::NEG_INFINITY);
    row.iter().enumerate().fold(
        first,
        |best, (i, &z)| if z > best.1 { (i, z) } else { best },
    )
}
