//! Bytes to model. Nothing is allocated before the bytes at hand or the limits have vouched for its size.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use freqreg_dct::KeepOrder;
use half::f16;

use crate::wire::{CHECKSUM, MAGIC, PREAMBLE, VERSION, code};
use crate::{Error, Fault, Limits, MAX_AXES, Model, Result, Storage, Tensor, Values};

impl Model {
    /// Reads a model from the bytes of a `.freq` file, within the default [`Limits`].
    ///
    /// # Errors
    /// Says what is wrong with the bytes. No bytes cause a panic.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::from_bytes_limited(bytes, Limits::default())
    }

    /// Reads a model from the bytes of a `.freq` file, within the given limits.
    ///
    /// Every file that is accepted is the very one that [`to_bytes`](Self::to_bytes) writes for the model returned.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes).
    pub fn from_bytes_limited(bytes: &[u8], limits: Limits) -> Result<Self> {
        let Some((body, stored)) = split(bytes)? else {
            return Err(Error::Length {
                expected: (PREAMBLE + 3 + CHECKSUM) as u64,
                got: bytes.len() as u64,
            });
        };
        let computed = crc32fast::hash(body);
        let table = Table::read(body, &limits);
        if stored != computed {
            // Where the table can still be read, it tells a file cut short from one that was altered.
            if let Ok(table) = &table {
                table.check_length(bytes.len())?;
            }
            return Err(Error::Checksum {
                expected: stored,
                got: computed,
            });
        }
        let table = table?;
        table.check_length(bytes.len())?;
        table.fill(body)
    }

    /// Reads a `.freq` file, within the default [`Limits`].
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read, [`Error::InFile`] where its content is at fault.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let limits = Limits::default();
        let io = |cause| Error::Io {
            action: "read",
            path: path.to_owned(),
            cause,
        };
        let in_file = |error| Error::InFile {
            path: path.to_owned(),
            error: Box::new(error),
        };

        let limit = limits.file_bytes();
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
            .map_err(io)?;
        if bytes.len() as u64 > limit {
            return Err(in_file(Error::Limit {
                what: "bytes",
                limit,
                got: bytes.len() as u64,
            }));
        }
        Self::from_bytes_limited(&bytes, limits).map_err(in_file)
    }
}

/// Checks magic and version, and parts the content from its checksum. `None` where there is no room for both.
fn split(bytes: &[u8]) -> Result<Option<(&[u8], u32)>> {
    let head = &bytes[..bytes.len().min(MAGIC.len())];
    if head != MAGIC {
        return Err(Error::NotFreq {
            found: head.to_vec(),
        });
    }
    // The version comes before the checksum: a newer format may well have another one.
    match bytes.get(MAGIC.len()) {
        Some(&VERSION) | None => {}
        Some(&found) => {
            return Err(Error::Version {
                found,
                known: VERSION,
            });
        }
    }
    Ok(bytes
        .split_last_chunk::<CHECKSUM>()
        .and_then(|(body, checksum)| {
            (body.len() >= PREAMBLE).then_some((body, u32::from_le_bytes(*checksum)))
        }))
}

/// Everything before the values.
struct Table {
    architecture: String,
    config: String,
    rows: Vec<Row>,
    /// Where the values begin.
    end: usize,
    /// Bytes of all values.
    payload: usize,
}

/// A tensor of which everything is known but the values.
struct Row {
    name: String,
    shape: Vec<usize>,
    storage: Storage,
    kept: usize,
    wide: bool,
}

impl Table {
    fn read(body: &[u8], limits: &Limits) -> Result<Self> {
        let mut cursor = Cursor {
            bytes: body,
            at: PREAMBLE,
        };
        let architecture = cursor.text()?;
        let config = cursor.text()?;
        let tensors = cursor.count()?;
        within("tensors", tensors, limits.tensors)?;

        let (mut rows, mut names) = (Vec::new(), HashSet::new());
        let (mut kept, mut elements, mut payload) = (0usize, 0usize, 0usize);
        for _ in 0..tensors {
            let (row, weights) = cursor.row()?;
            kept = kept.saturating_add(row.kept);
            elements = elements.saturating_add(weights);
            within("stored values", kept, limits.kept)?;
            within("weights", elements, limits.elements)?;
            payload = payload.saturating_add(row.kept.saturating_mul(if row.wide { 4 } else { 2 }));
            if !names.insert(row.name.clone()) {
                return Err(Error::DuplicateName { name: row.name });
            }
            rows.push(row);
        }
        within("bytes of table", cursor.at, limits.table_bytes)?;
        Ok(Self {
            architecture,
            config,
            rows,
            end: cursor.at,
            payload,
        })
    }

    fn check_length(&self, got: usize) -> Result<()> {
        let expected = self.end as u64 + self.payload as u64 + CHECKSUM as u64;
        match expected == got as u64 {
            true => Ok(()),
            false => Err(Error::Length {
                expected,
                got: got as u64,
            }),
        }
    }

    /// Takes the values, of which there are exactly enough.
    fn fill(self, body: &[u8]) -> Result<Model> {
        let mut cursor = Cursor {
            bytes: body,
            at: self.end,
        };
        let mut tensors = Vec::with_capacity(self.rows.len());
        for Row {
            name,
            shape,
            storage,
            kept,
            wide,
        } in self.rows
        {
            let values = match wide {
                true => Values::F32(cursor.numbers(kept, f32::from_le_bytes)?),
                false => Values::F16(cursor.numbers(kept, f16::from_le_bytes)?),
            };
            let tensor = Tensor {
                name,
                shape,
                storage,
                values,
            };
            tensor.validate()?;
            tensors.push(tensor);
        }
        Ok(Model {
            architecture: self.architecture,
            config: self.config,
            tensors,
        })
    }
}

fn within(what: &'static str, got: usize, limit: usize) -> Result<()> {
    match got <= limit {
        true => Ok(()),
        false => Err(Error::Limit {
            what,
            limit: limit as u64,
            got: got as u64,
        }),
    }
}

/// A place in the bytes, which only moves forward and never past the end.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn malformed(&self, what: &'static str) -> Error {
        Error::Malformed {
            offset: self.at,
            what,
        }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let end = self
            .at
            .checked_add(n)
            .filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| self.malformed("more bytes are announced than there are"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        self.take(1).map(|b| b[0])
    }

    /// LEB128, and only in its shortest form: so that one model has one file.
    fn varint(&mut self) -> Result<u64> {
        let start = self.at;
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    break;
                }
                return Ok(value);
            }
        }
        Err(Error::Malformed {
            offset: start,
            what: "an integer is not in its shortest form or exceeds 64 bits",
        })
    }

    fn count(&mut self) -> Result<usize> {
        let value = self.varint()?;
        usize::try_from(value)
            .map_err(|_| self.malformed("an integer exceeds this machine's address space"))
    }

    fn text(&mut self) -> Result<String> {
        let n = self.count()?;
        let start = self.at;
        let text = std::str::from_utf8(self.take(n)?);
        text.map(str::to_owned).map_err(|_| Error::Malformed {
            offset: start,
            what: "a text is not UTF-8",
        })
    }

    fn shape(&mut self) -> Result<std::result::Result<Vec<usize>, Fault>> {
        let axes = self.count()?;
        if !(1..=MAX_AXES).contains(&axes) {
            return Ok(Err(Fault::AxisCount { got: axes }));
        }
        (0..axes)
            .map(|_| self.count())
            .collect::<Result<_>>()
            .map(Ok)
    }

    /// One row, with the number of its weights.
    fn row(&mut self) -> Result<(Row, usize)> {
        let name = self.text()?;
        let at_fault = |fault| Error::Tensor {
            tensor: name.clone(),
            fault,
        };
        let bits = self.byte()?;
        let prefix = bits & code::PREFIX != 0;
        if bits & !code::KNOWN != 0 || (!prefix && bits & (code::AXES | code::ORDER) != 0) {
            return Err(self.malformed("unknown storage of a tensor"));
        }
        let shape = self.shape()?.map_err(at_fault)?;
        let storage = match prefix {
            false => Storage::Plain,
            true => {
                let axes = match bits & code::AXES != 0 {
                    true => self.shape()?.map_err(at_fault)?,
                    false => shape.clone(),
                };
                if bits & code::AXES != 0 && axes == shape {
                    return Err(self.malformed("axes equal to the shape are not repeated"));
                }
                let order = self.order(bits, axes.len())?;
                Storage::Prefix { axes, order }
            }
        };
        let layout = storage.check(&shape).map_err(at_fault)?;
        let kept = if prefix {
            self.count()?
        } else {
            layout.elements
        };
        layout.check_count(kept).map_err(at_fault)?;
        Ok((
            Row {
                name,
                shape,
                storage,
                kept,
                wide: bits & code::F32 != 0,
            },
            layout.elements,
        ))
    }

    fn order(&mut self, bits: u8, axes: usize) -> Result<KeepOrder> {
        match (bits & code::ORDER) >> code::ORDER_SHIFT {
            0 => Ok(KeepOrder::Zigzag),
            1 => Ok(KeepOrder::InverseSqrt),
            2 => (0..axes)
                .map(|_| self.weight())
                .collect::<Result<_>>()
                .map(KeepOrder::Weighted),
            _ => Err(self.malformed("unknown keep order of a tensor")),
        }
    }

    fn weight(&mut self) -> Result<u32> {
        let value = self.varint()?;
        u32::try_from(value).map_err(|_| self.malformed("a weight of a keep order exceeds 32 bits"))
    }

    fn numbers<T, const N: usize>(&mut self, n: usize, decode: fn([u8; N]) -> T) -> Result<Vec<T>> {
        let bytes = n
            .checked_mul(N)
            .ok_or_else(|| self.malformed("more values than can be counted"))?;
        let (chunks, _) = self.take(bytes)?.as_chunks::<N>();
        Ok(chunks.iter().map(|&chunk| decode(chunk)).collect())
    }
}
