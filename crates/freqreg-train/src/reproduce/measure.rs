//! What is measured of the networks as read back from their files, and the pictures of it.

use super::Run;
use crate::Result;
use crate::experiment::{Preset, Training};
use crate::network::{Network, codec};
use crate::report::{
    CutPoint, EpochReport, Filters, LayerReport, Misread, NetworkReport, Pictures, PrunedReport,
    Spectrum,
};
use crate::tasks::{self, evaluate};
use freqreg_file::{Model as ModelFile, Storage, Values};
use freqreg_nn::Form;
use std::fs;

impl Run<'_> {
    /// Measures a network as read back from its file; this is the one place that reads the test images.
    pub(super) fn measure(
        &self,
        name: &str,
        training: &Training,
        history: Vec<EpochReport>,
    ) -> Result<(NetworkReport, Pictures)> {
        self.check_stop()?;
        let path = self.path(name);
        let file = codec().read(&path)?;
        let file_bytes = fs::metadata(&path).map_err(self.io("read", path))?.len() as usize;
        let network = Network::from_file(&file, &self.options.device)?;
        let model = network.model.as_ref();
        let setting = self.setting();
        let validation = evaluate(self.task, model, &self.validation, &setting)?;
        let images = &self.test;
        let test = evaluate(self.task, model, images, &setting)?;
        let classified = !test.answers.is_empty();
        let classes = match classified {
            true => usize::from(self.data.name.classes()).max(
                test.answers
                    .iter()
                    .copied()
                    .max()
                    .map_or(0, |l| usize::from(l) + 1),
            ),
            false => 0,
        };
        let mut confusion = vec![vec![0; classes]; classes];
        for (&label, &answer) in images.labels.iter().zip(&test.answers) {
            confusion[usize::from(label)][usize::from(answer)] += 1;
        }
        let layers = file.tensors.iter().map(|t| {
            let (axes, order) = match &t.storage {
                Storage::Plain => (None, None),
                Storage::Prefix { axes, order } => (Some(axes.clone()), Some(order.to_string())),
            };
            LayerReport {
                name: t.name.clone(),
                shape: t.shape.clone(),
                axes,
                order,
                kept: t.values.len(),
            }
        });
        let report = NetworkReport {
            model: network.architecture.clone(),
            weights: file.weights(),
            kept: file.kept(),
            number: number_of(&file).into(),
            payload_bytes: file.payload_bytes(),
            file_bytes,
            pruned: pruned(&file),
            validation: validation.score,
            test: test.score,
            measures: test.measures,
            confusion,
            layers: layers.collect(),
            training: Some(training.clone()),
            history,
        };
        // Only grey images are shown in a row.
        let shown = if classified && images.channels == 1 {
            images.count
        } else {
            0
        };
        let misread = (0..shown).filter(|&i| images.labels[i] != test.answers[i]);
        let pictures = Pictures {
            grids: tasks::task(self.task).grids(model, images, &setting)?,
            spectra: spectra(&file)?,
            filters: filters(&file)?,
            misread: misread
                .take(40)
                .map(|i| Misread {
                    index: i,
                    size: [images.height, images.width],
                    pixels: images.image(i).unwrap_or_default().to_vec(),
                    label: images.labels[i],
                    answer: test.answers[i],
                    confidence: test.confidence[i],
                })
                .collect(),
        };
        Ok((report, pictures))
    }

    /// How well it does on the validation images with every prefix cut to a share of itself.
    pub(super) fn cut_curve(&self, file: &ModelFile) -> Result<Vec<CutPoint>> {
        let mut points = Vec::new();
        let step = match self.options.preset {
            Preset::Quick => 25,
            Preset::Default | Preset::Full => 10,
        };
        for percent in (step..=100).rev().step_by(step) {
            self.check_stop()?;
            let network = Network::from_file(file, &self.options.device)?;
            for p in &network.parameters {
                if matches!(p.form(), Form::Prefix { .. }) {
                    p.truncate((p.kept() * percent / 100).max(1))?;
                }
            }
            let model = network.model.as_ref();
            let v = evaluate(self.task, model, &self.validation, &self.setting())?;
            points.push(CutPoint {
                share: percent as f64 / 100.0,
                kept: network.kept(),
                validation: v.score,
            });
        }
        Ok(points)
    }
}

/// How the numbers of a file are stored, all in the same form.
fn number_of(file: &ModelFile) -> &'static str {
    match file.tensors.first().map(|t| &t.values) {
        Some(Values::F16(_)) => "float16",
        Some(Values::Quantised { .. }) => "quantised",
        Some(Values::F32(_)) | None => "float32",
    }
}

/// What a file would take that stored of the weights only those that are not zero; `None` where most are not, or they are not quantised.
fn pruned(file: &ModelFile) -> Option<PrunedReport> {
    let (mut numbers, mut gaps, mut other) = (Vec::new(), Vec::new(), 0);
    let mut nonzero = 0;
    for t in &file.tensors {
        let Values::Quantised { levels, .. } = &t.values else {
            return None;
        };
        if t.storage != Storage::Plain || t.shape.len() < 2 {
            nonzero += levels.len();
            other += t.values.bytes();
            continue;
        }
        let mut gap = 0;
        for &level in levels {
            // A longer gap than can be coded would be coded as two.
            if level == 0 && gap < (1 << 20) - 1 {
                gap += 1;
                continue;
            }
            gaps.push(gap);
            numbers.push(level);
            nonzero += usize::from(level != 0);
            gap = 0;
        }
        other += STEP_BYTES;
    }
    let coded = |levels| {
        let step = half::f16::ONE;
        Values::Quantised { step, levels }.bytes() - STEP_BYTES
    };
    let left = 2 * nonzero < file.kept();
    left.then(|| PrunedReport {
        nonzero,
        bytes: other + coded(numbers) + coded(gaps),
    })
}

/// What the step of a tensor takes.
const STEP_BYTES: usize = 2;

fn spectra(file: &ModelFile) -> Result<Vec<Spectrum>> {
    let mut all = Vec::new();
    for t in &file.tensors {
        let Storage::Prefix { axes, order } = &t.storage else {
            continue;
        };
        let values = t.values.to_f32();
        let prefix = order
            .prefix(axes, values.len())
            .map_err(freqreg_nn::Error::from)?;
        all.push(Spectrum {
            name: t.name.clone(),
            axes: axes.clone(),
            bounds: prefix.bounds().to_vec(),
            coefficients: (0..values.len())
                .map(|i| (prefix.index(i), values[i]))
                .collect(),
        });
    }
    Ok(all)
}

/// The filters of the first tensor with four axes, if it sees one channel.
fn filters(file: &ModelFile) -> Result<Option<Filters>> {
    let first = file.tensors.iter().find(|t| t.shape.len() == 4);
    let Some((t, &[o, 1, h, w])) = first.and_then(|t| Some((t, t.shape.get(..4)?))) else {
        return Ok(None);
    };
    Ok(Some(Filters {
        shape: [o, h, w],
        values: t.expand()?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use freqreg_file::Tensor;

    #[test]
    fn a_pruned_network_takes_its_numbers_and_gaps() {
        let tensor = |name: &str, shape: &[usize], levels: Vec<i32>| Tensor {
            name: name.into(),
            shape: shape.to_vec(),
            storage: Storage::Plain,
            values: Values::Quantised {
                step: half::f16::ONE,
                levels,
            },
        };
        let mut sparse = vec![0; 40_000];
        for i in 0..50 {
            sparse[i * 731] = 100 + i as i32;
        }
        let file = |weights| ModelFile {
            architecture: "m".into(),
            config: String::new(),
            tensors: vec![
                tensor("a.weight", &[200, 200], weights),
                tensor("a.bias", &[3], vec![1, 2, 3]),
            ],
        };
        let found = pruned(&file(sparse)).unwrap();
        assert_eq!(found.nonzero, 53);
        // About a byte a number and half a byte more for each gap, which are all alike.
        assert!((60..220).contains(&found.bytes), "{found:?}");
        assert_eq!(pruned(&file(vec![1; 40_000])), None);
    }
}
