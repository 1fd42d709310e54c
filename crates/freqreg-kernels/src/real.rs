//! The two scalar types of the kernels.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{AddAssign, MulAssign, SubAssign};

use crate::scratch::Pool;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A scalar the kernels compute with: `f32` or `f64`. Sealed.
pub trait Real:
    sealed::Sealed
    + num_traits::Float
    + AddAssign
    + SubAssign
    + MulAssign
    + Sum
    + Debug
    + Display
    + Default
    + Send
    + Sync
    + 'static
{
    /// The value as `f64`, exactly.
    fn widen(self) -> f64;
    /// The nearest value of this type.
    fn narrow(value: f64) -> Self;
    #[doc(hidden)]
    fn with_pool<R>(f: impl FnOnce(&Pool<Self>) -> R) -> R;
}

macro_rules! real {
    ($($t:ty),*) => {$(
        impl Real for $t {
            #[inline(always)]
            fn widen(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn narrow(value: f64) -> Self {
                value as $t
            }
            fn with_pool<R>(f: impl FnOnce(&Pool<Self>) -> R) -> R {
                thread_local!(static POOL: Pool<$t> = const { Pool::new() });
                POOL.with(f)
            }
        }
    )*};
}
real!(f32, f64);
