//! Blocks of a network in which wide activations exist only inside a tile of pixels.
//!
//! A layer of few kept coefficients is: project the channels to a few, a small convolution, expand to many channels. Between one
//! layer's expansion and the next one's projection stand a norm and an activation, which work on each pixel's channels alone once
//! the norm's statistics are known; and these follow from the narrow maps ([`moments`]). So only the narrow maps are ever in memory:
//! [`Wide`] says what the many channels would be, and computes them for a tile at a time, on the way to whoever reads them; in training
//! it computes them once more for the gradients ([`Wide::backward`]).

mod backward;
mod block;
mod conv;
mod maps;
mod moments;
mod norm;
mod sinks;
mod term;
mod tile;
mod wide;

pub use backward::{Towards, Upstream};
pub use conv::NarrowConv;
pub use maps::{MapShape, Maps};
pub use moments::{Moments, moments};
pub use norm::Over;
pub use wide::Wide;
