//! The two number types of the crate.

/// A real number type that transforms work in: `f32` or `f64`.
///
/// Sealed: the matrix kernels exist for these two.
pub trait Real: sealed::Sealed {}

impl Real for f32 {}
impl Real for f64 {}

pub(crate) mod sealed {
    use std::fmt::{Debug, Display};
    use std::ops::{Add, Mul};

    use crate::fast::{Transforms, transforms};

    /// What the inside of the crate needs of a number.
    pub trait Sealed:
        freqreg_kernels::Real
        + Copy
        + Default
        + Debug
        + Display
        + PartialEq
        + PartialOrd
        + Send
        + Sync
        + Add<Output = Self>
        + Mul<Output = Self>
        + 'static
    {
        /// Zero.
        const ZERO: Self;
        /// One.
        const ONE: Self;
        /// Rounded to the nearest number of this type.
        fn of(value: f64) -> Self;
        /// Fast transforms of these lengths. It stands here, without a type parameter, so that the many butterflies behind
        /// it are compiled once, in this crate, and not by every crate that makes a plan.
        fn fast_transforms(lengths: &[usize]) -> Transforms<Self>;
    }

    macro_rules! sealed {
        ($t:ty) => {
            impl Sealed for $t {
                const ZERO: Self = 0.0;
                const ONE: Self = 1.0;
                fn of(value: f64) -> Self {
                    value as $t
                }
                fn fast_transforms(lengths: &[usize]) -> Transforms<Self> {
                    transforms(lengths, Self::of)
                }
            }
        };
    }
    sealed!(f32);
    sealed!(f64);
}
