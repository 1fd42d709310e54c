//! UNet from 759 numbers, as it is: no wide map is ever in memory.

use crate::error::size;
use crate::{Error, Result, tables};
use freqreg_dct::Plan;
use freqreg_file::{Storage, Tensor};
use freqreg_kernels::{ConvTranspose2d, MapShape, Maps, NarrowConv, Over, Wide};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The variance below which a channel counts as flat, as in training.
const EPS: f64 = 1e-5;
const COLOURS: usize = 3;

/// A network that finds the foreground of a picture.
///
/// ```
/// use freqreg_web::Unet;
///
/// let unet = Unet::new(include_bytes!("../models/unet.freq"))?;
/// assert_eq!((unet.kept(), unet.weights()), (759, 31_024_960));
/// let grey = vec![128; 48 * 33 * 3];
/// let mask = unet.segment(&grey, 48, 33)?; // 48 rows of 33 pixels, red, green and blue of each
/// assert_eq!(mask.len(), 48 * 33);
/// # Ok::<(), freqreg_web::Error>(())
/// ```
pub struct Unet {
    layers: BTreeMap<String, Layer>,
    depth: usize,
    classes: usize,
    weights: usize,
    kept: usize,
}

/// A weight `[a, b, rows, columns]` as `A^T K B`: what multiplies each axis of channels, and the small kernel between.
struct Layer {
    channels: [usize; 2],
    narrow: [usize; 2],
    taps: [usize; 2],
    /// `[narrow, channels]` of either axis.
    bases: [Vec<f32>; 2],
    /// `[narrow of a, narrow of b, rows, columns]`.
    kernel: Vec<f32>,
}

impl Layer {
    fn new(tensor: &Tensor) -> Result<Self> {
        let (Storage::Prefix { axes, order }, &[a, b, rows, columns]) =
            (&tensor.storage, tensor.shape.as_slice())
        else {
            let shape = &tensor.shape;
            return Err(wrong(format!("`{}` of the shape {shape:?}", tensor.name)));
        };
        if *axes != tensor.shape {
            return Err(wrong(format!(
                "`{}` transformed over {axes:?}",
                tensor.name
            )));
        }
        let values = tensor.values.to_f32();
        let factors = Plan::new(axes, order, values.len())?.factors(&values)?;
        let [p, q, r, s] = [0, 1, 2, 3].map(|axis| factors.bounds[axis]);
        let basis = |axis: usize| factors.bases[axis].as_slice();
        let (down, across) = (basis(2), basis(3));
        let mut kernel = vec![0.0; p * q * rows * columns];
        for (core, kernel) in factors
            .core
            .chunks(r * s)
            .zip(kernel.chunks_mut(rows * columns))
        {
            for (i, weight) in kernel.iter_mut().enumerate() {
                let (row, column) = (i / columns, i % columns);
                *weight = (0..r * s)
                    .map(|j| core[j] * down[j / s * rows + row] * across[j % s * columns + column])
                    .sum();
            }
        }
        Ok(Layer {
            channels: [a, b],
            narrow: [p, q],
            taps: [rows, columns],
            bases: [basis(0).to_vec(), basis(1).to_vec()],
            kernel,
        })
    }

    /// The basis of an axis with its channels first: `[channels, narrow]`.
    fn expansion(&self, axis: usize) -> Vec<f32> {
        let (channels, narrow) = (self.channels[axis], self.narrow[axis]);
        let basis = &self.bases[axis];
        (0..channels * narrow)
            .map(|i| basis[i % narrow * channels + i / narrow])
            .collect()
    }

    /// All weights of a layer of one tap, `[a, b]`.
    fn matrix(&self) -> Vec<f32> {
        let ([a, b], [p, q]) = (self.channels, self.narrow);
        let weight = |i: usize| {
            let (row, column) = (i / b, i % b);
            (0..p * q)
                .map(|j| {
                    self.kernel[j]
                        * self.bases[0][j / q * a + row]
                        * self.bases[1][j % q * b + column]
                })
                .sum()
        };
        (0..a * b).map(weight).collect()
    }
}

fn wrong(found: String) -> Error {
    Error::Model {
        wanted: "a UNet for pictures of three colours, all of its layers as coefficients",
        found,
    }
}

/// The channels of all of `groups`, projected to `narrow` maps within a border.
fn project(groups: &[Wide], basis: &[f32], narrow: usize, border: [usize; 2]) -> Result<Maps> {
    let all: usize = groups.iter().map(|g| g.shape().channels).sum();
    size("inputs of a layer", basis.len(), narrow * all)?;
    let shape = MapShape {
        channels: narrow,
        ..groups[0].shape()
    };
    let mut maps = Maps::zeros(shape, border)?;
    let mut first = 0;
    for group in groups {
        let count = group.shape().channels;
        let part: Vec<f32> = basis
            .chunks_exact(all)
            .flat_map(|row| &row[first..first + count])
            .copied()
            .collect();
        group.project(&part, &mut maps, first > 0)?;
        first += count;
    }
    Ok(maps)
}

impl Unet {
    /// The network in a model file, as `freqreg import` or `cargo xtask reproduce unet` writes it.
    ///
    /// # Errors
    /// A file that can't be read, or holds another network.
    pub fn new(file: &[u8]) -> Result<Self> {
        let model = tables::read(file)?;
        let mut layers = BTreeMap::new();
        for tensor in &model.tensors {
            let name = tensor.name.strip_suffix(".weight").unwrap_or(&tensor.name);
            layers.insert(name.to_string(), Layer::new(tensor)?);
        }
        let depth = (1..)
            .take_while(|level| layers.contains_key(&format!("down{level}.conv1")))
            .count();
        let unet = Unet {
            depth,
            classes: layers.get("out").map_or(0, |l| l.channels[0]),
            layers,
            weights: model.weights(),
            kept: model.kept(),
        };
        unet.check()?;
        Ok(unet)
    }

    /// That every layer is there and takes what the one before it gives.
    fn check(&self) -> Result<()> {
        let width = self.layers.get("inc.conv1").map_or(0, |l| l.channels[0]);
        let expected = tables::unet(COLOURS, width, self.depth, self.classes);
        if self.layers.len() != expected.len() || self.classes < 2 {
            return Err(wrong(format!("{} tensors", self.layers.len())));
        }
        for (name, shape) in expected {
            let found = self.layers.get(name.trim_end_matches(".weight"));
            let found = found.map(|l| vec![l.channels[0], l.channels[1], l.taps[0], l.taps[1]]);
            if found.as_deref() != Some(&shape[..]) {
                return Err(wrong(format!(
                    "`{name}` of the shape {found:?} and not {shape:?}"
                )));
            }
        }
        Ok(())
    }

    /// How many numbers it is.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// How many weights they stand for.
    pub fn weights(&self) -> usize {
        self.weights
    }

    fn layer(&self, name: &str) -> &Layer {
        // All names are there since the network was built.
        &self.layers[name]
    }

    /// A convolution of 3 x 3 within a border of zeros, each channel brought to mean 0 and variance 1, ReLU.
    fn convolve(&self, name: &str, inputs: &Maps) -> Result<Wide> {
        let layer = self.layer(name);
        let conv = NarrowConv::new(layer.narrow, layer.taps, [1, 1], &layer.kernel)?;
        let maps = conv.forward(inputs)?;
        let channels = layer.channels[0];
        let wide = Wide::new(channels, Arc::new(maps), &layer.expansion(0), &[])?;
        Ok(wide.normalize(Over::Groups(channels), EPS)?.relu())
    }

    /// Two of them.
    fn double(&self, name: &str, groups: &[Wide]) -> Result<Wide> {
        let entry = |name: &str, groups: &[Wide]| {
            let layer = self.layer(name);
            project(groups, &layer.bases[1], layer.narrow[1], [1, 1])
        };
        let (first, second) = (format!("{name}.conv1"), format!("{name}.conv2"));
        let x = self.convolve(&first, &entry(&first, groups)?)?;
        self.convolve(&second, &entry(&second, &[x])?)
    }

    /// Twice as large, and with zeros where the map beside it has a row or a column more.
    fn raise(&self, name: &str, x: &Wide, beside: MapShape) -> Result<Wide> {
        let layer = self.layer(name);
        let maps = project(
            std::slice::from_ref(x),
            &layer.bases[0],
            layer.narrow[0],
            [0, 0],
        )?;
        let MapShape { height, width, .. } = maps.shape();
        let up = ConvTranspose2d {
            channels_in: layer.narrow[0],
            height,
            width,
            channels_out: layer.narrow[1],
            kernel: layer.taps,
            stride: [2, 2],
            ..ConvTranspose2d::default()
        };
        let [height, width] = up.output_size();
        let mut raised = vec![0.0; layer.narrow[1] * height * width];
        up.forward(&maps.to_images(), &layer.kernel, None, &mut raised)?;
        let shape = MapShape {
            channels: layer.narrow[1],
            images: 1,
            height,
            width,
        };
        let maps = Arc::new(Maps::from_images(shape, [0, 0], &raised)?);
        let wide = Wide::new(layer.channels[1], maps, &layer.expansion(1), &[])?;
        Ok(wide.extended(beside.height - height, beside.width - width)?)
    }

    /// The logits `[classes, height, width]` of a picture, row by row, red, green and blue of each pixel.
    ///
    /// # Errors
    /// Pixels that are not three times height and width, and fewer rows or columns than the network can halve.
    pub fn logits(&self, pixels: &[u8], height: usize, width: usize) -> Result<Vec<f32>> {
        let least = 1 << self.depth;
        if height < least || width < least {
            return Err(Error::Size {
                what: "rows and columns of a picture",
                wanted: format!("{least} of each at least"),
                found: height.min(width),
            });
        }
        let plane = height.saturating_mul(width);
        size(
            "bytes of a picture",
            pixels.len(),
            plane.saturating_mul(COLOURS),
        )?;
        let values: Vec<f32> = (0..COLOURS)
            .flat_map(|c| pixels.iter().skip(c).step_by(COLOURS))
            .map(|&p| f32::from(p) / 255.0)
            .collect();
        let shape = MapShape {
            channels: COLOURS,
            images: 1,
            height,
            width,
        };
        // Channels that nothing was done to: expanded by the identity.
        let identity: Vec<f32> = (0..COLOURS * COLOURS)
            .map(|i| if i % (COLOURS + 1) == 0 { 1.0 } else { 0.0 })
            .collect();
        let picture = Maps::from_images(shape, [0, 0], &values)?;
        let picture = Wide::new(COLOURS, Arc::new(picture), &identity, &[])?;

        let mut x = self.double("inc", &[picture])?;
        let mut beside = Vec::new();
        for level in 1..=self.depth {
            let lower = x.max_pool([2, 2], [2, 2])?;
            beside.push(x);
            x = self.double(&format!("down{level}"), &[lower])?;
        }
        for (i, skip) in (1..).zip(beside.into_iter().rev()) {
            let raised = self.raise(&format!("up{i}.up"), &x, skip.shape())?;
            x = self.double(&format!("up{i}"), &[skip, raised])?;
        }
        let out = self.layer("out");
        Ok(project(&[x], &out.matrix(), self.classes, [0, 0])?.to_images())
    }

    /// The class of each pixel, row by row: everything but 0 is foreground.
    ///
    /// # Errors
    /// As [`Unet::logits`].
    pub fn segment(&self, pixels: &[u8], height: usize, width: usize) -> Result<Vec<u8>> {
        let logits = self.logits(pixels, height, width)?;
        let plane = height * width;
        let class = |i: usize| {
            // The first of equals.
            let best = |a: usize, b: usize| match logits[b * plane + i] > logits[a * plane + i] {
                true => b,
                false => a,
            };
            (0..self.classes).reduce(best).unwrap_or(0) as u8
        };
        Ok((0..plane).map(class).collect())
    }
}
