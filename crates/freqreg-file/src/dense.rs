//! The model in its dense spatial form, as a safetensors file that PyTorch and others load.
//!
//! Written by hand so that one expanded tensor is held at a time: the format is a JSON header behind its length, then
//! the numbers.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::fs::{fill_atomically, write_error};
use crate::{Error, Fault, Model, Result};

impl Model {
    /// The bytes of a safetensors file with every tensor expanded to float32 under its own name and shape, and the
    /// architecture and its configuration among the metadata.
    ///
    /// # Errors
    /// As [`validate`](Self::validate), and [`Fault::Overflow`].
    pub fn to_safetensors_bytes(&self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.put_safetensors(&mut |bytes| {
            out.extend(bytes);
            Ok(())
        })?;
        Ok(out)
    }

    /// Writes what [`to_safetensors_bytes`](Self::to_safetensors_bytes) gives, whole or not at all, holding one
    /// expanded tensor at a time. Gives the number of bytes.
    ///
    /// # Errors
    /// As [`validate`](Self::validate), [`Fault::Overflow`], and [`Error::Io`].
    pub fn write_safetensors(&self, path: impl AsRef<Path>) -> Result<u64> {
        let path = path.as_ref();
        let mut written = 0;
        fill_atomically(path, |file| {
            self.put_safetensors(&mut |bytes| {
                written += bytes.len() as u64;
                file.write_all(bytes)
                    .map_err(|cause| write_error(path, cause))
            })
        })?;
        Ok(written)
    }

    /// Gives what [`to_safetensors_bytes`](Self::to_safetensors_bytes) gives piece by piece, for whatever takes bytes, holding one expanded
    /// tensor at a time.
    ///
    /// # Errors
    /// As [`validate`](Self::validate), [`Fault::Overflow`], and the first error of `put`, which is not called again.
    pub fn put_safetensors(&self, put: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.validate()?;
        let mut header = self.safetensors_header()?;
        // The format asks that the numbers begin at a multiple of 8 bytes.
        header.extend(std::iter::repeat_n(
            ' ',
            header.len().next_multiple_of(8) - header.len(),
        ));
        put(&(header.len() as u64).to_le_bytes())?;
        put(header.as_bytes())?;
        for tensor in &self.tensors {
            let weights = tensor.expand()?;
            if let Some(index) = weights.iter().position(|w| !w.is_finite()) {
                return Err(Error::Tensor {
                    tensor: tensor.name.clone(),
                    fault: Fault::Overflow {
                        index,
                        value: weights[index],
                    },
                });
            }
            let bytes: Vec<u8> = weights.iter().flat_map(|v| v.to_le_bytes()).collect();
            put(&bytes)?;
        }
        Ok(())
    }

    fn safetensors_header(&self) -> Result<String> {
        let mut header = Map::new();
        header.insert(
            "__metadata__".into(),
            json!({ "format": "pt", "architecture": self.architecture, "config": self.config }),
        );
        let mut start = 0u64;
        for tensor in &self.tensors {
            let bytes = tensor
                .shape
                .iter()
                .try_fold(4u64, |n, &axis| n.checked_mul(axis as u64));
            let end = bytes
                .and_then(|n| start.checked_add(n))
                .ok_or_else(|| Error::Tensor {
                    tensor: tensor.name.clone(),
                    fault: Fault::Shape {
                        shape: tensor.shape.clone(),
                    },
                })?;
            let row =
                json!({ "dtype": "F32", "shape": tensor.shape, "data_offsets": [start, end] });
            header.insert(tensor.name.clone(), row);
            start = end;
        }
        Ok(Value::Object(header).to_string())
    }
}
