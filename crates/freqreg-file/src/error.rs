//! What can be wrong with a file or a model. Every message is complete in itself: it says what, where and, where there
//! is something to do, what to do.

#[cfg(feature = "std")]
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
#[cfg(feature = "std")]
use std::{io, path::PathBuf};

/// What the first bytes of a file of another kind than was expected say that it is.
pub(crate) struct Beginning<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Beginning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self.0;
        match found {
            [] => f.write_str("is empty"),
            [a, b, c, d, ..] if [*a, *b, *c, *d] == crate::wire::MAGIC => {
                f.write_str("is a .freq file already")
            }
            [b'P', b'K', ..] => f.write_str(
                "is a zip archive, as PyTorch's .pt files are: freqreg import reads the authors', and of others \
                 safetensors.torch.save_file writes the weights",
            ),
            [_, _, _, _, _, _, _, _, b'{', ..] => {
                f.write_str("looks like safetensors, from which freqreg pack makes one")
            }
            _ => write!(f, "begins with {found:02x?}"),
        }
    }
}

/// The result of this crate's functions.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// Why a model could not be read, written or expanded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[cfg(feature = "std")]
    /// A file could not be opened, read or written.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// What was tried: `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    #[cfg(feature = "std")]
    /// A file was read, and its content is at fault.
    #[error("{}: {error}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with its content.
        error: Box<Error>,
    },
    /// The first bytes are not those of a `.freq` file.
    #[error("not a .freq file: it {}", Beginning(found))]
    NotFreq {
        /// The first bytes, at most nine.
        found: Vec<u8>,
    },
    /// The file is of a version that this crate does not know.
    #[error(
        "the file is of version {found} of the .freq format, and this program knows versions 1 to {known}: \
         read it with a newer freqreg"
    )]
    Version {
        /// The version in the file.
        found: u8,
        /// The newest version known here.
        known: u8,
    },
    /// The file has fewer or more bytes than its table or header asks for.
    #[error("the file should have {expected} bytes and has {got}: {}", if got < expected { "it was cut short" } else { "something follows its end" })]
    Length {
        /// Bytes that the table asks for.
        expected: u64,
        /// Bytes there are.
        got: u64,
    },
    /// The checksum at the end does not match the bytes before it.
    #[error(
        "the file is damaged: its checksum is {expected:08x} and its content gives {got:08x}; fetch or write it again"
    )]
    Checksum {
        /// The CRC-32 written in the file.
        expected: u32,
        /// The CRC-32 of the content.
        got: u32,
    },
    /// The table says something that no writer writes.
    #[error("the table is malformed at byte {offset}: {what}")]
    Malformed {
        /// Where, counted from the file's beginning.
        offset: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// The file leaves its tensors' names and shapes to its architecture, which the reader does not know.
    #[error(
        "the file leaves the names and shapes of its tensors to its architecture `{architecture}`, which this reader does not know \
         or which its configuration does not fit: give it a table of the architecture (`Codec::tables`)"
    )]
    UnknownArchitecture {
        /// The architecture.
        architecture: String,
    },
    /// The file asks for more than the reader allows; see [`Limits`](crate::Limits).
    #[error(
        "the file asks for {got} {what}, more than the limit of {limit}; a program that trusts the file can read it with higher `Limits`"
    )]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The largest number allowed.
        limit: u64,
        /// The number asked for.
        got: u64,
    },
    /// Two tensors have one name.
    #[error("two tensors are named `{name}`")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A tensor is at fault.
    #[error("tensor `{tensor}`: {fault}")]
    Tensor {
        /// Its name.
        tensor: String,
        /// What is wrong with it.
        fault: Fault,
    },
    #[cfg(feature = "std")]
    /// A PyTorch file is at fault.
    #[error(transparent)]
    Pt(#[from] crate::PtFault),
    #[cfg(feature = "std")]
    /// A safetensors file is at fault.
    #[error(transparent)]
    Safetensors(#[from] crate::SafetensorsFault),
}

/// What can be wrong with one tensor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The name is empty, or the one that safetensors reserves for itself.
    #[error("a tensor cannot have this name")]
    Name,
    /// A shape has no axis, or too many.
    #[error("{got} axes; 1 to {} are allowed", crate::MAX_AXES)]
    AxisCount {
        /// Axes there are.
        got: usize,
    },
    /// A shape has an axis of length 0, or more elements than can be counted.
    #[error("the shape {shape:?} has {}", if shape.contains(&0) { "an axis of length 0" } else { "more elements than can be counted" })]
    Shape {
        /// The shape.
        shape: Vec<usize>,
    },
    /// The transform's axes have another number of elements than the shape.
    #[error(
        "the transform's axes {axes:?} have {got} elements, the shape {shape:?} has {expected}"
    )]
    Axes {
        /// The shape of the weight.
        shape: Vec<usize>,
        /// The axes of the transform.
        axes: Vec<usize>,
        /// Elements of `shape`.
        expected: usize,
        /// Elements of `axes`.
        got: usize,
    },
    /// A plain tensor has another number of values than its shape.
    #[error("{got} values for {expected} elements")]
    Count {
        /// Elements of the shape.
        expected: usize,
        /// Values there are.
        got: usize,
    },
    /// A prefix is empty or longer than the tensor.
    #[error("{got} coefficients kept; 1 to {elements} can be")]
    Kept {
        /// Elements of the shape.
        elements: usize,
        /// Values there are.
        got: usize,
    },
    /// The keep order does not fit the transform's axes.
    #[error("{0}")]
    Order(freqreg_dct::Error),
    /// The step of quantised values is not positive and finite, or so small that a value is too many steps.
    #[error(
        "the step {step} of its quantised values is not positive and finite, or a value is 2^20 steps or more"
    )]
    Step {
        /// The step.
        step: f32,
    },
    /// The part of a step that counts as nothing is no part.
    #[error("the dead zone {dead} is not from 0 to 1")]
    DeadZone {
        /// The part.
        dead: f32,
    },
    /// A value is infinite or not a number.
    #[error("value {index} is {value}; only finite values are stored")]
    NotFinite {
        /// Which of the tensor's values.
        index: usize,
        /// The value.
        value: f32,
    },
    #[cfg(feature = "std")]
    /// A weight is beyond what float32 holds, or none: its coefficients are too large.
    #[error("weight {index} would be {value}: its coefficients are too large for float32 weights")]
    Overflow {
        /// Which of the tensor's weights.
        index: usize,
        /// What it would be.
        value: f32,
    },
    #[cfg(feature = "std")]
    /// The coefficients could not be transformed.
    #[error("cannot be expanded: {0}")]
    Transform(freqreg_dct::Error),
    /// An entry of a PyTorch state dict is no tensor.
    #[error(
        "it is {found}, not a tensor: save the state dict alone, torch.save(model.state_dict(), path)"
    )]
    NotATensor {
        /// What it is.
        found: &'static str,
    },
    /// A tensor reaches beyond its storage, or has more elements than its storage.
    #[error(
        "shape {shape:?} with strides {strides:?} from element {offset} on \
         does not fit a storage of {available} elements"
    )]
    Strides {
        /// The shape of the tensor.
        shape: Vec<usize>,
        /// Elements from one index to the next, an axis each.
        strides: Vec<usize>,
        /// The element of the storage at which the tensor begins.
        offset: usize,
        /// Elements of the storage.
        available: usize,
    },
    #[cfg(feature = "std")]
    /// The parts of a sparse tensor do not fit each other.
    #[error(
        "indices {indices:?} of type {dtype} and values {values:?} make no sparse tensor of shape {shape:?}: \
         read are int64 indices [axes, stored] and values [stored]"
    )]
    Sparse {
        /// The shape of the tensor.
        shape: Vec<usize>,
        /// The shape of its indices.
        indices: Vec<usize>,
        /// The type of its indices.
        dtype: crate::PtType,
        /// The shape of its values.
        values: Vec<usize>,
    },
    /// An index of a sparse tensor points outside its shape.
    #[error("index {index} of stored value {position} lies outside axis {axis} of shape {shape:?}")]
    IndexRange {
        /// The shape of the tensor.
        shape: Vec<usize>,
        /// The axis.
        axis: usize,
        /// Which of the stored values.
        position: usize,
        /// The index along that axis.
        index: i64,
    },
    /// A tensor has more or fewer bytes than its shape and type ask for.
    #[error("{got} bytes for shape {shape:?} of type {dtype}, which takes {expected}")]
    Bytes {
        /// The shape.
        shape: Vec<usize>,
        /// The type, as the file calls it.
        dtype: String,
        /// Bytes that they take.
        expected: usize,
        /// Bytes there are.
        got: usize,
    },
    /// The bytes of a tensor end before they begin.
    #[error("its bytes begin at {start} and end at {end}: an end cannot lie before the beginning")]
    Backwards {
        /// Where they begin, counted behind the header.
        start: usize,
        /// Where they end.
        end: usize,
    },
    /// The bytes of a tensor do not begin where those of the one before end.
    #[error(
        "its bytes are {start} to {end} of the numbers, and the tensors before it reach to {before}: \
         every byte belongs to one tensor"
    )]
    Place {
        /// Where its bytes begin, counted behind the header.
        start: usize,
        /// Where they end.
        end: usize,
        /// Where the tensors before it end.
        before: usize,
    },
    /// A dense tensor was to be imported as coefficients.
    #[error("it is dense, and kept coefficients are sparse tensors: leave it out of the import")]
    Dense,
    /// A sparse tensor gives two values for one index.
    #[error("index {index:?} is given twice: coalesce the tensor before it is saved")]
    IndexTwice {
        /// The index.
        index: Vec<usize>,
    },
    /// The stored values of a sparse tensor are not the first coefficients in keep order.
    #[error(
        "coefficient {index:?} stands beyond the first {within} in keep order, though only {stored} are stored: \
         these are not the first coefficients in zigzag order"
    )]
    NotAPrefix {
        /// The index of the first stored value that lies too far out.
        index: Vec<usize>,
        /// How far the prefix may reach, in coefficients.
        within: usize,
        /// Values stored.
        stored: usize,
    },
}
