//! The vision transformer: patches as tokens, blocks of attention and of a two-layer perceptron.

use crate::blocks::positive;
use crate::{Error, Layers, Model, Result};
use candle_core::Tensor;
use candle_nn::Module;
use freqreg_nn::{Linear, Parameter, ops};
use serde::{Deserialize, Serialize};

/// The shape of a vision transformer; the defaults are the paper's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VitConfig {
    /// Channels, height and width of an image: the table of positions belongs to one size.
    pub input: [usize; 3],
    /// Height and width of a patch.
    pub patch: usize,
    /// Features of a token.
    pub dim: usize,
    /// Blocks.
    pub depth: usize,
    /// Heads of the attention.
    pub heads: usize,
    /// Features of a head.
    pub head_dim: usize,
    /// Features between the two layers of the perceptron.
    pub mlp: usize,
    /// Classes.
    pub classes: usize,
}

impl Default for VitConfig {
    fn default() -> Self {
        VitConfig {
            input: [3, 32, 32],
            patch: 4,
            dim: 512,
            depth: 6,
            heads: 8,
            head_dim: 64,
            mlp: 512,
            classes: 10,
        }
    }
}

struct Block {
    qkv: Linear,
    out: Linear,
    mlp1: Linear,
    mlp2: Linear,
}

/// The network. Its norms store nothing and its layers have no biases.
pub struct Vit {
    config: VitConfig,
    /// `[tokens, dim]`.
    positions: Parameter,
    patch: Linear,
    blocks: Vec<Block>,
    /// `[1, dim]`, the token whose features are classified.
    class: Parameter,
    head: Linear,
}

const NAME: &str = "vit";

/// Each token on its own to mean 0 and variance 1 (Ba et al. 2016, without scale and shift).
fn normalize(x: &Tensor) -> candle_core::Result<Tensor> {
    let (n, tokens, dim) = x.dims3()?;
    ops::normalize_groups(&x.reshape((n * tokens, dim))?, 1, 1e-5)?.reshape((n, tokens, dim))
}

impl Vit {
    /// Builds it from the layers that `layers` makes, in the order of the paper's table.
    ///
    /// # Errors
    /// A patch that does not divide the image, sizes of nothing, and budgets that do not fit.
    pub fn new(config: &VitConfig, layers: &Layers<'_>) -> Result<Self> {
        let c = config;
        let [channels, height, width] = c.input;
        let sizes = [
            c.patch, c.dim, c.depth, c.heads, c.head_dim, c.mlp, c.classes,
        ];
        positive(NAME, &sizes)?;
        positive(NAME, &c.input)?;
        if !height.is_multiple_of(c.patch) || !width.is_multiple_of(c.patch) {
            let reason = format!(
                "patches of {0} x {0} do not tile {height} x {width}",
                c.patch
            );
            return Err(Error::Config {
                architecture: NAME,
                reason,
            });
        }
        let tokens = height / c.patch * (width / c.patch) + 1;
        let inner = c.heads * c.head_dim;
        let linear = |name: &str, features| layers.linear(name, features, false);
        let positions = layers.table("positions", &[tokens, c.dim])?;
        let patch = linear("patch", [channels * c.patch * c.patch, c.dim])?;
        let mut blocks = Vec::new();
        for i in 1..=c.depth {
            blocks.push(Block {
                qkv: linear(&format!("block{i}.qkv"), [c.dim, 3 * inner])?,
                out: linear(&format!("block{i}.out"), [inner, c.dim])?,
                mlp1: linear(&format!("block{i}.mlp1"), [c.dim, c.mlp])?,
                mlp2: linear(&format!("block{i}.mlp2"), [c.mlp, c.dim])?,
            });
        }
        Ok(Vit {
            config: c.clone(),
            positions,
            patch,
            blocks,
            class: layers.table("class", &[1, c.dim])?,
            head: linear("head", [c.dim, c.classes])?,
        })
    }

    /// `[n, channels, h, w]` to `[n, patches, channels · patch²]`.
    fn patches(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        let (n, c, h, w) = images.dims4()?;
        let p = self.config.patch;
        images
            .contiguous()?
            .reshape(&[n, c, h / p, p, w / p, p])?
            .permute([0, 2, 4, 3, 5, 1])?
            .contiguous()?
            .reshape((n, h / p * (w / p), p * p * c))
    }
}

impl Model for Vit {
    fn forward(&self, images: &Tensor) -> candle_core::Result<Tensor> {
        let (n, c, h, w) = images.dims4()?;
        if [c, h, w] != self.config.input {
            candle_core::bail!(
                "vit: takes images of {:?} (channels, height, width), found {:?}",
                self.config.input,
                [c, h, w]
            );
        }
        let tokens = self.patch.forward(&self.patches(images)?)?;
        let class = self.class.weight()?.reshape((1, 1, self.config.dim))?;
        let class = class.repeat((n, 1, 1))?;
        let mut x = Tensor::cat(&[&class, &tokens], 1)?.broadcast_add(&self.positions.weight()?)?;
        for block in &self.blocks {
            let qkv = block.qkv.forward(&normalize(&x)?)?;
            x = (block
                .out
                .forward(&ops::self_attention(&qkv, self.config.heads)?)?
                + x)?;
            let hidden = ops::gelu(&block.mlp1.forward(&normalize(&x)?)?)?;
            x = (block.mlp2.forward(&hidden)? + x)?;
        }
        let first = x.narrow(1, 0, 1)?.contiguous()?;
        self.head.forward(&normalize(&first)?.squeeze(1)?)
    }
}
