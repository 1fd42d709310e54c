//! The transform of one row in n log n steps, where rustdct is at hand.

use std::sync::Arc;

use crate::dct::Direction;

/// The orthonormal transform of rows of one length.
pub trait Fast<T>: Send + Sync {
    /// Transforms a row in place.
    fn run(&self, direction: Direction, row: &mut [T], scratch: &mut [T]);
    /// How much room that takes.
    fn scratch_len(&self) -> usize;
}

/// Transforms of these lengths; none of any without the feature `fft`.
pub(crate) type Transforms<T> = Vec<Arc<dyn Fast<T>>>;

#[cfg(feature = "fft")]
pub(crate) use with_rustdct::transforms;

#[cfg(feature = "fft")]
mod with_rustdct {
    use super::{Direction, Fast, Transforms};
    use rustdct::{DctNum, DctPlanner, TransformType2And3};
    use std::sync::Arc;

    /// rustdct's transform, which is not normalised and halves the first coefficient on the way back, with its factors.
    struct Orthonormal<T> {
        plan: Arc<dyn TransformType2And3<T>>,
        first: T,
        others: T,
    }

    impl<T: DctNum> Orthonormal<T> {
        fn scale(&self, row: &mut [T], first: T) {
            row[0] = row[0] * first;
            for value in &mut row[1..] {
                *value = *value * self.others;
            }
        }
    }

    impl<T: DctNum> Fast<T> for Orthonormal<T> {
        fn run(&self, direction: Direction, row: &mut [T], scratch: &mut [T]) {
            match direction {
                Direction::Forward => {
                    self.plan.process_dct2_with_scratch(row, scratch);
                    self.scale(row, self.first);
                }
                Direction::Inverse => {
                    self.scale(row, self.first + self.first);
                    self.plan.process_dct3_with_scratch(row, scratch);
                }
            }
        }

        fn scratch_len(&self) -> usize {
            self.plan.get_scratch_len()
        }
    }

    pub(crate) fn transforms<T: DctNum>(lengths: &[usize], of: fn(f64) -> T) -> Transforms<T> {
        let mut planner = DctPlanner::new();
        let plan = |&n: &usize| -> Arc<dyn Fast<T>> {
            Arc::new(Orthonormal {
                plan: planner.plan_dct2(n),
                first: of((1.0 / n as f64).sqrt()),
                others: of((2.0 / n as f64).sqrt()),
            })
        };
        lengths.iter().map(plan).collect()
    }
}

/// Every axis is transformed by a matrix then.
#[cfg(not(feature = "fft"))]
pub(crate) fn transforms<T>(_: &[usize], _: fn(f64) -> T) -> Transforms<T> {
    Vec::new()
}
