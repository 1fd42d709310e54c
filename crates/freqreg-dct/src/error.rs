//! The one error type of the crate. Every variant carries what was refused.

use alloc::string::String;
use alloc::vec::Vec;

/// What a keep order, a prefix or a transform refuses, with the value that was wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor needs at least one axis.
    #[error("the shape has no axes: give at least one, [1] for a single number")]
    NoAxes,
    /// An axis of length zero holds no coefficient.
    #[error("axis {axis} of shape {shape:?} has length 0: every axis needs at least one element")]
    EmptyAxis {
        /// The shape refused.
        shape: Vec<usize>,
        /// The first axis of length zero.
        axis: usize,
    },
    /// The product of the axis lengths does not fit the address space.
    #[error("shape {shape:?} has more elements than this machine can address")]
    TooManyElements {
        /// The shape refused.
        shape: Vec<usize>,
    },
    /// The list of kept positions could not be allocated.
    #[error("not enough memory for {elements} elements of shape {shape:?}")]
    OutOfMemory {
        /// The shape of the whole tensor.
        shape: Vec<usize>,
        /// How many elements were asked for.
        elements: usize,
    },
    /// A weighted keep order needs one weight an axis.
    #[error("a keep order with {weights} weights was asked to order shape {shape:?}, which has {} axes: give one weight an axis", shape.len())]
    WeightCount {
        /// The number of weights given.
        weights: usize,
        /// The shape to be ordered.
        shape: Vec<usize>,
    },
    /// A weight of zero would leave the positions along its axis unordered.
    #[error("weight {axis} of {weights:?} is 0: weights of a keep order are positive")]
    ZeroWeight {
        /// The weights refused.
        weights: Vec<u32>,
        /// The first weight that is zero.
        axis: usize,
    },
    /// The largest key of the tensor does not fit 64 bits.
    #[error(
        "weights {weights:?} on shape {shape:?} make keys beyond 64 bits: give smaller weights"
    )]
    KeyOverflow {
        /// The weights of the axes.
        weights: Vec<u64>,
        /// The shape to be ordered.
        shape: Vec<usize>,
    },
    /// The text is not the name of a keep order.
    #[error(
        "\"{text}\" is not a keep order: write zigzag, inverse-sqrt, or weights: and a positive integer an axis (weights:1,1,4,4)"
    )]
    UnknownOrder {
        /// The text refused.
        text: String,
    },
    /// A budget lies outside `1..=available`.
    #[error(
        "cannot keep {keep} of {available} coefficients (shape {shape:?}): keep at least 1 and at most {available}"
    )]
    Budget {
        /// The number of coefficients asked for.
        keep: usize,
        /// The number there is to choose from.
        available: usize,
        /// The shape of the tensor.
        shape: Vec<usize>,
    },
    /// An index points outside its tensor.
    #[error("index {index:?} lies outside shape {shape:?}")]
    Index {
        /// The index refused.
        index: Vec<usize>,
        /// The shape of the tensor.
        shape: Vec<usize>,
    },
    /// A slice has the wrong number of elements.
    #[error("{what} of shape {shape:?}: expected {expected} numbers, got {actual}")]
    Length {
        /// Which argument it was.
        what: &'static str,
        /// The shape it belongs to.
        shape: Vec<usize>,
        /// The number of elements it must have.
        expected: usize,
        /// The number of elements it has.
        actual: usize,
    },
    /// A basis of `length` functions was asked for more of them, or for none.
    #[error(
        "cannot take {rows} rows of a DCT basis of length {length}: take at least 1 and at most {length}"
    )]
    Rows {
        /// The rows asked for.
        rows: usize,
        /// The length of the axis.
        length: usize,
    },
}
