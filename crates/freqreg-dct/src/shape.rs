//! Checks and small arithmetic on the shapes of row-major tensors.

use alloc::vec;
use alloc::vec::Vec;

use crate::Error;

/// The number of elements, or why the shape is refused.
pub(crate) fn elements(shape: &[usize]) -> Result<usize, Error> {
    if shape.is_empty() {
        return Err(Error::NoAxes);
    }
    if let Some(axis) = shape.iter().position(|&n| n == 0) {
        return Err(Error::EmptyAxis {
            shape: shape.to_vec(),
            axis,
        });
    }
    shape
        .iter()
        .try_fold(1usize, |product, &n| product.checked_mul(n))
        .filter(|&product| isize::try_from(product).is_ok())
        .ok_or_else(|| Error::TooManyElements {
            shape: shape.to_vec(),
        })
}

/// How far apart neighbours along each axis lie in memory. The shape must have passed [`elements`].
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Refuses an index with the wrong number of axes or beyond the end of one.
pub(crate) fn check_index(shape: &[usize], index: &[usize]) -> Result<(), Error> {
    if index.len() == shape.len() && index.iter().zip(shape).all(|(i, n)| i < n) {
        return Ok(());
    }
    Err(Error::Index {
        index: index.to_vec(),
        shape: shape.to_vec(),
    })
}

#[cfg(feature = "std")]
/// Refuses a slice that does not have exactly `expected` elements.
pub(crate) fn check_length<T>(
    what: &'static str,
    slice: &[T],
    expected: usize,
    shape: &[usize],
) -> Result<(), Error> {
    if slice.len() == expected {
        return Ok(());
    }
    Err(Error::Length {
        what,
        shape: shape.to_vec(),
        expected,
        actual: slice.len(),
    })
}

#[cfg(feature = "std")]
/// A vector of zeros, or an error where the allocator says no (which would otherwise end the process).
pub(crate) fn zeros<T: Copy + Default>(elements: usize, shape: &[usize]) -> Result<Vec<T>, Error> {
    // An allocation that is not looked at may be optimised away, and would then never fail.
    let mut probe = Vec::<T>::new();
    let granted = std::hint::black_box(&mut probe).try_reserve_exact(elements);
    drop(std::hint::black_box(probe));
    granted.map_err(|_| Error::OutOfMemory {
        shape: shape.to_vec(),
        elements,
    })?;
    // Zeros straight from the system are not touched here: the threads that write the tensor do that, side
    // by side, and for large tensors it is most of the work.
    Ok(vec![T::default(); elements])
}
