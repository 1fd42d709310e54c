//! Bytes to model. Nothing is allocated before the bytes at hand or the limits have vouched for its size.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use freqreg_dct::KeepOrder;
use half::f16;

use crate::model::check_step;
use crate::wire::{ARCHITECTURES, CHECKSUM, MAGIC, PREAMBLE, SUFFIX, VERSION, code, code2, head};
use crate::{Codec, Error, Fault, Limits, MAX_AXES, Model, Result, Storage, Tensor, Values};
use crate::{coder, packed};

impl Codec<'_> {
    /// Reads a model from the bytes of a `.freq` file.
    ///
    /// # Errors
    /// Says what is wrong with the bytes. No bytes cause a panic.
    pub fn decode(&self, bytes: &[u8]) -> Result<Model> {
        let Some((body, stored)) = split(bytes)? else {
            return Err(Error::Length {
                // Head, and a table of nothing.
                expected: (PREAMBLE + 2 + CHECKSUM) as u64,
                got: bytes.len() as u64,
            });
        };
        let computed = crc32fast::hash(body);
        let table = Table::read(body, self);
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
}

/// Checks magic and version, and parts the content from its checksum. `None` where there is no room for both.
fn split(bytes: &[u8]) -> Result<Option<(&[u8], u32)>> {
    let head = &bytes[..bytes.len().min(MAGIC.len())];
    if head != MAGIC {
        return Err(Error::NotFreq {
            found: bytes[..bytes.len().min(9)].to_vec(),
        });
    }
    // The version comes before the checksum: a newer format may well have another one.
    match bytes.get(MAGIC.len()) {
        Some(1..=VERSION) | None => {}
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
    /// Bytes of all values but the quantised ones.
    payload: usize,
    /// Quantised values, whose bytes lie behind the others and reach to the end.
    quantised: usize,
}

/// A tensor of which everything is known but the values.
struct Row {
    name: String,
    shape: Vec<usize>,
    storage: Storage,
    kept: usize,
    form: Form,
}

/// The form of a tensor's values.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    F16,
    F32,
    /// With their step.
    Quantised(f16),
}

impl Form {
    /// Bytes of a value.
    fn bytes(self) -> usize {
        match self {
            Form::F16 => 2,
            Form::F32 => 4,
            Form::Quantised(_) => 0,
        }
    }
}

impl Table {
    fn read(body: &[u8], codec: &Codec<'_>) -> Result<Self> {
        let cursor = Cursor {
            bytes: body,
            at: PREAMBLE,
        };
        match body.get(MAGIC.len()) {
            Some(1) => Self::read_1(cursor, &codec.limits),
            _ => Self::read_2(cursor, codec),
        }
    }

    /// The table of version 1.
    fn read_1(mut cursor: Cursor<'_>, limits: &Limits) -> Result<Self> {
        let (architecture, config) = (cursor.text()?, cursor.text()?);
        let tensors = cursor.count()?;
        within("tensors", tensors, limits.tensors)?;
        let mut sums = Sums::default();
        for _ in 0..tensors {
            let (row, weights) = cursor.row()?;
            sums.add(row, weights, limits)?;
        }
        sums.table(cursor.at, architecture, config, limits)
    }

    /// The table of version 2.
    fn read_2(mut cursor: Cursor<'_>, codec: &Codec<'_>) -> Result<Self> {
        let limits = &codec.limits;
        let bits = cursor.byte()?;
        let architecture = match bits >> head::ARCHITECTURE_SHIFT {
            0 => cursor.text()?,
            n => {
                let known = ARCHITECTURES.get(usize::from(n) - 1);
                let known = known.ok_or_else(|| cursor.malformed_before("unknown architecture"))?;
                (*known).to_owned()
            }
        };
        let config = match (bits & head::CONFIG) >> head::CONFIG_SHIFT {
            0 => String::new(),
            head::TEXT => cursor.text()?,
            head::PACKED => {
                let start = cursor.at;
                let mut rest = &cursor.bytes[start..];
                let text = packed::unpack(&mut rest, limits.table_bytes).ok_or_else(|| {
                    cursor.malformed(
                        "the configuration is no packed JSON, or longer than a table may be",
                    )
                })?;
                cursor.at = cursor.bytes.len() - rest.len();
                text
            }
            _ => return Err(cursor.malformed_before("unknown form of the configuration")),
        };
        let mut sums = Sums::default();
        if bits & head::BY_ARCHITECTURE != 0 {
            let Some(known) = (codec.tables)(&architecture, &config) else {
                return Err(Error::UnknownArchitecture { architecture });
            };
            within("tensors", known.len(), limits.tensors)?;
            for (name, shape) in known {
                let code = cursor.byte()?;
                if code & code2::SUFFIX != 0 {
                    return Err(cursor.malformed_before("the end of a name that is not there"));
                }
                let (row, weights) = cursor.row_2(name, shape, code, sums.rows.last())?;
                sums.add(row, weights, limits)?;
            }
        } else {
            let tensors = cursor.count()?;
            within("tensors", tensors, limits.tensors)?;
            for _ in 0..tensors {
                let code = cursor.byte()?;
                let before = sums.rows.last().map_or("", |r| &r.name);
                let name = cursor.name(before, code)?;
                // Names that share much are longer together than the table.
                sums.letters = sums.letters.saturating_add(name.len());
                within("bytes of names", sums.letters, limits.table_bytes)?;
                let shape = cursor.shape()?.map_err(|fault| Error::Tensor {
                    tensor: name.clone(),
                    fault,
                })?;
                let (row, weights) = cursor.row_2(name, shape, code, sums.rows.last())?;
                sums.add(row, weights, limits)?;
            }
        }
        sums.table(cursor.at, architecture, config, limits)
    }

    fn check_length(&self, got: usize) -> Result<()> {
        let least = (self.end as u64)
            .saturating_add(self.payload as u64)
            .saturating_add(coder::least(self.quantised) as u64)
            .saturating_add(CHECKSUM as u64);
        let fits = match self.quantised {
            0 => got as u64 == least,
            // That the coded values are whole, only the checksum says.
            _ => got as u64 >= least,
        };
        match fits {
            true => Ok(()),
            false => Err(Error::Length {
                expected: least,
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
        // There are as many bytes: the length was checked.
        let coded = &body[self.end + self.payload..];
        let mut levels = (self.quantised > 0).then(|| coder::Levels::new(coded));
        let mut tensors = Vec::with_capacity(self.rows.len());
        for Row {
            name,
            shape,
            storage,
            kept,
            form,
        } in self.rows
        {
            let values = match form {
                Form::F32 => Values::F32(cursor.numbers(kept, f32::from_le_bytes)?),
                Form::F16 => Values::F16(cursor.numbers(kept, f16::from_le_bytes)?),
                Form::Quantised(step) => Values::Quantised {
                    step,
                    levels: levels.as_mut().map(|l| l.take(kept)).unwrap_or_default(),
                },
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

/// What the rows of a table come to.
#[derive(Default)]
struct Sums {
    rows: Vec<Row>,
    names: BTreeSet<String>,
    /// Bytes of the names.
    letters: usize,
    kept: usize,
    elements: usize,
    payload: usize,
    quantised: usize,
}

impl Sums {
    fn add(&mut self, row: Row, weights: usize, limits: &Limits) -> Result<()> {
        self.kept = self.kept.saturating_add(row.kept);
        self.elements = self.elements.saturating_add(weights);
        within("stored values", self.kept, limits.kept)?;
        within("weights", self.elements, limits.elements)?;
        let bytes = row.kept.saturating_mul(row.form.bytes());
        self.payload = self.payload.saturating_add(bytes);
        if row.form.bytes() == 0 {
            self.quantised = self.quantised.saturating_add(row.kept);
        }
        if !self.names.insert(row.name.clone()) {
            return Err(Error::DuplicateName { name: row.name });
        }
        self.rows.push(row);
        Ok(())
    }

    fn table(
        self,
        end: usize,
        architecture: String,
        config: String,
        limits: &Limits,
    ) -> Result<Table> {
        within("bytes of table", end, limits.table_bytes)?;
        Ok(Table {
            architecture,
            config,
            rows: self.rows,
            end,
            payload: self.payload,
            quantised: self.quantised,
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

    /// At the byte just taken.
    fn malformed_before(&self, what: &'static str) -> Error {
        Error::Malformed {
            offset: self.at - 1,
            what,
        }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let end = self
            .at
            .checked_add(n)
            .filter(|&end| end <= self.bytes.len());
        let end =
            end.ok_or_else(|| self.malformed("the bytes end before what is announced does"))?;
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
        let text = core::str::from_utf8(self.take(n)?);
        text.map(str::to_owned).map_err(|_| Error::Malformed {
            offset: start,
            what: "a text is not UTF-8",
        })
    }

    fn shape(&mut self) -> Result<core::result::Result<Vec<usize>, Fault>> {
        let axes = self.count()?;
        if !(1..=MAX_AXES).contains(&axes) {
            return Ok(Err(Fault::AxisCount { got: axes }));
        }
        (0..axes)
            .map(|_| self.count())
            .collect::<Result<_>>()
            .map(Ok)
    }

    /// The name of a tensor in version 2.
    fn name(&mut self, before: &str, code: u8) -> Result<String> {
        let shared = self.count()?;
        let Some(shared) = before.get(..shared) else {
            return Err(self.malformed(
                "a name shares a part with the one before that this has not, or not whole",
            ));
        };
        let mut name = shared.to_owned();
        name.push_str(&self.text()?);
        if code & code2::SUFFIX != 0 {
            name.push_str(SUFFIX);
        }
        Ok(name)
    }

    /// What follows the shape in a row of version 2, with the number of the tensor's weights.
    fn row_2(
        &mut self,
        name: String,
        shape: Vec<usize>,
        bits: u8,
        before: Option<&Row>,
    ) -> Result<(Row, usize)> {
        let prefix = bits & code2::PREFIX != 0;
        let (storage, kept, form) = match (bits & code2::AGAIN != 0, before) {
            (true, _) if bits & !(code2::AGAIN | code2::SUFFIX) != 0 => {
                return Err(
                    self.malformed("a row like the one before it says something of its own")
                );
            }
            (true, None) => {
                return Err(self.malformed("a row like the one before it, and there is none"));
            }
            (true, Some(before)) => {
                let storage = match &before.storage {
                    Storage::Plain => Storage::Plain,
                    Storage::Prefix { axes, .. } if *axes != before.shape => {
                        return Err(self
                            .malformed("a row like the one before it, which has axes of its own"));
                    }
                    Storage::Prefix { order, .. } => Storage::Prefix {
                        axes: shape.clone(),
                        order: order.clone(),
                    },
                };
                (storage, Some(before.kept), before.form)
            }
            (false, _) => {
                let form = match (bits & code2::FORM) >> code2::FORM_SHIFT {
                    0 => Form::F16,
                    1 => Form::F32,
                    2 => Form::Quantised(f16::ZERO),
                    _ => return Err(self.malformed("unknown form of a tensor's values")),
                };
                if !prefix && bits & (code2::AXES | code2::ORDER) != 0 {
                    return Err(self.malformed("unknown storage of a tensor"));
                }
                if !prefix {
                    (Storage::Plain, None, form)
                } else {
                    let axes = match bits & code2::AXES != 0 {
                        true => self.shape()?.map_err(|fault| Error::Tensor {
                            tensor: name.clone(),
                            fault,
                        })?,
                        false => shape.clone(),
                    };
                    if bits & code2::AXES != 0 && axes == shape {
                        return Err(self.malformed("axes equal to the shape are not repeated"));
                    }
                    let order =
                        self.order((bits & code2::ORDER) >> code2::ORDER_SHIFT, axes.len())?;
                    let kept = self.count()?;
                    (Storage::Prefix { axes, order }, Some(kept), form)
                }
            }
        };
        let at_fault = |fault| Error::Tensor {
            tensor: name.clone(),
            fault,
        };
        let form = match form {
            Form::Quantised(_) => {
                let step = f16::from_le_bytes([self.byte()?, self.byte()?]);
                check_step(step).map_err(at_fault)?;
                Form::Quantised(step)
            }
            plain => plain,
        };
        let layout = storage.check(&shape).map_err(at_fault)?;
        // A plain tensor has as many values as elements, the one before it or not.
        let kept = match storage {
            Storage::Plain => layout.elements,
            Storage::Prefix { .. } => kept.unwrap_or(0),
        };
        layout.check_count(kept).map_err(at_fault)?;
        Ok((
            Row {
                name,
                shape,
                storage,
                kept,
                form,
            },
            layout.elements,
        ))
    }

    /// One row of version 1, with the number of its weights.
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
                let order = self.order((bits & code::ORDER) >> code::ORDER_SHIFT, axes.len())?;
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
                form: match bits & code::F32 {
                    0 => Form::F16,
                    _ => Form::F32,
                },
            },
            layout.elements,
        ))
    }

    fn order(&mut self, code: u8, axes: usize) -> Result<KeepOrder> {
        match code {
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
