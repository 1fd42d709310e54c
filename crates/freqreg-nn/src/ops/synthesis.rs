//! Prefix of coefficients -> spatial weight.

use super::kernel::{Differentiable, Element, Kernel, run_plain, run1, wanted, wrap};
use crate::Result;
use candle_core::{DType, Device, Result as CandleResult, Shape, Tensor, bail};
use freqreg_dct::{Basis, Plan, Prefix, cost};
use std::sync::{Arc, OnceLock};

/// The inverse DCT of a prefix, for one parameter: made once, shared by every step until the prefix shrinks.
#[derive(Debug)]
pub(crate) struct Synthesis {
    prefix: Prefix,
    dtype: DType,
    /// Made when a weight is first rebuilt. Its bases may take far more memory than the coefficients, and a layer that runs through its
    /// factors has no use for it; nor has whoever asks a network for its names and shapes only, which may have come with a file.
    plan: OnceLock<AnyPlan>,
    /// The shape of the weight (its axes may differ from those of the transform).
    shape: Shape,
    device_factors: OnceLock<DeviceFactors>,
    cost: OnceLock<f64>,
}

#[derive(Clone, Debug)]
pub(crate) enum AnyPlan {
    F32(Plan<f32>),
    F64(Plan<f64>),
}

/// What the transform needs on a device that has no kernels of ours: where each coefficient stands in the
/// bounding box, and the truncated basis of every axis.
#[derive(Debug)]
struct DeviceFactors {
    positions: Tensor,
    bases: Vec<Tensor>,
}

impl Synthesis {
    pub(crate) fn new(prefix: Prefix, dtype: DType, shape: Vec<usize>) -> Result<Self> {
        if !matches!(dtype, DType::F32 | DType::F64) {
            return Err(candle_core::Error::Msg(format!(
                "coefficients are held in f32 or f64, not {dtype:?}"
            ))
            .into());
        }
        Ok(Synthesis {
            prefix,
            dtype,
            plan: OnceLock::new(),
            shape: shape.into(),
            device_factors: OnceLock::new(),
            cost: OnceLock::new(),
        })
    }

    pub(crate) fn truncated(&self, k: usize) -> Result<Self> {
        let plan = match self.plan.get() {
            None => OnceLock::new(),
            Some(AnyPlan::F32(p)) => AnyPlan::F32(p.truncated(k)?).into(),
            Some(AnyPlan::F64(p)) => AnyPlan::F64(p.truncated(k)?).into(),
        };
        Ok(Synthesis {
            prefix: self.prefix.truncated(k)?,
            dtype: self.dtype,
            plan,
            shape: self.shape.clone(),
            device_factors: OnceLock::new(),
            cost: OnceLock::new(),
        })
    }

    fn plan(&self) -> CandleResult<&AnyPlan> {
        if let Some(plan) = self.plan.get() {
            return Ok(plan);
        }
        let prefix = self.prefix.clone();
        let plan = match self.dtype {
            DType::F64 => AnyPlan::F64(Plan::from_prefix(prefix).map_err(wrap)?),
            _ => AnyPlan::F32(Plan::from_prefix(prefix).map_err(wrap)?),
        };
        Ok(self.plan.get_or_init(|| plan))
    }

    /// The weight, differentiable with respect to `coefficients` (shape `[k]`).
    pub(crate) fn apply(this: &Arc<Self>, coefficients: &Tensor) -> CandleResult<Tensor> {
        if coefficients.device().is_cpu() {
            run1(Synthesize(this.clone()), [coefficients])
        } else {
            this.apply_portable(coefficients)
        }
    }

    /// The same by candle's operations, on any device: coefficients into their box, then one matrix product
    /// an axis.
    pub(crate) fn apply_portable(&self, coefficients: &Tensor) -> CandleResult<Tensor> {
        let (mut t, bases) = self.core(coefficients)?;
        // Each turn expands the first axis of [bound, rest] and moves it to the end, so that after all turns
        // the axes stand in their old order.
        for (bound, basis) in self.bounds().iter().zip(bases) {
            let rest = t.elem_count() / bound;
            t = t
                .reshape((*bound, rest))?
                .t()?
                .contiguous()?
                .matmul(basis)?;
        }
        t.reshape(self.shape.clone())
    }

    /// The coefficients in their bounding box, zero where nothing is kept, and the truncated basis of every axis.
    pub(crate) fn core(&self, coefficients: &Tensor) -> CandleResult<(Tensor, &[Tensor])> {
        let factors = match self.device_factors.get() {
            Some(f) => f,
            None => {
                let made = self.make_factors(coefficients.dtype(), coefficients.device())?;
                self.device_factors.get_or_init(|| made)
            }
        };
        let volume: usize = self.bounds().iter().product();
        let flat = Tensor::zeros(volume, coefficients.dtype(), coefficients.device())?;
        let flat = flat.index_add(&factors.positions, coefficients, 0)?;
        Ok((flat.reshape(self.bounds())?, &factors.bases))
    }

    /// The bounding box of the kept indices.
    pub(crate) fn bounds(&self) -> &[usize] {
        self.prefix.bounds()
    }

    /// What it costs to rebuild the weight, in multiply-adds.
    pub(crate) fn cost(&self) -> f64 {
        *self.cost.get_or_init(|| {
            let prefix = &self.prefix;
            // Shape and bounds are a prefix's, which has accepted them.
            let in_box = cost::box_way(prefix.shape(), prefix.bounds()).unwrap_or(f64::INFINITY);
            in_box.min(cost::fft_way(prefix.shape()).unwrap_or(f64::INFINITY))
        })
    }

    fn make_factors(&self, dtype: DType, device: &Device) -> CandleResult<DeviceFactors> {
        let prefix = &self.prefix;
        let (axes, bounds) = (prefix.shape(), prefix.bounds());
        let positions: Vec<u32> = prefix
            .offsets()
            .iter()
            .map(|&offset| {
                let (mut rest, mut at, mut stride) = (offset, 0, 1);
                for (&n, &b) in axes.iter().zip(bounds).rev() {
                    at += rest % n * stride;
                    stride *= b;
                    rest /= n;
                }
                at as u32
            })
            .collect();
        let k = positions.len();
        let bases = axes
            .iter()
            .zip(bounds)
            .map(|(&n, &b)| {
                let basis = Basis::<f64>::new(n, b).map_err(wrap)?;
                Tensor::from_slice(basis.as_slice(), (b, n), &Device::Cpu)?
                    .to_dtype(dtype)?
                    .to_device(device)
            })
            .collect::<CandleResult<_>>()?;
        Ok(DeviceFactors {
            positions: Tensor::from_vec(positions, k, device)?,
            bases,
        })
    }
}

/// `AnyPlan` knows its float type; a kernel is generic over it: this is where the two meet.
pub(crate) trait PlanOf: freqreg_dct::Real {
    fn plan(any: &AnyPlan) -> CandleResult<&Plan<Self>>;
}

macro_rules! plan_of {
    ($t:ty, $variant:ident) => {
        impl PlanOf for $t {
            fn plan(any: &AnyPlan) -> CandleResult<&Plan<Self>> {
                match any {
                    AnyPlan::$variant(p) => Ok(p),
                    _ => {
                        bail!("the coefficients changed their float type after the layer was built")
                    }
                }
            }
        }
    };
}
plan_of!(f32, F32);
plan_of!(f64, F64);

struct Synthesize(Arc<Synthesis>);
struct Analyze<'a>(&'a Synthesis);

impl Kernel<1> for Synthesize {
    const NAME: &'static str = "synthesis of a weight from its coefficients";
    fn output_shape(&self) -> Shape {
        self.0.shape.clone()
    }
    fn run<T: Element>(&self, [coefficients]: [&[T]; 1]) -> CandleResult<Vec<T>> {
        T::plan(self.0.plan()?)?
            .synthesize(coefficients)
            .map_err(wrap)
    }
}

impl Differentiable<1> for Synthesize {
    fn backward(
        &self,
        [coefficients]: [&Tensor; 1],
        _: &Tensor,
        grad: &Tensor,
    ) -> CandleResult<[Option<Tensor>; 1]> {
        // The transform is orthonormal: its transpose is the analysis, cut to the prefix.
        let g = wanted(coefficients).then(|| run_plain(&Analyze(&self.0), [grad]));
        Ok([g.transpose()?])
    }
}

impl Kernel<1> for Analyze<'_> {
    const NAME: &'static str = "analysis of a weight's gradient into coefficients";
    fn output_shape(&self) -> Shape {
        self.0.prefix.len().into()
    }
    fn run<T: Element>(&self, [spatial]: [&[T]; 1]) -> CandleResult<Vec<T>> {
        T::plan(self.0.plan()?)?.analyze(spatial).map_err(wrap)
    }
}
