//! How parameters start: seeded, and the same whatever the order in which layers are built.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// How the coefficients of a prefix start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Every coefficient from N(0, 0.1²), as in the paper, whatever the size of the layer.
    Paper,
    /// Every coefficient from N(0, s²) with s² = 2 N / (k · fan_in), N the number of weights and k of
    /// coefficients. The transform is orthonormal, so the mean square of a weight is k s² / N = 2 / fan_in:
    /// that of He et al. (2015), which keeps the variance of activations behind a ReLU.
    VariancePreserving,
    /// Every coefficient from N(0, s²) with this s.
    Normal(f64),
}

impl Init {
    /// The standard deviation of a coefficient, for `kept` of `count` coefficients of a weight whose outputs
    /// sum over `fan_in` inputs.
    pub fn deviation(self, count: usize, kept: usize, fan_in: usize) -> f64 {
        match self {
            Init::Paper => 0.1,
            Init::Normal(s) => s,
            Init::VariancePreserving => (2.0 * count as f64 / (kept as f64 * fan_in as f64)).sqrt(),
        }
    }
}

/// A seed from which any number of named streams follow, each independent of the others.
///
/// ```
/// use freqreg_nn::Seed;
/// let (mut a, mut b) = (vec![0.0; 3], vec![0.0; 3]);
/// Seed(1).fill_normal("conv1.weight", 0.1, &mut a);
/// Seed(1).fill_normal("conv1.weight", 0.1, &mut b);
/// assert_eq!(a, b);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The generator of the stream called `name`.
    pub fn stream(self, name: &str) -> ChaCha8Rng {
        // FNV-1a spreads the name over 64 bits; the key of the cipher keeps seed and name apart.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.0.to_le_bytes());
        key[8..16].copy_from_slice(&hash.to_le_bytes());
        ChaCha8Rng::from_seed(key)
    }

    /// Fills `out` from N(0, `deviation`²), from the stream called `name`.
    pub fn fill_normal(self, name: &str, deviation: f64, out: &mut [f64]) {
        let mut rng = self.stream(name);
        for x in out {
            let z: f64 = StandardNormal.sample(&mut rng);
            *x = z * deviation;
        }
    }

    /// Fills `out` uniformly from [-`bound`, `bound`), from the stream called `name`.
    pub fn fill_uniform(self, name: &str, bound: f64, out: &mut [f64]) {
        let mut rng = self.stream(name);
        for x in out {
            *x = (rng.random::<f64>() * 2.0 - 1.0) * bound;
        }
    }
}
