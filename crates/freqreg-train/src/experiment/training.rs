//! How networks are trained: what an experiment says of steps, rates and budgets.

use freqreg_nn::{Decay, Init};
use serde::{Deserialize, Serialize};

/// The network's budget, shared out among its layers by what it loses on validation images without the last coefficients of each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Share {
    /// How many times it is measured, evenly over the steps in which the budgets shrink: each time all are cut at once to what the network may have
    /// by then.
    pub times: usize,
    /// On how many validation images, the first ones.
    pub images: usize,
}

impl Default for Share {
    fn default() -> Self {
        Share {
            times: 24,
            images: 500,
        }
    }
}

/// Magnitude pruning of the whole network: at share t of the way it has lost 1 - (1 - t)^3 of the weights that it is to lose (Zhu and Gupta
/// 2017, arXiv:1710.01878).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prune {
    /// Weights left in the end, biases not counted, which all stay.
    pub keep: usize,
    /// The share of the steps after which no more are lost, 0 to 1.
    pub over: f64,
}

impl Prune {
    /// How many of `weights` are left at `step` of `steps`.
    pub fn count(&self, step: usize, steps: usize, weights: usize) -> usize {
        let way = (step as f64 / (self.over * steps as f64)).min(1.0);
        // Where both are 0 nothing is left to wait for.
        let left = if way.is_nan() {
            0.0
        } else {
            (1.0 - way).powi(3)
        };
        self.keep + (left * weights.saturating_sub(self.keep) as f64).round() as usize
    }
}

/// How coefficients start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitKind {
    /// N(0, 0.1²).
    Paper,
    /// So that activations keep their variance.
    #[default]
    VariancePreserving,
}

impl From<InitKind> for Init {
    fn from(kind: InitKind) -> Self {
        match kind {
            InitKind::Paper => Init::Paper,
            InitKind::VariancePreserving => Init::VariancePreserving,
        }
    }
}

/// How budgets shrink.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shrink {
    /// The way from the first count to the last.
    pub decay: DecayKind,
    /// A layer starts with this many times its final count, at most all its coefficients; absent: with all.
    #[serde(default)]
    pub start: Option<f64>,
    /// The share of all steps after which the final count is reached, 0 to 1.
    pub over: f64,
    /// For `decay = "paper"`: the share of the remaining distance given up at a step.
    #[serde(default)]
    pub drop_rate: Option<f64>,
    /// For `decay = "paper"`: the share that it tends to.
    #[serde(default)]
    pub min_rate: Option<f64>,
}

/// The way from the first count to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecayKind {
    /// The same factor at every step.
    Geometric,
    /// A straight line.
    Linear,
    /// Half a cosine.
    Cosine,
    /// The authors'.
    Paper,
}

impl Shrink {
    /// As the schedules of the layers want it.
    pub fn decay(&self) -> Decay {
        match self.decay {
            DecayKind::Geometric => Decay::Geometric,
            DecayKind::Linear => Decay::Linear,
            DecayKind::Cosine => Decay::Cosine,
            DecayKind::Paper => Decay::Paper {
                drop_rate: self.drop_rate.unwrap_or(0.01),
                min_rate: self.min_rate.unwrap_or(0.01),
            },
        }
    }
}

/// How a network is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Times through the training images.
    pub epochs: usize,
    /// Images a step.
    pub batch: usize,
    /// The optimiser.
    pub optimiser: Optimiser,
    /// The learning rate over time.
    pub rate: Rate,
    /// Images are moved by up to this many pixels in each direction, at random.
    #[serde(default)]
    pub shift: usize,
    /// Whether half of the images, drawn at random, are mirrored.
    #[serde(default)]
    pub flip: bool,
    /// Label smoothing, 0 to 1.
    #[serde(default)]
    pub smoothing: f64,
}

/// An optimiser with its constants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Optimiser {
    /// Adam (Kingma & Ba 2015); with `decay` above 0 AdamW (Loshchilov & Hutter 2019).
    Adam {
        /// Decay of the mean gradient.
        #[serde(default = "beta1")]
        beta1: f64,
        /// Decay of the mean squared gradient.
        #[serde(default = "beta2")]
        beta2: f64,
        /// Decoupled weight decay.
        #[serde(default)]
        decay: f64,
    },
    /// Stochastic gradient descent with momentum, as in PyTorch: v <- m v + g; x <- x - rate v.
    Sgd {
        /// The m above.
        #[serde(default)]
        momentum: f64,
        /// Weight decay, added to the gradient.
        #[serde(default)]
        decay: f64,
    },
}

fn beta1() -> f64 {
    0.9
}

fn beta2() -> f64 {
    0.999
}

/// The learning rate over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Its shape.
    pub shape: RateShape,
    /// Its largest value.
    pub peak: f64,
    /// For `one-cycle` and `cosine`: the share of the steps in which it rises to the peak.
    #[serde(default)]
    pub warmup: f64,
}

/// Shapes of the learning rate over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateShape {
    /// Up from a 25th of the peak and down to nothing, both along half a cosine.
    OneCycle,
    /// Up along a line, down to nothing along half a cosine.
    Cosine,
    /// Always the peak.
    Constant,
}

impl Rate {
    /// The rate at `step` (from 0) of `steps`.
    pub fn at(&self, step: usize, steps: usize) -> f64 {
        let t = step as f64 / steps.max(1) as f64;
        let ease = |from: f64, to: f64, t: f64| {
            to + (from - to) * 0.5 * (1.0 + (std::f64::consts::PI * t.clamp(0.0, 1.0)).cos())
        };
        let fall = |t: f64| ease(self.peak, 0.0, (t - self.warmup) / (1.0 - self.warmup));
        match self.shape {
            RateShape::Constant => self.peak,
            RateShape::OneCycle if t < self.warmup => {
                ease(self.peak / 25.0, self.peak, t / self.warmup)
            }
            RateShape::Cosine if t < self.warmup => self.peak * t / self.warmup,
            RateShape::OneCycle | RateShape::Cosine => fall(t),
        }
    }
}
