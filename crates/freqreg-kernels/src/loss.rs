//! Softmax cross-entropy and its gradient.

use crate::error::{Error, Result, at_least_one, length};
use crate::parallel::for_each_chunk;
use crate::real::Real;

/// Mean cross-entropy, in nats, of the softmax of `logits` `[rows, classes]` against the class numbers `targets` `[rows]`.
///
/// With `label_smoothing` = s in [0, 1) the target distribution is `(1 - s) onehot + s / classes`. Stable for large logits: the
/// row's maximum is subtracted first.
///
/// # Errors
/// If `logits` does not hold `classes` numbers for each target, there is no target, a target is not a class, or
/// `label_smoothing` is out of range.
///
/// ```
/// let loss = freqreg_kernels::softmax_cross_entropy(&[0f32, 0.0, 1e4, 0.0], &[1, 0], 2, 0.0)?;
/// assert!((loss - 2f64.ln() / 2.0).abs() < 1e-12); // ln 2 for the undecided row, 0 for the sure one
/// # Ok::<(), freqreg_kernels::Error>(())
/// ```
pub fn softmax_cross_entropy<T: Real>(
    logits: &[T],
    targets: &[u32],
    classes: usize,
    label_smoothing: f64,
) -> Result<f64> {
    check(logits, targets, classes, label_smoothing)?;
    Ok(T::cross_entropy(logits, targets, classes, label_smoothing))
}

pub(crate) fn forward<T: Real>(
    logits: &[T],
    targets: &[u32],
    classes: usize,
    label_smoothing: f64,
) -> f64 {
    let mut total = 0.0;
    for (row, &target) in logits.chunks_exact(classes).zip(targets) {
        let max = maximum(row);
        // Logits enter only by their distance from the largest, so that nothing is lost however large they are.
        let below = |v: T| max - v.widen();
        let log_sum = row.iter().map(|&v| (-below(v)).exp()).sum::<f64>().ln();
        let own = log_sum + below(row[target as usize]);
        let mean = log_sum + row.iter().map(|&v| below(v)).sum::<f64>() / classes as f64;
        // A class of probability zero must not turn 0 * inf into NaN.
        total += if label_smoothing > 0.0 {
            (1.0 - label_smoothing) * own + label_smoothing * mean
        } else {
            own
        };
    }
    total / targets.len() as f64
}

/// Writes the gradient of `scale` times [`softmax_cross_entropy`] with respect to the logits,
/// `scale (softmax - target distribution) / rows`, to `grad_logits`.
///
/// # Errors
/// As [`softmax_cross_entropy`], or if `grad_logits` is not as long as `logits`; it is untouched then.
pub fn softmax_cross_entropy_backward<T: Real>(
    logits: &[T],
    targets: &[u32],
    classes: usize,
    label_smoothing: f64,
    scale: f64,
    grad_logits: &mut [T],
) -> Result<()> {
    check(logits, targets, classes, label_smoothing)?;
    length("logit gradient", grad_logits, logits.len())?;
    T::cross_entropy_backward(
        logits,
        targets,
        classes,
        label_smoothing,
        scale,
        grad_logits,
    );
    Ok(())
}

pub(crate) fn backward<T: Real>(
    logits: &[T],
    targets: &[u32],
    classes: usize,
    label_smoothing: f64,
    scale: f64,
    grad_logits: &mut [T],
) {
    let factor = scale / targets.len() as f64;
    let (off, on) = (label_smoothing / classes as f64, 1.0 - label_smoothing);
    // An exponential costs about as much as sixteen multiply-adds.
    for_each_chunk(grad_logits, classes, logits.len() * 16, |i, grad| {
        let row = &logits[i * classes..][..classes];
        let target = targets[i] as usize;
        let max = maximum(row);
        let total = row.iter().map(|&v| (v.widen() - max).exp()).sum::<f64>();
        for (c, (g, &v)) in grad.iter_mut().zip(row).enumerate() {
            let goal = if c == target { on + off } else { off };
            *g = T::narrow(((v.widen() - max).exp() / total - goal) * factor);
        }
    });
}

fn maximum<T: Real>(row: &[T]) -> f64 {
    row.iter()
        .fold(f64::NEG_INFINITY, |max, &v| max.max(v.widen()))
}

fn check<T>(logits: &[T], targets: &[u32], classes: usize, label_smoothing: f64) -> Result<()> {
    at_least_one("classes", classes)?;
    at_least_one("targets", targets.len())?;
    length(
        "logits",
        logits,
        targets
            .len()
            .checked_mul(classes)
            .ok_or(Error::Overflow { what: "logits" })?,
    )?;
    if !(0.0..1.0).contains(&label_smoothing) {
        let expected = "at least 0 and less than 1";
        return Err(Error::Range {
            what: "label smoothing",
            expected,
            got: label_smoothing,
        });
    }
    match targets.iter().position(|&t| t as usize >= classes) {
        Some(row) => Err(Error::Target {
            row,
            classes,
            got: targets[row],
        }),
        None => Ok(()),
    }
}
