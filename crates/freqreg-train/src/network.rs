//! A network together with its parameters, and its way into a model file and back.

use crate::experiment::NumberKind;
use crate::{Error, Result};
use candle_core::{DType, Device};
use freqreg_file::{Codec, Limits, Model as ModelFile, Storage, Tensor as FileTensor, Values};
use freqreg_models::{Architecture, Budgets, LayerKeep, Layers, Model};
use freqreg_nn::{Execution, Form, Init, Parameter, Store};
use serde_json::{Map, Value};

/// A network that can be run and trained.
pub struct Network {
    /// Its shape.
    pub architecture: Architecture,
    /// What runs.
    pub model: Box<dyn Model>,
    /// Every list of numbers in it, in the order of its layers.
    pub parameters: Vec<Parameter>,
}

impl Network {
    /// An ordinary network, its weights drawn from `seed`.
    ///
    /// # Errors
    /// A configuration that does not fit together.
    pub fn dense(architecture: &Architecture, seed: u64, device: &Device) -> Result<Self> {
        let store = Store::new(seed, DType::F32, device);
        let model = architecture.build(Layers::dense(store.root()))?;
        Ok(Self::new(architecture, model, &store))
    }

    /// A regularised network, its coefficients drawn from `seed`.
    ///
    /// # Errors
    /// A configuration or a budget that does not fit.
    pub fn regularised(
        architecture: &Architecture,
        budgets: &Budgets,
        init: Init,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let store = Store::new(seed, DType::F32, device);
        Self::in_store(architecture, budgets, init, store)
    }

    fn in_store(
        architecture: &Architecture,
        budgets: &Budgets,
        init: Init,
        store: Store,
    ) -> Result<Self> {
        let model = architecture.build(Layers::regularised(store.root(), budgets, init))?;
        Ok(Self::new(architecture, model, &store))
    }

    fn new(architecture: &Architecture, model: Box<dyn Model>, store: &Store) -> Self {
        Network {
            architecture: architecture.clone(),
            model,
            parameters: store.parameters(),
        }
    }

    /// Numbers stored.
    pub fn kept(&self) -> usize {
        self.parameters.iter().map(Parameter::kept).sum()
    }

    /// The network as a file holds it.
    ///
    /// # Errors
    /// [`Error::Unstorable`] for a number that `number` has no room for; what candle reports.
    pub fn to_file(&self, number: NumberKind) -> Result<ModelFile> {
        let single = |values: Vec<f64>| Values::F32(values.into_iter().map(|v| v as f32).collect());
        let tensors = self.parameters.iter().map(|p| {
            let values = p.values()?;
            Ok(FileTensor {
                name: p.name().into(),
                shape: p.shape().to_vec(),
                storage: match p.form() {
                    Form::Plain => Storage::Plain,
                    Form::Prefix { axes, order } => Storage::Prefix {
                        axes: axes.clone(),
                        order: order.clone(),
                    },
                },
                values: single(values)
                    .in_form(number)
                    .map_err(|fault| Error::Unstorable {
                        tensor: p.name().into(),
                        form: number,
                        fault,
                    })?,
            })
        });
        Ok(ModelFile {
            architecture: self.architecture.name().into(),
            config: short_config(&self.architecture)?,
            tensors: tensors.collect::<Result<_>>()?,
        })
    }

    /// The network that a file holds.
    ///
    /// # Errors
    /// [`Error::Model`] where its architecture is none of ours, or its tensors are not those of its
    /// architecture.
    pub fn from_file(file: &ModelFile, device: &Device) -> Result<Self> {
        Self::from_file_with(file, device, Execution::Auto)
    }

    /// The same with layers that run as `execution` says.
    ///
    /// # Errors
    /// As [`Network::from_file`].
    pub fn from_file_with(file: &ModelFile, device: &Device, execution: Execution) -> Result<Self> {
        let architecture = architecture_of(&file.architecture, &file.config)
            .map_err(|e| Error::Model(format!("architecture `{}`: {e}", file.architecture)))?;
        if architecture.name() != file.architecture {
            return Err(Error::Model(format!(
                "it says `{}`, its configuration `{}`",
                file.architecture,
                architecture.name()
            )));
        }
        let layers = file.tensors.iter().filter_map(|t| {
            let keep = match &t.storage {
                Storage::Plain => LayerKeep {
                    dense: true,
                    ..LayerKeep::default()
                },
                Storage::Prefix { axes, order } => LayerKeep {
                    keep: Some(t.values.len()),
                    order: Some(order.to_string()),
                    axes: Some(axes.clone()),
                    ..LayerKeep::default()
                },
            };
            Some((t.name.strip_suffix(".weight")?.to_string(), keep))
        });
        let budgets: Budgets = layers.collect();
        // Every number is set below, so the seed plays no part. What the configuration describes can't be larger than
        // what the tensors are, which the reader has checked.
        let store = Store::new(0, DType::F32, device)
            .limited(file.weights())
            .execution(execution);
        let this = Self::in_store(&architecture, &budgets, Init::VariancePreserving, store)
            .map_err(|e| Error::Model(e.to_string()))?;
        for p in &this.parameters {
            let t = file
                .tensor(p.name())
                .ok_or_else(|| Error::Model(format!("tensor `{}` is missing", p.name())))?;
            if t.shape != p.shape() {
                let (found, expected) = (&t.shape, p.shape());
                let name = p.name();
                return Err(Error::Model(format!(
                    "tensor `{name}` has shape {found:?} instead of {expected:?}"
                )));
            }
            let same = match (&t.storage, p.form()) {
                (Storage::Plain, Form::Plain) => true,
                (Storage::Prefix { axes, order }, Form::Prefix { axes: a, order: o }) => {
                    axes == a && order == o
                }
                _ => false,
            };
            if !same {
                let name = p.name();
                return Err(Error::Model(format!(
                    "tensor `{name}` is stored in a form that its layer does not have"
                )));
            }
            let values: Vec<f64> = t.values.to_f32().into_iter().map(f64::from).collect();
            p.set_values(&values)?;
        }
        if let Some(extra) = file
            .tensors
            .iter()
            .find(|t| this.parameters.iter().all(|p| p.name() != t.name))
        {
            return Err(Error::Model(format!(
                "tensor `{}` is none of `{}`",
                extra.name, file.architecture
            )));
        }
        Ok(this)
    }
}

/// How model files are read and written: a network of the zoo need not say what its tensors are called and how large they are.
pub fn codec() -> Codec<'static> {
    Codec {
        tables: &tables,
        ..Codec::default()
    }
}

fn tables(architecture: &str, config: &str) -> Option<Vec<(String, Vec<usize>)>> {
    let architecture = architecture_of(architecture, config).ok()?;
    architecture.weights(Limits::default().elements).ok()
}

/// The same model in the form that takes fewest bytes: without what its configuration says by default, and its tensors in the order in which
/// they need no names. A model that is no network of the zoo stays as it is.
pub fn tidied(mut model: ModelFile) -> ModelFile {
    let Ok(architecture) = architecture_of(&model.architecture, &model.config) else {
        return model;
    };
    if let (Ok(config), Ok(table)) = (
        short_config(&architecture),
        architecture.weights(Limits::default().elements),
    ) {
        model.config = config;
        let place = |name: &str| table.iter().position(|(n, _)| n == name);
        // What the network does not know comes last, as it was.
        model
            .tensors
            .sort_by_key(|t| place(&t.name).unwrap_or(usize::MAX));
    }
    model
}

/// The architecture of this name with this configuration, which may name it too.
fn architecture_of(name: &str, config: &str) -> serde_json::Result<Architecture> {
    let mut config: Map<String, Value> = match config {
        "" => Map::new(),
        text => serde_json::from_str(text)?,
    };
    config.entry(TAG).or_insert_with(|| name.into());
    serde_json::from_value(config.into())
}

/// The key under which a configuration names its architecture.
const TAG: &str = "architecture";

/// The configuration without what it says by default.
fn short_config(architecture: &Architecture) -> Result<String> {
    let wrong = |e: serde_json::Error| Error::Model(e.to_string());
    let whole = serde_json::to_value(architecture).map_err(wrong)?;
    let Value::Object(mut config) = whole else {
        return Err(Error::Model("a configuration that is no table".into()));
    };
    config.remove(TAG);
    let keys: Vec<String> = config.keys().cloned().collect();
    for key in keys {
        let mut without = config.clone();
        without.remove(&key);
        let text = Value::Object(without.clone()).to_string();
        if architecture_of(architecture.name(), &text).is_ok_and(|a| a == *architecture) {
            config = without;
        }
    }
    match config.is_empty() {
        true => Ok(String::new()),
        false => Ok(Value::Object(config).to_string()),
    }
}
