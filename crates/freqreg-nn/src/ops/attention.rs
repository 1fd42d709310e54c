//! Attention of tokens to each other.

use super::kernel::{Differentiable, Element, Kernel, run_plain, run1, wanted, wrap};
use super::portable;
use candle_core::{Result, Shape, Tensor, bail};
use freqreg_kernels::Attention;

/// Multi-head self-attention (Vaswani et al. 2017): from queries, keys and values as one linear layer gives them, `qkv`
/// `[n, tokens, 3 · heads · head_dim]` in this order of the last axis, to `[n, tokens, heads · head_dim]`; of each head
/// `softmax(Q Kᵀ / √head_dim) V`.
///
/// # Errors
/// An input of other than three axes, or a last one that is no multiple of three times `heads`.
pub fn self_attention(qkv: &Tensor, heads: usize) -> Result<Tensor> {
    let (batch, tokens, features) = qkv.dims3()?;
    if heads == 0 || features == 0 || !features.is_multiple_of(3 * heads) {
        bail!(
            "self_attention: {features} features are not queries, keys and values of {heads} heads, found shape {:?}",
            qkv.dims()
        );
    }
    if !qkv.device().is_cpu() {
        return portable::self_attention(qkv, heads);
    }
    let shape = Attention {
        batch,
        tokens,
        heads,
        head_dim: features / (3 * heads),
    };
    run1(Attend(shape.validated().map_err(wrap)?), [qkv])
}

struct Attend(Attention);
struct AttendGrad(Attention);

impl Kernel<1> for Attend {
    const NAME: &'static str = "self_attention";
    fn output_shape(&self) -> Shape {
        let a = &self.0;
        Shape::from((a.batch, a.tokens, a.heads * a.head_dim))
    }
    fn run<T: Element>(&self, [qkv]: [&[T]; 1]) -> Result<Vec<T>> {
        let mut y = vec![T::zero(); self.0.output_len()];
        self.0.forward(qkv, &mut y).map_err(wrap)?;
        Ok(y)
    }
}

impl Differentiable<1> for Attend {
    fn backward(
        &self,
        [qkv]: [&Tensor; 1],
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<[Option<Tensor>; 1]> {
        let gx = wanted(qkv).then(|| run_plain(&AttendGrad(self.0), [qkv, grad]));
        Ok([gx.transpose()?])
    }
}

impl Kernel<2> for AttendGrad {
    const NAME: &'static str = "self_attention, gradient";
    fn output_shape(&self) -> Shape {
        let a = &self.0;
        Shape::from((a.batch, a.tokens, 3 * a.heads * a.head_dim))
    }
    fn run<T: Element>(&self, [qkv, grad]: [&[T]; 2]) -> Result<Vec<T>> {
        let mut out = vec![T::zero(); self.0.input_len()];
        self.0.backward(qkv, grad, &mut out).map_err(wrap)?;
        Ok(out)
    }
}
