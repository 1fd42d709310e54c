//! Model to bytes. The layout is described in the crate's page.

use std::vec::Vec;

use freqreg_dct::KeepOrder;

use crate::wire::{ARCHITECTURES, MAGIC, SUFFIX, VERSION, code2, head, order_code, push_varint};
use crate::{Codec, Model, Result, Storage, Tensor, Values, coder, packed};

impl Codec<'_> {
    /// The model as the bytes of a `.freq` file. Equal models give equal bytes.
    ///
    /// # Errors
    /// As [`Model::validate`]: a value that is not finite, a count that does not fit its shape, a name twice.
    pub fn encode(&self, model: &Model) -> Result<Vec<u8>> {
        model.validate()?;
        let known = (self.tables)(&model.architecture, &model.config);
        let by_architecture = known.is_some_and(|table| {
            let own = model.tensors.iter().map(|t| (&t.name, &t.shape));
            own.eq(table.iter().map(|(name, shape)| (name, shape)))
        });

        let mut out = Vec::new();
        out.extend(MAGIC);
        out.push(VERSION);
        push_head(&mut out, model, by_architecture);
        if !by_architecture {
            push_varint(&mut out, model.tensors.len() as u64);
        }
        let mut before: Option<&Tensor> = None;
        for tensor in &model.tensors {
            let code = code_of(tensor, before);
            if by_architecture {
                out.push(code & !code2::SUFFIX);
            } else {
                push_name(&mut out, before.map_or("", |t| &t.name), &tensor.name, code);
                push_shape(&mut out, &tensor.shape);
            }
            push_row(&mut out, code, tensor);
            before = Some(tensor);
        }

        let mut coded = Vec::new();
        for tensor in &model.tensors {
            match &tensor.values {
                Values::F16(values) => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
                Values::F32(values) => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
                Values::Quantised { levels, .. } => coded.extend_from_slice(levels),
            }
        }
        out.extend(coder::encode(&coded));
        let checksum = crc32fast::hash(&out);
        out.extend(checksum.to_le_bytes());
        Ok(out)
    }
}

/// The byte behind the preamble, the architecture and the configuration.
fn push_head(out: &mut Vec<u8>, model: &Model, by_architecture: bool) {
    let number = ARCHITECTURES.iter().position(|a| *a == model.architecture);
    let packed = packed::pack(&model.config);
    let config = match (&model.config[..], &packed) {
        ("", _) => 0,
        (_, None) => head::TEXT,
        (_, Some(_)) => head::PACKED,
    };
    // There are fewer than 31 of them.
    let number_bits = number.map_or(0, |n| n as u8 + 1);
    let by = if by_architecture {
        head::BY_ARCHITECTURE
    } else {
        0
    };
    out.push(by | config << head::CONFIG_SHIFT | number_bits << head::ARCHITECTURE_SHIFT);
    if number.is_none() {
        push_text(out, &model.architecture);
    }
    match packed {
        _ if config == 0 => {}
        Some(packed) => out.extend(packed),
        None => push_text(out, &model.config),
    }
}

/// The code byte of a tensor behind another.
fn code_of(tensor: &Tensor, before: Option<&Tensor>) -> u8 {
    let suffix = match tensor.name.ends_with(SUFFIX) {
        true => code2::SUFFIX,
        false => 0,
    };
    let form = form(&tensor.values) << code2::FORM_SHIFT;
    let own_axes = |t: &Tensor| match &t.storage {
        Storage::Prefix { axes, .. } => *axes != t.shape,
        Storage::Plain => false,
    };
    let rest = match &tensor.storage {
        Storage::Plain => form,
        Storage::Prefix { order, .. } => {
            let axes = if own_axes(tensor) { code2::AXES } else { 0 };
            code2::PREFIX | form | order_code(order) << code2::ORDER_SHIFT | axes
        }
    };
    let again = before.is_some_and(|t| {
        let storage = match (&t.storage, &tensor.storage) {
            (Storage::Plain, Storage::Plain) => true,
            (Storage::Prefix { order: a, .. }, Storage::Prefix { order: b, .. }) => {
                a == b && t.values.len() == tensor.values.len()
            }
            _ => false,
        };
        storage
            && self::form(&t.values) == self::form(&tensor.values)
            && !own_axes(t)
            && !own_axes(tensor)
    });
    suffix | if again { code2::AGAIN } else { rest }
}

fn form(values: &Values) -> u8 {
    match values {
        Values::F16(_) => 0,
        Values::F32(_) => 1,
        Values::Quantised { .. } => 2,
    }
}

/// What a row holds behind its code byte, or behind its shape.
fn push_row(out: &mut Vec<u8>, code: u8, tensor: &Tensor) {
    if let (0, Storage::Prefix { axes, order }) = (code & code2::AGAIN, &tensor.storage) {
        if code & code2::AXES != 0 {
            push_shape(out, axes);
        }
        if let KeepOrder::Weighted(weights) = order {
            weights.iter().for_each(|&w| push_varint(out, w.into()));
        }
        push_varint(out, tensor.values.len() as u64);
    }
    if let Values::Quantised { step, .. } = &tensor.values {
        out.extend(step.to_le_bytes());
    }
}

/// The code byte, then how many bytes the name shares with the one before, then the rest of it without the suffix.
fn push_name(out: &mut Vec<u8>, before: &str, name: &str, code: u8) {
    out.push(code);
    let stem = name.strip_suffix(SUFFIX).unwrap_or(name);
    let mut shared = stem
        .bytes()
        .zip(before.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    while !stem.is_char_boundary(shared) {
        shared -= 1;
    }
    push_varint(out, shared as u64);
    push_text(out, &stem[shared..]);
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    push_varint(out, text.len() as u64);
    out.extend(text.as_bytes());
}

fn push_shape(out: &mut Vec<u8>, shape: &[usize]) {
    push_varint(out, shape.len() as u64);
    shape.iter().for_each(|&n| push_varint(out, n as u64));
}
