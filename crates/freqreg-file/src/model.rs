//! The model in memory: what a file holds, and the rules that every stored model obeys.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use freqreg_dct::KeepOrder;
#[cfg(feature = "std")]
use freqreg_dct::Plan;
use half::f16;

use crate::{Error, Fault, Result};

/// The most axes a tensor or its transform may have.
pub const MAX_AXES: usize = 8;

/// A network as its file holds it: what it is, and its tensors in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The architecture's name, e.g. `lenet5`.
    pub architecture: String,
    /// The architecture's own configuration, by custom as compact JSON. Nothing here reads it; it may be empty.
    pub config: String,
    /// The tensors, each under a name of its own.
    pub tensors: Vec<Tensor>,
}

/// One weight tensor: its spatial shape and the numbers from which it is rebuilt.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// The name under which a network looks for it, e.g. `conv1.weight`.
    pub name: String,
    /// The shape of the weight as the layer uses it, e.g. `[196, 2048]`: 1 to [`MAX_AXES`] axes, none of length 0.
    pub shape: Vec<usize>,
    /// What the values are.
    pub storage: Storage,
    /// The stored numbers, all finite.
    pub values: Values,
}

/// How a tensor's values stand for its weights.
#[derive(Debug, Clone, PartialEq)]
pub enum Storage {
    /// The values are the weights, row-major: as many as the shape has elements.
    Plain,
    /// The values are the first coefficients, in keep order, of the weight's orthonormal DCT; all others are zero.
    Prefix {
        /// The axes the transform runs over, e.g. `[196, 128, 4, 4]` for a linear layer `[196, 2048]` behind a
        /// convolution: as many elements as the shape, read row-major. Most often the shape itself.
        axes: Vec<usize>,
        /// The order in which coefficients are kept. It fixes the position of every value, so none is stored.
        order: KeepOrder,
    },
}

/// Numbers in the form in which they are stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Two bytes a number.
    F16(Vec<f16>),
    /// Four bytes a number.
    F32(Vec<f32>),
    /// Whole multiples of a step, entropy coded: a few bits a number.
    Quantised {
        /// The step, positive. The number is `level * step`, computed in float32.
        step: f16,
        /// The multiples, of magnitudes below 2^20.
        levels: Vec<i32>,
    },
}

impl Values {
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F16(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::Quantised { levels, .. } => levels.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes they take in a file; of quantised values, how many they would take coded on their own.
    #[cfg(feature = "std")]
    pub fn bytes(&self) -> usize {
        match self {
            Self::F16(values) => size_of_val(values.as_slice()),
            Self::F32(values) => size_of_val(values.as_slice()),
            Self::Quantised { levels, .. } => 2 + crate::coder::encode(levels).len(),
        }
    }

    /// The numbers as float32, which holds every float16 exactly.
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Self::F16(values) => values.iter().map(|v| v.to_f32()).collect(),
            Self::F32(values) => values.clone(),
            Self::Quantised { step, levels } => {
                let step = step.to_f32();
                levels.iter().map(|&level| level as f32 * step).collect()
            }
        }
    }

    /// These numbers quantised: the nearest multiples of `step`, where the part of a step that is not enough for a further one is
    /// `dead` instead of one half: with more, more numbers become zero, or smaller, and take fewer bits.
    ///
    /// # Errors
    /// [`Fault::NotFinite`] for such a number, [`Fault::DeadZone`] for a `dead` that is not 0 to 1, [`Fault::Step`] for a step that is not
    /// positive, or so small that a level would be too large.
    pub fn quantised(&self, step: f16, dead: f32) -> core::result::Result<Self, Fault> {
        if !(0.0..=1.0).contains(&dead) {
            return Err(Fault::DeadZone { dead });
        }
        if let Some((index, value)) = self.first_not_finite() {
            return Err(Fault::NotFinite { index, value });
        }
        let size = step.to_f32();
        let level = |v: f32| {
            let steps = v.abs() / size;
            let level = (steps + 1.0 - dead) as u32;
            (v.is_finite() && level <= crate::coder::LARGEST).then_some(if v < 0.0 {
                -(level as i32)
            } else {
                level as i32
            })
        };
        let levels: Option<Vec<i32>> = match size > 0.0 && size.is_finite() {
            true => self.to_f32().into_iter().map(level).collect(),
            false => None,
        };
        match levels {
            Some(levels) => Ok(Self::Quantised { step, levels }),
            None => Err(Fault::Step { step: size }),
        }
    }

    /// The first number that is not finite, with its index.
    pub(crate) fn first_not_finite(&self) -> Option<(usize, f32)> {
        match self {
            Self::F16(values) => values
                .iter()
                .map(|v| v.to_f32())
                .enumerate()
                .find(|(_, v)| !v.is_finite()),
            Self::F32(values) => values
                .iter()
                .copied()
                .enumerate()
                .find(|(_, v)| !v.is_finite()),
            Self::Quantised { .. } => None,
        }
    }

    /// What is wrong with the step or a level of quantised values.
    fn check_steps(&self) -> core::result::Result<(), Fault> {
        let Self::Quantised { step, levels } = self else {
            return Ok(());
        };
        check_step(*step)?;
        let largest = levels.iter().map(|l| l.unsigned_abs()).max().unwrap_or(0);
        match largest <= crate::coder::LARGEST {
            true => Ok(()),
            false => Err(Fault::Step {
                step: step.to_f32(),
            }),
        }
    }
}

/// Checks that a step is positive and finite.
pub(crate) fn check_step(step: f16) -> core::result::Result<(), Fault> {
    let step = step.to_f32();
    match step > 0.0 && step.is_finite() {
        true => Ok(()),
        false => Err(Fault::Step { step }),
    }
}

impl Model {
    /// Stored numbers in all tensors.
    pub fn kept(&self) -> usize {
        self.tensors.iter().map(|t| t.values.len()).sum()
    }

    /// Weights of all tensors once expanded. Saturates when a shape has more elements than can be counted, which
    /// no stored model has.
    pub fn weights(&self) -> usize {
        self.tensors.iter().fold(0, |sum, t| {
            sum.saturating_add(elements(&t.shape).unwrap_or(usize::MAX))
        })
    }

    /// Bytes that the stored numbers alone take in a file, steps included.
    #[cfg(feature = "std")]
    pub fn payload_bytes(&self) -> usize {
        let (mut bytes, mut levels) = (0, Vec::new());
        for tensor in &self.tensors {
            match &tensor.values {
                Values::Quantised { levels: some, .. } => {
                    levels.extend_from_slice(some);
                    bytes += 2;
                }
                plain => bytes += plain.bytes(),
            }
        }
        // They are coded together.
        bytes + crate::coder::encode(&levels).len()
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|t| t.name == name)
    }

    /// Checks every rule a stored model obeys: those of [`Tensor::validate`], and no name twice.
    ///
    /// # Errors
    /// [`Error::Tensor`] or [`Error::DuplicateName`] for the first tensor at fault.
    pub fn validate(&self) -> Result<()> {
        let mut names = BTreeSet::new();
        for tensor in &self.tensors {
            tensor.validate()?;
            if !names.insert(tensor.name.as_str()) {
                return Err(Error::DuplicateName {
                    name: tensor.name.clone(),
                });
            }
        }
        Ok(())
    }
}

impl Tensor {
    /// Checks that the shape, the storage and the values fit together and that every value is finite.
    ///
    /// # Errors
    /// [`Error::Tensor`] with the first [`Fault`] found.
    pub fn validate(&self) -> Result<()> {
        let check = || {
            if self.name.is_empty() || self.name == "__metadata__" {
                return Err(Fault::Name);
            }
            let layout = self.storage.check(&self.shape)?;
            layout.check_count(self.values.len())?;
            self.values.check_steps()?;
            match self.values.first_not_finite() {
                Some((index, value)) => Err(Fault::NotFinite { index, value }),
                None => Ok(()),
            }
        };
        check().map_err(|fault| self.fault(fault))
    }

    #[cfg(feature = "std")]
    /// The weight in its dense spatial form: row-major, as many values as the shape has elements.
    ///
    /// # Errors
    /// [`Error::Tensor`] where the tensor breaks a rule of [`validate`](Self::validate).
    pub fn expand(&self) -> Result<Vec<f32>> {
        self.validate()?;
        let values = self.values.to_f32();
        match &self.storage {
            Storage::Plain => Ok(values),
            Storage::Prefix { axes, order } => Plan::<f32>::new(axes, order, values.len())
                .and_then(|plan| plan.synthesize(&values))
                .map_err(|e| self.fault(Fault::Transform(e))),
        }
    }

    fn fault(&self, fault: Fault) -> Error {
        Error::Tensor {
            tensor: self.name.clone(),
            fault,
        }
    }
}

/// What a shape and its storage allow: the rules that can be checked before any value is read.
pub(crate) struct Layout {
    pub(crate) elements: usize,
    plain: bool,
}

impl Layout {
    /// Checks the number of stored values.
    pub(crate) fn check_count(&self, got: usize) -> Result<(), Fault> {
        let elements = self.elements;
        match self.plain {
            true if got != elements => Err(Fault::Count {
                expected: elements,
                got,
            }),
            false if got == 0 || got > elements => Err(Fault::Kept { elements, got }),
            _ => Ok(()),
        }
    }
}

impl Storage {
    /// Checks that this storage fits a weight of the given shape.
    pub(crate) fn check(&self, shape: &[usize]) -> Result<Layout, Fault> {
        let expected = count(shape)?;
        if let Self::Prefix { axes, order } = self {
            let got = count(axes)?;
            if got != expected {
                return Err(Fault::Axes {
                    shape: shape.to_vec(),
                    axes: axes.clone(),
                    expected,
                    got,
                });
            }
            order.axis_weights(axes).map_err(Fault::Order)?;
        }
        Ok(Layout {
            elements: expected,
            plain: matches!(self, Self::Plain),
        })
    }
}

/// The number of elements of a shape that obeys the rules.
fn count(shape: &[usize]) -> Result<usize, Fault> {
    if shape.is_empty() || shape.len() > MAX_AXES {
        return Err(Fault::AxisCount { got: shape.len() });
    }
    match elements(shape) {
        Some(n) if n > 0 => Ok(n),
        _ => Err(Fault::Shape {
            shape: shape.to_vec(),
        }),
    }
}

fn elements(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1usize, |product, &n| product.checked_mul(n))
}
