//! The pickle: a program for a small stack machine, of which torch.save uses some thirty instructions (protocol 2).
//! Python's machine can call anything; this one puts tuples, dictionaries and descriptions of tensors together and has
//! no instruction that does more. See Python's `pickletools` for what each instruction means.

use std::collections::HashSet;

use super::PtFault;
use super::object::{Description, Global, Item, Made, Node, Nodes};
use crate::{Error, Fault, Limits, Result};

/// The most items on the stack: torch.save puts at most 1,000 pairs of key and value there before it collects them.
const STACK: usize = 1 << 16;

/// Bytes of memory for each that the pickle may have: what torch.save writes takes up to sixteen times its length.
const MEMORY: usize = 20;

/// What a pickle left behind.
#[derive(Debug)]
pub(super) struct Dict<'a> {
    nodes: Nodes<'a>,
    top: Item<'a>,
}

impl<'a> Dict<'a> {
    /// Names and descriptions of the tensors, in the order of the file.
    pub(super) fn entries(&self, limit: usize) -> Result<Vec<(&'a str, Description<'_, 'a>)>> {
        let Some(Node::Dict(entries)) = self.nodes.node(self.top) else {
            let found = self.nodes.kind(self.top);
            return Err(PtFault::NotAStateDict { found }.into());
        };
        if entries.len() > limit {
            return Err(Error::Limit {
                what: "tensors",
                limit: limit as u64,
                got: entries.len() as u64,
            });
        }
        let mut names = HashSet::with_capacity(entries.len());
        entries
            .iter()
            .map(|&(key, value)| {
                let Item::Text(name) = key else {
                    let found = "a dictionary with keys that are not texts";
                    return Err(PtFault::NotAStateDict { found }.into());
                };
                if !names.insert(name) {
                    let name = name.to_owned();
                    return Err(Error::DuplicateName { name });
                }
                let tensor = self.nodes.tensor(value).ok_or_else(|| Error::Tensor {
                    tensor: name.to_owned(),
                    fault: Fault::NotATensor {
                        found: self.nodes.kind(value),
                    },
                })?;
                Ok((name, tensor))
            })
            .collect()
    }
}

/// Runs the pickle to its end.
pub(super) fn run<'a>(pickle: &'a [u8], limits: &Limits) -> Result<Dict<'a>> {
    let mut machine = Machine {
        rest: pickle,
        length: pickle.len(),
        instruction: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: Vec::new(),
        nodes: Nodes::new(limits.table_bytes.saturating_mul(MEMORY)),
    };
    loop {
        if let Some(top) = machine.step()? {
            let nodes = machine.nodes;
            return Ok(Dict { nodes, top });
        }
    }
}

struct Machine<'a> {
    /// The bytes not yet read.
    rest: &'a [u8],
    length: usize,
    /// Where the current instruction stands.
    instruction: usize,
    stack: Vec<Item<'a>>,
    /// Heights of the stack to which a later instruction collects items.
    marks: Vec<usize>,
    /// What later instructions refer to by number. Picklers number what they put here from 0 on.
    memo: Vec<Item<'a>>,
    nodes: Nodes<'a>,
}

impl<'a> Machine<'a> {
    /// Carries out one instruction; what the pickle stands for once it ends.
    fn step(&mut self) -> Result<Option<Item<'a>>> {
        self.instruction = self.length - self.rest.len();
        let opcode = self.byte()?;
        match opcode {
            // PROTO
            0x80 => {
                if self.byte()? != 2 {
                    return Err(
                        self.malformed("a protocol other than 2, the one that torch.save uses")
                    );
                }
            }
            // STOP
            b'.' => {
                let top = self.pop()?;
                if !self.rest.is_empty() {
                    return Err(self.malformed("something follows the end"));
                }
                return Ok(Some(top));
            }
            // MARK
            b'(' => {
                if self.marks.len() == STACK {
                    return Err(self.too_deep());
                }
                self.marks.push(self.stack.len());
            }
            // NONE, NEWTRUE, NEWFALSE
            b'N' => self.push(Item::None)?,
            0x88 | 0x89 => self.push(Item::Bool)?,
            // BININT, BININT1, BININT2
            b'J' => {
                let n = i32::from_le_bytes(self.array()?);
                self.push(Item::Int(n.into()))?;
            }
            b'K' => {
                let n = self.byte()?;
                self.push(Item::Int(n.into()))?;
            }
            b'M' => {
                let n = u16::from_le_bytes(self.array()?);
                self.push(Item::Int(n.into()))?;
            }
            // LONG1
            0x8a => {
                let n = self.long()?;
                self.push(Item::Int(n))?;
            }
            // BINFLOAT
            b'G' => {
                self.array::<8>()?;
                self.push(Item::Float)?;
            }
            // BINUNICODE
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                let bytes = self.bytes(length as usize)?;
                let text = self.text(bytes)?;
                self.push(Item::Text(text))?;
            }
            // GLOBAL
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                let global = Global::find(module, name).ok_or_else(|| PtFault::Global {
                    offset: self.instruction,
                    name: format!("{module}.{name}"),
                })?;
                self.push(Item::Global(global))?;
            }
            // EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3, TUPLE
            b')' => self.collect(self.stack.len())?,
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(opcode - 0x84));
                let from = from.filter(|&from| from >= self.floor());
                let from = from.ok_or_else(|| self.malformed("too few items for a tuple"))?;
                self.collect(from)?;
            }
            b't' => {
                let from = self.unmark()?;
                self.collect(from)?;
            }
            // EMPTY_DICT, SETITEM, SETITEMS
            b'}' => {
                let dict = self.nodes.add(Node::Dict(Vec::new()))?;
                self.push(dict)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.insert(&[key, value])?;
            }
            b'u' => {
                let from = self.unmark()?;
                let pairs = self.stack.split_off(from);
                if !pairs.len().is_multiple_of(2) {
                    return Err(self.malformed("a key without a value"));
                }
                self.insert(&pairs)?;
            }
            // BINPUT, LONG_BINPUT
            b'q' => {
                let at = self.byte()?;
                self.put(at.into())?;
            }
            b'r' => {
                let at = u32::from_le_bytes(self.array()?);
                self.put(at as usize)?;
            }
            // BINGET, LONG_BINGET
            b'h' => {
                let at = self.byte()?;
                self.get(at.into())?;
            }
            b'j' => {
                let at = u32::from_le_bytes(self.array()?);
                self.get(at as usize)?;
            }
            // BINPERSID
            b'Q' => {
                let id = self.pop()?;
                let storage = self.nodes.storage(id);
                let storage = storage.ok_or_else(|| self.malformed("a reference to no storage"))?;
                let storage = self.nodes.add(storage)?;
                self.push(storage)?;
            }
            // REDUCE
            b'R' => {
                let args = self.pop()?;
                let Item::Global(global) = self.pop()? else {
                    return Err(self.malformed("a call of something that is no function"));
                };
                let made = match self.nodes.call(global, args) {
                    Ok(Made::Item(item)) => item,
                    Ok(Made::Node(node)) => self.nodes.add(node)?,
                    Err(what) => return Err(self.malformed(what)),
                };
                self.push(made)?;
            }
            // BUILD gives a state dict attributes: versions of its modules. They hold no tensors and are let go.
            b'b' => {
                let (state, dict) = (self.pop()?, self.pop()?);
                let is_dict = |item| matches!(self.nodes.node(item), Some(Node::Dict(_)));
                if !is_dict(state) || !is_dict(dict) {
                    return Err(self.malformed("attributes for something else than a dictionary"));
                }
                self.push(dict)?;
            }
            _ => {
                return Err(PtFault::Opcode {
                    offset: self.instruction,
                    opcode,
                }
                .into());
            }
        }
        Ok(None)
    }

    fn push(&mut self, item: Item<'a>) -> Result<()> {
        if self.stack.len() == STACK {
            return Err(self.too_deep());
        }
        self.stack.push(item);
        Ok(())
    }

    /// Takes the topmost item; those below the last mark are out of reach until it is gone.
    fn pop(&mut self) -> Result<Item<'a>> {
        if self.stack.len() > self.floor()
            && let Some(item) = self.stack.pop()
        {
            return Ok(item);
        }
        Err(self.malformed("too few items on the stack"))
    }

    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn unmark(&mut self) -> Result<usize> {
        let mark = self.marks.pop();
        mark.ok_or_else(|| self.malformed("a collection without a beginning"))
    }

    /// Makes a tuple of what lies on the stack from this height on.
    fn collect(&mut self, from: usize) -> Result<()> {
        let items = self.stack.split_off(from);
        let tuple = self.nodes.add(Node::Tuple(items))?;
        self.push(tuple)
    }

    /// Puts pairs into the dictionary on top of the stack.
    fn insert(&mut self, pairs: &[Item<'a>]) -> Result<()> {
        let dict = self.pop()?;
        match self.nodes.insert(dict, pairs) {
            Some(inserted) => inserted?,
            None => return Err(self.malformed("entries for something else than a dictionary")),
        }
        self.push(dict)
    }

    fn put(&mut self, at: usize) -> Result<()> {
        let item = self.pop()?;
        if at == self.memo.len() {
            self.nodes.charge(size_of::<Item>())?;
            self.memo.push(item);
        } else if let Some(place) = self.memo.get_mut(at) {
            *place = item;
        } else {
            return Err(self.malformed("a memo entry out of turn"));
        }
        self.push(item)
    }

    fn get(&mut self, at: usize) -> Result<()> {
        let item = self.memo.get(at).copied();
        let item = item.ok_or_else(|| self.malformed("a memo entry that was never put"))?;
        self.push(item)
    }

    fn bytes(&mut self, n: usize) -> Result<&'a [u8]> {
        let Some((bytes, rest)) = self.rest.split_at_checked(n) else {
            return Err(self.malformed("it ends before the instruction does"));
        };
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Text up to the end of a line, without it.
    fn line(&mut self) -> Result<&'a str> {
        let end = self.rest.iter().position(|&byte| byte == b'\n');
        let end = end.ok_or_else(|| self.malformed("a name without an end"))?;
        let line = self.bytes(end)?;
        self.byte()?;
        self.text(line)
    }

    fn text(&self, bytes: &'a [u8]) -> Result<&'a str> {
        std::str::from_utf8(bytes).map_err(|_| self.malformed("a text that is not UTF-8"))
    }

    /// A little-endian integer in two's complement, after its length in bytes.
    fn long(&mut self) -> Result<i64> {
        let length = self.byte()?;
        let bytes = self.bytes(length.into())?;
        if bytes.len() > 8 {
            return Err(self.malformed("an integer of more than 64 bits"));
        }
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        Ok(i64::from_le_bytes(wide))
    }

    fn malformed(&self, what: &'static str) -> Error {
        PtFault::Pickle {
            offset: self.instruction,
            what,
        }
        .into()
    }

    fn too_deep(&self) -> Error {
        self.malformed("more items on the stack than any state dict needs")
    }
}
