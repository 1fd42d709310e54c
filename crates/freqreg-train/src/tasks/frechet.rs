//! The Fréchet distance between two sets of images, in the features of a LeNet5 of 776 numbers that comes along. It is
//! not the FID, which takes the features of an Inception network; it compares only with itself.

use crate::network::Network;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use freqreg_file::Model as ModelFile;
use nalgebra::{DMatrix, DVector};

/// The LeNet5 of `freqreg reproduce lenet5`, seed 1, trained on MNIST.
const LENET5: &[u8] = include_bytes!("lenet5.freq");
/// What it was trained on: (p / 255 - mean) / deviation.
const SCALE: [f64; 2] = [0.1307, 0.3081];
const SIDE: usize = 28;
const FEATURES: usize = 196;

/// Takes images to features.
pub(super) struct Judge(Network);

impl Judge {
    pub(super) fn new(device: &Device) -> Result<Self> {
        let file = ModelFile::from_bytes(LENET5).map_err(|e| Error::Model(e.to_string()))?;
        Ok(Judge(Network::from_file(&file, device)?))
    }

    pub(super) fn statistics(&self) -> Statistics {
        Statistics::new(FEATURES)
    }

    /// Adds images `[n, channels, h, w]` of -1 to 1, brought to 28 x 28 by averaging, all channels as one.
    pub(super) fn add(&self, to: &mut Statistics, images: &Tensor) -> Result<()> {
        let (n, _, h, w) = images.dims4()?;
        let grey = images.mean_keepdim(1)?.contiguous()?;
        let small = averaged(
            &averaged(&grey.reshape((n * h, w))?, w)?
                .reshape((n, h, SIDE))?
                .transpose(1, 2)?
                .contiguous()?
                .reshape((n * SIDE, h))?,
            h,
        )?
        .reshape((n, SIDE, SIDE))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((n, 1, SIDE, SIDE))?;
        let unit = ((small + 1.0)? * 0.5)?;
        let features = self.0.model.features(&((unit - SCALE[0])? / SCALE[1])?)?;
        for row in features.to_dtype(DType::F64)?.to_vec2::<f64>()? {
            to.add(&row);
        }
        Ok(())
    }
}

/// Rows of `[rows, length]` to `[rows, 28]`, each number the mean over its share of the row, parts of pixels included.
fn averaged(rows: &Tensor, length: usize) -> candle_core::Result<Tensor> {
    let width = length as f64 / SIDE as f64;
    let mut matrix = vec![0.0_f32; length * SIDE];
    for i in 0..SIDE {
        let (from, to) = (i as f64 * width, (i + 1) as f64 * width);
        for at in 0..length {
            let part = (to.min(at as f64 + 1.0) - from.max(at as f64)).max(0.0);
            matrix[at * SIDE + i] = (part / width) as f32;
        }
    }
    rows.matmul(&Tensor::from_vec(matrix, (length, SIDE), rows.device())?)
}

/// Mean and covariance of rows of features, gathered row by row.
#[derive(Clone, Debug)]
pub struct Statistics {
    count: f64,
    sum: DVector<f64>,
    products: DMatrix<f64>,
}

impl Statistics {
    /// Of no rows yet, of so many features each.
    pub fn new(features: usize) -> Self {
        Statistics {
            count: 0.0,
            sum: DVector::zeros(features),
            products: DMatrix::zeros(features, features),
        }
    }

    /// Takes a row in; one of another length is left out.
    pub fn add(&mut self, row: &[f64]) {
        if row.len() == self.sum.len() {
            let row = DVector::from_column_slice(row);
            self.count += 1.0;
            self.sum += &row;
            self.products.ger(1.0, &row, &row, 1.0);
        }
    }

    fn mean(&self) -> DVector<f64> {
        &self.sum / self.count.max(1.0)
    }

    /// With the divisor n - 1, as is usual for this distance.
    fn covariance(&self) -> DMatrix<f64> {
        let mean = self.mean();
        (&self.products - &mean * mean.transpose() * self.count) / (self.count - 1.0).max(1.0)
    }
}

/// |m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½), the squared Fréchet distance of two normal distributions (Dowson & Landau
/// 1982). The trace of the root is that of (C1^½ C2 C1^½)^½, a symmetric matrix.
pub fn distance(a: &Statistics, b: &Statistics) -> f64 {
    let (c1, c2) = (a.covariance(), b.covariance());
    if c1.iter().chain(c2.iter()).any(|x| !x.is_finite()) {
        return f64::NAN;
    }
    let traces = c1.trace() + c2.trace();
    let eigen = c1.symmetric_eigen();
    let root = &eigen.eigenvectors
        * DMatrix::from_diagonal(&eigen.eigenvalues.map(|e| e.max(0.0).sqrt()))
        * eigen.eigenvectors.transpose();
    let middle = &root * c2 * &root;
    let middle = (&middle + middle.transpose()) * 0.5;
    let roots: f64 = middle
        .symmetric_eigenvalues()
        .iter()
        .map(|e| e.max(0.0).sqrt())
        .sum();
    (a.mean() - b.mean()).norm_squared() + traces - 2.0 * roots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[[f64; 2]]) -> Statistics {
        let mut s = Statistics::new(2);
        rows.iter().for_each(|row| s.add(row));
        s
    }

    #[test]
    fn a_set_is_at_no_distance_from_itself() {
        let s = of(&[[1.0, 2.0], [3.0, -1.0], [0.5, 0.0], [2.0, 2.5]]);
        assert!(distance(&s, &s).abs() < 1e-12);
    }

    #[test]
    fn a_shift_counts_squared_and_scales_count_by_their_roots() {
        let a = [[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]];
        let shifted = a.map(|[x, y]| [x + 3.0, y - 4.0]);
        assert!((distance(&of(&a), &of(&shifted)) - 25.0).abs() < 1e-9);
        // Diagonal covariances: the sum of (σ1 - σ2)².
        let scaled = a.map(|[x, y]| [2.0 * x, 3.0 * y]);
        let variance = [2.0_f64 / 3.0, 8.0 / 3.0];
        let expected = variance[0] + 4.0 * variance[1];
        assert!((distance(&of(&a), &of(&scaled)) - expected).abs() < 1e-9);
    }

    #[test]
    fn sizes_are_averaged_exactly() {
        let row: Vec<f32> = (0..64).map(|i| i as f32).collect();
        let mean = row.iter().sum::<f32>() / 64.0;
        let small = averaged(&Tensor::from_vec(row, (1, 64), &Device::Cpu).unwrap(), 64).unwrap();
        let small: Vec<f32> = small.flatten_all().unwrap().to_vec1().unwrap();
        assert!((small.iter().sum::<f32>() / 28.0 - mean).abs() < 1e-3);
        assert!((small[0] - 0.6875).abs() < 1e-5 && small.is_sorted());
    }

    #[test]
    fn the_judge_reads_its_network() {
        let judge = Judge::new(&Device::Cpu).unwrap();
        let statistics = |salt: usize| {
            let mut s = judge.statistics();
            let pixel = |i: usize| ((i * 2_654_435_761 + salt) % 1000) as f32 / 500.0 - 1.0;
            // Rows of another length each, so that the sets differ in more than noise.
            let pixels = (0..8 * 64 * 64).map(|i| if i % 64 < salt { -1.0 } else { pixel(i) });
            let images = Tensor::from_vec(pixels.collect(), (8, 1, 64, 64), &Device::Cpu);
            judge.add(&mut s, &images.unwrap()).unwrap();
            s
        };
        let (a, b) = (statistics(10), statistics(40));
        assert_eq!(a.count, 8.0);
        assert!(distance(&a, &a).abs() < 1e-6);
        assert!(distance(&a, &b) > 1.0, "{}", distance(&a, &b));
    }
}
