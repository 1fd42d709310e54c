//! safetensors files: the dense weights of an ordinary network.
//!
//! A file is the length of a header, the header as JSON, and the numbers. The header is small and read whole; what it says is held against
//! the length of the file and the limits before anything is allocated for a tensor. It is read here and not by the `safetensors` crate,
//! which refuses a file for one type that it does not know, takes the last of two tensors with one name, and does not name the tensor at fault.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use half::{bf16, f16};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::Beginning;
use crate::{Error, Fault, Limits, MAX_AXES, Result};

/// What a safetensors file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Safetensors {
    /// Texts about the file, from its `__metadata__`. What [`Model::write_safetensors`](crate::Model::write_safetensors) wrote has
    /// `architecture` and `config` here.
    pub metadata: BTreeMap<String, String>,
    /// The tensors, in the order of their numbers in the file.
    pub tensors: Vec<DenseTensor>,
}

/// One tensor of a safetensors file.
#[derive(Debug, Clone, PartialEq)]
pub struct DenseTensor {
    /// Its name, e.g. `layer1.0.conv1.weight`.
    pub name: String,
    /// Its shape: up to [`MAX_AXES`] axes, none for a single number; an axis may have length 0.
    pub shape: Vec<usize>,
    /// The type its values have in the file, as the file calls it, e.g. `BF16`.
    pub dtype: String,
    /// Every value, row-major, of a tensor of `F64`, `F32`, `F16` or `BF16`; `None` for every other type, whose numbers are not read. A
    /// float64 becomes the nearest float32, which is infinite for the largest ones. The values need not be finite:
    /// [`first_not_finite`](Self::first_not_finite).
    pub values: Option<Vec<f32>>,
}

impl DenseTensor {
    /// The first value that is not finite, with its row-major index.
    pub fn first_not_finite(&self) -> Option<(usize, f32)> {
        let values = self.values.iter().flatten().copied().enumerate();
        values.into_iter().find(|(_, v)| !v.is_finite())
    }
}

/// Why a safetensors file was refused, where no single tensor is at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsFault {
    /// The file has another form.
    #[error("{}", other_form(found, *length))]
    NotSafetensors {
        /// The first bytes, at most nine.
        found: Vec<u8>,
        /// Bytes of the file.
        length: u64,
    },
    /// The header is malformed.
    #[error("the header is malformed: {cause} of the header; write the file again")]
    Header {
        /// What is wrong, ending with where.
        cause: String,
    },
    /// The file could not be read to its end.
    #[error("the file cannot be read to its end: {0}")]
    Io(#[from] io::Error),
}

fn other_form(found: &[u8], length: u64) -> String {
    match found.split_first_chunk() {
        Some((announced, b"{")) => format!(
            "not a safetensors file, or one that was cut short: its header would have {} bytes, and the file has {length} in all",
            u64::from_le_bytes(*announced)
        ),
        _ => format!("not a safetensors file: it {}", Beginning(found)),
    }
}

/// Reads a safetensors file: the tensors with a floating point whole, of the others what they are.
///
/// Of the [`Limits`], `tensors` and `elements` count as they say, and count tensors that are not read too; `kept` bounds the numbers read;
/// `table_bytes` bounds the header, and 20 times as much the memory that it takes.
///
/// # Errors
/// [`Error::Io`] where the file cannot be opened, otherwise [`Error::InFile`] with [`Error::Safetensors`], [`Error::Length`], [`Error::Limit`],
/// [`Error::DuplicateName`] or [`Error::Tensor`].
pub fn read_safetensors(path: impl AsRef<Path>, limits: &Limits) -> Result<Safetensors> {
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

/// As [`read_safetensors`], for the bytes of a file.
///
/// # Errors
/// Says what is wrong with the bytes. No bytes cause a panic.
pub fn parse_safetensors(bytes: &[u8], limits: &Limits) -> Result<Safetensors> {
    read(Cursor::new(bytes), limits)
}

/// Bytes of the length that a file begins with.
const LENGTH: u64 = 8;

fn read(mut reader: impl Read + Seek, limits: &Limits) -> Result<Safetensors> {
    let (length, header) = read_header(&mut reader, limits)?;
    let Header { metadata, mut rows } = Header::parse(&header)?;
    drop(header);
    check(&rows, limits)?;

    // In the order of their bytes, they can be read one after the other. Empty ones stay where they are among each other.
    rows.sort_by_key(|(_, row)| row.data_offsets);
    let mut reached = 0;
    for (name, row) in &rows {
        let (start, end) = row.data_offsets;
        if start != reached {
            return Err(fault(
                name,
                Fault::Place {
                    start,
                    end,
                    before: reached,
                },
            ));
        }
        reached = end;
    }
    let begin = reader.stream_position().map_err(SafetensorsFault::Io)?;
    let expected = begin.saturating_add(reached as u64);
    if expected != length {
        return Err(Error::Length {
            expected,
            got: length,
        });
    }

    let tensors = rows.into_iter().map(|(name, row)| {
        let values = row.values(&mut reader).map_err(SafetensorsFault::Io)?;
        Ok(DenseTensor {
            name,
            shape: row.shape.axes,
            dtype: row.dtype,
            values,
        })
    });
    let tensors = tensors.collect::<Result<_>>()?;
    Ok(Safetensors { metadata, tensors })
}

/// The length of the file and its header, behind which the reader then stands.
fn read_header(reader: &mut (impl Read + Seek), limits: &Limits) -> Result<(u64, Vec<u8>)> {
    let io = SafetensorsFault::Io;
    let length = reader.seek(SeekFrom::End(0)).map_err(io)?;
    reader.rewind().map_err(io)?;
    let mut found = Vec::new();
    let mut head = reader.by_ref().take(LENGTH + 1);
    head.read_to_end(&mut found).map_err(io)?;
    let announced = match found.split_first_chunk() {
        Some((announced, b"{")) => Some(u64::from_le_bytes(*announced)),
        _ => None,
    };
    let fits = announced.filter(|&n| n > 0 && n <= length.saturating_sub(LENGTH));
    let Some(announced) = fits else {
        return Err(SafetensorsFault::NotSafetensors { found, length }.into());
    };
    let limit = limits.table_bytes as u64;
    if announced > limit {
        return Err(Error::Limit {
            what: "bytes of header",
            limit,
            got: announced,
        });
    }
    let mut header = Vec::new();
    reader.seek(SeekFrom::Start(LENGTH)).map_err(io)?;
    let mut rest = reader.take(announced);
    rest.read_to_end(&mut header).map_err(io)?;
    Ok((length, header))
}

/// Everything before the numbers.
struct Header {
    metadata: BTreeMap<String, String>,
    /// The tensors by name.
    rows: Vec<(String, Row)>,
}

/// What the header says of one tensor.
#[derive(Deserialize)]
#[serde(expecting = "an object of dtype, shape and data_offsets")]
struct Row {
    dtype: String,
    shape: Shape,
    /// Where its bytes begin and end, counted behind the header.
    data_offsets: (usize, usize),
}

/// A shape, of which no more than [`MAX_AXES`] axes are held.
struct Shape {
    axes: Vec<usize>,
    /// How many there are.
    count: usize,
}

impl Header {
    fn parse(header: &[u8]) -> Result<Self> {
        let parsed = serde_json::from_slice(header).map_err(|cause| SafetensorsFault::Header {
            cause: cause.to_string(),
        })?;
        Ok(parsed)
    }
}

/// By hand, for a map type would take the last of two entries with one key.
impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rows;
        impl<'de> Visitor<'de> for Rows {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with an entry for each tensor")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let (mut metadata, mut rows) = (None, Vec::new());
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        let Texts(texts) = map.next_value()?;
                        if metadata.replace(texts).is_some() {
                            return Err(A::Error::duplicate_field("__metadata__"));
                        }
                    } else {
                        let row = map
                            .next_value()
                            .map_err(|e| A::Error::custom(format_args!("tensor `{name}`: {e}")))?;
                        rows.push((name, row));
                    }
                }
                Ok(Header {
                    metadata: metadata.unwrap_or_default(),
                    rows,
                })
            }
        }
        deserializer.deserialize_map(Rows)
    }
}

/// Texts by keys, each given once.
struct Texts(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts as `__metadata__`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut texts = BTreeMap::new();
                while let Some((key, text)) = map.next_entry::<String, String>()? {
                    if texts.contains_key(&key) {
                        let twice = format_args!("`{key}` is given twice in `__metadata__`");
                        return Err(A::Error::custom(twice));
                    }
                    texts.insert(key, text);
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Axes;
        impl<'de> Visitor<'de> for Axes {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of the lengths of axes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
                let mut axes = Vec::new();
                while axes.len() < MAX_AXES {
                    match seq.next_element()? {
                        Some(axis) => axes.push(axis),
                        None => break,
                    }
                }
                let mut count = axes.len();
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Shape { axes, count })
            }
        }
        deserializer.deserialize_seq(Axes)
    }
}

/// Checks what can be checked of each tensor alone, and all of them against the limits.
fn check(rows: &[(String, Row)], limits: &Limits) -> Result<()> {
    let within = |what, got: usize, limit: usize| match got <= limit {
        true => Ok(()),
        false => Err(Error::Limit {
            what,
            limit: limit as u64,
            got: got as u64,
        }),
    };
    within("tensors", rows.len(), limits.tensors)?;
    let (mut names, mut elements, mut values) = (BTreeSet::new(), 0usize, 0usize);
    for (name, row) in rows {
        if !names.insert(name) {
            return Err(Error::DuplicateName { name: name.clone() });
        }
        let count = row.check().map_err(|e| fault(name, e))?;
        elements = elements.saturating_add(count);
        within("weights", elements, limits.elements)?;
        if is_float(&row.dtype) {
            values = values.saturating_add(count);
            within("values", values, limits.kept)?;
        }
    }
    Ok(())
}

impl Row {
    /// The number of elements, once shape, type and bytes are found to agree.
    fn check(&self) -> Result<usize, Fault> {
        let shape = || self.shape.axes.clone();
        if self.shape.count > MAX_AXES {
            let got = self.shape.count;
            return Err(Fault::AxisCount { got });
        }
        let too_many = || Fault::Shape { shape: shape() };
        let axes = &self.shape.axes;
        let count = match axes.contains(&0) {
            true => 0,
            false => axes
                .iter()
                .try_fold(1usize, |n, &axis| n.checked_mul(axis))
                .ok_or_else(too_many)?,
        };
        let (start, end) = self.data_offsets;
        let got = end
            .checked_sub(start)
            .ok_or(Fault::Backwards { start, end })?;
        let expected = match bytes(&self.dtype) {
            Some(bytes) => count.checked_mul(bytes).ok_or_else(too_many)?,
            None => got,
        };
        match got == expected {
            true => Ok(count),
            false => Err(Fault::Bytes {
                shape: shape(),
                dtype: self.dtype.clone(),
                expected,
                got,
            }),
        }
    }

    /// The numbers of a floating point, of which the file holds enough; those of another type are passed over.
    fn values(&self, reader: &mut (impl Read + Seek)) -> io::Result<Option<Vec<f32>>> {
        let (start, end) = self.data_offsets;
        let length = end - start; // It was checked.
        let values = match &self.dtype[..] {
            "F16" => floats(reader, length, |b| f16::from_le_bytes(b).to_f32()),
            "BF16" => floats(reader, length, |b| bf16::from_le_bytes(b).to_f32()),
            "F32" => floats(reader, length, f32::from_le_bytes),
            "F64" => floats(reader, length, |b| f64::from_le_bytes(b) as f32),
            _ => {
                // No file is longer than an i64 can say.
                reader.seek_relative(length as i64)?;
                return Ok(None);
            }
        };
        values.map(Some)
    }
}

fn fault(name: &str, fault: Fault) -> Error {
    Error::Tensor {
        tensor: name.to_owned(),
        fault,
    }
}

fn is_float(dtype: &str) -> bool {
    matches!(dtype, "F16" | "BF16" | "F32" | "F64")
}

/// Bytes of a number, of the types that are known and have whole ones.
fn bytes(dtype: &str) -> Option<usize> {
    Some(match dtype {
        "BOOL" | "U8" | "I8" | "F8_E4M3" | "F8_E5M2" | "F8_E8M0" => 1,
        "U16" | "I16" | "F16" | "BF16" => 2,
        "U32" | "I32" | "F32" => 4,
        "U64" | "I64" | "F64" | "C64" => 8,
        _ => return None,
    })
}

/// The numbers in the next `length` bytes, which are a multiple of `N`.
fn floats<const N: usize>(
    reader: &mut impl Read,
    length: usize,
    number: impl Fn([u8; N]) -> f32,
) -> io::Result<Vec<f32>> {
    let mut values = Vec::with_capacity(length / N);
    // In pieces, so that the numbers are not held twice.
    let mut buffer = [0; 1 << 14];
    let mut left = length;
    while left > 0 {
        let piece = &mut buffer[..left.min(1 << 14)];
        reader.read_exact(piece)?;
        left -= piece.len();
        values.extend(piece.as_chunks::<N>().0.iter().map(|&b| number(b)));
    }
    Ok(values)
}
