//! Frequency-regularised layers for candle: linear, convolution and transposed convolution from a prefix of DCT coefficients
