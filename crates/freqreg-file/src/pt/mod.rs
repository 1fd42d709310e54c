//! PyTorch's `.pt` files: the tensors of a saved state dict, and the networks that the paper's authors released in this
//! form.
//!
//! From file to model: `zip` reads the archive and `archive` knows its entries, `pickle` runs the program that
//! describes the tensors, on `object`s of its own that know nothing but state dicts, `numbers` reads what the
//! descriptions ask for, and `prefixes` turns sparse tensors of coefficients into those of a `.freq` file.

mod archive;
mod fault;
mod numbers;
mod object;
mod pickle;
mod prefixes;
mod zip;

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;

use crate::{Error, Limits, Result};
use archive::Archive;
pub use fault::PtFault;
use numbers::Numbers;
pub use prefixes::import_prefixes;

/// One tensor of a PyTorch state dict.
#[derive(Debug, Clone, PartialEq)]
pub struct PtTensor {
    /// Its key in the state dict, e.g. `inc.double_conv.0.weight`.
    pub name: String,
    /// Its shape: up to [`MAX_AXES`](crate::MAX_AXES) axes, none for a single number.
    pub shape: Vec<usize>,
    /// The type its values have in the file.
    pub dtype: PtType,
    /// Its values.
    pub values: PtValues,
}

/// The values of a [`PtTensor`] as float32: exact for float16, bfloat16, small integers and truth values (0 or 1), and
/// the nearest float32 otherwise.
#[derive(Debug, Clone, PartialEq)]
pub enum PtValues {
    /// Every element, row-major, whatever strides the file uses.
    Dense(Vec<f32>),
    /// The stored elements of a sparse (COO) tensor, in the order of the file; all others are zero.
    Sparse {
        /// Of every stored element the row-major offset in the whole tensor. One that occurs twice stands for a sum.
        offsets: Vec<usize>,
        /// As many values.
        values: Vec<f32>,
    },
}

/// The types of number that are read from a `.pt` file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PtType {
    /// Half precision.
    Float16,
    /// The upper half of a float32.
    BFloat16,
    /// Single precision.
    Float32,
    /// Double precision.
    Float64,
    /// Truth values, a byte each.
    Bool,
    /// Bytes.
    UInt8,
    /// Signed bytes.
    Int8,
    /// Signed integers of 2 bytes.
    Int16,
    /// Signed integers of 4 bytes.
    Int32,
    /// Signed integers of 8 bytes.
    Int64,
}

impl PtType {
    /// Bytes that a number takes in the file.
    pub fn bytes(self) -> usize {
        match self {
            Self::Bool | Self::UInt8 | Self::Int8 => 1,
            Self::Float16 | Self::BFloat16 | Self::Int16 => 2,
            Self::Float32 | Self::Int32 => 4,
            Self::Float64 | Self::Int64 => 8,
        }
    }

    /// Whether the numbers have a floating point, as weights have; counters and masks have none.
    pub fn is_float(self) -> bool {
        matches!(
            self,
            Self::Float16 | Self::BFloat16 | Self::Float32 | Self::Float64
        )
    }
}

/// As PyTorch calls it, e.g. `float16`.
impl fmt::Display for PtType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float16 => "float16",
            Self::BFloat16 => "bfloat16",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Bool => "bool",
            Self::UInt8 => "uint8",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
        })
    }
}

/// Reads the tensors of a state dict, dense or sparse, from a file that `torch.save` wrote, in the order of the file.
///
/// The file is a zip archive with a *pickle* in it, a program that Python would run. Here it is read as data: the
/// instructions and names that a state dict of tensors is made of are known, every other is refused by name, and
/// nothing is ever executed.
///
/// Of the [`Limits`], `tensors` and `elements` count as they say; `kept` bounds the numbers read, and those in the
/// storages they are read from, indices included; `table_bytes` bounds the pickle, and 20 times as much the memory that
/// its descriptions of tensors take.
///
/// # Errors
/// [`Error::Io`] where the file cannot be opened, otherwise [`Error::InFile`] with [`Error::Pt`], [`Error::Limit`],
/// [`Error::DuplicateName`] or [`Error::Tensor`].
pub fn read_pt(path: impl AsRef<Path>, limits: &Limits) -> Result<Vec<PtTensor>> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|cause| Error::Io {
        action: "read",
        path: path.to_owned(),
        cause,
    })?;
    read(BufReader::new(file), limits).map_err(|error| Error::InFile {
        path: path.to_owned(),
        error: Box::new(error),
    })
}

/// As [`read_pt`], for the bytes of a file.
///
/// # Errors
/// Says what is wrong with the bytes. No bytes cause a panic.
pub fn parse_pt(bytes: &[u8], limits: &Limits) -> Result<Vec<PtTensor>> {
    read(Cursor::new(bytes), limits)
}

fn read(reader: impl Read + Seek, limits: &Limits) -> Result<Vec<PtTensor>> {
    let mut archive = Archive::open(reader)?;
    let pickle = archive.pickle(limits.table_bytes)?;
    let dict = pickle::run(&pickle, limits)?;
    let mut numbers = Numbers::new(&mut archive, limits);
    dict.entries(limits.tensors)?
        .into_iter()
        .map(|(name, tensor)| numbers.tensor(name, tensor))
        .collect()
}
