//! Processes that train one network together, each on its part of every batch.

use crate::Result;
use std::ops::Range;

#[cfg(feature = "mpi")]
mod mpi;
#[cfg(feature = "mpi")]
pub use mpi::Mpi;

/// What processes that train together need of one another. All of them make the same calls in the same order.
pub trait Communicator {
    /// Which one this is, from 0; the one that writes files and speaks to the user is 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// Which one this is of those on its machine, from 0: each may take a GPU of its own.
    fn local_rank(&self) -> usize;

    /// Replaces `values` by their sums over all processes, the same bits on each.
    ///
    /// # Errors
    /// A connection that is lost, as far as that does not end the program.
    fn sum(&self, values: &mut [f32]) -> Result<()>;

    /// Gives all processes what process 0 has in `bytes`.
    ///
    /// # Errors
    /// As [`Communicator::sum`].
    fn broadcast(&self, bytes: &mut Vec<u8>) -> Result<()>;

    /// Ends all processes: the others would wait for this one for ever.
    fn abort(&self, code: u8);
}

/// One process, which trains alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Communicator for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn local_rank(&self) -> usize {
        0
    }

    fn sum(&self, _: &mut [f32]) -> Result<()> {
        Ok(())
    }

    fn broadcast(&self, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn abort(&self, _: u8) {}
}

/// This process's part of `count` things, as even as can be.
pub fn part(communicator: &dyn Communicator, count: usize) -> Range<usize> {
    let (rank, size) = (communicator.rank(), communicator.size());
    rank * count / size..(rank + 1) * count / size
}

/// The sum of all of `parts`, in pairs of neighbours, then of pairs of pairs, and so on: of a power of two of parts the same bits, however many
/// processes have added up their own first ([`Communicator::sum`] goes on in this order).
pub fn sum_in_pairs(mut parts: Vec<Vec<f32>>) -> Vec<f32> {
    while parts.len() > 1 {
        let mut pairs = parts.into_iter();
        let mut sums = Vec::new();
        while let Some(mut one) = pairs.next() {
            if let Some(other) = pairs.next() {
                one.iter_mut().zip(other).for_each(|(a, b)| *a += b);
            }
            sums.push(one);
        }
        parts = sums;
    }
    parts.pop().unwrap_or_default()
}

/// How many processes a launcher of MPI (mpirun, mpiexec, srun) started this one as one of; `None` where none did.
pub fn launched() -> Option<usize> {
    let counts = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];
    let number = |name: &&str| std::env::var(name).ok()?.parse().ok();
    // What srun starts knows its step's size, with whatever it speaks to MPI.
    let slurm = || {
        std::env::var_os("PMIX_RANK").or_else(|| std::env::var_os("PMI_RANK"))?;
        number(&"SLURM_STEP_NUM_TASKS")
    };
    counts.iter().find_map(number).or_else(slurm)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of several, that speaks to nobody.
    struct Of(usize, usize);

    impl Communicator for Of {
        fn rank(&self) -> usize {
            self.0
        }
        fn size(&self) -> usize {
            self.1
        }
        fn local_rank(&self) -> usize {
            self.0
        }
        fn sum(&self, _: &mut [f32]) -> Result<()> {
            Ok(())
        }
        fn broadcast(&self, _: &mut Vec<u8>) -> Result<()> {
            Ok(())
        }
        fn abort(&self, _: u8) {}
    }

    #[test]
    fn two_halves_add_up_to_the_bits_of_the_whole() {
        let part = |i: u32| vec![(1.1 + i as f32).sqrt() * 1e3, 1e-3 / (1.0 + i as f32)];
        let whole = sum_in_pairs((0..8).map(part).collect());
        let halves = [0..4, 4..8].map(|half| sum_in_pairs(half.map(part).collect()));
        assert_eq!(whole, sum_in_pairs(halves.to_vec()));
        assert!(sum_in_pairs(Vec::new()).is_empty());
        assert_eq!(
            sum_in_pairs((0..3).map(|i| vec![i as f32]).collect()),
            [3.0]
        );
    }

    #[test]
    fn parts_are_even_and_leave_nothing_out() {
        assert_eq!(part(&Alone, 128), 0..128);
        for size in 1..9 {
            let parts: Vec<_> = (0..size).map(|rank| part(&Of(rank, size), 65)).collect();
            assert_eq!((parts[0].start, parts[size - 1].end), (0, 65));
            assert!(parts.windows(2).all(|p| p[0].end == p[1].start));
            let lens: Vec<_> = parts.iter().map(Range::len).collect();
            assert!(lens.iter().max().unwrap() - lens.iter().min().unwrap() <= 1);
        }
    }
}
