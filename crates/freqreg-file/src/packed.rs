//! A configuration in few bytes: JSON as a row of tokens, with the words that networks use by number.
//!
//! The form is described in the crate's page.

use alloc::string::{String, ToString};
#[cfg(feature = "std")]
use alloc::vec::Vec;
use core::fmt::Write;

/// Words by number. They are part of the format: new ones are added at the end.
const WORDS: [&str; 40] = [
    "input",
    "channels",
    "channels_in",
    "hidden",
    "classes",
    "norm",
    "pool",
    "biases",
    "width",
    "depth",
    "stem",
    "convolutions",
    "heads",
    "head_dim",
    "dim",
    "mlp",
    "patch",
    "latent",
    "sample",
    "batch",
    "instance",
    "none",
    "average",
    "max",
    "imagenet",
    "cifar",
    "group:2",
    "group:4",
    "group:8",
    "group:16",
    "group:32",
    "conv1",
    "conv2",
    "fc1",
    "fc2",
    "architecture",
    "kernel",
    "stride",
    "padding",
    "features",
];

/// The three highest bits of a token.
mod kind {
    pub(super) const NUMBER: u8 = 0;
    pub(super) const WORD: u8 = 1;
    pub(super) const TEXT: u8 = 2;
    pub(super) const ARRAY: u8 = 3;
    pub(super) const OBJECT: u8 = 4;
    pub(super) const LITERAL: u8 = 5;
    pub(super) const OTHER: u8 = 6;
}

/// The largest number that a token holds in its five lowest bits; from here on a varint follows.
const FEW: u64 = 31;
/// Arrays and objects within each other.
const DEPTH: usize = 16;
const LITERALS: [&str; 3] = ["null", "false", "true"];

/// The tokens of a JSON text; `None` where the text is not exactly what [`unpack`] would make of them.
#[cfg(feature = "std")]
pub(crate) fn pack(text: &str) -> Option<Vec<u8>> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let mut out = Vec::new();
    push(&mut out, &value);
    let mut cursor = &out[..];
    (unpack(&mut cursor, text.len()).as_deref() == Some(text)).then_some(out)
}

#[cfg(feature = "std")]
fn push(out: &mut Vec<u8>, value: &serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::Null => token(out, kind::LITERAL, 0),
        Value::Bool(value) => token(out, kind::LITERAL, 1 + u64::from(*value)),
        Value::Number(number) => match number.as_u64().filter(|&n| n <= u64::from(u32::MAX)) {
            Some(n) => token(out, kind::NUMBER, n),
            None => push_text(out, kind::OTHER, &number.to_string()),
        },
        Value::String(text) => push_word(out, text),
        Value::Array(values) => {
            token(out, kind::ARRAY, values.len() as u64);
            values.iter().for_each(|v| push(out, v));
        }
        Value::Object(pairs) => {
            token(out, kind::OBJECT, pairs.len() as u64);
            for (key, value) in pairs {
                push_word(out, key);
                push(out, value);
            }
        }
    }
}

#[cfg(feature = "std")]
fn token(out: &mut Vec<u8>, kind: u8, n: u64) {
    if n < FEW {
        out.push(kind << 5 | n as u8);
    } else {
        out.push(kind << 5 | FEW as u8);
        crate::wire::push_varint(out, n - FEW);
    }
}

#[cfg(feature = "std")]
fn push_text(out: &mut Vec<u8>, kind: u8, text: &str) {
    token(out, kind, text.len() as u64);
    out.extend(text.as_bytes());
}

#[cfg(feature = "std")]
fn push_word(out: &mut Vec<u8>, text: &str) {
    match WORDS.iter().position(|w| *w == text) {
        Some(n) => token(out, kind::WORD, n as u64),
        None => push_text(out, kind::TEXT, text),
    }
}

/// The JSON text of the tokens at the beginning of `bytes`, which then begin behind them; `None` if these are no tokens, or those of more
/// than about `most` bytes.
pub(crate) fn unpack(bytes: &mut &[u8], most: usize) -> Option<String> {
    let mut text = String::new();
    value(bytes, &mut text, DEPTH, most)?;
    Some(text)
}

fn next(bytes: &mut &[u8]) -> Option<(u8, u64)> {
    let byte = take(bytes, 1)?[0];
    let (kind, few) = (byte >> 5, u64::from(byte & 31));
    if few < FEW {
        return Some((kind, few));
    }
    let mut more = 0u64;
    for shift in (0..63).step_by(7) {
        let byte = take(bytes, 1)?[0];
        more |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            // In the shortest form only.
            let whole = byte != 0 || shift == 0;
            return whole.then_some((kind, more.checked_add(FEW)?));
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(n)?;
    *bytes = rest;
    Some(taken)
}

fn text_of<'a>(bytes: &mut &'a [u8], kind: u8, n: u64) -> Option<&'a str> {
    let n = usize::try_from(n).ok()?;
    match kind {
        kind::WORD => WORDS.get(n).copied(),
        _ => core::str::from_utf8(take(bytes, n)?).ok(),
    }
}

fn value(bytes: &mut &[u8], out: &mut String, depth: usize, most: usize) -> Option<()> {
    if out.len() > most {
        return None;
    }
    let (kind, n) = next(bytes)?;
    match kind {
        kind::NUMBER => out.push_str(&n.to_string()),
        kind::WORD | kind::TEXT => quote(text_of(bytes, kind, n)?, out),
        kind::LITERAL => out.push_str(LITERALS.get(usize::try_from(n).ok()?)?),
        kind::OTHER => {
            let number = text_of(bytes, kind, n)?;
            let part = |b: u8| b.is_ascii_digit() || b"+-.eE".contains(&b);
            if number.is_empty() || !number.bytes().all(part) {
                return None;
            }
            out.push_str(number);
        }
        kind::ARRAY | kind::OBJECT => {
            let depth = depth.checked_sub(1)?;
            let [open, close] = match kind {
                kind::ARRAY => ['[', ']'],
                _ => ['{', '}'],
            };
            out.push(open);
            for i in 0..n {
                if i > 0 {
                    out.push(',');
                }
                if kind == kind::OBJECT {
                    let (kind, n) = next(bytes)?;
                    if !matches!(kind, kind::WORD | kind::TEXT) {
                        return None;
                    }
                    quote(text_of(bytes, kind, n)?, out);
                    out.push(':');
                }
                value(bytes, out, depth, most)?;
            }
            out.push(close);
        }
        _ => return None,
    }
    Some(())
}

/// As a JSON string.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if u32::from(c) < 0x20 => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::{Value, json};
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(|b| json!(b)),
            any::<u64>().prop_map(|n| json!(n)),
            any::<i64>().prop_map(|n| json!(n)),
            // Halves come back exactly from whatever reads them.
            (-1_000_000i32..1_000_000).prop_map(|n| json!(f64::from(n) / 2.0)),
            any::<String>().prop_map(|s| json!(s)),
            (0..WORDS.len()).prop_map(|i| json!(WORDS[i])),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..40).prop_map(|v| json!(v)),
                prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|m| json!(m)),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_comes_back(value in json()) {
            let text = value.to_string();
            let packed = pack(&text).expect("it packs");
            let mut bytes = &packed[..];
            prop_assert_eq!(unpack(&mut bytes, text.len()), Some(text));
            prop_assert!(bytes.is_empty());
        }

        #[test]
        fn any_bytes_give_a_text_or_none(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            // A text is at most as long as its words make it.
            let mut rest = &bytes[..];
            if let Some(text) = unpack(&mut rest, 1 << 20) {
                prop_assert!(text.len() <= 32 * bytes.len());
            }
        }
    }

    #[test]
    fn text_that_is_laid_out_otherwise_is_not_packed() {
        assert_eq!(pack("{ }"), None);
        assert_eq!(pack("{\"b\":1,\"a\":2}"), None);
        assert_eq!(pack("no JSON"), None);
        assert_eq!(
            pack("{\"norm\":\"sample\",\"hidden\":196}").map(|p| p.len()),
            None
        );
        assert_eq!(
            pack("{\"hidden\":196,\"norm\":\"sample\"}").map(|p| p.len()),
            Some(7)
        );
    }
}
