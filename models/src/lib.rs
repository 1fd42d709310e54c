//! The networks of the frequency regularization paper, each written once and built dense or regularised
