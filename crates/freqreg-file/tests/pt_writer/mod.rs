//! A small writer of `.pt` files, honest or not: pickles instruction by instruction, zip archives field by field.

#![allow(dead_code)] // Every test program takes what it needs.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// A pickle in the making. Every method appends one instruction or what torch.save writes for one thing.
#[derive(Clone)]
pub(crate) struct Pickle(pub(crate) Vec<u8>);

impl Pickle {
    pub(crate) fn new() -> Self {
        Self(vec![0x80, 2])
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.raw(b"X")
            .raw(&(text.len() as u32).to_le_bytes())
            .raw(text.as_bytes())
    }

    /// As LONG1, which holds every integer.
    pub(crate) fn int(self, n: i64) -> Self {
        self.raw(&[0x8a, 8]).raw(&n.to_le_bytes())
    }

    pub(crate) fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    pub(crate) fn ints(self, ints: &[i64]) -> Self {
        ints.iter()
            .fold(self.raw(b"("), |pickle, &n| pickle.int(n))
            .raw(b"t")
    }

    pub(crate) fn ordered_dict(self) -> Self {
        self.global("collections", "OrderedDict").raw(b")R")
    }

    /// The persistent id of a storage, e.g. of type `Float`.
    pub(crate) fn storage(self, kind: &str, key: &str, len: i64) -> Self {
        self.raw(b"(")
            .text("storage")
            .global("torch", &format!("{kind}Storage"))
            .text(key)
            .text("cpu")
            .int(len)
            .raw(b"tQ")
    }

    /// A tensor that fills its storage, row-major.
    pub(crate) fn tensor(self, kind: &str, key: &str, shape: &[i64]) -> Self {
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis];
        }
        self.view(kind, key, shape.iter().product(), 0, shape, &strides)
    }

    pub(crate) fn view(
        self,
        kind: &str,
        key: &str,
        len: i64,
        offset: i64,
        shape: &[i64],
        strides: &[i64],
    ) -> Self {
        self.global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"(")
            .storage(kind, key, len)
            .int(offset)
            .ints(shape)
            .ints(strides)
            .raw(b"\x89")
            .ordered_dict()
            .raw(b"tR")
    }

    /// A sparse tensor with its indices in storage `key` and its values in storage `key + 1`.
    pub(crate) fn sparse(self, key: u32, shape: &[i64], stored: i64) -> Self {
        let (indices, values) = (key.to_string(), (key + 1).to_string());
        self.begin_sparse()
            .tensor("Long", &indices, &[shape.len() as i64, stored])
            .tensor("Float", &values, &[stored])
            .end_sparse(shape)
    }

    pub(crate) fn begin_sparse(self) -> Self {
        self.global("torch._utils", "_rebuild_sparse_tensor")
            .global("torch.serialization", "_get_layout")
            .text("torch.sparse_coo")
            .raw(b"\x85R(")
    }

    pub(crate) fn end_sparse(self, shape: &[i64]) -> Self {
        self.global("torch", "Size").ints(shape).raw(b"\x85Rt\x86R")
    }

    /// One tensor named `t` as a whole state dict.
    pub(crate) fn only(tensor: impl FnOnce(Self) -> Self) -> Vec<u8> {
        tensor(Self::new().raw(b"}").text("t")).raw(b"s.").0
    }
}

/// An entry of an archive. What the archive says of it need not be true.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) packed: Vec<u8>,
    pub(crate) method: u16,
    pub(crate) flags: u16,
    pub(crate) size: u32,
    pub(crate) crc: u32,
}

impl Entry {
    pub(crate) fn stored(name: &str, bytes: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            packed: bytes.to_vec(),
            method: 0,
            flags: 0,
            size: bytes.len() as u32,
            crc: crc32fast::hash(bytes),
        }
    }

    pub(crate) fn deflated(name: &str, bytes: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        Self {
            packed: encoder.finish().unwrap(),
            method: 8,
            ..Self::stored(name, bytes)
        }
    }

    /// The fields that a local header and the table of entries share, for a Zip64 field of so many bytes.
    fn fields(&self, wide: usize) -> Vec<u8> {
        let mut fields = Vec::new();
        for short in [20, self.flags, self.method, 0, 0x21] {
            fields.extend(short.to_le_bytes());
        }
        let lengths = match wide {
            0 => [self.packed.len() as u32, self.size],
            _ => [u32::MAX; 2],
        };
        for long in [self.crc, lengths[0], lengths[1]] {
            fields.extend(long.to_le_bytes());
        }
        fields.extend((self.name.len() as u16).to_le_bytes());
        fields.extend((wide as u16).to_le_bytes());
        fields
    }
}

/// An archive of these entries.
pub(crate) fn zip(entries: &[Entry]) -> Vec<u8> {
    let (archive, table) = parts(entries, false);
    let (size, at) = (table.len() as u32, archive.len() as u32);
    let end = end(entries.len() as u16, size, at);
    [archive, table, end].concat()
}

/// An archive of these entries in the wide form, as torch.save writes it whatever the lengths.
pub(crate) fn zip64(entries: &[Entry]) -> Vec<u8> {
    let (archive, table) = parts(entries, true);
    let (size, at) = (table.len() as u64, archive.len() as u64);
    let count = (entries.len() as u64).to_le_bytes();
    let wide = [
        &b"PK\x06\x06"[..],
        &44u64.to_le_bytes(),
        &[45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &count,
        &count,
        &size.to_le_bytes(),
        &at.to_le_bytes(),
        b"PK\x06\x07\0\0\0\0",
        &(at + size).to_le_bytes(),
        &1u32.to_le_bytes(),
    ]
    .concat();
    let end = end(u16::MAX, u32::MAX, u32::MAX);
    [archive, table, wide, end].concat()
}

/// The entries and their table.
fn parts(entries: &[Entry], wide: bool) -> (Vec<u8>, Vec<u8>) {
    let (mut archive, mut table) = (Vec::new(), Vec::new());
    for entry in entries {
        let at = archive.len() as u64;
        let (size, packed) = (u64::from(entry.size), entry.packed.len() as u64);
        // A field of another kind comes first, as torch.save pads entries with.
        let field = |numbers: &[u64]| match wide {
            true => [
                &b"FB\x02\0ZZ\x01\0"[..],
                &(8 * numbers.len() as u16).to_le_bytes(),
                &bytes(numbers.iter().map(|n| n.to_le_bytes())),
            ]
            .concat(),
            false => Vec::new(),
        };
        let (local, central) = (field(&[size, packed]), field(&[size, packed, at]));
        archive.extend(b"PK\x03\x04");
        archive.extend(entry.fields(local.len()));
        archive.extend(entry.name.as_bytes());
        archive.extend(local);
        archive.extend(&entry.packed);
        table.extend(b"PK\x01\x02\x14\0");
        table.extend(entry.fields(central.len()));
        table.extend([0; 10]);
        table.extend(if wide { u32::MAX } else { at as u32 }.to_le_bytes());
        table.extend(entry.name.as_bytes());
        table.extend(central);
    }
    (archive, table)
}

fn end(count: u16, size: u32, at: u32) -> Vec<u8> {
    [
        &b"PK\x05\x06\0\0\0\0"[..],
        &count.to_le_bytes(),
        &count.to_le_bytes(),
        &size.to_le_bytes(),
        &at.to_le_bytes(),
        &[0, 0],
    ]
    .concat()
}

/// A `.pt` file of this pickle and these storages, numbered from 0 on.
pub(crate) fn pt(pickle: &[u8], storages: &[&[u8]]) -> Vec<u8> {
    zip(&entries(pickle, storages))
}

pub(crate) fn entries(pickle: &[u8], storages: &[&[u8]]) -> Vec<Entry> {
    let numbered = storages.iter().enumerate();
    let storages = numbered.map(|(i, bytes)| Entry::stored(&format!("net/data/{i}"), bytes));
    let head = [
        Entry::stored("net/data.pkl", pickle),
        Entry::stored("net/byteorder", b"little"),
    ];
    head.into_iter().chain(storages).collect()
}

/// The bytes of numbers, one after another.
pub(crate) fn bytes<const N: usize>(numbers: impl IntoIterator<Item = [u8; N]>) -> Vec<u8> {
    numbers.into_iter().flatten().collect()
}

pub(crate) fn floats(numbers: &[f32]) -> Vec<u8> {
    bytes(numbers.iter().map(|n| n.to_le_bytes()))
}

pub(crate) fn longs(numbers: &[i64]) -> Vec<u8> {
    bytes(numbers.iter().map(|n| n.to_le_bytes()))
}

/// A valid file with every kind of thing that torch.save writes for a state dict: a sparse tensor, a transposed view,
/// a parameter, memo entries of both widths, integers of every width, attributes.
pub(crate) fn rich() -> (Vec<u8>, Vec<Vec<u8>>) {
    let pickle = Pickle::new()
        .ordered_dict()
        .raw(b"q\0(")
        .text("sparse")
        .sparse(0, &[4, 5], 3)
        .text("view")
        .view("Float", "2", 7, 1, &[3, 2], &[1, 3])
        .raw(b"r\x01\0\0\0")
        .text("tied")
        .raw(b"j\x01\0\0\0")
        .text("parameter")
        .global("torch._utils", "_rebuild_parameter")
        .tensor("Half", "3", &[2])
        .raw(b"\x88")
        .ordered_dict()
        .raw(b"\x87R")
        .text("steps")
        .global("torch._utils", "_rebuild_tensor_v2")
        .raw(b"(")
        .storage("Long", "4", 1)
        .raw(b"K\0))\x89ccollections\nOrderedDict\nq\x02)RtRu}")
        .text("_metadata")
        .ordered_dict()
        .raw(b"(")
        .text("version")
        .raw(b"M\x01\x01")
        .text("others")
        .raw(b"(NJ\xff\xff\xff\xffG\x3f\xf0\0\0\0\0\0\0tusb.");
    let storages = vec![
        longs(&[0, 0, 1, 0, 1, 0]),
        floats(&[1.5, -2.0, 0.25]),
        floats(&[9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        bytes([[0, 0x3c], [0, 0xc0]]),
        longs(&[300]),
    ];
    (pickle.0, storages)
}

/// The archive of [`rich`].
pub(crate) fn rich_entries() -> Vec<Entry> {
    let (pickle, storages) = rich();
    let storages: Vec<&[u8]> = storages.iter().map(Vec::as_slice).collect();
    entries(&pickle, &storages)
}
