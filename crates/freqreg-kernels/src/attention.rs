//! Attention of tokens to each other (Vaswani et al. 2017).

use crate::error::{Result, at_least_one, count, length};
use crate::matmul::{Mat, MatMut};
use crate::parallel::{self, Shared};
use crate::real::Real;
use crate::scratch::with_scratch;
use crate::simd::vectorized;

/// Shape of a multi-head self-attention: every token of an image looks at all tokens of the same image, in each head on its own.
///
/// The input holds queries, keys and values as one linear layer gives them, `[batch, tokens, 3, heads, head_dim]`; the output is
/// `[batch, tokens, heads, head_dim]`, and of each head `softmax(Q K^T / sqrt(head_dim)) V`. The table of weights, `tokens` x
/// `tokens` for each head, is never stored for more than one head at a time and thread: the backward pass computes it again.
///
/// ```
/// use freqreg_kernels::Attention;
///
/// let attention = Attention { batch: 1, tokens: 2, heads: 1, head_dim: 1 };
/// // The keys are equal, so both tokens get the mean of the values 4 and 6.
/// let qkv = [1., 1., 4., 2., 1., 6.];
/// let mut y = [0f64; 2];
/// attention.forward(&qkv, &mut y)?;
/// assert_eq!(y, [5., 5.]);
/// # Ok::<(), freqreg_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attention {
    /// Images.
    pub batch: usize,
    /// Tokens of an image.
    pub tokens: usize,
    /// Heads.
    pub heads: usize,
    /// Features of a head.
    pub head_dim: usize,
}

impl Attention {
    /// The same shape if it is a possible one.
    ///
    /// # Errors
    /// If a size is zero or the element count overflows. Every other method returns the same errors.
    pub fn validated(self) -> Result<Self> {
        at_least_one("batch", self.batch)?;
        at_least_one("tokens", self.tokens)?;
        at_least_one("heads", self.heads)?;
        at_least_one("features of a head", self.head_dim)?;
        count(
            "input",
            &[self.batch, self.tokens, 3, self.heads, self.head_dim],
        )?;
        count("weights", &[self.tokens, self.tokens])?;
        Ok(self)
    }

    /// Elements of the input.
    #[must_use]
    pub fn input_len(&self) -> usize {
        3 * self.output_len()
    }

    /// Elements of the output.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.batch * self.tokens * self.heads * self.head_dim
    }

    /// Writes the output to `y`.
    ///
    /// # Errors
    /// If the shape is impossible or a slice has the wrong length; `y` is untouched then.
    pub fn forward<T: Real>(&self, qkv: &[T], y: &mut [T]) -> Result<()> {
        self.validated()?;
        length("input", qkv, self.input_len())?;
        length("output", y, self.output_len())?;
        T::attention(self, qkv, y);
        Ok(())
    }

    /// Writes the gradient with respect to the input to `grad_qkv`.
    ///
    /// # Errors
    /// If the shape is impossible or a slice has the wrong length; `grad_qkv` is untouched then.
    pub fn backward<T: Real>(&self, qkv: &[T], grad_y: &[T], grad_qkv: &mut [T]) -> Result<()> {
        self.validated()?;
        length("input", qkv, self.input_len())?;
        length("output gradient", grad_y, self.output_len())?;
        length("input gradient", grad_qkv, self.input_len())?;
        T::attention_backward(self, qkv, grad_y, grad_qkv);
        Ok(())
    }

    /// Elements from a token's features to the next token's, in the output.
    fn width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Queries (0), keys (1) or values (2) of an image's head, `[tokens, head_dim]`.
    fn part<'a, T: Real>(&self, qkv: &'a [T], task: usize, part: usize) -> Mat<'a, T> {
        let (image, head) = (task / self.heads, task % self.heads);
        let start = (image * self.tokens * 3 + part) * self.width() + head * self.head_dim;
        Mat::new(&qkv[start..], self.tokens, self.head_dim, 3 * self.width())
    }

    /// The rows of `from` `[tokens, head_dim]` to a head's places in `[batch, tokens, parts, heads, head_dim]`.
    fn place<T: Real>(
        &self,
        from: &[T],
        to: &Shared<'_, T>,
        task: usize,
        [part, parts]: [usize; 2],
    ) {
        let (image, head) = (task / self.heads, task % self.heads);
        for (token, row) in from.chunks_exact(self.head_dim).enumerate() {
            let start = ((image * self.tokens + token) * parts + part) * self.width()
                + head * self.head_dim;
            // SAFETY: no two tasks have the image and the head in common, and a task's tokens and parts lie apart.
            unsafe { to.part(start..start + self.head_dim) }.copy_from_slice(row);
        }
    }

    /// `out = left right`.
    fn product<T: Real>(left: Mat<'_, T>, right: Mat<'_, T>, out: &mut [T], columns: usize) {
        let rows = out.len() / columns;
        crate::matmul(MatMut::new(out, rows, columns, columns), left, right, false);
    }

    /// The weights of one head, `softmax(Q K^T / sqrt(head_dim))`.
    fn weights<T: Real>(&self, qkv: &[T], task: usize, weights: &mut [T]) {
        let (q, k) = (self.part(qkv, task, 0), self.part(qkv, task, 1));
        Self::product(q, k.transposed(), weights, self.tokens);
        let scale = self.scale();
        for row in weights.chunks_exact_mut(self.tokens) {
            vectorized(
                #[inline(always)]
                || softmax(row, scale),
            );
        }
    }

    fn scale<T: Real>(&self) -> T {
        T::narrow((self.head_dim as f64).powf(-0.5))
    }

    fn work(&self) -> usize {
        2 * self.output_len() * self.tokens
    }
}

/// The softmax of `scale` times the row, in its place. The largest is taken off first, so that no exponential overflows.
#[inline(always)]
fn softmax<T: Real>(row: &mut [T], scale: T) {
    let largest = row
        .iter()
        .fold(T::neg_infinity(), |a, &b| if b > a { b } else { a });
    for v in row.iter_mut() {
        *v = ((*v - largest) * scale).exponential();
    }
    let inverse = T::one() / lane_sum(row, |&v| v);
    row.iter_mut().for_each(|v| *v *= inverse);
}

/// The sum in 16 partial sums, which a vector register can hold; always in the same order.
#[inline(always)]
fn lane_sum<I: Copy, T: Real>(items: &[I], value: impl Fn(&I) -> T) -> T {
    let mut lanes = [T::zero(); 16];
    for chunk in items.chunks(16) {
        for (lane, item) in lanes.iter_mut().zip(chunk) {
            *lane += value(item);
        }
    }
    lanes.into_iter().sum()
}

pub(crate) fn forward<T: Real>(shape: &Attention, qkv: &[T], y: &mut [T]) {
    let (tokens, dim) = (shape.tokens, shape.head_dim);
    let y = Shared::new(y);
    parallel::for_each(shape.batch * shape.heads, shape.work(), |task| {
        with_scratch(tokens * tokens, |weights: &mut [T]| {
            shape.weights(qkv, task, weights);
            with_scratch(tokens * dim, |out: &mut [T]| {
                let weights = Mat::new(weights, tokens, tokens, tokens);
                Attention::product(weights, shape.part(qkv, task, 2), out, dim);
                shape.place(out, &y, task, [0, 1]);
            });
        });
    });
}

pub(crate) fn backward<T: Real>(shape: &Attention, qkv: &[T], grad_y: &[T], grad_qkv: &mut [T]) {
    let (tokens, dim) = (shape.tokens, shape.head_dim);
    let grad_qkv = Shared::new(grad_qkv);
    fn square<T: Real>(values: &[T], tokens: usize) -> Mat<'_, T> {
        Mat::new(values, tokens, tokens, tokens)
    }
    parallel::for_each(shape.batch * shape.heads, 4 * shape.work(), |task| {
        let (image, head) = (task / shape.heads, task % shape.heads);
        let start = image * tokens * shape.width() + head * dim;
        let grad_out = Mat::new(&grad_y[start..], tokens, dim, shape.width());
        let part = |i| shape.part(qkv, task, i);
        with_scratch(2 * tokens * tokens + tokens * dim, |scratch: &mut [T]| {
            let (weights, rest) = scratch.split_at_mut(tokens * tokens);
            let (grad, out) = rest.split_at_mut(tokens * tokens);
            shape.weights(qkv, task, weights);
            Attention::product(square(weights, tokens).transposed(), grad_out, out, dim);
            shape.place(out, &grad_qkv, task, [2, 3]);
            // Through the softmax: each weight times what its gradient has over the weighted mean of the row's gradients.
            Attention::product(grad_out, part(2).transposed(), grad, tokens);
            let scale = shape.scale::<T>();
            for (grad, weights) in grad
                .chunks_exact_mut(tokens)
                .zip(weights.chunks_exact(tokens))
            {
                vectorized(
                    #[inline(always)]
                    || {
                        for (g, &w) in grad.iter_mut().zip(weights) {
                            *g *= w;
                        }
                        let mean = lane_sum(grad, |&v| v);
                        for (g, &w) in grad.iter_mut().zip(weights) {
                            *g = (*g - w * mean) * scale;
                        }
                    },
                );
            }
            Attention::product(square(grad, tokens), part(1), out, dim);
            shape.place(out, &grad_qkv, task, [0, 3]);
            Attention::product(square(grad, tokens).transposed(), part(0), out, dim);
            shape.place(out, &grad_qkv, task, [1, 3]);
        });
    });
}
