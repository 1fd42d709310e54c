//! Sparse tensors of coefficients, as the paper's authors released them, to the prefixes of a `.freq` file.

use std::collections::{HashMap, HashSet};

use freqreg_dct::{KeepOrder, Prefix};
use half::f16;

use super::{PtTensor, PtValues};
use crate::{Error, Fault, Result, Storage, Tensor, Values};

/// How far a prefix may reach, in coefficients for each that is stored.
const REACH: usize = 4;

/// Turns sparse tensors, whose values are DCT coefficients at the indices where they stand, into tensors of a `.freq`
/// file, in the same order.
///
/// `rename` maps the name of every tensor to the one it shall have, or to `None` to leave the tensor out. The transform
/// runs over the axes of the tensor, in [zigzag](KeepOrder::Zigzag) order, the paper's.
///
/// A training cuts the list of coefficients at its end, so that the stored ones should be the first k. An explicit zero
/// counts as stored. A gap, where a coefficient happened to be zero and was not stored, is filled with a zero: k is 1
/// more than the highest rank stored. It may be up to 4 times the number of values stored; a tensor with larger gaps
/// was kept in another order, and is refused.
///
/// The values become float16 where this keeps every one of them exactly, float32 otherwise.
///
/// # Errors
/// [`Error::Tensor`] where a tensor is dense ([`Fault::Dense`]), gives an index twice ([`Fault::IndexTwice`]), stores
/// no value ([`Fault::Kept`]), is no prefix ([`Fault::NotAPrefix`]) or breaks a rule of [`Tensor::validate`];
/// [`Error::DuplicateName`] where two tensors get one name.
pub fn import_prefixes(
    tensors: &[PtTensor],
    mut rename: impl FnMut(&str) -> Option<String>,
) -> Result<Vec<Tensor>> {
    let mut names = HashSet::new();
    let mut imported = Vec::new();
    for tensor in tensors {
        let Some(name) = rename(&tensor.name) else {
            continue;
        };
        // A fault goes by the name in the file at hand.
        let values = prefix(tensor).map_err(|fault| Error::Tensor {
            tensor: tensor.name.clone(),
            fault,
        })?;
        let storage = Storage::Prefix {
            axes: tensor.shape.clone(),
            order: KeepOrder::Zigzag,
        };
        let shape = tensor.shape.clone();
        let tensor = Tensor {
            name,
            shape,
            storage,
            values: narrow(values),
        };
        tensor.validate()?;
        if !names.insert(tensor.name.clone()) {
            return Err(Error::DuplicateName { name: tensor.name });
        }
        imported.push(tensor);
    }
    Ok(imported)
}

/// The coefficients in keep order, up to the last one stored.
fn prefix(tensor: &PtTensor) -> Result<Vec<f32>, Fault> {
    let PtValues::Sparse { offsets, values } = &tensor.values else {
        return Err(Fault::Dense);
    };
    let shape = &tensor.shape;
    let order = KeepOrder::Zigzag;
    let storage = Storage::Prefix {
        axes: shape.clone(),
        order: order.clone(),
    };
    let elements = storage.check(shape)?.elements;
    // So it is in every tensor that was read; one made by hand may differ.
    if offsets.len() != values.len() {
        return Err(Fault::Count {
            expected: offsets.len(),
            got: values.len(),
        });
    }

    let mut stored = HashMap::with_capacity(offsets.len());
    for (&offset, &value) in offsets.iter().zip(values) {
        if stored.insert(offset, value).is_some() {
            let index = index(shape, offset);
            return Err(Fault::IndexTwice { index });
        }
    }
    let got = stored.len();
    if got == 0 {
        return Err(Fault::Kept { elements, got });
    }

    let within = got.saturating_mul(REACH).min(elements);
    let reach = Prefix::new(shape, &order, within).map_err(Fault::Order)?;
    let mut coefficients = Vec::with_capacity(got);
    for offset in reach.offsets() {
        coefficients.push(stored.remove(offset).unwrap_or(0.0));
        if stored.is_empty() {
            return Ok(coefficients);
        }
    }
    // The first in the file that was not met. An offset beyond the tensor, which no file yields, is met nowhere either.
    let far = offsets.iter().find(|offset| stored.contains_key(offset));
    Err(Fault::NotAPrefix {
        index: far.map_or_else(Vec::new, |&offset| index(shape, offset)),
        within,
        stored: got,
    })
}

/// The index along every axis of the element at a row-major offset.
fn index(shape: &[usize], mut offset: usize) -> Vec<usize> {
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&n| {
            let along = offset % n;
            offset /= n;
            along
        })
        .collect();
    index.reverse();
    index
}

/// As float16 if that changes no bit of any value.
fn narrow(values: Vec<f32>) -> Values {
    let halves: Vec<f16> = values.iter().map(|&value| f16::from_f32(value)).collect();
    let mut pairs = halves.iter().zip(&values);
    if pairs.all(|(half, value)| half.to_f32().to_bits() == value.to_bits()) {
        Values::F16(halves)
    } else {
        Values::F32(values)
    }
}
