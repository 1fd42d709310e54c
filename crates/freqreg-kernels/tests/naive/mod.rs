//! Every kernel as plain loops straight from its definition, in f64.
#![allow(dead_code)] // each test file uses its part

use freqreg_kernels::{Conv2d, ConvTranspose2d, Pool2d};

/// Reproducible numbers in [-1, 1) from a linear congruential generator.
pub(crate) fn numbers(len: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    (0..len)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / (1u64 << 30) as f64 - 1.0
        })
        .collect()
}

pub(crate) fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

/// Largest difference, relative to the largest reference value.
pub(crate) fn distance<T: Copy + Into<f64>>(got: &[T], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(1e-300, |m: f64, v| m.max(v.abs()));
    got.iter().zip(want).fold(0.0, |m: f64, (&g, w)| {
        let d = (g.into() - w).abs() / largest;
        if d.is_nan() { f64::INFINITY } else { m.max(d) }
    })
}

/// Visits all index pairs (input, weight, output) that a convolution multiplies and sums.
pub(crate) fn conv_terms(c: &Conv2d, mut visit: impl FnMut(usize, usize, usize)) {
    let [oh, ow] = c.output_size();
    let (inputs, outputs) = (c.channels_in / c.groups, c.channels_out / c.groups);
    for n in 0..c.batch {
        for o in 0..c.channels_out {
            for i in 0..oh {
                for j in 0..ow {
                    for q in 0..inputs {
                        for a in 0..c.kernel[0] {
                            for b in 0..c.kernel[1] {
                                let y = (i * c.stride[0] + a * c.dilation[0]) as isize
                                    - c.padding[0] as isize;
                                let x = (j * c.stride[1] + b * c.dilation[1]) as isize
                                    - c.padding[1] as isize;
                                if y < 0 || x < 0 || y >= c.height as isize || x >= c.width as isize
                                {
                                    continue;
                                }
                                let channel = o / outputs * inputs + q;
                                let input = ((n * c.channels_in + channel) * c.height + y as usize)
                                    * c.width
                                    + x as usize;
                                let weight = ((o * inputs + q) * c.kernel[0] + a) * c.kernel[1] + b;
                                let output = ((n * c.channels_out + o) * oh + i) * ow + j;
                                visit(input, weight, output);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Visits all index pairs (input, weight, output) of a transposed convolution, from PyTorch's definition: input pixel (i, j)
/// adds to output pixels (i stride + a dilation - padding, ...).
pub(crate) fn conv_transpose_terms(
    c: &ConvTranspose2d,
    mut visit: impl FnMut(usize, usize, usize),
) {
    let [oh, ow] = c.output_size();
    let (inputs, outputs) = (c.channels_in / c.groups, c.channels_out / c.groups);
    for n in 0..c.batch {
        for q in 0..c.channels_in {
            for i in 0..c.height {
                for j in 0..c.width {
                    for o in 0..outputs {
                        for a in 0..c.kernel[0] {
                            for b in 0..c.kernel[1] {
                                let y = (i * c.stride[0] + a * c.dilation[0]) as isize
                                    - c.padding[0] as isize;
                                let x = (j * c.stride[1] + b * c.dilation[1]) as isize
                                    - c.padding[1] as isize;
                                if y < 0 || x < 0 || y >= oh as isize || x >= ow as isize {
                                    continue;
                                }
                                let channel = q / inputs * outputs + o;
                                let input = ((n * c.channels_in + q) * c.height + i) * c.width + j;
                                let weight =
                                    ((q * outputs + o) * c.kernel[0] + a) * c.kernel[1] + b;
                                let output = ((n * c.channels_out + channel) * oh + y as usize)
                                    * ow
                                    + x as usize;
                                visit(input, weight, output);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Indices of the elements of each window of one plane, without padding, in row-major order.
pub(crate) fn pool_windows(p: &Pool2d) -> Vec<Vec<usize>> {
    let [oh, ow] = p.output_size();
    let mut windows = Vec::new();
    for i in 0..oh {
        for j in 0..ow {
            let mut window = Vec::new();
            for a in 0..p.kernel[0] {
                for b in 0..p.kernel[1] {
                    let y = (i * p.stride[0] + a) as isize - p.padding[0] as isize;
                    let x = (j * p.stride[1] + b) as isize - p.padding[1] as isize;
                    if y >= 0 && x >= 0 && y < p.height as isize && x < p.width as isize {
                        window.push(y as usize * p.width + x as usize);
                    }
                }
            }
            windows.push(window);
        }
    }
    windows
}
