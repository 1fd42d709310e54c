//! What a network loses when a tensor of it is stored in fewer bytes: measured, and bytes shared out by it.

use crate::tasks::Evaluation;
use crate::{Error, Result};
use freqreg_file::{Model as ModelFile, Point, Storage, Tensor, Values, allocate};

impl Evaluation {
    /// What is to be small: the cross-entropy where there is one, which tells more than a share of right answers; what is missing of a share;
    /// or the score itself where that is of the kind of which less is better.
    pub fn loss(&self, metric: crate::report::Metric) -> f64 {
        match (self.measures.get("cross_entropy"), metric.is_share()) {
            (Some(&loss), _) => loss,
            (None, true) => 1.0 - self.score,
            (None, false) => self.score,
        }
    }
}

/// A tensor cut to fewer and fewer coefficients, from `least` of them to all that it has, in up to eight steps by the same factor; what is no prefix
/// stays as it is.
pub(crate) fn cuts(tensor: &Tensor, least: usize) -> Vec<Tensor> {
    const STEPS: i32 = 8;
    let all = tensor.values.len();
    let Storage::Prefix { .. } = tensor.storage else {
        return vec![tensor.clone()];
    };
    let least = least.clamp(1, all);
    let factor = (least as f64 / all as f64).powf(1.0 / f64::from(STEPS));
    let mut kept: Vec<usize> = (0..=STEPS)
        .map(|i| (all as f64 * factor.powi(i)).round() as usize)
        .collect();
    kept.reverse();
    kept.dedup();
    let values = tensor.values.to_f32();
    kept.into_iter()
        .map(|k| Tensor {
            values: Values::F32(values[..k].to_vec()),
            ..tensor.clone()
        })
        .collect()
}

/// The model with each tensor in one of the forms in `ways`, of which the last is the best, such that the model fits and loses little: every
/// form is tried with all other tensors at their best, and what is lost so adds up to what the allocation holds small. `cost` is what a tensor
/// takes.
///
/// `None` where no choice fits.
///
/// # Errors
/// Those of `loss` and `fits`; [`Error::Setting`] where a tensor has no form.
pub fn share_out(
    model: &ModelFile,
    ways: &[Vec<Tensor>],
    cost: impl Fn(&Tensor) -> f64,
    mut loss: impl FnMut(&ModelFile) -> Result<f64>,
    mut fits: impl FnMut(&ModelFile) -> Result<bool>,
) -> Result<Option<ModelFile>> {
    let with = |choice: &dyn Fn(usize) -> usize| -> Option<ModelFile> {
        let chosen = ways
            .iter()
            .enumerate()
            .map(|(i, w)| w.get(choice(i)).cloned());
        Some(ModelFile {
            tensors: chosen.collect::<Option<_>>()?,
            ..model.clone()
        })
    };
    let last = |i: usize| ways[i].len().wrapping_sub(1);
    let best =
        with(&last).ok_or_else(|| Error::Setting("a tensor has no form to be stored in".into()))?;
    if ways.len() != model.tensors.len() {
        return Err(Error::Setting(
            "there must be forms for every tensor".into(),
        ));
    }
    let least = loss(&best)?;
    let mut curves = Vec::new();
    for (i, forms) in ways.iter().enumerate() {
        let mut curve = Vec::new();
        for (j, form) in forms.iter().enumerate() {
            let mut changed = best.clone();
            changed.tensors[i] = form.clone();
            let lost = match j == last(i) {
                true => 0.0,
                // What gets better by being stored worse does so by chance.
                false => (loss(&changed)? - least).max(0.0),
            };
            curve.push(Point {
                cost: cost(form),
                loss: lost,
            });
        }
        curves.push(curve);
    }
    let choice = allocate(&curves, |choice| match with(&|i| choice[i]) {
        Some(model) => fits(&model),
        None => Ok(false),
    })?;
    Ok(choice.and_then(|choice| with(&|i| choice[i])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, numbers: usize) -> Tensor {
        Tensor {
            name: name.into(),
            shape: vec![64],
            storage: Storage::Prefix {
                axes: vec![64],
                order: freqreg_nn::KeepOrder::Zigzag,
            },
            values: Values::F32(vec![1.0; numbers]),
        }
    }

    #[test]
    fn a_tensor_is_cut_step_by_step() {
        for (all, least) in [(1, 1), (2, 1), (7, 3), (64, 16), (64, 64), (1000, 1)] {
            let found = cuts(&tensor("w", all), least);
            let kept: Vec<usize> = found.iter().map(|t| t.values.len()).collect();
            assert_eq!((kept[0], kept[kept.len() - 1]), (least, all));
            assert!(kept.is_sorted_by(|a, b| a < b), "{kept:?}");
        }
        let plain = Tensor {
            storage: Storage::Plain,
            ..tensor("b", 64)
        };
        assert_eq!(cuts(&plain, 1), [plain]);
    }

    #[test]
    fn what_counts_more_keeps_more() {
        let names = ["much", "little"];
        let model = ModelFile {
            architecture: "m".into(),
            config: String::new(),
            tensors: names.map(|n| tensor(n, 64)).to_vec(),
        };
        let ways = names.map(|n| (1..=64).map(|k| tensor(n, k)).collect::<Vec<_>>());
        let numbers = |t: &Tensor| t.values.len() as f64;
        // Each number that is there takes a part of the loss away, of the one a hundred times as much as of the other.
        let loss = |m: &ModelFile| {
            let k = |i: usize| m.tensors[i].values.len() as f64;
            Ok(100.0 / k(0) + 1.0 / k(1))
        };
        let within = |most: usize| {
            share_out(&model, &ways, numbers, loss, |m| Ok(m.kept() <= most)).unwrap()
        };
        let shared = within(33).unwrap();
        let kept: Vec<usize> = shared.tensors.iter().map(|t| t.values.len()).collect();
        // By the square root of what they count, 10 to 1.
        assert_eq!(kept, [30, 3]);
        assert_eq!(within(1), None);
        assert_eq!(within(128).unwrap(), model);
    }
}
