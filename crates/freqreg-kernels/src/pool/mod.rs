//! Maximum and average pooling and their gradients.

pub(crate) mod average;
pub(crate) mod max;
mod phases;

use crate::error::{Error, Result, at_least_one, count, length};
use crate::geometry::Geometry;
use crate::parallel::{CHUNK, for_each_chunk};
use crate::real::Real;

/// Shape of a pooling: a window that slides over each plane by itself, with any step.
///
/// | tensor | shape |
/// | --- | --- |
/// | input `x` | `[planes, height, width]` |
/// | output `y` | `[planes, output_size()[0], output_size()[1]]` |
///
/// The output size is rounded down: what is left at the lower and right border and fills no window is ignored.
///
/// ```
/// use freqreg_kernels::Pool2d;
///
/// let pool = Pool2d { planes: 1, height: 2, width: 4, kernel: [2, 2], stride: [2, 2], padding: [0, 0] };
/// let x = [1., 5., 2., 2., 3., 4., 2., 2.];
/// let (mut y, mut grad_x) = ([0f32; 2], [0f32; 8]);
/// pool.max_forward(&x, &mut y)?;
/// assert_eq!(y, [5., 2.]);
/// pool.max_backward(&x, &[1., 1.], &mut grad_x)?;
/// assert_eq!(grad_x, [0., 1., 1., 0., 0., 0., 0., 0.]); // the first of equal maxima
/// # Ok::<(), freqreg_kernels::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pool2d {
    /// Planes: batch times channels.
    pub planes: usize,
    /// Rows of an input plane.
    pub height: usize,
    /// Columns of an input plane.
    pub width: usize,
    /// Rows and columns of the window.
    pub kernel: [usize; 2],
    /// Step of the window.
    pub stride: [usize; 2],
    /// Border added at each side, at most half the window: zeros for the average (and counted in it), nothing for the maximum.
    pub padding: [usize; 2],
}

impl Pool2d {
    /// The same shape if it is a possible one.
    ///
    /// # Errors
    /// If a size is zero, the padding exceeds half the window, the window exceeds the padded plane, or a tensor's element count
    /// overflows. Every other method returns the same errors.
    pub fn validated(self) -> Result<Self> {
        self.geometry().map(|_| self)
    }

    /// Rows and columns of the output: `(size + 2 padding - kernel) / stride + 1`, rounded down; `[0, 0]` for an impossible shape.
    #[must_use]
    pub fn output_size(&self) -> [usize; 2] {
        self.geometry().map_or([0, 0], |g| g.output)
    }

    /// Elements of the input.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.planes * self.height * self.width
    }

    /// Elements of the output.
    #[must_use]
    pub fn output_len(&self) -> usize {
        let [height, width] = self.output_size();
        self.planes * height * width
    }

    /// Writes the maximum of every window to `y`. A window that holds a NaN yields NaN.
    ///
    /// # Errors
    /// If the shape is impossible or a slice has the wrong length; `y` is untouched then.
    pub fn max_forward<T: Real>(&self, x: &[T], y: &mut [T]) -> Result<()> {
        let geometry = self.geometry()?;
        length("input", x, self.input_len())?;
        length("output", y, self.output_len())?;
        T::max_forward(&geometry, x, y);
        Ok(())
    }

    /// Writes the gradient with respect to the input to `grad_x`: each window's gradient goes whole to its first maximum in
    /// row-major order (to its last NaN if it has one); where windows overlap, gradients add.
    ///
    /// # Errors
    /// If the shape is impossible or a slice has the wrong length; `grad_x` is untouched then.
    pub fn max_backward<T: Real>(&self, x: &[T], grad_y: &[T], grad_x: &mut [T]) -> Result<()> {
        let geometry = self.geometry()?;
        length("input", x, self.input_len())?;
        length("output gradient", grad_y, self.output_len())?;
        length("input gradient", grad_x, self.input_len())?;
        T::max_backward(&geometry, x, grad_y, grad_x);
        Ok(())
    }

    /// Writes the mean of every window to `y`: its sum, with zeros for the padding, divided by the window's size.
    ///
    /// # Errors
    /// If the shape is impossible or a slice has the wrong length; `y` is untouched then.
    pub fn avg_forward<T: Real>(&self, x: &[T], y: &mut [T]) -> Result<()> {
        let geometry = self.geometry()?;
        length("input", x, self.input_len())?;
        length("output", y, self.output_len())?;
        T::avg_forward(&geometry, x, y);
        Ok(())
    }

    /// Writes the gradient of [`Self::avg_forward`] with respect to the input to `grad_x`.
    ///
    /// # Errors
    /// If the shape is impossible or a slice has the wrong length; `grad_x` is untouched then.
    pub fn avg_backward<T: Real>(&self, grad_y: &[T], grad_x: &mut [T]) -> Result<()> {
        let geometry = self.geometry()?;
        length("output gradient", grad_y, self.output_len())?;
        length("input gradient", grad_x, self.input_len())?;
        T::avg_backward(&geometry, grad_y, grad_x);
        Ok(())
    }

    fn geometry(&self) -> Result<Geometry> {
        at_least_one("planes", self.planes)?;
        for (&kernel, &padding) in self.kernel.iter().zip(&self.padding) {
            if padding > kernel / 2 {
                return Err(Error::TooLarge {
                    what: "pooling padding",
                    limit: kernel / 2,
                    got: padding,
                });
            }
        }
        let size = [self.height, self.width];
        let mut geometry = Geometry::new(size, self.kernel, self.stride, self.padding, [1, 1])?;
        count("input", &[self.planes, self.height, self.width])?;
        // The place of a maximum is a 32-bit number.
        if geometry.input_plane() > u32::MAX as usize {
            return Err(Error::Overflow {
                what: "pooled plane",
            });
        }
        count(
            "output",
            &[self.planes, geometry.output[0], geometry.output[1]],
        )?;
        // A single window never moves. A step of one keeps all its pixels in one phase.
        for axis in 0..2 {
            if geometry.output[axis] == 1 {
                geometry.stride[axis] = 1;
            }
        }
        Ok(geometry)
    }
}

/// Calls `f(first, part)` for parts of `out` of whole planes, `first` being the number of a part's first plane.
fn for_each_part<T: Real>(
    g: &Geometry,
    out: &mut [T],
    plane: usize,
    f: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    let touched = g.input_plane().max(plane);
    let planes = (CHUNK / touched).max(1);
    let work = out.len() / plane * touched;
    for_each_chunk(out, planes * plane, work, |i, part| f(i * planes, part));
}
