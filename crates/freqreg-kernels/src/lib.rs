//! CPU kernels on plain slices: convolution, pooling, normalisation, linear layers, forward and backward
