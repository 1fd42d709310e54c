//! A transform to play with.

use crate::Result;
use crate::error::size;
use freqreg_dct::{Dct, KeepOrder};

/// A square filter and its coefficients, of which either can be changed.
///
/// ```
/// use freqreg_web::Playground;
///
/// let mut playground = Playground::new(5)?;
/// playground.set(0, 1.0)?;
/// // The slowest wave is flat.
/// assert!(playground.filter(25)?.iter().all(|w| (w - 0.2).abs() < 1e-6));
/// assert_eq!(playground.rank(1), 1);
/// # Ok::<(), freqreg_web::Error>(())
/// ```
pub struct Playground {
    side: usize,
    dct: Dct<f32>,
    /// By position, row by row.
    coefficients: Vec<f32>,
    /// The rank of each position in the keep order.
    ranks: Vec<usize>,
}

impl Playground {
    /// All coefficients zero.
    ///
    /// # Errors
    /// A side of 0.
    pub fn new(side: usize) -> Result<Self> {
        let shape = [side, side];
        let dct = Dct::new(&shape)?;
        let prefix = KeepOrder::Zigzag.prefix(&shape, side * side)?;
        let mut ranks = vec![0; side * side];
        for (rank, &position) in prefix.offsets().iter().enumerate() {
            ranks[position] = rank;
        }
        Ok(Playground {
            side,
            dct,
            coefficients: vec![0.0; side * side],
            ranks,
        })
    }

    /// The rank of a position, row by row, in the keep order; 0 is the slowest wave.
    pub fn rank(&self, position: usize) -> usize {
        self.ranks.get(position).copied().unwrap_or(usize::MAX)
    }

    /// The coefficients, row by row.
    pub fn coefficients(&self) -> &[f32] {
        &self.coefficients
    }

    /// Sets the coefficient at a position, row by row.
    ///
    /// # Errors
    /// A position beyond the last.
    pub fn set(&mut self, position: usize, value: f32) -> Result<()> {
        let all = self.side * self.side;
        match self.coefficients.get_mut(position) {
            Some(coefficient) => *coefficient = value,
            None => return size("position", position, all - 1),
        }
        Ok(())
    }

    /// Takes the coefficients of a filter, row by row.
    ///
    /// # Errors
    /// A filter of another size.
    pub fn analyze(&mut self, filter: &[f32]) -> Result<()> {
        size("weights", filter.len(), self.side * self.side)?;
        let mut coefficients = filter.to_vec();
        self.dct.forward(&mut coefficients)?;
        self.coefficients = coefficients;
        Ok(())
    }

    /// The filter that the first `keep` coefficients in the keep order say.
    ///
    /// # Errors
    /// What the transform reports.
    pub fn filter(&self, keep: usize) -> Result<Vec<f32>> {
        let kept = self.coefficients.iter().zip(&self.ranks);
        let mut filter: Vec<f32> = kept
            .map(|(&c, &rank)| if rank < keep { c } else { 0.0 })
            .collect();
        self.dct.inverse(&mut filter)?;
        Ok(filter)
    }
}
