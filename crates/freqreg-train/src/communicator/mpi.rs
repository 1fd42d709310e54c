//! Processes that a launcher of MPI started, on one machine or on many.

use super::Communicator;
use crate::{Error, Result};
use mpi::environment::{Threading, Universe};
use mpi::point_to_point::send_receive_into;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, Destination as _, Root as _, Source as _};

/// The processes that `mpirun` (or `mpiexec`, or `srun`) started together.
///
/// An error of MPI's ends all of them, with what the launcher says of it. So does a panic of one.
pub struct Mpi {
    world: SimpleCommunicator,
    rank: usize,
    size: usize,
    local_rank: usize,
    // Dropped last: nothing of MPI may be used behind it.
    _universe: Universe,
}

impl Mpi {
    /// Joins the other processes.
    ///
    /// # Errors
    /// Where MPI runs in this process already, or does not bear that a process has several threads.
    pub fn start() -> Result<Self> {
        // The kernels' threads never speak to others.
        let (universe, provided) = mpi::initialize_with_threading(Threading::Funneled)
            .ok_or_else(|| Error::Setting("MPI was started in this process before".into()))?;
        if provided < Threading::Funneled {
            return Err(Error::Setting(
                "this MPI was built for processes without threads: take one built with MPI_THREAD_FUNNELED".into(),
            ));
        }
        let world = universe.world();
        let (rank, size) = (world.rank(), world.size());
        let local = world.split_shared(rank);
        Ok(Mpi {
            rank: number(rank)?,
            size: number(size)?,
            local_rank: number(local.rank())?,
            world,
            _universe: universe,
        })
    }
}

fn number(n: i32) -> Result<usize> {
    usize::try_from(n).map_err(|_| Error::Setting(format!("MPI counts a process {n}")))
}

impl Communicator for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn local_rank(&self) -> usize {
        self.local_rank
    }

    /// In pairs of neighbours, then of pairs of pairs, and so on: a fixed order, which MPI's own sum does not promise. So all processes get the
    /// same bits, and a number of processes that is a power of two the same as any other such number that adds up its own parts in this order.
    fn sum(&self, values: &mut [f32]) -> Result<()> {
        let paired = 1 << self.size.ilog2();
        let with = |rank: usize| self.world.process_at_rank(rank as i32);
        let mut theirs = vec![0.0; values.len()];
        let add = |to: &mut [f32], from: &[f32]| to.iter_mut().zip(from).for_each(|(a, b)| *a += b);
        // Those beyond a power of two give theirs to one of the others, and get the sum from it.
        if self.rank >= paired {
            let other = with(self.rank - paired);
            other.send(&*values);
            other.receive_into(values);
            return Ok(());
        }
        let beyond = (self.rank + paired < self.size).then(|| with(self.rank + paired));
        if let Some(other) = &beyond {
            other.receive_into(&mut theirs[..]);
            add(values, &theirs);
        }
        let mut distance = 1;
        while distance < paired {
            let other = with(self.rank ^ distance);
            send_receive_into(&*values, &other, &mut theirs[..], &other);
            add(values, &theirs);
            distance *= 2;
        }
        if let Some(other) = &beyond {
            other.send(&*values);
        }
        Ok(())
    }

    fn broadcast(&self, bytes: &mut Vec<u8>) -> Result<()> {
        let root = self.world.process_at_rank(0);
        let mut len = bytes.len() as u64;
        root.broadcast_into(&mut len);
        bytes.resize(len as usize, 0);
        if len > 0 {
            root.broadcast_into(&mut bytes[..]);
        }
        Ok(())
    }

    fn abort(&self, code: u8) {
        self.world.abort(i32::from(code))
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        // Who ends in an orderly way waits for the others, which would wait for this one.
        if std::thread::panicking() {
            self.abort(101);
        }
    }
}
