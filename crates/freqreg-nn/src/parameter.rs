//! One trainable list of numbers: a prefix of coefficients, or plain values.

use crate::execution::gradients;
use crate::ops::synthesis::Synthesis;
use crate::{Error, Result};
use candle_core::{DType, Tensor, Var};
use freqreg_dct::{KeepOrder, Prefix};
use std::sync::{Arc, RwLock};

/// What the numbers of a [`Parameter`] are.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// The values themselves, row-major, as many as the shape has.
    Plain,
    /// The first coefficients, in keep order, of the DCT of a tensor with these axes.
    Prefix {
        /// The axes of the transform; as many elements as the parameter's shape.
        axes: Vec<usize>,
        /// The order in which coefficients are kept.
        order: KeepOrder,
    },
}

/// A handle on one trainable list of numbers; clones share it.
///
/// The variable of a regularised weight **is** the prefix, a tensor of shape `[k]`: nothing is masked.
/// [`Parameter::truncate`] replaces it by a shorter one.
#[derive(Clone, Debug)]
pub struct Parameter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    shape: Vec<usize>,
    form: Form,
    /// Whether the variable is ours to replace (built from a `Store`).
    owned: bool,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    /// The variable; shape `[k]` for a prefix, the parameter's shape for plain values.
    value: Tensor,
    synthesis: Option<Arc<Synthesis>>,
}

/// A weight as a core in the shape of the box of the kept indices, and the first rows of the basis of each axis.
pub(crate) struct Factors {
    pub(crate) core: Tensor,
    pub(crate) bases: Vec<Tensor>,
}

impl Parameter {
    pub(crate) fn plain(name: String, value: Tensor, owned: bool) -> Self {
        Parameter(Arc::new(Inner {
            name,
            shape: value.dims().to_vec(),
            form: Form::Plain,
            owned,
            state: RwLock::new(State {
                value,
                synthesis: None,
            }),
        }))
    }

    pub(crate) fn prefix(
        name: String,
        shape: Vec<usize>,
        axes: Vec<usize>,
        prefix: Prefix,
        value: Tensor,
        owned: bool,
    ) -> Result<Self> {
        let order = prefix.order().clone();
        let synthesis = Synthesis::new(prefix, value.dtype(), shape.clone())?;
        Ok(Parameter(Arc::new(Inner {
            name,
            shape,
            form: Form::Prefix { axes, order },
            owned,
            state: RwLock::new(State {
                value,
                synthesis: Some(Arc::new(synthesis)),
            }),
        })))
    }

    /// The full path, as `conv1.weight`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The shape of the spatial weight.
    pub fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    /// What the numbers are.
    pub fn form(&self) -> &Form {
        &self.0.form
    }

    /// How many numbers are held now.
    pub fn kept(&self) -> usize {
        self.variable().elem_count()
    }

    /// How many numbers the spatial weight has.
    pub fn weights(&self) -> usize {
        self.0.shape.iter().product()
    }

    /// The variable itself, for a gradient or an optimiser. After [`Parameter::truncate`] it is another.
    pub fn variable(&self) -> Tensor {
        self.read(|state| state.value.clone())
    }

    /// The spatial weight, differentiable with respect to the variable.
    ///
    /// # Errors
    /// What candle reports (out of memory on a device).
    pub fn weight(&self) -> Result<Tensor> {
        let (value, synthesis) = self.used();
        match synthesis {
            None => Ok(value),
            Some(synthesis) => Ok(Synthesis::apply(&synthesis, &value)?),
        }
    }

    /// The same by candle's operations alone, as it is done on devices without kernels of ours.
    ///
    /// # Errors
    /// What candle reports.
    pub fn weight_portable(&self) -> Result<Tensor> {
        let (value, synthesis) = self.used();
        match synthesis {
            None => Ok(value),
            Some(synthesis) => Ok(synthesis.apply_portable(&value)?),
        }
    }

    /// The numbers, as held.
    ///
    /// # Errors
    /// What candle reports.
    pub fn values(&self) -> Result<Vec<f64>> {
        let value = self.variable();
        Ok(value.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?)
    }

    /// Replaces the numbers; `values` must be as many as are held.
    ///
    /// # Errors
    /// [`Error::Values`] where the count differs; [`Error::NotVariable`] for a tensor that a `VarBuilder` read from a
    /// file, which can't be changed.
    pub fn set_values(&self, values: &[f64]) -> Result<()> {
        let value = self.variable();
        if values.len() != value.elem_count() {
            return Err(Error::Values {
                name: self.name().into(),
                expected: value.elem_count(),
                found: values.len(),
            });
        }
        if !value.is_variable() {
            return Err(Error::NotVariable(self.name().into()));
        }
        let new =
            Tensor::from_slice(values, value.shape(), value.device())?.to_dtype(value.dtype())?;
        Var::from_tensor(&value)?.set(&new)?;
        Ok(())
    }

    /// Cuts the prefix to its first `k` coefficients, for good: the variable is replaced by a shorter one,
    /// and an optimiser must cut its state to the same length.
    ///
    /// # Errors
    /// [`Error::NotPrefix`] for plain values, [`Error::NotOwned`] for a variable of candle's own `VarMap`,
    /// [`Error::Budget`] for zero and for more than are held.
    pub fn truncate(&self, k: usize) -> Result<()> {
        if self.0.form == Form::Plain {
            return Err(Error::NotPrefix(self.name().into()));
        }
        if !self.0.owned {
            return Err(Error::NotOwned(self.name().into()));
        }
        let mut state = self.0.state.write().unwrap_or_else(|e| e.into_inner());
        let held = state.value.elem_count();
        if k == held {
            return Ok(());
        }
        if k == 0 || k > held {
            return Err(Error::Budget {
                name: self.name().into(),
                shape: self.0.shape.clone(),
                asked: k.to_string(),
                count: held,
            });
        }
        let shorter = state.value.detach().narrow(0, 0, k)?.copy()?;
        let synthesis = match &state.synthesis {
            Some(s) => Some(Arc::new(s.truncated(k)?)),
            None => None,
        };
        *state = State {
            value: Var::from_tensor(&shorter)?.as_tensor().clone(),
            synthesis,
        };
        Ok(())
    }

    /// The value of a plain parameter as a layer uses it.
    pub(crate) fn plain_value(&self) -> Tensor {
        self.used().0
    }

    /// The axes of the transform; none for plain values.
    pub(crate) fn transform_axes(&self) -> &[usize] {
        match &self.0.form {
            Form::Plain => &[],
            Form::Prefix { axes, .. } => axes,
        }
    }

    /// The bounding box of the kept indices; `None` for plain values.
    pub(crate) fn factor_bounds(&self) -> Option<Vec<usize>> {
        self.read(|state| Some(state.synthesis.as_ref()?.bounds().to_vec()))
    }

    /// What it costs to rebuild the weight, in multiply-adds.
    pub(crate) fn synthesis_cost(&self) -> f64 {
        self.read(|state| state.synthesis.as_ref().map_or(0.0, |s| s.cost()))
    }

    /// The weight as a core, differentiable with respect to the variable, and constant bases; `None` for plain values.
    pub(crate) fn factors(&self) -> candle_core::Result<Option<Factors>> {
        let (value, synthesis) = self.used();
        let Some(synthesis) = synthesis else {
            return Ok(None);
        };
        let (core, bases) = synthesis.core(&value)?;
        let bases = bases.to_vec();
        Ok(Some(Factors { core, bases }))
    }

    /// The value, a constant where no gradients are wanted, and the way from it to the weight.
    fn used(&self) -> (Tensor, Option<Arc<Synthesis>>) {
        let (value, synthesis) = self.read(|state| (state.value.clone(), state.synthesis.clone()));
        match gradients() {
            true => (value, synthesis),
            false => (value.detach(), synthesis),
        }
    }

    fn read<R>(&self, f: impl FnOnce(&State) -> R) -> R {
        // A poisoned lock means that another thread panicked while it replaced the state as a whole:
        // what is there is either the old or the new state, both sound.
        f(&self.0.state.read().unwrap_or_else(|e| e.into_inner()))
    }
}
