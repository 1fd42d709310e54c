//! What flows between the layers of a network: a tensor, or channels that are computed where they are read.

use crate::ops;
use candle_core::{DType, Device, Result, Storage, Tensor, bail};
use freqreg_kernels::{MapShape, Maps, Wide, moments};
use std::sync::Arc;

/// The activations between two layers, `[n, channels, h, w]`.
///
/// While a network is trained, and wherever a layer does not run fused ([`crate::Execution`]), this is a tensor, and every method the
/// operation of its name on it. Behind a convolution that runs fused it is the few maps in front of the convolution's expansion, with
/// what has been done to the expanded channels since: norms, ReLUs, sums, pools, joining. The next fused convolution
/// computes the channels for a few pixels at a time and projects them at once; they are never all in memory. Whatever asks for
/// [`FeatureMap::tensor`] gets them as usual.
#[derive(Clone, Debug)]
pub struct FeatureMap(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Tensor(Tensor),
    /// Groups of channels that are joined.
    Fused(Vec<Channels>),
}

/// Channels that are computed where they are read.
#[derive(Clone, Debug)]
pub(crate) struct Channels {
    pub(crate) wide: Wide,
    /// The maps and the expansion `[channels, narrow]`, as long as the channels are nothing but that.
    pub(crate) expansion: Option<(Arc<Maps>, Vec<f32>)>,
}

/// What a norm takes its statistics over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Statistics {
    /// Each channel, over the batch.
    Batch,
    /// Groups of channels, of each sample.
    Groups(usize),
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
    pub(crate) fn expanded(
        channels: usize,
        maps: Maps,
        expand: Vec<f32>,
        shift: &[f32],
    ) -> Result<Self> {
        let maps = Arc::new(maps);
        let wide = Wide::new(channels, vec![maps.clone()], &expand, shift, false).map_err(wrap)?;
        let expansion = shift.is_empty().then_some((maps, expand));
        Ok(Self::fused(Channels { wide, expansion }))
    }

    fn fused(channels: Channels) -> Self {
        FeatureMap(Kind::Fused(vec![channels]))
    }

    /// The groups of channels, if they are computed where they are read.
    pub(crate) fn groups(&self) -> Option<&[Channels]> {
        match &self.0 {
            Kind::Tensor(_) => None,
            Kind::Fused(groups) => Some(groups),
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
            Kind::Fused(_) => true,
        }
    }

    /// The activations as a tensor.
    ///
    /// # Errors
    /// What candle reports.
    pub fn tensor(&self) -> Result<Tensor> {
        match &self.0 {
            Kind::Tensor(tensor) => Ok(tensor.clone()),
            Kind::Fused(groups) => {
                let tensors: Vec<Tensor> = groups
                    .iter()
                    .map(|g| {
                        let s = g.wide.shape();
                        let shape = (s.images, s.channels, s.height, s.width);
                        Tensor::from_vec(g.wide.images(), shape, &Device::Cpu)
                    })
                    .collect::<Result<_>>()?;
                Tensor::cat(&tensors, 1)
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
            Kind::Fused(groups) => {
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
            Kind::Fused(groups) => Ok(FeatureMap(Kind::Fused(
                groups
                    .iter()
                    .map(|g| Channels {
                        wide: g.wide.clone().relu(),
                        expansion: None,
                    })
                    .collect(),
            ))),
        }
    }

    /// The largest of each window of `kernel` pixels, `stride` apart; see [`ops::max_pool2d`].
    ///
    /// # Errors
    /// A window larger than the map, a stride of zero.
    pub fn max_pool2d(&self, kernel: [usize; 2], stride: [usize; 2]) -> Result<Self> {
        let pooled = self.groups().map(|groups| {
            let pool = |g: &Channels| {
                Some(Channels {
                    wide: g.wide.max_pool(kernel, stride).ok()?,
                    expansion: None,
                })
            };
            groups.iter().map(pool).collect::<Option<Vec<_>>>()
        });
        match pooled {
            Some(Some(groups)) => Ok(FeatureMap(Kind::Fused(groups))),
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
                return Ok(FeatureMap(Kind::Fused(groups)));
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
        {
            return Ok(Self::fused(Channels {
                wide,
                expansion: None,
            }));
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
            let expansion = match &g.expansion {
                Some((maps, expand)) => {
                    let maps = maps.extended(rows, columns).map_err(wrap)?;
                    Some((Arc::new(maps), expand.clone()))
                }
                None => None,
            };
            return Ok(Self::fused(Channels { wide, expansion }));
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
            Kind::Fused(groups) => {
                let means: Vec<Tensor> = groups
                    .iter()
                    .map(|g| {
                        let s = g.wide.shape();
                        Tensor::from_vec(g.wide.means(), (s.images, s.channels), &Device::Cpu)
                    })
                    .collect::<Result<_>>()?;
                Tensor::cat(&means, 1)
            }
        }
    }

    pub(crate) fn normalize(&self, over: Statistics, eps: f64) -> Result<Self> {
        if let Some([g]) = self.groups()
            && let Some((maps, expand)) = &g.expansion
            && let Some(map) = normalized(maps, expand, g.wide.shape().channels, over, eps)?
        {
            return Ok(map);
        }
        let x = self.tensor()?;
        Ok(match over {
            Statistics::Batch => ops::normalize_batch(&x, eps)?,
            Statistics::Groups(groups) => ops::normalize_groups(&x, groups, eps)?,
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

/// Channels that are an expansion of `maps`, behind a norm: the statistics of the channels follow from those of the maps, and the norm
/// becomes other factors and a shift.
fn normalized(
    maps: &Arc<Maps>,
    expand: &[f32],
    channels: usize,
    over: Statistics,
    eps: f64,
) -> Result<Option<FeatureMap>> {
    let narrow = maps.shape().channels;
    let mut moments = moments(maps).map_err(wrap)?;
    let per = match over {
        Statistics::Batch => {
            moments = moments.pooled();
            1
        }
        Statistics::Groups(groups) if groups > 0 && channels.is_multiple_of(groups) => {
            channels / groups
        }
        // Refused with a sentence by the operation on tensors.
        Statistics::Groups(_) => return Ok(None),
    };
    let (mut factors, mut shift) = (Vec::new(), Vec::new());
    for (i, (mean, variance)) in moments.expanded(expand, per).into_iter().enumerate() {
        let scale = 1.0 / (variance + eps).sqrt();
        let first = i * per % channels;
        for row in expand[first * narrow..(first + per) * narrow].chunks_exact(narrow) {
            factors.extend(row.iter().map(|&e| (f64::from(e) * scale) as f32));
            shift.push((-mean * scale) as f32);
        }
    }
    let wide = Wide::new(channels, vec![maps.clone()], &factors, &shift, false).map_err(wrap)?;
    Ok(Some(FeatureMap::fused(Channels {
        wide,
        expansion: None,
    })))
}
