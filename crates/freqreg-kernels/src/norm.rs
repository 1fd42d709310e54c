//! Normalisation to mean 0 and variance 1, without stored numbers.

use crate::error::{Error, Result, at_least_one, count, length};
use crate::parallel::{CHUNK, for_each_chunk};
use crate::real::Real;
use crate::scratch::with_scratch;
use crate::simd::vectorized;

/// Shape of a normalisation: `x` is seen as `[outer, channels, inner]`, and every channel is brought to mean 0 and (biased)
/// variance 1 over `outer` and `inner`.
///
/// | norm of `[N, C, H, W]` | outer | channels | inner |
/// | --- | --- | --- | --- |
/// | batch | N | C | H W |
/// | layer | 1 | N | C H W |
/// | group, of G groups | 1 | N G | C / G H W |
/// | instance | 1 | N C | H W |
///
/// ```
/// use freqreg_kernels::Norm;
///
/// let norm = Norm { outer: 1, channels: 1, inner: 4, eps: 0.0 };
/// let (mut y, mut rstd) = ([0f64; 4], [0f64; 1]);
/// norm.forward(&[1., 1., 3., 3.], &mut y, &mut rstd)?;
/// assert_eq!((y, rstd), ([-1., -1., 1., 1.], [1.]));
/// # Ok::<(), freqreg_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm {
    /// Leading axis, averaged over.
    pub outer: usize,
    /// Parts that are normalised each by itself.
    pub channels: usize,
    /// Trailing axis, averaged over.
    pub inner: usize,
    /// Added to the variance before the root; at least 0.
    pub eps: f64,
}

impl Norm {
    /// The same shape if it is a possible one.
    ///
    /// # Errors
    /// If a size is zero, the element count overflows, or `eps` is negative or not finite. Every other method returns the same errors.
    pub fn validated(self) -> Result<Self> {
        at_least_one("outer size", self.outer)?;
        at_least_one("channels", self.channels)?;
        at_least_one("inner size", self.inner)?;
        count("input", &[self.outer, self.channels, self.inner])?;
        if !(self.eps >= 0.0 && self.eps.is_finite()) {
            return Err(Error::Range {
                what: "eps",
                expected: "finite and not negative",
                got: self.eps,
            });
        }
        Ok(self)
    }

    /// Elements of the input, and of the output.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.outer * self.channels * self.inner
    }

    /// Writes the normalised input to `y`, and `1 / sqrt(variance + eps)` of each channel to `rstd`.
    ///
    /// The statistics are computed in two passes, in f64.
    ///
    /// # Errors
    /// If the shape is impossible or a slice has the wrong length; the outputs are untouched then.
    pub fn forward<T: Real>(&self, x: &[T], y: &mut [T], rstd: &mut [T]) -> Result<()> {
        self.validated()?;
        length("input", x, self.input_len())?;
        length("output", y, self.input_len())?;
        length("reciprocal deviations", rstd, self.channels)?;
        T::norm_forward(self, x, y, rstd);
        Ok(())
    }

    /// Writes the gradient with respect to the input to `grad_x`, from the normalised output `y` and `rstd` of
    /// [`Self::forward`]: `rstd (grad_y - mean(grad_y) - y mean(grad_y y))`.
    ///
    /// # Errors
    /// If the shape is impossible or a slice has the wrong length; `grad_x` is untouched then.
    pub fn backward<T: Real>(
        &self,
        y: &[T],
        rstd: &[T],
        grad_y: &[T],
        grad_x: &mut [T],
    ) -> Result<()> {
        self.validated()?;
        length("output", y, self.input_len())?;
        length("reciprocal deviations", rstd, self.channels)?;
        length("output gradient", grad_y, self.input_len())?;
        length("input gradient", grad_x, self.input_len())?;
        T::norm_backward(self, y, rstd, grad_y, grad_x);
        Ok(())
    }

    /// Writes `f(channel)` to `stats[channel]`.
    fn each_channel(&self, stats: &mut [f64], f: impl Fn(usize) -> [f64; 2] + Sync + Send) {
        for_each_chunk(stats, 2, 2 * self.input_len(), |c, out| {
            out.copy_from_slice(&f(c))
        });
    }

    /// Sum of `f` over the elements of a channel, in f64.
    #[inline(always)]
    fn sum<T: Real>(&self, channel: usize, a: &[T], b: &[T], f: impl Fn(f64, f64) -> f64) -> f64 {
        vectorized(
            #[inline(always)]
            || {
                let mut total = 0.0;
                for o in 0..self.outer {
                    let at = (o * self.channels + channel) * self.inner;
                    total += sum_run(&a[at..at + self.inner], &b[at..at + self.inner], &f);
                }
                total
            },
        )
    }

    /// Calls `f(channel, offset, run)` for every run of `inner` consecutive elements of `out`.
    fn each_run<T: Real>(&self, out: &mut [T], f: impl Fn(usize, usize, &mut [T]) + Sync + Send) {
        let runs = (CHUNK / self.inner).max(1);
        for_each_chunk(out, runs * self.inner, self.input_len(), |task, out| {
            vectorized(
                #[inline(always)]
                || {
                    for (i, run) in out.chunks_exact_mut(self.inner).enumerate() {
                        let i = task * runs + i;
                        f(i % self.channels, i * self.inner, run);
                    }
                },
            );
        });
    }
}

pub(crate) fn forward<T: Real>(norm: &Norm, x: &[T], y: &mut [T], rstd: &mut [T]) {
    with_scratch(2 * norm.channels, |stats: &mut [f64]| {
        let n = (norm.outer * norm.inner) as f64;
        norm.each_channel(stats, |c| {
            let mean = norm.sum(
                c,
                x,
                x,
                #[inline(always)]
                |v, _| v,
            ) / n;
            let variance = norm.sum(
                c,
                x,
                x,
                #[inline(always)]
                |v, _| (v - mean) * (v - mean),
            ) / n;
            [mean, (variance + norm.eps).sqrt().recip()]
        });
        for (r, s) in rstd.iter_mut().zip(stats.chunks_exact(2)) {
            *r = T::narrow(s[1]);
        }
        norm.each_run(
            y,
            #[inline(always)]
            |c, at, run| {
                let [mean, rstd] = [stats[2 * c], stats[2 * c + 1]];
                for (y, &x) in run.iter_mut().zip(&x[at..]) {
                    *y = T::narrow((x.widen() - mean) * rstd);
                }
            },
        );
    });
}

pub(crate) fn backward<T: Real>(norm: &Norm, y: &[T], rstd: &[T], grad_y: &[T], grad_x: &mut [T]) {
    with_scratch(2 * norm.channels, |stats: &mut [f64]| {
        let n = (norm.outer * norm.inner) as f64;
        norm.each_channel(stats, |c| {
            [
                norm.sum(
                    c,
                    grad_y,
                    y,
                    #[inline(always)]
                    |g, _| g,
                ) / n,
                norm.sum(
                    c,
                    grad_y,
                    y,
                    #[inline(always)]
                    |g, y| g * y,
                ) / n,
            ]
        });
        norm.each_run(
            grad_x,
            #[inline(always)]
            |c, at, run| {
                let [mean, slope, rstd] = [stats[2 * c], stats[2 * c + 1], rstd[c].widen()];
                for ((out, &g), &y) in run.iter_mut().zip(&grad_y[at..]).zip(&y[at..]) {
                    *out = T::narrow(rstd * (g.widen() - mean - y.widen() * slope));
                }
            },
        );
    });
}

/// Sum in sixteen interleaved parts, which vector registers can hold.
#[inline(always)]
fn sum_run<T: Real>(a: &[T], b: &[T], f: impl Fn(f64, f64) -> f64) -> f64 {
    let mut parts = [0.0; 16];
    let (a16, b16) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest = a16
        .remainder()
        .iter()
        .zip(b16.remainder())
        .map(|(&a, &b)| f(a.widen(), b.widen()))
        .sum::<f64>();
    for (a, b) in a16.zip(b16) {
        for ((part, &a), &b) in parts.iter_mut().zip(a).zip(b) {
            *part += f(a.widen(), b.widen());
        }
    }
    parts.iter().fold(rest, |total, part| total + part)
}
