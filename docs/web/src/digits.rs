//! LeNet5 from 776 numbers.

use crate::error::size;
use crate::{Error, Result, tables};
use freqreg_dct::Plan;
use freqreg_file::{Storage, Tensor};
use freqreg_kernels::{Conv2d, Linear, Norm, Pool2d, relu};

/// Pixels a side.
const SIDE: usize = 28;
/// Of MNIST's training images, with which the network was trained: mean and deviation of a pixel between 0 and 1.
const MEAN: f32 = 0.1307;
const DEVIATION: f32 = 0.3081;
/// The variance below which a channel counts as flat, as in training.
const EPS: f64 = 1e-5;
const NAMES: [&str; 4] = ["conv1.weight", "conv2.weight", "fc1.weight", "fc2.weight"];

/// A network that reads a digit, and whose layers' lists of coefficients can be cut while it does.
///
/// ```
/// use freqreg_web::Digits;
///
/// let mut digits = Digits::new(include_bytes!("../models/lenet5.freq"))?;
/// assert_eq!(digits.kept(), 776);
/// let one: Vec<u8> = (0..784).map(|i| if (13..15).contains(&(i % 28)) && (5..23).contains(&(i / 28)) { 255 } else { 0 }).collect();
/// let logits = digits.read(&one)?;
/// let best = (0..10).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
/// assert_eq!(best, Some(1));
///
/// digits.cut(0.01)?; // a hundredth of each layer's list
/// assert_eq!(digits.kept(), 8);
/// # Ok::<(), freqreg_web::Error>(())
/// ```
pub struct Digits {
    layers: [Layer; 4],
    /// Outputs of the convolutions, hidden units, classes.
    sizes: [usize; 4],
    kernel: usize,
}

struct Layer {
    shape: Vec<usize>,
    /// All coefficients that the file has, and the plan for them.
    values: Vec<f32>,
    plan: Plan<f32>,
    kept: usize,
    weight: Vec<f32>,
}

impl Layer {
    fn new(tensor: &Tensor) -> Result<Self> {
        let Storage::Prefix { axes, order } = &tensor.storage else {
            return Err(wrong(format!("ordinary weights for `{}`", tensor.name)));
        };
        let values = tensor.values.to_f32();
        let plan = Plan::new(axes, order, values.len())?;
        let weight = plan.synthesize(&values)?;
        Ok(Layer {
            shape: tensor.shape.clone(),
            kept: values.len(),
            values,
            plan,
            weight,
        })
    }

    /// Keeps the first so many coefficients.
    fn cut(&mut self, kept: usize) -> Result<()> {
        if kept != self.kept {
            self.weight = self
                .plan
                .truncated(kept)?
                .synthesize(&self.values[..kept])?;
            self.kept = kept;
        }
        Ok(())
    }
}

fn wrong(found: String) -> Error {
    Error::Model {
        wanted: "a LeNet5 for digits of 28 x 28 pixels, all of its layers as coefficients",
        found,
    }
}

impl Digits {
    /// The network in a model file: a LeNet5 with average pooling and a norm by samples, as `cargo xtask reproduce lenet5` writes it.
    ///
    /// # Errors
    /// A file that can't be read, or holds another network.
    pub fn new(file: &[u8]) -> Result<Self> {
        let model = tables::read(file)?;
        let as_trained = |setting: &str| model.config.replace(' ', "").contains(setting);
        if model.architecture != "lenet5"
            || model.tensors.len() != NAMES.len()
            || !as_trained("\"norm\":\"sample\"")
            || !as_trained("\"pool\":\"average\"")
        {
            return Err(wrong(format!(
                "`{}` {} of {} tensors",
                model.architecture,
                model.config,
                model.tensors.len()
            )));
        }
        let layer = |name: &str| {
            let tensor = model.tensor(name);
            Layer::new(tensor.ok_or_else(|| wrong(format!("no `{name}`")))?)
        };
        let layers = [
            layer(NAMES[0])?,
            layer(NAMES[1])?,
            layer(NAMES[2])?,
            layer(NAMES[3])?,
        ];
        let shapes = layers.each_ref().map(|l| l.shape.as_slice());
        let (&[c1, 1, k, k1], &[c2, from, k2, k3], &[hidden, flat], &[classes, inner]) =
            (shapes[0], shapes[1], shapes[2], shapes[3])
        else {
            return Err(wrong(format!("layers of the shapes {shapes:?}")));
        };
        let half = |n: usize| Some((n + 1).checked_sub(k)? / 2);
        let left = half(SIDE).and_then(half).unwrap_or(0);
        let fits = [k1, k2, k3] == [k; 3]
            && (from, inner, flat) == (c1, hidden, c2 * left * left)
            && left > 0;
        match fits {
            true => Ok(Digits {
                layers,
                sizes: [c1, c2, hidden, classes],
                kernel: k,
            }),
            false => Err(wrong(format!("layers of the shapes {shapes:?}"))),
        }
    }

    /// How many coefficients are in use.
    pub fn kept(&self) -> usize {
        self.layers.iter().map(|l| l.kept).sum()
    }

    /// How many each layer has in use.
    pub fn kept_by_layer(&self) -> Vec<usize> {
        self.layers.iter().map(|l| l.kept).collect()
    }

    /// How many weights they stand for.
    pub fn weights(&self) -> usize {
        self.layers.iter().map(|l| l.weight.len()).sum()
    }

    /// How many classes it tells apart.
    pub fn classes(&self) -> usize {
        self.sizes[3]
    }

    /// Uses so large a share of each layer's list, from 0 to 1, and one number of each at least. Nothing is lost: a larger share brings
    /// back what was cut.
    ///
    /// # Errors
    /// What the transform reports.
    pub fn cut(&mut self, share: f64) -> Result<()> {
        for layer in &mut self.layers {
            let all = layer.values.len();
            let kept = (share * all as f64).round() as usize;
            layer.cut(kept.clamp(1, all))?;
        }
        Ok(())
    }

    /// The first layer's filters, `[filters, side, side]`, and the side.
    pub fn filters(&self) -> (&[f32], usize) {
        (&self.layers[0].weight, self.kernel)
    }

    /// The logits of an image of 28 x 28 pixels, 0 the ground and 255 the pen.
    ///
    /// # Errors
    /// Any other number of pixels.
    pub fn read(&self, pixels: &[u8]) -> Result<Vec<f32>> {
        size("pixels", pixels.len(), SIDE * SIDE)?;
        let x: Vec<f32> = pixels
            .iter()
            .map(|&p| (f32::from(p) / 255.0 - MEAN) / DEVIATION)
            .collect();
        let [c1, c2, hidden, classes] = self.sizes;
        let [conv1, conv2, fc1, fc2] = self.layers.each_ref().map(|l| l.weight.as_slice());
        let (x, side) = self.convolve(&x, [1, c1], SIDE, conv1)?;
        let (x, _) = self.convolve(&x, [c1, c2], side, conv2)?;
        let x = normalize(&rectify(&linear(&x, fc1, hidden)?)?)?;
        linear(&x, fc2, classes)
    }

    /// Convolution, ReLU, pooling, norm; and how many pixels a side come out.
    fn convolve(
        &self,
        x: &[f32],
        [from, to]: [usize; 2],
        side: usize,
        weight: &[f32],
    ) -> Result<(Vec<f32>, usize)> {
        let conv = Conv2d {
            channels_in: from,
            height: side,
            width: side,
            channels_out: to,
            kernel: [self.kernel; 2],
            ..Conv2d::default()
        };
        let [height, width] = conv.output_size();
        let mut wide = vec![0.0; to * height * width];
        conv.forward(x, weight, None, &mut wide)?;
        let pool = Pool2d {
            planes: to,
            height,
            width,
            kernel: [2, 2],
            stride: [2, 2],
            padding: [0, 0],
        };
        let [side, _] = pool.output_size();
        let mut pooled = vec![0.0; to * side * side];
        pool.avg_forward(&rectify(&wide)?, &mut pooled)?;
        Ok((normalize(&pooled)?, side))
    }
}

fn rectify(x: &[f32]) -> Result<Vec<f32>> {
    let mut y = vec![0.0; x.len()];
    relu(x, &mut y)?;
    Ok(y)
}

/// Over all of a sample.
fn normalize(x: &[f32]) -> Result<Vec<f32>> {
    let norm = Norm {
        outer: 1,
        channels: 1,
        inner: x.len(),
        eps: EPS,
    };
    let (mut y, mut rstd) = (vec![0.0; x.len()], [0.0]);
    norm.forward(x, &mut y, &mut rstd)?;
    Ok(y)
}

fn linear(x: &[f32], weight: &[f32], to: usize) -> Result<Vec<f32>> {
    let linear = Linear {
        rows: 1,
        features_in: x.len(),
        features_out: to,
    };
    let mut y = vec![0.0; to];
    linear.forward(x, weight, None, &mut y)?;
    Ok(y)
}
