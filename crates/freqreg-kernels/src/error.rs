//! The one error type: which argument was wrong, what was expected and what came.

/// Result of every kernel.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a kernel refused its arguments. Nothing was written when one of these is returned.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A slice has not the length that the shape asks for.
    #[error("{what} has {got} elements, but this shape needs {expected}")]
    Length {
        /// The argument's name and meaning.
        what: &'static str,
        /// Elements needed.
        expected: usize,
        /// Elements given.
        got: usize,
    },
    /// A size that must be at least one is zero.
    #[error("{what} is 0, but it must be at least 1")]
    Zero {
        /// The field's name.
        what: &'static str,
    },
    /// A size must be a multiple of another one.
    #[error(
        "{what} is {got}, which is not a multiple of {divisor}; choose sizes that divide evenly"
    )]
    NotAMultiple {
        /// The field's name.
        what: &'static str,
        /// Its value.
        got: usize,
        /// What it must be a multiple of.
        divisor: usize,
    },
    /// A field is larger than the other fields allow.
    #[error("{what} is {got}, but with these sizes it can be at most {limit}")]
    TooLarge {
        /// The field's name.
        what: &'static str,
        /// Largest allowed value.
        limit: usize,
        /// Its value.
        got: usize,
    },
    /// The number of elements of a tensor does not fit in `usize`.
    #[error("{what} would have more elements than this machine can count")]
    Overflow {
        /// The tensor's name.
        what: &'static str,
    },
    /// A real parameter is out of its range.
    #[error("{what} is {got}, but it must be {expected}")]
    Range {
        /// The parameter's name.
        what: &'static str,
        /// The allowed range in words.
        expected: &'static str,
        /// Its value.
        got: f64,
    },
    /// A class index is not one of the classes.
    #[error("target of row {row} is class {got}, but there are only {classes} classes (0 to {})", classes - 1)]
    Target {
        /// Row of the offending target.
        row: usize,
        /// Number of classes.
        classes: usize,
        /// The offending target.
        got: u32,
    },
}

/// `Ok` if `slice` has `expected` elements.
pub(crate) fn length<T>(what: &'static str, slice: &[T], expected: usize) -> Result<()> {
    if slice.len() == expected {
        Ok(())
    } else {
        Err(Error::Length {
            what,
            expected,
            got: slice.len(),
        })
    }
}

/// `Ok` if `value` is at least one.
pub(crate) fn at_least_one(what: &'static str, value: usize) -> Result<()> {
    if value > 0 {
        Ok(())
    } else {
        Err(Error::Zero { what })
    }
}

/// Product of `sizes`, or an error that names the tensor.
pub(crate) fn count(what: &'static str, sizes: &[usize]) -> Result<usize> {
    let product = sizes
        .iter()
        .try_fold(1usize, |n, &size| n.checked_mul(size));
    // The kernels do address arithmetic in `isize`, as the language itself does.
    product
        .filter(|&n| n <= isize::MAX as usize / 16)
        .ok_or(Error::Overflow { what })
}
