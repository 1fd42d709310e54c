//! A tensor as a small core and one basis an axis, for layers that never build the tensor.

use crate::Basis;

/// `W = core x_0 B_0 x_1 B_1 ...`: element `[j_0, j_1, ..]` of the tensor is the sum over `p` within the
/// bounds of `core[p_0, p_1, ..] * B_0[p_0][j_0] * B_1[p_1][j_1] * ..`.
///
/// ```
/// use freqreg_dct::{KeepOrder, Plan};
///
/// let plan = Plan::<f64>::new(&[5, 7], &KeepOrder::Zigzag, 3)?;
/// let factors = plan.factors(&[1.0, 2.0, 3.0])?;
/// assert_eq!(factors.bounds, [2, 2]);
/// assert_eq!(factors.core, [1.0, 2.0, 3.0, 0.0]);
/// assert_eq!((factors.bases[1].rows(), factors.bases[1].length()), (2, 7));
/// # Ok::<(), freqreg_dct::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Factors<T> {
    /// The coefficients, dense and row-major in the shape of `bounds`; zero where nothing is kept.
    pub core: Vec<T>,
    /// The bounding box of the kept indices.
    pub bounds: Vec<usize>,
    /// For each axis the first `bounds[axis]` basis functions, row-major `[bounds[axis], shape[axis]]`.
    pub bases: Vec<Basis<T>>,
}
