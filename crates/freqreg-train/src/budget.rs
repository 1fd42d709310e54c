//! A budget for the whole network, shared out among its layers.

use crate::experiment::Experiment;
use crate::network::Network;
use crate::{Error, Result};
use candle_core::Device;
use freqreg_nn::Form;

/// Shares out `total` numbers among the layers of the regularised network, in proportion to the budgets that they have,
/// so that the whole network stores exactly `total` numbers, its biases included. No layer gets more than its weights;
/// what is over goes to the others.
///
/// # Errors
/// [`Error::Experiment`] where `total` is too small to leave each layer one number, or larger than the network.
pub fn scale_budgets(experiment: &mut Experiment, total: usize) -> Result<()> {
    let settings = &experiment.regularised;
    let network = Network::regularised(
        &settings.model,
        &settings.budgets,
        settings.init.into(),
        0,
        &Device::Cpu,
    )?;
    let (prefixes, plain): (Vec<_>, Vec<_>) = network
        .parameters
        .iter()
        .partition(|p| matches!(p.form(), Form::Prefix { .. }));
    let fixed: usize = plain.iter().map(|p| p.kept()).sum();
    let most: usize = prefixes.iter().map(|p| p.weights()).sum();
    let free = total.saturating_sub(fixed);
    if free < prefixes.len() || free > most {
        let (least, most) = (fixed + prefixes.len(), fixed + most);
        return Err(Error::Experiment {
            name: experiment.name.clone(),
            reason: format!(
                "a budget of {total} does not fit the network: it takes {least} to {most}"
            ),
        });
    }
    let wanted: Vec<usize> = prefixes.iter().map(|p| p.kept()).collect();
    let sizes: Vec<usize> = prefixes.iter().map(|p| p.weights()).collect();
    let shares = share_out(free, &wanted, &sizes);
    for (p, share) in prefixes.iter().zip(shares) {
        let layer = p.name().strip_suffix(".weight").unwrap_or(p.name());
        if let Some(keep) = experiment.regularised.budgets.get_mut(layer) {
            (keep.keep, keep.fraction) = (Some(share), None);
        }
    }
    Ok(())
}

/// `total` in parts proportional to `wanted`, each from 1 to its size, adding up exactly. `total` must lie between the
/// number of parts and the sum of the sizes.
pub(crate) fn share_out(total: usize, wanted: &[usize], sizes: &[usize]) -> Vec<usize> {
    let clamp = |x: f64, size: usize| (x as usize).clamp(1, size);
    let at = |factor: f64| -> Vec<usize> {
        let parts = wanted.iter().zip(sizes);
        parts
            .map(|(&w, &size)| clamp(w as f64 * factor, size))
            .collect()
    };
    // The largest factor that does not give out too much, by bisection; then one more each until all is given.
    let (mut low, mut high) = (0.0, total as f64 + 1.0);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        match at(middle).iter().sum::<usize>() <= total {
            true => low = middle,
            false => high = middle,
        }
    }
    let mut shares = at(low);
    let mut left = total.saturating_sub(shares.iter().sum());
    while left > 0 {
        let before = left;
        for (share, &size) in shares.iter_mut().zip(sizes) {
            if left > 0 && *share < size {
                *share += 1;
                left -= 1;
            }
        }
        if left == before {
            break;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_stay_within_their_sizes() {
        let wanted = [96, 256, 280, 144];
        let sizes = [200, 25_600, 401_408, 1_960];
        assert_eq!(share_out(776, &wanted, &sizes), wanted);
        for total in [4, 5, 100, 775, 777, 1_700, 5_000, 100_000, 429_167, 429_168] {
            let shares = share_out(total, &wanted, &sizes);
            assert_eq!(shares.iter().sum::<usize>(), total);
            assert!(
                shares
                    .iter()
                    .zip(&sizes)
                    .all(|(&k, &n)| (1..=n).contains(&k)),
                "{shares:?}"
            );
        }
        let half = share_out(388, &wanted, &sizes);
        assert!(
            half.iter()
                .zip(&wanted)
                .all(|(&k, &w)| k.abs_diff(w / 2) <= 1),
            "{half:?}"
        );
    }

    #[test]
    fn a_total_counts_the_biases() {
        let mut paper = Experiment::find("lenet5-paper").unwrap();
        scale_budgets(&mut paper, 600).unwrap();
        let kept = paper.regularised.budgets.values().filter_map(|k| k.keep);
        assert_eq!(kept.sum::<usize>(), 600 - 8);
        for total in [0, 11, 429_177] {
            let e = scale_budgets(&mut paper, total).unwrap_err().to_string();
            assert!(e.contains("12 to 429176"), "{e}");
        }
    }
}
