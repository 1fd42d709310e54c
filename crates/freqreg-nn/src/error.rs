//! What can go wrong when layers are built, shrunk or run.

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that this crate refuses, with the value that it refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A budget asks for no coefficient at all, or for more than the tensor has.
    #[error(
        "the budget of `{name}` is {asked}, but its weight of shape {shape:?} has {count} coefficients: give 1 to {count}, or a share above 0 and up to 1"
    )]
    Budget {
        /// The parameter.
        name: String,
        /// Shape of the weight.
        shape: Vec<usize>,
        /// The budget as it was given.
        asked: String,
        /// How many coefficients the weight has.
        count: usize,
    },
    /// The axes given for the transform do not hold as many elements as the weight.
    #[error(
        "`{name}` has shape {shape:?}; its transform axes {axes:?} hold {found} elements instead of {expected}"
    )]
    Axes {
        /// The parameter.
        name: String,
        /// Shape of the weight.
        shape: Vec<usize>,
        /// The axes asked for.
        axes: Vec<usize>,
        /// Elements of the weight.
        expected: usize,
        /// Elements that the axes hold.
        found: usize,
    },
    /// Two parameters of one store would share a name, and so a variable.
    #[error("the store already holds a parameter `{0}`: give each layer a path of its own")]
    Duplicate(String),
    /// The parameter's variable belongs to a candle `VarBuilder` and can't be replaced from here.
    #[error(
        "`{0}` was built from a candle VarBuilder, which owns its variable, so it can't be shrunk: build the layer from a freqreg_nn::Store"
    )]
    NotOwned(String),
    /// The parameter is a plain tensor, as a `VarBuilder` over a file gives.
    #[error("`{0}` is no variable but a fixed tensor: its values can't be replaced")]
    NotVariable(String),
    /// A network would hold more numbers than its store allows.
    #[error(
        "`{name}` of shape {shape:?} brings the network over the {limit} numbers that its store allows"
    )]
    TooLarge {
        /// The parameter.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// What the store allows.
        limit: usize,
    },
    /// Something that only a prefix has was asked of a parameter that holds plain values.
    #[error("`{0}` holds plain values, not a prefix of coefficients, so it has no budget to cut")]
    NotPrefix(String),
    /// Values loaded for a parameter do not fit it.
    #[error("`{name}` needs {expected} values, {found} were given")]
    Values {
        /// The parameter.
        name: String,
        /// Numbers that it holds.
        expected: usize,
        /// Numbers that were given.
        found: usize,
    },
    /// A layer was configured with numbers that do not fit each other.
    #[error("`{name}`: {reason}")]
    Config {
        /// The layer's path.
        name: String,
        /// What does not fit.
        reason: String,
    },
    /// A transform refused its input.
    #[error(transparent)]
    Dct(#[from] freqreg_dct::Error),
    /// A kernel refused its input.
    #[error(transparent)]
    Kernel(#[from] freqreg_kernels::Error),
    /// candle refused an operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl From<Error> for candle_core::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Candle(inner) => inner,
            other => candle_core::Error::wrap(other),
        }
    }
}
