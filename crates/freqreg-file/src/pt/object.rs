//! What the pickle of a state dict is made of, and what its calls make: the whole vocabulary, and no way to add to it.

use super::PtType;
use crate::{Error, MAX_AXES, Result};

/// Something on the pickle's stack or in its memo. What has parts is a node, so that copying an item copies no parts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item<'a> {
    None,
    Bool,
    Int(i64),
    Float,
    Text(&'a str),
    Global(Global),
    /// The layout of sparse tensors that list their indices, the only one read.
    SparseCoo,
    /// An entry of [`Nodes`].
    Node(usize),
}

/// A thing with parts. Nodes name each other by number: no depth of nesting makes anything recurse.
#[derive(Debug)]
pub(super) enum Node<'a> {
    Tuple(Vec<Item<'a>>),
    Dict(Vec<(Item<'a>, Item<'a>)>),
    Storage(Storage<'a>),
    Dense(Dense<'a>),
    /// A shape, and the nodes of the dense indices and values.
    Sparse(Vec<usize>, usize, usize),
}

/// Every name that a pickle may ask for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Global {
    OrderedDict,
    Size,
    GetLayout,
    RebuildTensor,
    RebuildSparse,
    RebuildParameter,
    Storage(PtType),
}

impl Global {
    pub(super) fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch", "Size") => Self::Size,
            ("torch.serialization", "_get_layout") => Self::GetLayout,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_sparse_tensor") => Self::RebuildSparse,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "HalfStorage") => Self::Storage(PtType::Float16),
            ("torch", "BFloat16Storage") => Self::Storage(PtType::BFloat16),
            ("torch", "FloatStorage") => Self::Storage(PtType::Float32),
            ("torch", "DoubleStorage") => Self::Storage(PtType::Float64),
            ("torch", "BoolStorage") => Self::Storage(PtType::Bool),
            ("torch", "ByteStorage") => Self::Storage(PtType::UInt8),
            ("torch", "CharStorage") => Self::Storage(PtType::Int8),
            ("torch", "ShortStorage") => Self::Storage(PtType::Int16),
            ("torch", "IntStorage") => Self::Storage(PtType::Int32),
            ("torch", "LongStorage") => Self::Storage(PtType::Int64),
            _ => return None,
        })
    }
}

/// A run of numbers, in an entry of the archive to itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Storage<'a> {
    pub(super) dtype: PtType,
    pub(super) key: &'a str,
    pub(super) len: usize,
}

/// A view of a storage. There are as many strides as axes, at most [`MAX_AXES`]; nothing else has been checked.
#[derive(Debug)]
pub(super) struct Dense<'a> {
    pub(super) storage: Storage<'a>,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// A tensor as the pickle describes it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Description<'n, 'a> {
    Dense(&'n Dense<'a>),
    Sparse {
        /// At most [`MAX_AXES`] axes.
        shape: &'n [usize],
        indices: &'n Dense<'a>,
        values: &'n Dense<'a>,
    },
}

/// What a call gives: a thing that was there, or a new one.
pub(super) enum Made<'a> {
    Item(Item<'a>),
    Node(Node<'a>),
}

/// All things with parts, and the memory left for more of them.
#[derive(Debug)]
pub(super) struct Nodes<'a> {
    nodes: Vec<Node<'a>>,
    limit: usize,
    room: usize,
}

impl<'a> Nodes<'a> {
    /// At most `limit` bytes for the nodes, their parts, and whatever else is [charged](Self::charge).
    pub(super) fn new(limit: usize) -> Self {
        Self {
            nodes: Vec::new(),
            limit,
            room: limit,
        }
    }

    /// Takes `bytes` from the room there is.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<()> {
        self.room = self.room.checked_sub(bytes).ok_or(Error::Limit {
            what: "bytes of memory to describe its tensors",
            limit: self.limit as u64,
            got: ((self.limit - self.room) as u64).saturating_add(bytes as u64),
        })?;
        Ok(())
    }

    pub(super) fn add(&mut self, node: Node<'a>) -> Result<Item<'a>> {
        let parts = match &node {
            Node::Tuple(items) => size_of_val(items.as_slice()),
            Node::Dense(dense) => 2 * size_of_val(dense.shape.as_slice()),
            Node::Sparse(shape, ..) => size_of_val(shape.as_slice()),
            // A dictionary begins empty and pays for every entry.
            Node::Dict(_) | Node::Storage(_) => 0,
        };
        self.charge(size_of::<Node>() + parts)?;
        self.nodes.push(node);
        Ok(Item::Node(self.nodes.len() - 1))
    }

    pub(super) fn node(&self, item: Item<'a>) -> Option<&Node<'a>> {
        match item {
            Item::Node(at) => self.nodes.get(at),
            _ => None,
        }
    }

    /// Puts pairs of key and value into the dictionary `item`. `None` if it is no dictionary.
    pub(super) fn insert(&mut self, item: Item<'a>, pairs: &[Item<'a>]) -> Option<Result<()>> {
        let Item::Node(at) = item else { return None };
        let Node::Dict(_) = self.nodes.get(at)? else {
            return None;
        };
        if let Err(error) = self.charge(size_of_val(pairs)) {
            return Some(Err(error));
        }
        if let Some(Node::Dict(dict)) = self.nodes.get_mut(at) {
            dict.extend(pairs.chunks_exact(2).map(|pair| (pair[0], pair[1])));
        }
        Some(Ok(()))
    }

    /// The tensor that an item is, if it is one.
    pub(super) fn tensor(&self, item: Item<'a>) -> Option<Description<'_, 'a>> {
        match self.node(item)? {
            Node::Dense(dense) => Some(Description::Dense(dense)),
            Node::Sparse(shape, indices, values) => {
                match (self.nodes.get(*indices)?, self.nodes.get(*values)?) {
                    (Node::Dense(indices), Node::Dense(values)) => Some(Description::Sparse {
                        shape,
                        indices,
                        values,
                    }),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// What an item is, in a word.
    pub(super) fn kind(&self, item: Item<'a>) -> &'static str {
        match item {
            Item::None => "None",
            Item::Bool => "a truth value",
            Item::Int(_) => "an integer",
            Item::Float => "a number",
            Item::Text(_) => "a text",
            Item::Global(_) => "a function or class",
            Item::SparseCoo => "a layout",
            Item::Node(_) => match self.node(item) {
                Some(Node::Tuple(_)) => "a tuple",
                Some(Node::Dict(_)) => "a dictionary",
                Some(Node::Storage(_)) => "a storage",
                Some(Node::Dense(_) | Node::Sparse(..)) => "a tensor",
                None => "nothing",
            },
        }
    }

    /// What a call of `global` gives. The error says what is wrong with the arguments.
    pub(super) fn call(&self, global: Global, args: Item<'a>) -> Result<Made<'a>, &'static str> {
        let args = self.tuple(args).ok_or("arguments that are not a tuple")?;
        match (global, args) {
            (Global::OrderedDict, []) => Ok(Made::Node(Node::Dict(Vec::new()))),
            (Global::Size, &[size]) => self.lengths(size).map(|_| Made::Item(size)),
            (Global::GetLayout, [Item::Text("torch.sparse_coo")]) => {
                Ok(Made::Item(Item::SparseCoo))
            }
            (Global::GetLayout, [_]) => Err("a layout other than torch.sparse_coo"),
            // A seventh argument would say that the numbers are not what they seem: negated or conjugated.
            (Global::RebuildTensor, &[storage, offset, size, strides, _grad, _hooks]) => self
                .dense(storage, offset, size, strides)
                .map(|dense| Made::Node(Node::Dense(dense))),
            (Global::RebuildParameter, &[tensor, _grad, _hooks]) => match self.tensor(tensor) {
                Some(_) => Ok(Made::Item(tensor)),
                None => Err("a parameter that is not a tensor"),
            },
            (Global::RebuildSparse, &[Item::SparseCoo, parts]) => {
                // PyTorch 2 adds whether the tensor is coalesced.
                let (Some([indices, values, size]) | Some([indices, values, size, _])) =
                    self.tuple(parts)
                else {
                    return Err("a sparse tensor that is not made of indices, values and a size");
                };
                let shape = self.lengths(*size)?;
                match (self.dense_node(*indices), self.dense_node(*values)) {
                    (Some(indices), Some(values)) => {
                        Ok(Made::Node(Node::Sparse(shape, indices, values)))
                    }
                    _ => Err("a sparse tensor whose indices or values are not dense tensors"),
                }
            }
            _ => Err("a call with other arguments than torch.save writes"),
        }
    }

    /// The storage that a persistent id names: `("storage", type, key, device, elements)`.
    pub(super) fn storage(&self, id: Item<'a>) -> Option<Node<'a>> {
        match *self.tuple(id)? {
            [
                Item::Text("storage"),
                Item::Global(Global::Storage(dtype)),
                Item::Text(key),
                Item::Text(_),
                Item::Int(len),
            ] => Some(Node::Storage(Storage {
                dtype,
                key,
                len: usize::try_from(len).ok()?,
            })),
            _ => None,
        }
    }

    fn dense(
        &self,
        storage: Item<'a>,
        offset: Item<'a>,
        size: Item<'a>,
        strides: Item<'a>,
    ) -> Result<Dense<'a>, &'static str> {
        let Some(&Node::Storage(storage)) = self.node(storage) else {
            return Err("a tensor without a storage");
        };
        let offset = length(offset).ok_or("a tensor whose offset is not a count")?;
        let (shape, strides) = (self.lengths(size)?, self.lengths(strides)?);
        if shape.len() != strides.len() {
            return Err("a tensor with another number of strides than axes");
        }
        Ok(Dense {
            storage,
            offset,
            shape,
            strides,
        })
    }

    fn dense_node(&self, item: Item<'a>) -> Option<usize> {
        match (item, self.node(item)?) {
            (Item::Node(at), Node::Dense(_)) => Some(at),
            _ => None,
        }
    }

    fn tuple(&self, item: Item<'a>) -> Option<&[Item<'a>]> {
        match self.node(item)? {
            Node::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The integers of a shape or of strides.
    fn lengths(&self, item: Item<'a>) -> Result<Vec<usize>, &'static str> {
        let items = self.tuple(item).ok_or("a shape that is not a tuple")?;
        if items.len() > MAX_AXES {
            return Err("a tensor of more than 8 axes");
        }
        let lengths: Option<Vec<usize>> = items.iter().map(|&item| length(item)).collect();
        lengths.ok_or("a shape or strides with something else than counts")
    }
}

fn length(item: Item) -> Option<usize> {
    match item {
        Item::Int(n) => usize::try_from(n).ok(),
        _ => None,
    }
}
