//! The one mechanism by which a network is built dense or regularised: the architecture asks for layers by
//! name and does not learn which kind it got.

use crate::{Budgets, Error, Result};
use candle_nn::{Conv2dConfig, ConvTranspose2dConfig};
use freqreg_nn::{Builder, Conv2d, ConvTranspose2d, Init, Keep, Linear, Parameter};
use std::cell::RefCell;

/// Makes the layers of one network.
pub struct Layers<'a> {
    builder: Builder,
    kind: Kind<'a>,
    made: RefCell<Vec<String>>,
}

enum Kind<'a> {
    Dense,
    Regularised(&'a Budgets, Init),
    Outline,
}

/// Layers of an outline at most, which might come from a file.
const MOST: usize = 4096;

impl<'a> Layers<'a> {
    /// Every layer dense.
    pub fn dense(builder: Builder) -> Self {
        Layers {
            builder,
            kind: Kind::Dense,
            made: RefCell::default(),
        }
    }

    /// Every layer with its budget, its coefficients starting by `init`.
    pub fn regularised(builder: Builder, budgets: &'a Budgets, init: Init) -> Self {
        Layers {
            builder,
            kind: Kind::Regularised(budgets, init),
            made: RefCell::default(),
        }
    }

    /// Every layer with a single coefficient: a network of which only the names and shapes of its weights are of interest.
    pub fn outline(builder: Builder) -> Self {
        Layers {
            builder,
            kind: Kind::Outline,
            made: RefCell::default(),
        }
    }

    /// A convolution called `name`.
    ///
    /// # Errors
    /// A budget that is missing or does not fit.
    pub fn conv2d(
        &self,
        name: &str,
        channels: [usize; 2],
        kernel: usize,
        config: Conv2dConfig,
        bias: bool,
    ) -> Result<Conv2d> {
        let (keep, vb) = self.next(name)?;
        let make = if bias {
            freqreg_nn::conv2d
        } else {
            freqreg_nn::conv2d_no_bias
        };
        Ok(make(channels[0], channels[1], kernel, config, keep, vb)?)
    }

    /// A linear layer called `name`.
    ///
    /// # Errors
    /// A budget that is missing or does not fit.
    pub fn linear(&self, name: &str, features: [usize; 2], bias: bool) -> Result<Linear> {
        let (keep, vb) = self.next(name)?;
        let make = if bias {
            freqreg_nn::linear
        } else {
            freqreg_nn::linear_no_bias
        };
        Ok(make(features[0], features[1], keep, vb)?)
    }

    /// A transposed convolution called `name`, without a bias.
    ///
    /// # Errors
    /// A budget that is missing or does not fit.
    pub fn conv_transpose2d(
        &self,
        name: &str,
        channels: [usize; 2],
        kernel: usize,
        config: ConvTranspose2dConfig,
    ) -> Result<ConvTranspose2d> {
        let (keep, vb) = self.next(name)?;
        let [from, to] = channels;
        Ok(freqreg_nn::conv_transpose2d_no_bias(
            from, to, kernel, config, keep, vb,
        )?)
    }

    /// A trainable table called `name`, such as the positions of a transformer.
    ///
    /// # Errors
    /// A budget that is missing or does not fit.
    pub fn table(&self, name: &str, shape: &[usize]) -> Result<Parameter> {
        let (keep, vb) = self.next(name)?;
        Ok(freqreg_nn::table(shape, keep, vb)?)
    }

    /// Says that the network is complete.
    ///
    /// # Errors
    /// [`Error::UnknownLayer`] for a budget that no layer took.
    pub fn finish(self) -> Result<()> {
        let known = self.made.into_inner();
        let unknown = match self.kind {
            Kind::Regularised(budgets, _) => budgets.keys().find(|name| !known.contains(name)),
            Kind::Dense | Kind::Outline => None,
        };
        match unknown {
            None => Ok(()),
            Some(name) => Err(Error::UnknownLayer {
                name: name.clone(),
                known,
            }),
        }
    }

    fn next(&self, name: &str) -> Result<(Keep, Builder)> {
        self.made.borrow_mut().push(name.into());
        let keep = match self.kind {
            Kind::Dense => Keep::dense(),
            Kind::Outline if self.made.borrow().len() > MOST => {
                return Err(Error::Config {
                    architecture: "outline",
                    reason: format!("more than {MOST} layers"),
                });
            }
            Kind::Outline => Keep::count(1),
            Kind::Regularised(budgets, init) => budgets
                .get(name)
                .ok_or_else(|| Error::MissingBudget(name.into()))?
                .to_keep(init)
                .map_err(|reason| freqreg_nn::Error::Config {
                    name: name.into(),
                    reason,
                })?,
        };
        Ok((keep, self.builder.pp(name)))
    }
}
