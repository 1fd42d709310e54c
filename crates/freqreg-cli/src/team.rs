//! The processes that a launcher of MPI started together with this one.

use crate::Failure;
use freqreg_train::communicator::{Alone, Communicator, launched};
use std::rc::Rc;

/// All that were started together; this one alone where no launcher did.
#[cfg(feature = "mpi")]
pub(crate) fn join() -> Result<Rc<dyn Communicator>, Failure> {
    Ok(match launched() {
        None => Rc::new(Alone),
        Some(_) => Rc::new(freqreg_train::communicator::Mpi::start()?),
    })
}

/// This process alone; refused where it was started with others, which would all train the same into the same folder.
#[cfg(not(feature = "mpi"))]
pub(crate) fn join() -> Result<Rc<dyn Communicator>, Failure> {
    match launched() {
        None | Some(0 | 1) => Ok(Rc::new(Alone)),
        Some(count) => Err(Failure {
            message: format!(
                "error: this program was started {count} times over by a launcher of MPI, and was built without MPI: each would train a network of \
                 its own. Build it with `cargo build --release --package freqreg-cli --features mpi`, or start it once"
            ),
            code: 2,
        }),
    }
}
