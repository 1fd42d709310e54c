//! From a description of a tensor to its numbers: what the pickle claims is held against the storages and the limits
//! before anything is allocated for it.

use std::io::{Read, Seek};

use half::{bf16, f16};

use super::archive::Archive;
use super::object::{Dense, Description, Storage};
use super::{PtTensor, PtType, PtValues};
use crate::{Error, Fault, Limits, Result};

/// Reads tensors one after another, and counts what they cost together.
pub(super) struct Numbers<'n, 'a, R> {
    archive: &'n mut Archive<R>,
    elements: Budget,
    values: Budget,
    stored: Budget,
    /// The storage read last: neighbours in a state dict often share one.
    last: Option<(Storage<'a>, Vec<u8>)>,
}

impl<'n, 'a, R: Read + Seek> Numbers<'n, 'a, R> {
    pub(super) fn new(archive: &'n mut Archive<R>, limits: &Limits) -> Self {
        Self {
            archive,
            elements: Budget::new("weights", limits.elements),
            values: Budget::new("values", limits.kept),
            stored: Budget::new("stored numbers", limits.kept),
            last: None,
        }
    }

    pub(super) fn tensor(&mut self, name: &str, tensor: Description<'_, 'a>) -> Result<PtTensor> {
        let fault = |fault| Error::Tensor {
            tensor: name.to_owned(),
            fault,
        };
        let (shape, dtype, values) = match tensor {
            Description::Dense(dense) => {
                let elements = count(&dense.shape).map_err(fault)?;
                self.elements.spend(elements)?;
                let values = self.view(dense, fault)?.values();
                (
                    &dense.shape[..],
                    dense.storage.dtype,
                    PtValues::Dense(values),
                )
            }
            Description::Sparse {
                shape,
                indices,
                values,
            } => {
                let elements = count(shape).map_err(fault)?;
                self.elements.spend(elements)?;
                check_parts(shape, indices, values).map_err(fault)?;
                let offsets = self.view(indices, fault)?.offsets(shape).map_err(fault)?;
                let dtype = values.storage.dtype;
                let values = self.view(values, fault)?.values();
                (shape, dtype, PtValues::Sparse { offsets, values })
            }
        };
        Ok(PtTensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            dtype,
            values,
        })
    }

    /// The bytes behind a dense tensor, once it is found to lie within its storage.
    fn view<'v>(
        &'v mut self,
        dense: &'v Dense<'a>,
        fault: impl Fn(Fault) -> Error,
    ) -> Result<View<'v>> {
        let elements = count(&dense.shape).map_err(&fault)?;
        if elements > 0 && !fits(dense, elements) {
            return Err(fault(Fault::Strides {
                shape: dense.shape.clone(),
                strides: dense.strides.clone(),
                offset: dense.offset,
                available: dense.storage.len,
            }));
        }
        self.values.spend(elements)?;
        let bytes = if elements > 0 {
            self.storage(dense.storage)?
        } else {
            &[]
        };
        Ok(View {
            dtype: dense.storage.dtype,
            bytes,
            dense,
            elements,
        })
    }

    fn storage(&mut self, storage: Storage<'a>) -> Result<&[u8]> {
        // Matched and taken apart in two steps, for what is returned must not borrow where it is replaced.
        if self.last.as_ref().is_none_or(|(last, _)| *last != storage) {
            self.stored.spend(storage.len)?;
            self.last = None;
            let length = (storage.len as u64).saturating_mul(storage.dtype.bytes() as u64);
            let bytes = self.archive.storage(storage.key, length)?;
            self.last = Some((storage, bytes));
        }
        Ok(self.last.as_ref().map_or(&[], |(_, bytes)| bytes))
    }
}

/// A limit on a sum.
struct Budget {
    what: &'static str,
    limit: usize,
    spent: usize,
}

impl Budget {
    fn new(what: &'static str, limit: usize) -> Self {
        Self {
            what,
            limit,
            spent: 0,
        }
    }

    fn spend(&mut self, n: usize) -> Result<()> {
        self.spent = self.spent.saturating_add(n);
        if self.spent > self.limit {
            return Err(Error::Limit {
                what: self.what,
                limit: self.limit as u64,
                got: self.spent as u64,
            });
        }
        Ok(())
    }
}

/// The number of elements; 1 for a shape without axes.
fn count(shape: &[usize]) -> Result<usize, Fault> {
    let product = shape
        .iter()
        .try_fold(1usize, |n, &axis| n.checked_mul(axis));
    // An axis of length 0 makes the tensor empty even where the axes before it cannot be multiplied.
    match product {
        Some(n) => Ok(n),
        None if shape.contains(&0) => Ok(0),
        None => Err(Fault::Shape {
            shape: shape.to_vec(),
        }),
    }
}

/// Whether a tensor that is not empty lies within its storage, and is not larger than it.
fn fits(dense: &Dense, elements: usize) -> bool {
    let mut axes = dense.shape.iter().zip(&dense.strides);
    let last = axes.try_fold(dense.offset, |last, (&n, &stride)| {
        n.checked_sub(1)?.checked_mul(stride)?.checked_add(last)
    });
    elements <= dense.storage.len && last.is_some_and(|last| last < dense.storage.len)
}

/// Checks that indices are `[axes, stored]` and values `[stored]`.
fn check_parts(shape: &[usize], indices: &Dense, values: &Dense) -> Result<(), Fault> {
    if shape.is_empty() {
        return Err(Fault::AxisCount { got: 0 });
    }
    let dtype = indices.storage.dtype;
    match (&indices.shape[..], &values.shape[..]) {
        ([axes, stored], [given])
            if *axes == shape.len() && stored == given && dtype == PtType::Int64 =>
        {
            Ok(())
        }
        _ => Err(Fault::Sparse {
            shape: shape.to_vec(),
            indices: indices.shape.clone(),
            dtype,
            values: values.shape.clone(),
        }),
    }
}

/// A dense tensor that lies within the bytes of its storage.
struct View<'v> {
    dtype: PtType,
    bytes: &'v [u8],
    dense: &'v Dense<'v>,
    elements: usize,
}

impl View<'_> {
    /// All elements, row-major.
    fn values(&self) -> Vec<f32> {
        let from = |[byte]: [u8; 1]| f32::from(byte);
        match self.dtype {
            PtType::Float16 => self.read(|b| f16::from_le_bytes(b).to_f32()),
            PtType::BFloat16 => self.read(|b| bf16::from_le_bytes(b).to_f32()),
            PtType::Float32 => self.read(f32::from_le_bytes),
            PtType::Float64 => self.read(|b| f64::from_le_bytes(b) as f32),
            PtType::Bool => self.read(|[byte]| f32::from(u8::from(byte != 0))),
            PtType::UInt8 => self.read(from),
            PtType::Int8 => self.read(|b| i8::from_le_bytes(b).into()),
            PtType::Int16 => self.read(|b| i16::from_le_bytes(b).into()),
            PtType::Int32 => self.read(|b| i32::from_le_bytes(b) as f32),
            PtType::Int64 => self.read(|b| i64::from_le_bytes(b) as f32),
        }
    }

    /// The row-major offsets in `shape` that this `[axes, stored]` array of int64 indices stands for.
    fn offsets(&self, shape: &[usize]) -> Result<Vec<usize>, Fault> {
        let indices = self.read(i64::from_le_bytes);
        let stored = indices.len() / shape.len();
        let mut offsets = vec![0; stored];
        if stored == 0 {
            return Ok(offsets);
        }
        for (axis, (row, &length)) in indices.chunks_exact(stored).zip(shape).enumerate() {
            for (position, (offset, &index)) in offsets.iter_mut().zip(row).enumerate() {
                let within = usize::try_from(index).ok().filter(|&index| index < length);
                let within = within.ok_or_else(|| Fault::IndexRange {
                    shape: shape.to_vec(),
                    axis,
                    position,
                    index,
                })?;
                // Where this would overflow, an axis of the shape has no elements, and no index is within that one.
                *offset = offset.wrapping_mul(length).wrapping_add(within);
            }
        }
        Ok(offsets)
    }

    /// Every element, row-major, by its bytes.
    fn read<T, const N: usize>(&self, number: impl Fn([u8; N]) -> T) -> Vec<T> {
        let (numbers, _) = self.bytes.as_chunks::<N>();
        let Dense {
            shape,
            strides,
            offset,
            ..
        } = self.dense;
        let mut out = Vec::with_capacity(self.elements);
        let (Some((&width, outer)), Some(&step)) = (shape.split_last(), strides.last()) else {
            out.extend(numbers.get(*offset).map(|&bytes| number(bytes)));
            return out;
        };
        if self.elements == 0 {
            return out;
        }
        // Rows along the last axis; the indices of the other axes count up like the digits of a number.
        let mut index = vec![0; outer.len()];
        let mut start = *offset;
        loop {
            let row = (0..width).filter_map(|i| numbers.get(start + i * step));
            out.extend(row.map(|&bytes| number(bytes)));
            let Some(axis) = (0..outer.len())
                .rev()
                .find(|&axis| index[axis] + 1 < outer[axis])
            else {
                return out;
            };
            index[axis] += 1;
            start += strides[axis];
            for later in axis + 1..outer.len() {
                start -= index[later] * strides[later];
                index[later] = 0;
            }
        }
    }
}
