//! Keep orders, orthonormal DCT bases, and transforms between a prefix of coefficients and a tensor
