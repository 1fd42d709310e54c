//! What can go wrong when a network is described or built.

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that this crate refuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A budget names a layer that the network does not have.
    #[error("there is a budget for `{name}`, but the network's layers are: {}", known.join(", "))]
    UnknownLayer {
        /// The name in the budgets.
        name: String,
        /// The layers there are.
        known: Vec<String>,
    },
    /// A regularised network needs a budget for each of its layers.
    #[error("layer `{0}` has no budget: give it a count, or \"dense\" to leave it as it is")]
    MissingBudget(String),
    /// A network's configuration does not fit together.
    #[error("{architecture}: {reason}")]
    Config {
        /// Which network.
        architecture: &'static str,
        /// What does not fit.
        reason: String,
    },
    /// A layer refused its budget or its sizes.
    #[error(transparent)]
    Layer(#[from] freqreg_nn::Error),
    /// candle refused an operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}
