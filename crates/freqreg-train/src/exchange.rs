//! What processes that train together tell one another.

use crate::communicator::{Communicator, sum_in_pairs};
use crate::{Error, Result};
use candle_core::Tensor;
use candle_core::backprop::GradStore;
use freqreg_nn::Parameter;

/// Why some networks can't go through a batch in parts.
pub(crate) const IN_TURNS: &str = "networks that learn in turns can't go through a batch in parts that come one after the other: leave --parts out";

/// What processes tell one another in a step: gradients, the loss, and whether one wants to stop.
pub(crate) struct Exchange<'a> {
    communicator: &'a dyn Communicator,
    /// Whether there is anything to add up: several processes, or several parts of a batch.
    pub(crate) in_parts: bool,
    /// Of this process's parts of a batch, gradients and loss.
    parts: Vec<Vec<f32>>,
    /// The loss where nothing is to be added up.
    loss: f64,
    /// With what the names of the parameters begin that these are of.
    prefix: String,
    /// Of a step, what this process gave to sums.
    pub(crate) bytes: usize,
    asked_to_stop: bool,
    /// Whether any process was asked to stop.
    pub(crate) stopping: bool,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(communicator: &'a dyn Communicator, in_parts: bool) -> Self {
        Exchange {
            communicator,
            in_parts,
            loss: f64::NAN,
            parts: Vec::new(),
            prefix: String::new(),
            bytes: 0,
            asked_to_stop: false,
            stopping: false,
        }
    }

    pub(crate) fn begin(&mut self, asked_to_stop: bool) {
        self.bytes = 0;
        self.asked_to_stop = asked_to_stop;
    }

    /// Takes the gradients of the parameters that begin with `prefix` and the loss of a part of a batch, both shares of the whole batch's.
    pub(crate) fn put(
        &mut self,
        gradients: &GradStore,
        parameters: &[Parameter],
        prefix: &str,
        loss: f64,
    ) -> Result<()> {
        if !self.in_parts {
            self.loss = loss;
            return Ok(());
        }
        if self.parts.is_empty() {
            self.prefix = prefix.into();
        } else if self.prefix != prefix {
            return Err(Error::Setting(IN_TURNS.into()));
        }
        let mut part: Vec<f32> = Vec::new();
        for p in parameters.iter().filter(|p| p.name().starts_with(prefix)) {
            let gradient = gradients.get(&p.variable());
            let gradient = gradient.ok_or_else(|| Error::NoGradient(p.name().into()))?;
            part.extend(gradient.flatten_all()?.to_vec1::<f32>()?);
        }
        part.push(loss as f32);
        self.parts.push(part);
        Ok(())
    }

    /// Adds up what was taken, in one sum over all processes, and puts it in the place of the gradients. Gives the loss of the whole batch.
    pub(crate) fn sum(
        &mut self,
        gradients: &mut GradStore,
        parameters: &[Parameter],
        prefix: &str,
    ) -> Result<f64> {
        if !self.in_parts {
            return Ok(self.loss);
        }
        let mut all = sum_in_pairs(std::mem::take(&mut self.parts));
        all.push(f32::from(u8::from(self.asked_to_stop)));
        if self.communicator.size() > 1 {
            self.bytes += size_of_val(&all[..]);
            self.communicator.sum(&mut all)?;
        }
        let mut rest = &all[..];
        for p in parameters.iter().filter(|p| p.name().starts_with(prefix)) {
            let value = p.variable();
            let (own, others) = rest.split_at(value.elem_count());
            rest = others;
            gradients.insert(
                &value,
                Tensor::from_slice(own, value.shape(), value.device())?,
            );
        }
        self.stopping |= rest[1] > 0.0;
        Ok(f64::from(rest[0]))
    }

    /// The sum of what the processes have.
    pub(crate) fn total(&self, own: f64) -> Result<f64> {
        if self.communicator.size() == 1 {
            return Ok(own);
        }
        let mut values = [own as f32];
        self.communicator.sum(&mut values)?;
        Ok(f64::from(values[0]))
    }
}
