//! The instruction set, chosen at run time.
//!
//! A default build holds every loop several times, each compiled for another instruction set; the best one this processor has is
//! taken. Only inlined code is compiled that way, so what runs inside is `#[inline(always)]`.

use pulp::{Arch, NullaryFnOnce, Simd};

/// Runs `f` compiled for the best instruction set of this processor.
#[inline(always)]
pub(crate) fn vectorized<R>(f: impl FnOnce() -> R) -> R {
    struct Op<F>(F);
    impl<R, F: FnOnce() -> R> NullaryFnOnce for Op<F> {
        type Output = R;
        #[inline(always)]
        fn call(self) -> R {
            (self.0)()
        }
    }
    Arch::new().dispatch(Op(f))
}

/// A scalar type's vector registers.
pub trait Lanes: Copy {
    /// One register of instruction set `S`, a plain array of scalars.
    type Vector<S: Simd>: Copy;
    /// All elements `value`.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
    /// Elementwise `a + b`.
    fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// Elementwise `a * b + c`, with one rounding where the hardware can.
    fn fused<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
}

/// Elements of a register.
pub(crate) const fn lanes<T: Lanes, S: Simd>() -> usize {
    size_of::<T::Vector<S>>() / size_of::<T>()
}

macro_rules! lanes {
    ($t:ty, $vector:ident, $splat:ident, $add:ident, $mul_add:ident) => {
        impl Lanes for $t {
            type Vector<S: Simd> = S::$vector;
            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
                simd.$splat(value)
            }
            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn fused<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$mul_add(a, b, c)
            }
        }
    };
}
// Those with one rounding everywhere call a slow function where the hardware has no such operation: without vectors, and in WebAssembly.
lanes!(f32, f32s, splat_f32s, add_f32s, mul_add_e_f32s);
lanes!(f64, f64s, splat_f64s, add_f64s, mul_add_e_f64s);
