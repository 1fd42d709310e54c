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

    /// What the inside of the crate needs of a number.
    pub trait Sealed:
        rustdct::DctNum
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
    }

    impl Sealed for f32 {
        const ZERO: Self = 0.0;
        const ONE: Self = 1.0;
        fn of(value: f64) -> Self {
            value as f32
        }
    }

    impl Sealed for f64 {
        const ZERO: Self = 0.0;
        const ONE: Self = 1.0;
        fn of(value: f64) -> Self {
            value
        }
    }
}
