//! What several networks share: norms and pools by name, and small operations.

use crate::{Error, Result};
use candle_core::Tensor;
use candle_nn::Module;
use freqreg_nn::{BatchStatNorm, FeatureMap, GroupNorm, InstanceNorm, LayerNorm, ops};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A norm without stored numbers; in TOML "none", "sample", "batch", "instance", or "group:8" (any number of groups).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum NormKind {
    /// None.
    #[default]
    None,
    /// Each sample on its own, over all channels and positions.
    Sample,
    /// Each channel over the batch that is given: a sample's result depends on those around it.
    Batch,
    /// Each channel of each sample on its own over its positions.
    Instance,
    /// Each sample on its own, over groups of neighbouring channels.
    Group(usize),
}

impl NormKind {
    /// Normalises x `[n, channels, ..]`.
    ///
    /// # Errors
    /// Groups that do not divide the channels.
    pub fn apply(self, x: Tensor) -> candle_core::Result<Tensor> {
        match self {
            NormKind::None => Ok(x),
            NormKind::Sample => LayerNorm.forward(&x),
            NormKind::Batch => BatchStatNorm.forward(&x),
            NormKind::Instance => InstanceNorm.forward(&x),
            NormKind::Group(groups) => GroupNorm { groups }.forward(&x),
        }
    }

    /// Normalises a feature map `[n, channels, h, w]`.
    ///
    /// # Errors
    /// Groups that do not divide the channels.
    pub fn apply_map(self, x: FeatureMap) -> candle_core::Result<FeatureMap> {
        match self {
            NormKind::None => Ok(x),
            NormKind::Sample => LayerNorm.forward_map(&x),
            NormKind::Batch => BatchStatNorm.forward_map(&x),
            NormKind::Instance => InstanceNorm.forward_map(&x),
            NormKind::Group(groups) => GroupNorm { groups }.forward_map(&x),
        }
    }

    /// Refuses groups that do not divide each of `channels`.
    pub(crate) fn check(self, architecture: &'static str, channels: &[usize]) -> Result<()> {
        let NormKind::Group(groups) = self else {
            return Ok(());
        };
        match channels.iter().find(|c| !c.is_multiple_of(groups)) {
            None => Ok(()),
            Some(c) => Err(Error::Config {
                architecture,
                reason: format!("the norm's {groups} groups do not divide {c} channels"),
            }),
        }
    }
}

impl fmt::Display for NormKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NormKind::None => f.pad("none"),
            NormKind::Sample => f.pad("sample"),
            NormKind::Batch => f.pad("batch"),
            NormKind::Instance => f.pad("instance"),
            NormKind::Group(groups) => write!(f, "group:{groups}"),
        }
    }
}

impl From<NormKind> for String {
    fn from(kind: NormKind) -> String {
        kind.to_string()
    }
}

impl TryFrom<String> for NormKind {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let groups = text.strip_prefix("group:").map(str::parse);
        match (text.as_str(), groups) {
            ("none", _) => Ok(NormKind::None),
            ("sample", _) => Ok(NormKind::Sample),
            ("batch", _) => Ok(NormKind::Batch),
            ("instance", _) => Ok(NormKind::Instance),
            (_, Some(Ok(groups))) if groups > 0 => Ok(NormKind::Group(groups)),
            _ => Err(format!(
                "`{text}` is no norm: there are none, sample, batch, instance and group:N"
            )),
        }
    }
}

/// A way to halve a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoolKind {
    /// The largest of 2 x 2.
    #[default]
    Max,
    /// The mean of 2 x 2.
    Average,
}

/// Three colours.
pub(crate) fn three() -> usize {
    3
}

/// Ten classes.
pub(crate) fn ten() -> usize {
    10
}

/// The most channels, features, classes or pixels a side: far beyond any network, and products of three can be counted.
const MOST: usize = 1 << 20;

/// Refuses a size of nothing and one beyond all measure.
pub(crate) fn positive(architecture: &'static str, sizes: &[usize]) -> Result<()> {
    match sizes.iter().find(|size| !(1..=MOST).contains(*size)) {
        None => Ok(()),
        Some(size) => Err(Error::Config {
            architecture,
            reason: format!(
                "every number of channels, features and classes must be 1 to {MOST}, not {size}"
            ),
        }),
    }
}

/// x where it is positive, `slope` x elsewhere.
pub(crate) fn leaky_relu(x: &Tensor, slope: f64) -> candle_core::Result<Tensor> {
    (ops::relu(x)? * (1.0 - slope))? + (x * slope)?
}

/// The means over `size` by `size` windows of any image, evenly spread and overlapping where they must (PyTorch's
/// adaptive average pooling): window i of n over a length l is from floor(i l / n) to ceil((i + 1) l / n).
pub(crate) fn adaptive_mean(x: &Tensor, size: usize) -> candle_core::Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let means = |length: usize| {
        let mut matrix = vec![0.0; length * size];
        for i in 0..size {
            let (from, to) = (i * length / size, ((i + 1) * length).div_ceil(size));
            for at in from..to {
                matrix[at * size + i] = 1.0 / (to - from) as f64;
            }
        }
        Tensor::from_vec(matrix, (length, size), x.device())?.to_dtype(x.dtype())
    };
    if (h, w) == (size, size) {
        return Ok(x.clone());
    }
    x.contiguous()?
        .reshape((n * c * h, w))?
        .matmul(&means(w)?)?
        .reshape((n * c, h, size))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((n * c * size, h))?
        .matmul(&means(h)?)?
        .reshape((n * c, size, size))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((n, c, size, size))
}
