//! The .freq model file: a network as the kept DCT coefficients of its weights
