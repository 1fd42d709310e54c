//! Plans: from a prefix of coefficients to a tensor and back.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rayon::iter::{
    IndexedParallelIterator, IntoParallelRefIterator, IntoParallelRefMutIterator, ParallelIterator,
};

use crate::dct::Direction;
use crate::expansion::{Expansion, box_positions};
use crate::pool::Pool;
use crate::shape::{check_length, elements, zeros};
use crate::{Basis, Dct, Error, Factors, KeepOrder, Prefix, Real, cost};

/// From this many coefficients on they are picked from the tensor in parallel.
const PARALLEL: usize = 1 << 15;

/// How a [`Plan`] gets from coefficients to a tensor and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// The box around the kept coefficients times truncated bases, axis by axis.
    Box,
    /// A fast transform of the whole tensor.
    Fft,
}

/// Synthesis and analysis between the first `k` coefficients of a tensor and its spatial values.
///
/// Synthesis is the orthonormal inverse DCT along every axis of the tensor whose coefficients are the given
/// ones in keep order, then zeros. Analysis is its transpose: the forward DCT, cut to the prefix. Analysis
/// after synthesis is the identity; synthesis after analysis projects a tensor onto what the prefix can say. The
/// gradient with respect to the coefficients is therefore the analysis of the gradient with respect to the tensor.
///
/// All that can be computed once is computed once, and buffers are used again, so that a plan is meant
/// to be kept and [truncated](Plan::truncated) as a budget shrinks. A plan can be used by several threads at once. Large
/// tensors are computed in parallel on the current rayon pool, with the same result for any number of threads.
///
/// ```
/// use freqreg_dct::{KeepOrder, Plan, Way};
///
/// let plan = Plan::<f32>::new(&[64, 32, 3, 3], &KeepOrder::Zigzag, 20)?;
/// let coefficients: Vec<f32> = (0..20).map(|i| 1.0 / (1 + i) as f32).collect();
/// let weights = plan.synthesize(&coefficients)?;
/// assert_eq!(weights.len(), 64 * 32 * 3 * 3);
/// let back = plan.analyze(&weights)?;
/// assert!(back.iter().zip(&coefficients).all(|(a, b)| (a - b).abs() < 1e-6));
/// assert_eq!(plan.way(), Way::Box);
/// assert_eq!(plan.truncated(10)?.len(), 10);
/// # Ok::<(), freqreg_dct::Error>(())
/// ```
#[derive(Clone)]
pub struct Plan<T: Real> {
    prefix: Prefix,
    elements: usize,
    shared: Arc<Shared<T>>,
    route: Route<T>,
    /// Where each coefficient lies in the box; may hold more than the prefix. Computed when first needed.
    positions: OnceLock<Arc<[usize]>>,
}

#[derive(Clone)]
enum Route<T: Real> {
    Box(Arc<Expansion<T>>),
    Fft(Dct<T>),
}

/// What a plan and all its truncations have in common.
struct Shared<T: Real> {
    /// The longest basis asked for so far, axis by axis.
    bases: Mutex<Vec<Option<Basis<T>>>>,
    dct: OnceLock<Dct<T>>,
    pool: Pool<T>,
}

impl<T: Real> Plan<T> {
    /// A plan for the first `k` coefficients, in `order`, of a tensor of `shape`.
    ///
    /// # Errors
    /// As [`KeepOrder::prefix`].
    pub fn new(shape: &[usize], order: &KeepOrder, k: usize) -> Result<Self, Error> {
        Self::from_prefix(order.prefix(shape, k)?)
    }

    /// A plan for a prefix that has been enumerated already. The cheaper way is chosen ([`cost`]).
    ///
    /// # Errors
    /// If the bases are too large for the memory.
    pub fn from_prefix(prefix: Prefix) -> Result<Self, Error> {
        let way = cheaper(&prefix)?;
        Self::with_way(prefix, way)
    }

    /// A plan that takes the given way whatever it costs, to compare the two.
    ///
    /// # Errors
    /// If the bases are too large for the memory.
    pub fn with_way(prefix: Prefix, way: Way) -> Result<Self, Error> {
        let bases = Mutex::new(vec![None; prefix.shape().len()]);
        let shared = Arc::new(Shared {
            bases,
            dct: OnceLock::new(),
            pool: Pool::new(),
        });
        Self::build(prefix, way, shared)
    }

    fn build(prefix: Prefix, way: Way, shared: Arc<Shared<T>>) -> Result<Self, Error> {
        let route = match way {
            Way::Box => {
                let expansion = Expansion::new(&prefix, |axis, rows| {
                    shared.basis(prefix.shape(), axis, rows)
                })?;
                Route::Box(Arc::new(expansion))
            }
            Way::Fft => Route::Fft(shared.dct(prefix.shape())?),
        };
        let elements = elements(prefix.shape())?;
        Ok(Self {
            prefix,
            elements,
            shared,
            route,
            positions: OnceLock::new(),
        })
    }

    /// The plan for the first `k` of these coefficients, `1 <= k <= len`, by the way that is cheaper for
    /// their bounds (where the bounds stay the same, so does the way). Positions, bases, plans and buffers are
    /// shared with this plan: nothing is enumerated again, and where the bounds stay nothing is computed at all.
    ///
    /// # Errors
    /// If `k` is 0 or larger than [`len`](Plan::len).
    pub fn truncated(&self, k: usize) -> Result<Self, Error> {
        let prefix = self.prefix.truncated(k)?;
        let same_box = prefix.bounds() == self.prefix.bounds();
        let way = if same_box {
            self.way()
        } else {
            cheaper(&prefix)?
        };
        if way != self.way() || (way == Way::Box && !same_box) {
            return Self::build(prefix, way, Arc::clone(&self.shared));
        }
        let positions = if same_box {
            self.positions.clone()
        } else {
            OnceLock::new()
        };
        Ok(Self {
            prefix,
            positions,
            ..self.clone()
        })
    }

    /// The kept coefficients.
    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// The shape of the tensor.
    pub fn shape(&self) -> &[usize] {
        self.prefix.shape()
    }

    /// The number of coefficients, at least 1.
    #[allow(clippy::len_without_is_empty)] // A prefix is never empty.
    pub fn len(&self) -> usize {
        self.prefix.len()
    }

    /// The number of elements of the tensor.
    pub fn elements(&self) -> usize {
        self.elements
    }

    /// The way this plan takes.
    pub fn way(&self) -> Way {
        match self.route {
            Route::Box(_) => Way::Box,
            Route::Fft(_) => Way::Fft,
        }
    }

    /// The tensor, row-major, that has these coefficients.
    ///
    /// # Errors
    /// If there are not exactly [`len`](Plan::len) coefficients, or no memory for the tensor.
    pub fn synthesize(&self, coefficients: &[T]) -> Result<Vec<T>, Error> {
        let mut out = zeros(self.elements, self.shape())?;
        self.synthesize_into(coefficients, &mut out)?;
        Ok(out)
    }

    /// [`synthesize`](Plan::synthesize) into a tensor that is there already; what it held is overwritten.
    ///
    /// # Errors
    /// If there are not exactly [`len`](Plan::len) coefficients, or `out` is not of the tensor's size.
    pub fn synthesize_into(&self, coefficients: &[T], out: &mut [T]) -> Result<(), Error> {
        self.check(coefficients, "coefficients")?;
        check_length("tensor", out, self.elements, self.shape())?;
        match &self.route {
            Route::Box(expansion) => {
                expansion.synthesize(&self.shared.pool, out, |core| {
                    scatter(coefficients, self.positions(), core)
                });
            }
            Route::Fft(dct) => dct.run_into(Direction::Inverse, out, |start, spare| {
                let start = spare.unwrap_or(start);
                start.fill(T::ZERO);
                scatter(coefficients, self.prefix.offsets(), start);
            }),
        }
        Ok(())
    }

    /// The coefficients of a row-major tensor, cut to the prefix.
    ///
    /// # Errors
    /// If `spatial` is not of the tensor's size.
    pub fn analyze(&self, spatial: &[T]) -> Result<Vec<T>, Error> {
        let mut out = zeros(self.len(), self.shape())?;
        self.analyze_into(spatial, &mut out)?;
        Ok(out)
    }

    /// [`analyze`](Plan::analyze) into a slice of [`len`](Plan::len) numbers, which is overwritten.
    ///
    /// # Errors
    /// If `spatial` is not of the tensor's size or `coefficients` not of the prefix's.
    pub fn analyze_into(&self, spatial: &[T], coefficients: &mut [T]) -> Result<(), Error> {
        check_length("tensor", spatial, self.elements, self.shape())?;
        self.check(coefficients, "coefficients")?;
        match &self.route {
            Route::Box(expansion) => expansion.analyze(&self.shared.pool, spatial, |core| {
                gather(core, self.positions(), coefficients)
            }),
            Route::Fft(dct) => {
                dct.of(Direction::Forward, spatial, |all| {
                    gather(all, self.prefix.offsets(), coefficients)
                });
            }
        }
        Ok(())
    }

    /// The factors of the tensor that has these coefficients, for use without ever building it.
    ///
    /// # Errors
    /// If there are not exactly [`len`](Plan::len) coefficients, or no memory for the factors.
    pub fn factors(&self, coefficients: &[T]) -> Result<Factors<T>, Error> {
        let bounds = self.prefix.bounds().to_vec();
        let mut core = zeros(bounds.iter().product(), &bounds)?;
        self.core_into(coefficients, &mut core)?;
        let bases = (0..bounds.len())
            .map(|axis| self.shared.basis(self.shape(), axis, bounds[axis]))
            .collect::<Result<_, Error>>()?;
        Ok(Factors {
            core,
            bounds,
            bases,
        })
    }

    /// Lays the coefficients out in the dense row-major box of the prefix's [bounds](Prefix::bounds), zero
    /// where nothing is kept: the core of [`factors`](Plan::factors).
    ///
    /// # Errors
    /// If there are not exactly [`len`](Plan::len) coefficients, or `core` is not of the box's size.
    pub fn core_into(&self, coefficients: &[T], core: &mut [T]) -> Result<(), Error> {
        self.check(coefficients, "coefficients")?;
        self.check_core(core)?;
        core.fill(T::ZERO);
        scatter(coefficients, self.positions(), core);
        Ok(())
    }

    /// The transpose of [`core_into`](Plan::core_into): picks the kept coefficients from a box. It takes the gradient
    /// of a core to the gradient of the coefficients.
    ///
    /// # Errors
    /// If `core` is not of the box's size, or `coefficients` not of the prefix's.
    pub fn cut_core_into(&self, core: &[T], coefficients: &mut [T]) -> Result<(), Error> {
        self.check_core(core)?;
        self.check(coefficients, "coefficients")?;
        gather(core, self.positions(), coefficients);
        Ok(())
    }

    fn check(&self, coefficients: &[T], what: &'static str) -> Result<(), Error> {
        check_length(what, coefficients, self.len(), self.shape())
    }

    fn check_core(&self, core: &[T]) -> Result<(), Error> {
        let bounds = self.prefix.bounds();
        check_length("core", core, bounds.iter().product(), bounds)
    }

    fn positions(&self) -> &[usize] {
        &self.positions.get_or_init(|| box_positions(&self.prefix))[..self.len()]
    }
}

impl<T: Real> Shared<T> {
    fn basis(&self, shape: &[usize], axis: usize, rows: usize) -> Result<Basis<T>, Error> {
        let mut bases = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(basis) = bases[axis].as_ref().filter(|basis| basis.rows() >= rows) {
            return basis.truncated(rows);
        }
        let basis = Basis::new(shape[axis], rows)?;
        bases[axis] = Some(basis.clone());
        Ok(basis)
    }

    fn dct(&self, shape: &[usize]) -> Result<Dct<T>, Error> {
        if let Some(dct) = self.dct.get() {
            return Ok(dct.clone());
        }
        let dct = Dct::new(shape)?;
        Ok(self.dct.get_or_init(|| dct).clone())
    }
}

fn cheaper(prefix: &Prefix) -> Result<Way, Error> {
    let by_box = cost::box_way(prefix.shape(), prefix.bounds())?;
    // Without fast transforms the other way is one by matrices, and larger ones.
    let only = !cfg!(feature = "fft");
    Ok(if only || by_box <= cost::fft_way(prefix.shape())? {
        Way::Box
    } else {
        Way::Fft
    })
}

fn scatter<T: Copy>(coefficients: &[T], positions: &[usize], to: &mut [T]) {
    coefficients
        .iter()
        .zip(positions)
        .for_each(|(&value, &at)| to[at] = value);
}

fn gather<T: Real>(from: &[T], positions: &[usize], coefficients: &mut [T]) {
    if coefficients.len() < PARALLEL {
        coefficients
            .iter_mut()
            .zip(positions)
            .for_each(|(value, &at)| *value = from[at]);
    } else {
        let pairs = coefficients.par_iter_mut().zip(positions.par_iter());
        pairs
            .with_min_len(PARALLEL / 4)
            .for_each(|(value, &at)| *value = from[at]);
    }
}

impl<T: Real> fmt::Debug for Plan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("prefix", &self.prefix)
            .field("way", &self.way())
            .finish_non_exhaustive()
    }
}
