//! How well a network reads images.

use crate::Result;
use crate::images::{Scale, batch};
use candle_core::{DType, Device, Tensor};
use freqreg_data::Images;
use freqreg_models::Model;

/// What a network answered on a set of images.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Share answered rightly, 0 to 1.
    pub accuracy: f64,
    /// Mean cross entropy, in nats.
    pub loss: f64,
    /// The class that each image was taken for.
    pub answers: Vec<u8>,
    /// The probability that the network gave to its answer.
    pub confidence: Vec<f32>,
}

/// Images evaluated at once. A norm by batch statistics depends on it, so it is fixed.
const BATCH: usize = 500;

/// Runs the network on all images, in order.
///
/// # Errors
/// What candle reports, an image of another size than the network takes among it.
pub fn evaluate(
    model: &dyn Model,
    images: &Images,
    scale: Scale,
    device: &Device,
) -> Result<Evaluation> {
    let mut answers = Vec::with_capacity(images.count);
    let mut confidence = Vec::with_capacity(images.count);
    let (mut right, mut loss) = (0_usize, 0.0_f64);
    let order: Vec<usize> = (0..images.count).collect();
    for indices in order.chunks(BATCH) {
        let (x, labels) = batch(images, indices, scale, None, device)?;
        let logits = model.forward(&x)?;
        for (row, label) in rows(&logits)?.iter().zip(labels) {
            let (answer, top) = argmax(row);
            let sum: f64 = row.iter().map(|z| f64::from(z - top).exp()).sum();
            let target = row.get(label as usize).copied().unwrap_or(f32::NAN);
            loss += sum.ln() - f64::from(target - top);
            confidence.push((1.0 / sum) as f32);
            right += usize::from(answer == label as usize);
            answers.push(answer as u8);
        }
    }
    let count = images.count.max(1) as f64;
    Ok(Evaluation {
        accuracy: right as f64 / count,
        loss: loss / count,
        answers,
        confidence,
    })
}

/// How many rows of `logits` have their largest value at the label.
pub(crate) fn count_right(logits: &Tensor, labels: &[u32]) -> Result<usize> {
    let rows = rows(logits)?;
    let right = |(row, label): &(&Vec<f32>, &u32)| argmax(row).0 == **label as usize;
    Ok(rows.iter().zip(labels).filter(right).count())
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
