//! Fully connected layer and its gradients.

use crate::error::{Result, at_least_one, count, length};
use crate::matmul::{Mat, MatMut, matmul};
use crate::parallel;
use crate::real::Real;
use crate::simd::vectorized;

/// Shape of a fully connected layer, `y = x w^T + bias`.
///
/// | tensor | shape |
/// | --- | --- |
/// | input `x` | `[rows, features_in]` |
/// | weight `w` | `[features_out, features_in]` |
/// | bias | `[features_out]` |
/// | output `y` | `[rows, features_out]` |
///
/// ```
/// use freqreg_kernels::Linear;
///
/// let linear = Linear { rows: 1, features_in: 2, features_out: 2 };
/// let mut y = [0f64; 2];
/// linear.forward(&[1., 2.], &[1., 0., 3., 4.], Some(&[0.5, 0.]), &mut y)?;
/// assert_eq!(y, [1.5, 11.]);
/// # Ok::<(), freqreg_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Linear {
    /// Rows of the input: the batch, times further leading axes.
    pub rows: usize,
    /// Numbers in an input row.
    pub features_in: usize,
    /// Numbers in an output row.
    pub features_out: usize,
}

impl Linear {
    /// The same shape if it is a possible one.
    ///
    /// # Errors
    /// If a size is zero or a tensor's element count overflows. Every other method returns the same errors.
    pub fn validated(self) -> Result<Self> {
        at_least_one("rows", self.rows)?;
        at_least_one("input features", self.features_in)?;
        at_least_one("output features", self.features_out)?;
        count("input", &[self.rows, self.features_in])?;
        count("weight", &[self.features_out, self.features_in])?;
        count("output", &[self.rows, self.features_out])?;
        Ok(self)
    }

    /// Elements of the input.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.rows * self.features_in
    }

    /// Elements of the weight.
    #[must_use]
    pub fn weight_len(&self) -> usize {
        self.features_out * self.features_in
    }

    /// Elements of the output.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.rows * self.features_out
    }

    /// Writes `x w^T + bias` to `y`.
    ///
    /// # Errors
    /// If the shape is impossible or a slice has the wrong length; `y` is untouched then.
    pub fn forward<T: Real>(
        &self,
        x: &[T],
        w: &[T],
        bias: Option<&[T]>,
        y: &mut [T],
    ) -> Result<()> {
        let Self {
            rows,
            features_in,
            features_out,
        } = self.validated()?;
        length("input", x, self.input_len())?;
        length("weight", w, self.weight_len())?;
        length("output", y, self.output_len())?;
        if let Some(bias) = bias {
            length("bias", bias, features_out)?;
            y.chunks_exact_mut(features_out)
                .for_each(|row| row.copy_from_slice(bias));
        }
        let x = Mat::new(x, rows, features_in, features_in);
        let w = Mat::new(w, features_out, features_in, features_in).transposed();
        matmul(
            MatMut::new(y, rows, features_out, features_out),
            x,
            w,
            bias.is_some(),
        );
        Ok(())
    }

    /// Writes the gradient with respect to the input, `grad_y w`, to `grad_x`.
    ///
    /// # Errors
    /// If the shape is impossible or a slice has the wrong length; `grad_x` is untouched then.
    pub fn grad_input<T: Real>(&self, w: &[T], grad_y: &[T], grad_x: &mut [T]) -> Result<()> {
        let Self {
            rows,
            features_in,
            features_out,
        } = self.validated()?;
        length("weight", w, self.weight_len())?;
        length("output gradient", grad_y, self.output_len())?;
        length("input gradient", grad_x, self.input_len())?;
        let grad_y = Mat::new(grad_y, rows, features_out, features_out);
        let w = Mat::new(w, features_out, features_in, features_in);
        matmul(
            MatMut::new(grad_x, rows, features_in, features_in),
            grad_y,
            w,
            false,
        );
        Ok(())
    }

    /// Writes the gradient with respect to the weight, `grad_y^T x`, to `grad_w`.
    ///
    /// # Errors
    /// If the shape is impossible or a slice has the wrong length; `grad_w` is untouched then.
    pub fn grad_weight<T: Real>(&self, x: &[T], grad_y: &[T], grad_w: &mut [T]) -> Result<()> {
        let Self {
            rows,
            features_in,
            features_out,
        } = self.validated()?;
        length("input", x, self.input_len())?;
        length("output gradient", grad_y, self.output_len())?;
        length("weight gradient", grad_w, self.weight_len())?;
        let grad_y = Mat::new(grad_y, rows, features_out, features_out).transposed();
        let x = Mat::new(x, rows, features_in, features_in);
        matmul(
            MatMut::new(grad_w, features_out, features_in, features_in),
            grad_y,
            x,
            false,
        );
        Ok(())
    }

    /// Writes the gradient with respect to the bias, the sum of `grad_y`'s rows, to `grad_b`.
    ///
    /// # Errors
    /// If the shape is impossible or a slice has the wrong length; `grad_b` is untouched then.
    pub fn grad_bias<T: Real>(&self, grad_y: &[T], grad_b: &mut [T]) -> Result<()> {
        self.validated()?;
        length("output gradient", grad_y, self.output_len())?;
        length("bias gradient", grad_b, self.features_out)?;
        T::sum_outer_inner(grad_y, 1, grad_b);
        Ok(())
    }
}

/// `sums[c] = sum of values[o, c, i]` over `o` and `i`, for `values` of shape [outer, sums.len(), inner].
pub(crate) fn sum_outer_inner<T: Real>(values: &[T], inner: usize, sums: &mut [T]) {
    let channels = sums.len();
    if inner == 1 {
        vectorized(
            #[inline(always)]
            || {
                sums.fill(T::zero());
                for row in values.chunks_exact(channels) {
                    sums.iter_mut().zip(row).for_each(|(s, &v)| *s += v);
                }
            },
        );
        return;
    }
    parallel::for_each_chunk(sums, 1, values.len(), |c, out| {
        out[0] = vectorized(
            #[inline(always)]
            || {
                let planes = values.chunks_exact(inner).skip(c).step_by(channels);
                planes.fold(T::zero(), |total, plane| total + sum(plane))
            },
        );
    });
}

/// Sum in sixteen interleaved parts, which vector registers can hold.
#[inline(always)]
pub(crate) fn sum<T: Real>(values: &[T]) -> T {
    let mut parts = [T::zero(); 16];
    let chunks = values.chunks_exact(16);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (part, &v) in parts.iter_mut().zip(chunk) {
            *part += v;
        }
    }
    let rest = rest.iter().fold(T::zero(), |total, &v| total + v);
    parts.iter().fold(rest, |total, &v| total + v)
}
