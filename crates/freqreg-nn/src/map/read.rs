//! Reading channels that are computed where they are read, as a node of the graph.

use super::wrap;
use crate::ops::kernel::slice;
use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Storage, Tensor,
    bail,
};
use freqreg_kernels::{MapShape, Maps, Towards, Upstream, Wide};

/// Terms whose gradients one operation can hand on: candle's operations have three inputs at most.
pub(super) const MOST_TERMS: usize = 3;

/// What a term was made from, for its gradient: the narrow maps `[n, narrow, h, w]`, or the expansion `[channels, narrow]`.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(super) tensor: Tensor,
    pub(super) towards: Towards,
}

/// What is read.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// The channels times weights `[out, channels]`.
    Projected(Vec<f32>),
    /// All channels.
    Images,
    /// Each channel's mean over each image.
    Means,
}

/// The operation. Its inputs are those that gradients go to; what they hold is in the channels already.
struct Read {
    wide: Wide,
    towards: Vec<Towards>,
    what: What,
}

impl Read {
    fn values(&self) -> Result<(Vec<f32>, Shape)> {
        let s = self.wide.shape();
        Ok(match &self.what {
            What::Projected(weights) => {
                let shape = MapShape {
                    channels: weights.len() / s.channels,
                    ..s
                };
                let mut out = Maps::zeros(shape, [0, 0]).map_err(wrap)?;
                self.wide.project(weights, &mut out, false).map_err(wrap)?;
                let shape = (s.images, shape.channels, s.height, s.width).into();
                (out.to_images(), shape)
            }
            What::Images => {
                let shape = (s.images, s.channels, s.height, s.width).into();
                (self.wide.images(), shape)
            }
            What::Means => (self.wide.means(), (s.images, s.channels).into()),
        })
    }

    fn gradients(&self, inputs: &[&Tensor], grad: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let grad = grad.contiguous()?;
        let (storage, layout) = grad.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else {
            bail!("fused layers run on the CPU");
        };
        let gradient = slice::<f32>(storage, layout, "fused channels, gradient")?;
        let upstream = match &self.what {
            What::Projected(weights) => Upstream::Projected { weights, gradient },
            What::Images => Upstream::Images(gradient),
            What::Means => Upstream::Means(gradient),
        };
        let gradients = self.wide.backward(upstream, &self.towards).map_err(wrap)?;
        gradients
            .into_iter()
            .zip(inputs)
            .map(|(gradient, input)| match gradient.is_empty() {
                true => Ok(None),
                false => Tensor::from_vec(gradient, input.shape(), &Device::Cpu).map(Some),
            })
            .collect()
    }
}

fn cpu((values, shape): (Vec<f32>, Shape)) -> (CpuStorage, Shape) {
    (CpuStorage::F32(values), shape)
}

macro_rules! operation {
    ($trait:ident, $ret:ty; $($tensor:ident $s:ident $l:ident),+) => {
        impl $trait for Read {
            fn name(&self) -> &'static str {
                "fused channels"
            }

            fn cpu_fwd(&self, $($s: &CpuStorage, $l: &Layout),+) -> Result<(CpuStorage, Shape)> {
                // The channels hold what the inputs do.
                $(let _ = ($s, $l);)+
                Ok(cpu(self.values()?))
            }

            fn bwd(&self, $($tensor: &Tensor,)+ _: &Tensor, grad: &Tensor) -> Result<$ret> {
                let mut gradients = self.gradients(&[$($tensor),+], grad)?.into_iter();
                let mut next = || gradients.next().flatten();
                Ok(($({ let _ = $tensor; next() }),+))
            }
        }
    };
}

type Grad = Option<Tensor>;
operation!(CustomOp1, Grad; a s1 l1);
operation!(CustomOp2, (Grad, Grad); a s1 l1, b s2 l2);
operation!(CustomOp3, (Grad, Grad, Grad); a s1 l1, b s2 l2, c s3 l3);

/// Reads `wide`, and hands gradients on to `inputs`, one for each of its terms.
pub(super) fn read(wide: &Wide, inputs: Option<&[Input]>, what: What) -> Result<Tensor> {
    let op = Read {
        wide: wide.clone(),
        towards: inputs.unwrap_or(&[]).iter().map(|i| i.towards).collect(),
        what,
    };
    match inputs {
        None => {
            let (values, shape) = op.values()?;
            Tensor::from_vec(values, shape, &Device::Cpu)
        }
        Some([a]) => a.tensor.apply_op1(op),
        Some([a, b]) => a.tensor.apply_op2(&b.tensor, op),
        Some([a, b, c]) => a.tensor.apply_op3(&b.tensor, &c.tensor, op),
        Some(inputs) => bail!("{} terms have no operation", inputs.len()),
    }
}
