//! The two scalar types of the kernels.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{AddAssign, MulAssign, SubAssign};

use crate::compiled::Compiled;
use crate::scratch::Pool;
use crate::simd::Lanes;
use crate::special::Special;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A scalar the kernels compute with: `f32` or `f64`. Sealed.
pub trait Real:
    sealed::Sealed
    + Lanes
    + Compiled
    + Special
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
    /// The slice itself if it holds `f32`.
    #[doc(hidden)]
    fn as_f32s(values: &[Self]) -> Option<&[f32]>;
    /// The slice itself if it holds `f32`.
    #[doc(hidden)]
    fn as_f32s_mut(values: &mut [Self]) -> Option<&mut [f32]>;
    /// Calls `f` with this thread's free buffers.
    #[doc(hidden)]
    fn with_pool<R>(f: impl FnOnce(&Pool<Self>) -> R) -> R;
}

macro_rules! real {
    ($($t:ty: $x:ident => $f32s:expr),*) => {$(
        impl Real for $t {
            #[inline(always)]
            fn widen(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn narrow(value: f64) -> Self {
                value as $t
            }
            fn as_f32s($x: &[Self]) -> Option<&[f32]> {
                $f32s
            }
            fn as_f32s_mut($x: &mut [Self]) -> Option<&mut [f32]> {
                $f32s
            }
            fn with_pool<R>(f: impl FnOnce(&Pool<Self>) -> R) -> R {
                thread_local!(static POOL: Pool<$t> = const { Pool::new() });
                POOL.with(f)
            }
        }
    )*};
}
real!(f32: x => Some(x), f64: _x => None);
