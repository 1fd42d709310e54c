//! How many coefficients a layer keeps, and which.

use crate::{Error, Init, Result};
use freqreg_dct::KeepOrder;

/// The kind of a layer: the paper's floors differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// Fully connected.
    Linear,
    /// Convolution.
    Conv2d,
    /// Transposed convolution.
    ConvTranspose2d,
}

impl LayerKind {
    /// The fewest coefficients that the authors' layers keep: their floors of 255, 127 and 31 are compared
    /// with `rank > floor`, which keeps one more.
    pub fn paper_floor(self) -> usize {
        match self {
            LayerKind::Linear => 256,
            LayerKind::Conv2d => 128,
            LayerKind::ConvTranspose2d => 32,
        }
    }
}

/// How many of a weight's N coefficients a layer holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// All of them, as plain spatial values: an ordinary layer, for comparison.
    Dense,
    /// The first `k`, 1 to N.
    Count(usize),
    /// A share of N, above 0 and up to 1, rounded to the nearest count and at least one.
    Fraction(f64),
    /// A share of N, but never fewer than the paper's floor for the kind of layer
    /// ([`LayerKind::paper_floor`]), nor more than N.
    PaperFraction(f64),
}

impl Budget {
    /// The count for a weight of `shape` in a layer of `kind`; `None` for a dense layer.
    ///
    /// # Errors
    /// [`Error::Budget`] for a count of zero or above N and for a share outside (0, 1].
    pub fn resolve(self, name: &str, kind: LayerKind, shape: &[usize]) -> Result<Option<usize>> {
        let count: usize = shape.iter().product();
        let refuse = |asked: String| Error::Budget {
            name: name.into(),
            shape: shape.to_vec(),
            asked,
            count,
        };
        let share = |f: f64| {
            if f > 0.0 && f <= 1.0 && count > 0 {
                Ok(((f * count as f64).round() as usize).clamp(1, count))
            } else {
                Err(refuse(format!("the share {f}")))
            }
        };
        match self {
            Budget::Dense => Ok(None),
            Budget::Count(k) if (1..=count).contains(&k) => Ok(Some(k)),
            Budget::Count(k) => Err(refuse(k.to_string())),
            Budget::Fraction(f) => share(f).map(Some),
            // One more than the share, for the same `rank > threshold` as in the floor.
            Budget::PaperFraction(f) => {
                Ok(Some((share(f)? + 1).max(kind.paper_floor()).min(count)))
            }
        }
    }
}

/// What a layer keeps of its weight: the one argument that a regularised layer has beyond candle-nn's.
///
/// ```
/// use freqreg_nn::{Budget, Keep, KeepOrder};
/// let plain = Keep::from(Budget::Count(96));
/// let tuned = Keep::count(280).order(KeepOrder::InverseSqrt).axes([196, 128, 4, 4]);
/// assert_eq!(plain.budget, Budget::Count(96));
/// assert_eq!(tuned.axes.as_deref(), Some(&[196, 128, 4, 4][..]));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Keep {
    /// How many coefficients.
    pub budget: Budget,
    /// Which ones: the first in this order. The paper's is [`KeepOrder::Zigzag`].
    pub order: KeepOrder,
    /// The axes that the transform runs over, where they are not those of the weight: a linear layer behind
    /// a convolution of 128 channels of 4 x 4 may see its `[196, 2048]` as `[196, 128, 4, 4]`.
    pub axes: Option<Vec<usize>>,
    /// How the coefficients start.
    pub init: Init,
}

impl From<Budget> for Keep {
    fn from(budget: Budget) -> Self {
        Keep {
            budget,
            order: KeepOrder::Zigzag,
            axes: None,
            init: Init::VariancePreserving,
        }
    }
}

impl Keep {
    /// An ordinary layer.
    pub fn dense() -> Self {
        Budget::Dense.into()
    }

    /// The first `k` coefficients in zigzag order.
    pub fn count(k: usize) -> Self {
        Budget::Count(k).into()
    }

    /// A share of the coefficients, above 0 and up to 1, in zigzag order.
    pub fn fraction(share: f64) -> Self {
        Budget::Fraction(share).into()
    }

    /// The same in another keep order.
    pub fn order(mut self, order: KeepOrder) -> Self {
        self.order = order;
        self
    }

    /// The same with the transform over these axes.
    pub fn axes(mut self, axes: impl Into<Vec<usize>>) -> Self {
        self.axes = Some(axes.into());
        self
    }

    /// The same with coefficients that start differently; the default is [`Init::VariancePreserving`].
    pub fn init(mut self, init: Init) -> Self {
        self.init = init;
        self
    }
}
