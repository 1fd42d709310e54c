//! As much of the zip format (PKWARE's APPNOTE 6.3) as `.pt` files use: the table of entries at the end of the file,
//! with the wider fields of Zip64, and entries stored or deflated. What has several volumes or a preface is refused.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};

use flate2::read::DeflateDecoder;

use super::PtFault;

/// How every entry begins, and so every archive with an entry.
pub(super) const LOCAL: [u8; 4] = *b"PK\x03\x04";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
const END_64: [u8; 4] = *b"PK\x06\x06";
const LOCATOR_64: [u8; 4] = *b"PK\x06\x07";

const LOCAL_BYTES: usize = 30;
const CENTRAL_BYTES: usize = 46;
const END_BYTES: usize = 22;
const LOCATOR_64_BYTES: usize = 20;
const END_64_BYTES: usize = 56;

/// A field of this value says that the true one stands in the entry's Zip64 field.
const ELSEWHERE: u64 = 0xffff_ffff;

/// An open archive: its reader, and its table of entries.
pub(super) struct Zip<R> {
    reader: R,
    /// Bytes of the whole file: what an entry may claim without having shown it.
    length: u64,
    entries: HashMap<Vec<u8>, Entry>,
}

/// What the table says of an entry.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    /// Bytes of the content.
    pub(super) size: u64,
    at: u64,
}

impl<R: Read + Seek> Zip<R> {
    /// Reads the table of entries.
    pub(super) fn open(mut reader: R) -> Result<Self, PtFault> {
        let length = reader.seek(SeekFrom::End(0)).map_err(damaged)?;
        let Table { at, size, count } = table(&mut reader, length)?;
        let table = read_at(&mut reader, at, size)?;
        let mut entries = HashMap::new();
        let mut rest = &table[..];
        while !rest.is_empty() {
            let (name, entry) =
                central(&mut rest).ok_or_else(|| broken("its table of entries is malformed"))?;
            if entries.insert(name, entry).is_some() {
                return Err(PtFault::Twice { what: "a name" });
            }
        }
        if entries.len() as u64 != count {
            return Err(broken(
                "its table has another number of entries than its end record says",
            ));
        }
        Ok(Self {
            reader,
            length,
            entries,
        })
    }

    /// The names of all entries, in no order.
    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.keys().map(Vec::as_slice)
    }

    /// What the table says of the entry of this name.
    pub(super) fn find(&self, name: &str) -> Option<Entry> {
        self.entries.get(name.as_bytes()).copied()
    }

    /// The content of an entry, found to have the length and the checksum that the table gives. It is for the caller to
    /// find that length acceptable first.
    pub(super) fn read(&mut self, name: &str, entry: Entry) -> Result<Vec<u8>, PtFault> {
        let name = || name.to_owned();
        if entry.flags & 1 != 0 {
            let how = "encrypted".to_owned();
            return Err(PtFault::Packed { name: name(), how });
        }
        let local = read_at(&mut self.reader, entry.at, LOCAL_BYTES as u64)?;
        let (true, Some(names), Some(extra)) = (
            local.starts_with(&LOCAL),
            short(&local, 26),
            short(&local, 28),
        ) else {
            return Err(broken("an entry is not where its table says"));
        };
        let skip = i64::from(names) + i64::from(extra);
        self.reader.seek_relative(skip).map_err(damaged)?;

        let packed = self.reader.by_ref().take(entry.packed);
        // One byte more than expected is enough to see that there are too many.
        let most = entry.size.saturating_add(1);
        let mut bytes = Vec::with_capacity(most.min(self.length) as usize);
        match entry.method {
            0 => packed.take(most).read_to_end(&mut bytes),
            8 => DeflateDecoder::new(packed)
                .take(most)
                .read_to_end(&mut bytes),
            method => {
                let how = format!("compressed by method {method}");
                return Err(PtFault::Packed { name: name(), how });
            }
        }
        .map_err(damaged)?;

        let (expected, got) = (entry.size, bytes.len() as u64);
        if got != expected {
            let name = name();
            return Err(PtFault::Size {
                name,
                expected,
                got,
            });
        }
        let (expected, got) = (entry.crc, crc32fast::hash(&bytes));
        if got != expected {
            let name = name();
            return Err(PtFault::Checksum {
                name,
                expected,
                got,
            });
        }
        Ok(bytes)
    }
}

/// What the end record says of the table of entries: where it begins, its bytes and its entries.
struct Table {
    at: u64,
    size: u64,
    count: u64,
}

/// Finds the table of entries, which lies within the file and ends where its end record begins.
fn table<R: Read + Seek>(reader: &mut R, length: u64) -> Result<Table, PtFault> {
    // The end record stands at the very end but for a comment, whose length it gives.
    let tail_bytes = length.min((END_BYTES + usize::from(u16::MAX)) as u64);
    let tail_at = length - tail_bytes;
    let tail = read_at(reader, tail_at, tail_bytes)?;
    let end = tail.windows(END_BYTES).enumerate().rev().find(|(at, end)| {
        let comment = tail.len() - at - END_BYTES;
        end.starts_with(&END) && short(end, 20).is_some_and(|n| usize::from(n) == comment)
    });
    let (at, end) = end.ok_or_else(|| broken("it has no table of entries"))?;

    // Just before it, an archive with wider fields says where those are.
    let locator = at
        .checked_sub(LOCATOR_64_BYTES)
        .and_then(|from| tail.get(from..at))
        .filter(|locator| locator.starts_with(&LOCATOR_64));
    let (found, until) = match locator {
        Some(locator) => {
            let until = wide(locator, 8).unwrap_or(length);
            let end = read_at(reader, until, END_64_BYTES as u64)?;
            if !end.starts_with(&END_64) {
                return Err(broken("its end record is not where it says"));
            }
            let found = || {
                Some(Table {
                    at: wide(&end, 48)?,
                    size: wide(&end, 40)?,
                    count: wide(&end, 32)?,
                })
            };
            (found(), until)
        }
        None => {
            let found = || {
                Some(Table {
                    at: long(end, 16)?.into(),
                    size: long(end, 12)?.into(),
                    count: short(end, 10)?.into(),
                })
            };
            (found(), tail_at + at as u64)
        }
    };
    found
        .filter(|table| table.at.checked_add(table.size) == Some(until))
        .ok_or_else(|| broken("its table of entries does not end where its end record begins"))
}

/// Takes one entry off the front of the table.
fn central(table: &mut &[u8]) -> Option<(Vec<u8>, Entry)> {
    let (head, rest) = table.split_at_checked(CENTRAL_BYTES)?;
    if !head.starts_with(&CENTRAL) {
        return None;
    }
    let (name, rest) = rest.split_at_checked(short(head, 28)?.into())?;
    let (mut extra, rest) = rest.split_at_checked(short(head, 30)?.into())?;
    *table = rest.get(usize::from(short(head, 32)?)..)?;

    // The Zip64 field holds, in this order, those of the three numbers that do not fit the entry itself.
    let mut wider = None;
    while let (Some(id), Some(length)) = (short(extra, 0), short(extra, 2)) {
        let (field, rest) = extra.get(4..)?.split_at_checked(length.into())?;
        if id == 1 {
            wider = Some(field);
        }
        extra = rest;
    }
    let mut number = |at| match u64::from(long(head, at)?) {
        ELSEWHERE => {
            let (number, rest) = wider?.split_at_checked(8)?;
            wider = Some(rest);
            wide(number, 0)
        }
        number => Some(number),
    };
    let (size, packed, at) = (number(24)?, number(20)?, number(42)?);
    let entry = Entry {
        flags: short(head, 8)?,
        method: short(head, 10)?,
        crc: long(head, 16)?,
        packed,
        size,
        at,
    };
    Some((name.to_vec(), entry))
}

/// Reads bytes of which there are no more than the file, or a few.
fn read_at<R: Read + Seek>(reader: &mut R, at: u64, length: u64) -> Result<Vec<u8>, PtFault> {
    let mut bytes = vec![0; length as usize];
    reader.seek(SeekFrom::Start(at)).map_err(damaged)?;
    reader.read_exact(&mut bytes).map_err(damaged)?;
    Ok(bytes)
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn wide(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// What the system or inflating said. A file that ends too early is the most common.
pub(super) fn damaged(cause: io::Error) -> PtFault {
    PtFault::Zip {
        cause: cause.to_string(),
    }
}

fn broken(cause: &str) -> PtFault {
    PtFault::Zip {
        cause: cause.to_owned(),
    }
}
