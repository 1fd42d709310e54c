//! Model to bytes. The layout is described in the crate's page.

use std::path::Path;

use freqreg_dct::KeepOrder;

use crate::wire::{MAGIC, VERSION, code, order_code, push_varint};
use crate::{Model, Result, Storage, Tensor, Values, write_atomically};

impl Model {
    /// The model as the bytes of a `.freq` file. Equal models give equal bytes.
    ///
    /// # Errors
    /// As [`validate`](Self::validate): a value that is not finite, a count that does not fit its shape, a name twice.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.validate()?;
        let mut out = Vec::with_capacity(
            self.payload_bytes() + self.config.len() + 64 * (self.tensors.len() + 1),
        );
        out.extend(MAGIC);
        out.push(VERSION);
        push_text(&mut out, &self.architecture);
        push_text(&mut out, &self.config);
        push_varint(&mut out, self.tensors.len() as u64);
        for tensor in &self.tensors {
            push_entry(&mut out, tensor);
        }
        for tensor in &self.tensors {
            match &tensor.values {
                Values::F16(values) => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
                Values::F32(values) => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            }
        }
        let checksum = crc32fast::hash(&out);
        out.extend(checksum.to_le_bytes());
        Ok(out)
    }

    /// Writes the model as a `.freq` file, so that at every moment `path` holds the old file or the whole new one.
    ///
    /// # Errors
    /// As [`to_bytes`](Self::to_bytes), and [`Error::Io`](crate::Error::Io).
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        write_atomically(path, &self.to_bytes()?)
    }
}

/// One row of the table.
fn push_entry(out: &mut Vec<u8>, tensor: &Tensor) {
    push_text(out, &tensor.name);
    let mut bits = match tensor.values {
        Values::F16(_) => 0,
        Values::F32(_) => code::F32,
    };
    match &tensor.storage {
        Storage::Plain => {
            out.push(bits);
            push_shape(out, &tensor.shape);
        }
        Storage::Prefix { axes, order } => {
            bits |= code::PREFIX | order_code(order) << code::ORDER_SHIFT;
            if *axes != tensor.shape {
                bits |= code::AXES;
            }
            out.push(bits);
            push_shape(out, &tensor.shape);
            if *axes != tensor.shape {
                push_shape(out, axes);
            }
            if let KeepOrder::Weighted(weights) = order {
                weights.iter().for_each(|&w| push_varint(out, w.into()));
            }
            push_varint(out, tensor.values.len() as u64);
        }
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    push_varint(out, text.len() as u64);
    out.extend(text.as_bytes());
}

fn push_shape(out: &mut Vec<u8>, shape: &[usize]) {
    push_varint(out, shape.len() as u64);
    shape.iter().for_each(|&n| push_varint(out, n as u64));
}
