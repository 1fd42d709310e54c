//! What flows between the layers of a network: a tensor, or channels that are computed where they are read.

mod read;

use crate::execution::gradients;
use crate::ops;
use candle_core::{DType, Result, Storage, Tensor, bail};
use freqreg_kernels::{MapShape, Maps, Over, Towards, Wide};
use read::{Input, MOST_TERMS, What, read};
use std::sync::{Arc, OnceLock};

/// The activations between two layers, `[n, channels, h, w]`.
///
/// Wherever a layer does not run fused ([`crate::Execution`]), this is a tensor, and every method the operation of its name on it.
/// Behind a convolution that runs fused it is the few maps in front of the convolution's expansion, with what has been done to
/// the expanded channels since: norms, ReLUs, sums, pools, joining. The next fused convolution computes the channels for a few pixels
/// at a time and projects them at once, and once more for the gradients; they are never all in memory. Whatever asks for
/// [`FeatureMap::tensor`] gets them as usual.
#[derive(Clone, Debug)]
pub struct FeatureMap(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Tensor(Tensor),
    /// Groups of channels that are joined, and the tensor of all of them once it was asked for.
    Fused(Vec<Channels>, Arc<OnceLock<Tensor>>),
}

/// Channels that are computed where they are read.
#[derive(Clone, Debug)]
pub(crate) struct Channels {
    pub(crate) wide: Wide,
    /// What each term was made from, where gradients are wanted.
    inputs: Option<Vec<Input>>,
}

impl Channels {
    fn read(&self, what: What) -> Result<Tensor> {
        read(&self.wide, self.inputs.as_deref(), what)
    }

    /// The same with other channels.
    fn with(&self, wide: Wide) -> Self {
        Channels {
            wide,
            inputs: self.inputs.clone(),
        }
    }

    /// The channels times `weights` `[out, channels]`, where gradients are wanted.
    pub(crate) fn projected(&self, weights: &[f32]) -> Result<Option<Tensor>> {
        match &self.inputs {
            None => Ok(None),
            // Nothing stands between expansion and projection: their product is as small as the maps.
            Some(inputs) if self.wide.is_expansion() && inputs[0].towards == Towards::Maps => {
                let joined = self.joined(weights)?;
                Ok(Some(ops::conv2d(
                    &inputs[0].tensor,
                    &joined,
                    None,
                    ops::Conv2dShape::default(),
                )?))
            }
            Some(_) => self.read(What::Projected(weights.to_vec())).map(Some),
        }
    }

    /// `weights` times the expansion, a convolution of one tap.
    fn joined(&self, weights: &[f32]) -> Result<Tensor> {
        let channels = self.wide.shape().channels;
        let joined = self.wide.joined(weights).map_err(wrap)?;
        let out = weights.len() / channels;
        let narrow = joined.len() / out;
        Tensor::from_vec(joined, (out, narrow, 1, 1), &candle_core::Device::Cpu)
    }
}

pub(crate) fn wrap<E: std::error::Error + Send + Sync + 'static>(e: E) -> candle_core::Error {
    candle_core::Error::wrap(e)
}

impl From<Tensor> for FeatureMap {
    fn from(tensor: Tensor) -> Self {
        FeatureMap(Kind::Tensor(tensor))
    }
}

impl FeatureMap {
    /// `expand` (`[channels, narrow]`) times maps that no gradient is wanted for, plus `shift` (`[channels]`, or empty).
    pub(crate) fn expanded(
        channels: usize,
        maps: Maps,
        expand: &[f32],
        shift: &[f32],
    ) -> Result<Self> {
        let wide = Wide::new(channels, Arc::new(maps), expand, shift).map_err(wrap)?;
        Ok(Self::fused(vec![Channels { wide, inputs: None }]))
    }

    /// `expand` times the maps `[n, narrow, h, w]`, which gradients go to.
    pub(crate) fn expanded_tensor(maps: &Tensor, expand: &[f32]) -> Result<Self> {
        let maps_of = Self::to_maps(maps, [0, 0])?;
        let channels = expand.len() / maps_of.shape().channels;
        let wide = Wide::new(channels, Arc::new(maps_of), expand, &[]).map_err(wrap)?;
        let input = Input {
            tensor: maps.clone(),
            towards: Towards::Maps,
        };
        let inputs = (gradients() && maps.track_op()).then(|| vec![input]);
        Ok(Self::fused(vec![Channels { wide, inputs }]))
    }

    /// `expand` (`[channels, narrow]`), which gradients go to, times constant maps.
    pub(crate) fn expanded_by(expand: &Tensor, maps: Maps) -> Result<Self> {
        let (channels, _) = expand.dims2()?;
        let values: Vec<f32> = expand.flatten_all()?.to_vec1()?;
        let wide = Wide::new(channels, Arc::new(maps), &values, &[]).map_err(wrap)?;
        let input = Input {
            tensor: expand.clone(),
            towards: Towards::Expansion,
        };
        let inputs = (gradients() && expand.track_op()).then(|| vec![input]);
        Ok(Self::fused(vec![Channels { wide, inputs }]))
    }

    fn fused(groups: Vec<Channels>) -> Self {
        FeatureMap(Kind::Fused(groups, Arc::default()))
    }

    /// The groups of channels, if they are computed where they are read.
    pub(crate) fn groups(&self) -> Option<&[Channels]> {
        match &self.0 {
            Kind::Tensor(_) => None,
            Kind::Fused(groups, _) => Some(groups),
        }
    }

    /// Whether the channels are computed where they are read.
    pub fn is_fused(&self) -> bool {
        self.groups().is_some()
    }

    /// Whether fused layers could take it: in f32, on the CPU.
    pub(crate) fn tensor_is_single_precision(&self) -> bool {
        match &self.0 {
            Kind::Tensor(t) => t.dtype() == DType::F32 && t.device().is_cpu(),
            Kind::Fused(..) => true,
        }
    }

    /// Multiplications of [`FeatureMap::tensor`], and the numbers that it reads and writes: none where it is one already.
    pub(crate) fn expansion_work(&self) -> (f64, f64) {
        let Kind::Fused(groups, known) = &self.0 else {
            return (0.0, 0.0);
        };
        if known.get().is_some() {
            return (0.0, 0.0);
        }
        let of_group = |g: &Channels| {
            let (shape, maps) = (g.wide.shape(), g.wide.narrow().iter().sum::<usize>());
            let numbers = shape.pixels() * (maps * g.wide.phases() + shape.channels);
            (g.wide.work() as f64, numbers as f64)
        };
        let add = |a: (f64, f64), b: (f64, f64)| (a.0 + b.0, a.1 + b.1);
        groups.iter().map(of_group).fold((0.0, 0.0), add)
    }

    /// The activations as a tensor.
    ///
    /// # Errors
    /// What candle reports.
    pub fn tensor(&self) -> Result<Tensor> {
        match &self.0 {
            Kind::Tensor(tensor) => Ok(tensor.clone()),
            Kind::Fused(groups, known) => {
                if let Some(tensor) = known.get() {
                    return Ok(tensor.clone());
                }
                let tensors: Vec<Tensor> = groups
                    .iter()
                    .map(|g| g.read(What::Images))
                    .collect::<Result<_>>()?;
                let tensor = Tensor::cat(&tensors, 1)?;
                Ok(known.get_or_init(|| tensor).clone())
            }
        }
    }

    /// Samples, channels, height and width.
    ///
    /// # Errors
    /// A tensor of other than four axes.
    pub fn dims4(&self) -> Result<(usize, usize, usize, usize)> {
        match &self.0 {
            Kind::Tensor(tensor) => tensor.dims4(),
            Kind::Fused(groups, _) => {
                let shapes: Vec<MapShape> = groups.iter().map(|g| g.wide.shape()).collect();
                let s = shapes[0];
                let channels = shapes.iter().map(|s| s.channels).sum();
                Ok((s.images, channels, s.height, s.width))
            }
        }
    }

    /// max(x, 0).
    ///
    /// # Errors
    /// What candle reports.
    pub fn relu(&self) -> Result<Self> {
        match &self.0 {
            Kind::Tensor(tensor) => Ok(ops::relu(tensor)?.into()),
            Kind::Fused(groups, _) => {
                let relu = |g: &Channels| g.with(g.wide.clone().relu());
                Ok(Self::fused(groups.iter().map(relu).collect()))
            }
        }
    }

    /// The largest of each window of `kernel` pixels, `stride` apart; see [`ops::max_pool2d`].
    ///
    /// # Errors
    /// A window larger than the map, a stride of zero.
    pub fn max_pool2d(&self, kernel: [usize; 2], stride: [usize; 2]) -> Result<Self> {
        let pooled = self.groups().map(|groups| {
            let pool = |g: &Channels| Some(g.with(g.wide.max_pool(kernel, stride).ok()?));
            groups.iter().map(pool).collect::<Option<Vec<_>>>()
        });
        match pooled {
            Some(Some(groups)) => Ok(Self::fused(groups)),
            // What has been pooled already is computed; and a bad window is reported as for any tensor.
            _ => Ok(ops::max_pool2d(&self.tensor()?, kernel, stride)?.into()),
        }
    }

    /// The channels of all of `maps`, one after the other.
    ///
    /// # Errors
    /// Sizes that differ.
    pub fn cat(maps: &[&FeatureMap]) -> Result<Self> {
        let groups: Option<Vec<&[Channels]>> = maps.iter().map(|m| m.groups()).collect();
        if let Some(groups) = groups {
            let groups = groups.concat();
            let size = |c: &Channels| MapShape {
                channels: 0,
                ..c.wide.shape()
            };
            if groups.windows(2).all(|w| size(&w[0]) == size(&w[1])) && !groups.is_empty() {
                return Ok(Self::fused(groups));
            }
        }
        let tensors: Vec<Tensor> = maps.iter().map(|m| m.tensor()).collect::<Result<_>>()?;
        Ok(Tensor::cat(&tensors, 1)?.into())
    }

    /// The sum with `other`: the end of a residual block, `skip.add(branch)`.
    ///
    /// # Errors
    /// Sizes that differ.
    pub fn add(&self, other: &FeatureMap) -> Result<Self> {
        if let (Some([skip]), Some([branch])) = (self.groups(), other.groups())
            && branch.wide.is_linear()
            && let Ok(wide) = skip.wide.clone().and(&branch.wide)
            && let Some(inputs) = together(skip, branch)
        {
            return Ok(Self::fused(vec![Channels { wide, inputs }]));
        }
        Ok((self.tensor()? + other.tensor()?)?.into())
    }

    /// With rows of zeros below and columns of zeros on the right.
    ///
    /// # Errors
    /// What candle reports.
    pub fn pad_with_zeros(&self, rows: usize, columns: usize) -> Result<Self> {
        if rows == 0 && columns == 0 {
            return Ok(self.clone());
        }
        if let Some([g]) = self.groups()
            && let Ok(wide) = g.wide.extended(rows, columns)
        {
            match g.inputs.as_deref() {
                None => return Ok(Self::fused(vec![g.with(wide)])),
                Some([input]) if input.towards == Towards::Maps => {
                    let maps = input.tensor.pad_with_zeros(2, 0, rows)?;
                    let tensor = maps.pad_with_zeros(3, 0, columns)?;
                    let towards = Towards::Maps;
                    let inputs = Some(vec![Input { tensor, towards }]);
                    return Ok(Self::fused(vec![Channels { wide, inputs }]));
                }
                Some(_) => {}
            }
        }
        let tensor = self.tensor()?;
        let tensor = tensor.pad_with_zeros(2, 0, rows)?;
        Ok(tensor.pad_with_zeros(3, 0, columns)?.into())
    }

    /// Each channel's mean over all positions: `[n, channels]`.
    ///
    /// # Errors
    /// What candle reports.
    pub fn global_mean(&self) -> Result<Tensor> {
        match &self.0 {
            Kind::Tensor(tensor) => tensor.flatten_from(2)?.mean(2),
            Kind::Fused(groups, _) => {
                let means: Vec<Tensor> = groups
                    .iter()
                    .map(|g| g.read(What::Means))
                    .collect::<Result<_>>()?;
                Tensor::cat(&means, 1)
            }
        }
    }

    pub(crate) fn normalize(&self, over: Over, eps: f64) -> Result<Self> {
        // Statistics of a batch that processes share are computed from tensors.
        let shared = over == Over::Batch && ops::is_shared();
        if let Some([g]) = self.groups()
            && !shared
            && g.wide.is_expansion()
            && let Ok(wide) = g.wide.clone().normalize(over, eps)
        {
            return Ok(Self::fused(vec![g.with(wide)]));
        }
        // Groups that do not divide the channels are refused here, with a sentence.
        let x = self.tensor()?;
        Ok(match over {
            Over::Batch => ops::normalize_batch(&x, eps)?,
            Over::Groups(groups) => ops::normalize_groups(&x, groups, eps)?,
        }
        .into())
    }

    /// As maps `[channels, n, h, w]` within a border, for a convolution that runs fused.
    pub(crate) fn to_maps(x: &Tensor, border: [usize; 2]) -> Result<Maps> {
        let (images, channels, height, width) = x.dims4()?;
        if x.dtype() != DType::F32 || !x.device().is_cpu() {
            bail!("fused layers run in f32 on the CPU");
        }
        let shape = MapShape {
            channels,
            images,
            height,
            width,
        };
        let x = x.contiguous()?;
        let (storage, layout) = x.storage_and_layout();
        let (Storage::Cpu(storage), Some((from, to))) = (&*storage, layout.contiguous_offsets())
        else {
            bail!("fused layers run on the CPU");
        };
        Maps::from_images(shape, border, &storage.as_slice::<f32>()?[from..to]).map_err(wrap)
    }
}

/// What the terms of both were made from; nothing if one operation can't hand gradients on to all of them, or if gradients are wanted
/// for one of the two only.
#[expect(
    clippy::option_option,
    reason = "whether they fit, and whether there are any"
)]
fn together(a: &Channels, b: &Channels) -> Option<Option<Vec<Input>>> {
    match (&a.inputs, &b.inputs) {
        (None, None) => Some(None),
        (Some(a), Some(b)) if a.len() + b.len() <= MOST_TERMS => Some(Some([&a[..], b].concat())),
        _ => None,
    }
}
