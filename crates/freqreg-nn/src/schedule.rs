//! How a budget shrinks while a network trains: by the step of training, never by an evaluation.

/// The way from the first budget to the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay {
    /// `start · (end / start)^t`: the same factor at every step, t from 0 to 1 over the schedule.
    Geometric,
    /// A straight line.
    Linear,
    /// Half a cosine: slow at both ends.
    Cosine,
    /// The authors' layers: the kept share starts at 1 and at every step gives up `drop_rate` of its
    /// distance to `min_rate`; the count is never under the floor.
    Paper {
        /// Share of the remaining distance given up at a step (theirs: 0.01).
        drop_rate: f64,
        /// The share that it tends to (theirs: 0.01).
        min_rate: f64,
    },
}

/// How many coefficients a layer holds at a step.
///
/// ```
/// use freqreg_nn::{Decay, Schedule};
/// let s = Schedule::new(Decay::Geometric, 100);
/// assert_eq!(s.count(0, 10_000, 100), 10_000);
/// assert_eq!(s.count(50, 10_000, 100), 1_000);
/// assert_eq!(s.count(100, 10_000, 100), 100);
/// assert_eq!(s.count(1_000_000, 10_000, 100), 100);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    decay: Decay,
    steps: usize,
}

impl Schedule {
    /// A schedule that ends after `steps` steps. [`Decay::Paper`] has no end of its own: it reaches its
    /// floor when it does, and is cut to the final budget at `steps`.
    pub fn new(decay: Decay, steps: usize) -> Self {
        Schedule { decay, steps }
    }

    /// Coefficients to keep at `step` (counted from 0) on the way from `start` to `end`, never fewer
    /// than `end` nor more than `start`.
    pub fn count(&self, step: usize, start: usize, end: usize) -> usize {
        if step >= self.steps || start <= end {
            return end;
        }
        let t = step as f64 / self.steps as f64;
        let (a, b) = (start as f64, end as f64);
        let k = match self.decay {
            Decay::Geometric => a * (b / a).powf(t),
            Decay::Linear => a + (b - a) * t,
            Decay::Cosine => b + (a - b) * 0.5 * (1.0 + (std::f64::consts::PI * t).cos()),
            Decay::Paper {
                drop_rate,
                min_rate,
            } => {
                let share = min_rate + (1.0 - min_rate) * (1.0 - drop_rate).powf(step as f64);
                // Entries with rank > threshold go, so one more than the threshold stays.
                (share * a).floor() + 1.0
            }
        };
        (k.round() as usize).clamp(end, start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decay_starts_at_all_and_never_rises() {
        let paper = Decay::Paper {
            drop_rate: 0.01,
            min_rate: 0.001,
        };
        for decay in [Decay::Geometric, Decay::Linear, Decay::Cosine, paper] {
            let s = Schedule::new(decay, 997);
            assert_eq!(s.count(0, 5000, 33), 5000, "{decay:?}");
            let counts: Vec<_> = (0..1100).map(|t| s.count(t, 5000, 33)).collect();
            assert!(counts.windows(2).all(|w| w[0] >= w[1]), "{decay:?}");
            assert_eq!(counts[997], 33, "{decay:?}");
            assert!(counts[300] > 33, "{decay:?}");
        }
    }

    #[test]
    fn the_papers_decay_is_the_authors_recurrence() {
        let (n, end, drop_rate, min_rate) = (25_600_usize, 128, 0.01, 0.001);
        let s = Schedule::new(
            Decay::Paper {
                drop_rate,
                min_rate,
            },
            usize::MAX,
        );
        let mut keep = 1.0_f64;
        for step in 0..2000 {
            let kept = ((keep * n as f64).max(end as f64 - 1.0).floor() as usize + 1).min(n);
            let ours = s.count(step, n, end);
            // The closed form and the recurrence may round apart by one where the product is an integer.
            assert!(kept.abs_diff(ours) <= 1, "step {step}: {kept} {ours}");
            keep -= drop_rate * (keep - min_rate);
        }
    }
}
