//! Where parameters come from: our own seeded store, or any candle `VarBuilder`.

use crate::{Error, Execution, Keep, LayerKind, Parameter, Result, Seed};
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarBuilder;
use std::sync::{Arc, Mutex};

/// The parameters of a network, in the order in which its layers were built.
///
/// ```
/// use freqreg_nn::{Keep, Store, linear};
/// use candle_core::{DType, Device};
/// let store = Store::new(1, DType::F32, &Device::Cpu);
/// let fc = linear(20, 12, Keep::count(30), store.root().pp("fc"))?;
/// let table: Vec<_> = store.parameters().iter().map(|p| (p.name().to_string(), p.kept())).collect();
/// assert_eq!(table, [("fc.weight".into(), 30), ("fc.bias".into(), 12)]);
/// # Ok::<(), freqreg_nn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    seed: Seed,
    dtype: DType,
    device: Device,
    limit: usize,
    execution: Execution,
    parameters: Arc<Mutex<Vec<Parameter>>>,
}

impl Store {
    /// An empty store. Layers built from it start from `seed`, each by its own name, so that the same seed
    /// gives the same network in whatever order its layers are built.
    pub fn new(seed: u64, dtype: DType, device: &Device) -> Self {
        Store {
            seed: Seed(seed),
            dtype,
            device: device.clone(),
            limit: 1 << 32,
            execution: Execution::default(),
            parameters: Arc::default(),
        }
    }

    /// The same with at most `limit` numbers in spatial form in all its parameters, for networks whose description
    /// comes from somewhere else. Default: 2^32.
    pub fn limited(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// The same with layers that run as `execution` says. Default: [`Execution::Auto`].
    pub fn execution(mut self, execution: Execution) -> Self {
        self.execution = execution;
        self
    }

    /// The builder to hand to the layers of a network.
    pub fn root(&self) -> Builder {
        Builder {
            source: Source::Store(self.clone()),
            path: String::new(),
        }
    }

    /// Every parameter, in the order of building.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Parameter>> {
        self.parameters.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn add(&self, parameter: &Parameter) -> Result<()> {
        let mut all = self.lock();
        if all.iter().any(|p| p.name() == parameter.name()) {
            return Err(Error::Duplicate(parameter.name().into()));
        }
        all.push(parameter.clone());
        Ok(())
    }

    /// Refuses a parameter that is too large before anything is allocated for it.
    fn admit(&self, name: &str, shape: &[usize]) -> Result<()> {
        let held: usize = self.lock().iter().map(Parameter::weights).sum();
        let size = shape
            .iter()
            .try_fold(1_usize, |n, &axis| n.checked_mul(axis));
        match size.and_then(|n| n.checked_add(held)) {
            Some(all) if all <= self.limit => Ok(()),
            _ => Err(Error::TooLarge {
                name: name.into(),
                shape: shape.to_vec(),
                limit: self.limit,
            }),
        }
    }

    fn variable(&self, shape: &[usize], values: &[f64]) -> Result<Tensor> {
        let t = Tensor::from_slice(values, shape, &self.device)?.to_dtype(self.dtype)?;
        Ok(Var::from_tensor(&t)?.as_tensor().clone())
    }
}

/// A place in a [`Store`] or in a candle `VarBuilder`, from which a layer takes its parameters.
///
/// Every constructor here takes `impl Into<Builder>`, so a candle `VarBuilder` does as well; then candle owns
/// the variables (and initialises them, unseeded on the CPU), and budgets are fixed.
#[derive(Clone)]
pub struct Builder {
    source: Source,
    path: String,
}

#[derive(Clone)]
enum Source {
    Store(Store),
    Candle(VarBuilder<'static>),
}

impl From<VarBuilder<'static>> for Builder {
    fn from(vb: VarBuilder<'static>) -> Self {
        Builder {
            path: vb.prefix(),
            source: Source::Candle(vb),
        }
    }
}

impl Builder {
    /// The builder one level further down, as candle's `VarBuilder::pp`.
    pub fn pp(&self, name: impl std::fmt::Display) -> Self {
        let name = name.to_string();
        Builder {
            path: self.join(&name),
            source: match &self.source {
                Source::Candle(vb) => Source::Candle(vb.pp(&name)),
                Source::Store(store) => Source::Store(store.clone()),
            },
        }
    }

    /// The path so far, as `encoder.conv1`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where the parameters live.
    pub fn device(&self) -> &Device {
        match &self.source {
            Source::Store(store) => &store.device,
            Source::Candle(vb) => vb.device(),
        }
    }

    /// How its layers run.
    pub(crate) fn execution(&self) -> Execution {
        match &self.source {
            Source::Store(store) => store.execution,
            Source::Candle(_) => Execution::default(),
        }
    }

    fn admit(&self, name: &str, shape: &[usize]) -> Result<()> {
        match &self.source {
            Source::Store(store) => store.admit(name, shape),
            Source::Candle(_) => Ok(()),
        }
    }

    fn join(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.into(),
            path => format!("{path}.{name}"),
        }
    }

    /// A weight of `shape` held as `keep` says. A dense one starts uniform in
    /// ±1/√`fan_in`, `fan_in` being the inputs that an output sums over.
    pub(crate) fn weight(
        &self,
        kind: LayerKind,
        shape: &[usize],
        fan_in: usize,
        keep: &Keep,
    ) -> Result<Parameter> {
        let name = self.join("weight");
        self.admit(&name, shape)?;
        let Some(k) = keep.budget.resolve(&name, kind, shape)? else {
            return self.uniform("weight", shape, fan_in);
        };
        let count: usize = shape.iter().product();
        let axes = keep.axes.clone().unwrap_or_else(|| shape.to_vec());
        let product = axes
            .iter()
            .try_fold(1_usize, |n, &axis| n.checked_mul(axis));
        let found = product.unwrap_or(usize::MAX);
        if product != Some(count) {
            return Err(Error::Axes {
                name,
                shape: shape.to_vec(),
                axes,
                expected: count,
                found,
            });
        }
        let prefix = keep.order.prefix(&axes, k)?;
        let deviation = keep.init.deviation(count, k, fan_in);
        let (value, store) = match &self.source {
            Source::Store(store) => {
                let mut values = vec![0.0; k];
                store.seed.fill_normal(&name, deviation, &mut values);
                (store.variable(&[k], &values)?, Some(store))
            }
            Source::Candle(vb) => {
                let init = candle_nn::Init::Randn {
                    mean: 0.0,
                    stdev: deviation,
                };
                (vb.get_with_hints(k, "weight", init)?, None)
            }
        };
        let p = Parameter::prefix(name, shape.to_vec(), axes, prefix, value, store.is_some())?;
        store.map_or(Ok(()), |s| s.add(&p))?;
        Ok(p)
    }

    /// Plain values called `name`, uniform in ±1/√`fan_in`: a bias, or the weight of a dense layer.
    pub(crate) fn uniform(&self, name: &str, shape: &[usize], fan_in: usize) -> Result<Parameter> {
        self.admit(&self.join(name), shape)?;
        let bound = 1.0 / (fan_in.max(1) as f64).sqrt();
        let path = self.join(name);
        match &self.source {
            Source::Store(store) => {
                let mut values = vec![0.0; shape.iter().product()];
                store.seed.fill_uniform(&path, bound, &mut values);
                let p = Parameter::plain(path, store.variable(shape, &values)?, true);
                store.add(&p)?;
                Ok(p)
            }
            Source::Candle(vb) => {
                let init = candle_nn::Init::Uniform {
                    lo: -bound,
                    up: bound,
                };
                let value = vb.get_with_hints(shape, name, init)?;
                Ok(Parameter::plain(path, value, false))
            }
        }
    }
}
