//! To tell to which class each pixel belongs.

use super::{Batch, Evaluation, Learn, Setting, Stepped, Task, in_batches, number};
use crate::Result;
use crate::images::batch;
use crate::report::{Grid, Metric};
use candle_core::Tensor;
use freqreg_data::Images;
use freqreg_models::Model;
use freqreg_nn::{no_grad, ops};
use std::collections::BTreeMap;

pub(super) struct Segmentation;

/// How well a found foreground agrees with the true one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overlap {
    /// 2 |A ∩ B| / (|A| + |B|), as the authors compute it; 1 where both are empty.
    pub dice: f64,
    /// |A ∩ B| / |A ∪ B|; 1 where both are empty.
    pub iou: f64,
}

/// Compares two masks in which everything but 0 is foreground.
pub fn overlap(found: &[u8], truth: &[u8]) -> Overlap {
    let (mut both, mut sum) = (0_usize, 0_usize);
    for (&a, &b) in found.iter().zip(truth) {
        both += usize::from(a != 0 && b != 0);
        sum += usize::from(a != 0) + usize::from(b != 0);
    }
    let share = |part: usize, whole: usize| match whole {
        0 => 1.0,
        _ => part as f64 / whole as f64,
    };
    Overlap {
        dice: share(2 * both, sum),
        iou: share(both, sum - both),
    }
}

/// The class of each pixel of logits `[n, classes, h, w]`, an image a row.
pub(crate) fn masks(logits: &Tensor) -> Result<Vec<Vec<u8>>> {
    let classes = logits.detach().argmax(1)?.flatten_from(1)?;
    let rows: Vec<Vec<u32>> = classes.to_vec2()?;
    Ok(rows
        .into_iter()
        .map(|row| row.into_iter().map(|c| c as u8).collect())
        .collect())
}

fn scores(logits: &Tensor, labels: &[u32]) -> Result<Vec<Overlap>> {
    let found = masks(logits)?;
    let size = labels.len() / found.len().max(1);
    let truth: Vec<u8> = labels.iter().map(|&l| l as u8).collect();
    Ok(found
        .iter()
        .zip(truth.chunks(size.max(1)))
        .map(|(f, t)| overlap(f, t))
        .collect())
}

fn loss(logits: &Tensor, labels: &[u32], smoothing: f64) -> candle_core::Result<Tensor> {
    let (n, classes, h, w) = logits.dims4()?;
    let pixels = logits
        .permute((0, 2, 3, 1))?
        .reshape((n * h * w, classes))?;
    ops::cross_entropy(&pixels, labels, smoothing)
}

impl Task for Segmentation {
    fn metric(&self) -> Metric {
        Metric::Dice
    }

    fn step(
        &self,
        model: &dyn Model,
        batch: Batch,
        setting: &Setting<'_>,
        learn: Learn<'_>,
    ) -> Result<Stepped> {
        let logits = model.forward(&batch.x)?;
        let loss = loss(&logits, &batch.labels, setting.smoothing)?;
        let value = learn(&loss, "")?;
        let scores = scores(&logits, &batch.labels)?;
        let mean = scores.iter().map(|s| s.dice).sum::<f64>() / scores.len().max(1) as f64;
        Ok(Stepped {
            loss: value,
            score: Some(mean),
        })
    }

    fn evaluate(
        &self,
        model: &dyn Model,
        images: &Images,
        setting: &Setting<'_>,
    ) -> Result<Evaluation> {
        let (mut dice, mut iou, mut entropy) = (0.0, 0.0, 0.0);
        // One at a time, as a user's image comes: a norm over the batch sees that image alone.
        in_batches(images, 1, setting, |x, labels| {
            let logits = model.forward(&x)?;
            entropy += number(&loss(&logits, &labels, 0.0)?)?;
            for s in scores(&logits, &labels)? {
                (dice, iou) = (dice + s.dice, iou + s.iou);
            }
            Ok(())
        })?;
        let count = images.count.max(1) as f64;
        Ok(Evaluation {
            score: dice / count,
            measures: BTreeMap::from([
                ("cross_entropy".into(), entropy / count),
                ("iou".into(), iou / count),
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
        let mut grid = Grid {
            name: "segmented",
            title: "Segmented test images".into(),
            caption: "From left to right: the image, what is true, what was found.".into(),
            columns: 3,
            size: [images.channels, images.height, images.width],
            images: Vec::new(),
        };
        let spread = |mask: &[u8]| {
            let plane: Vec<u8> = mask.iter().map(|&m| if m == 0 { 0 } else { 255 }).collect();
            plane.repeat(images.channels)
        };
        for i in 0..images.count.min(6) {
            let (x, _) = batch(images, &[i], setting.preparation, None, setting.device)?;
            let found = masks(&no_grad(|| model.forward(&x))?)?;
            let picture = images.image(i).unwrap_or_default().to_vec();
            let truth = spread(images.labels_of(i).unwrap_or_default());
            grid.images
                .extend([picture, truth, spread(&found.concat())]);
        }
        Ok(vec![grid])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_is_as_defined() {
        let s = overlap(&[1, 1, 0, 0, 1], &[1, 0, 1, 0, 1]);
        assert!((s.dice - 4.0 / 6.0).abs() < 1e-12 && (s.iou - 0.5).abs() < 1e-12);
        assert_eq!(overlap(&[0, 0], &[0, 0]).dice, 1.0);
        assert_eq!(overlap(&[1, 0], &[0, 1]).iou, 0.0);
        assert_eq!(overlap(&[255, 2], &[1, 1]).dice, 1.0);
    }
}
