//! Maximum and average pooling and their gradients.

use std::ops::Range;

use crate::error::{Error, Result, at_least_one, count, length};
use crate::geometry::Geometry;
use crate::parallel::{CHUNK, for_each_chunk};
use crate::real::Real;
use crate::simd::vectorized;

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
        let geometry = Geometry::new(
            [self.height, self.width],
            self.kernel,
            self.stride,
            self.padding,
            [1, 1],
        )?;
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
        Ok(geometry)
    }
}

pub(crate) fn max_forward<T: Real>(g: &Geometry, x: &[T], y: &mut [T]) {
    each_plane(
        g,
        y,
        g.output_plane(),
        #[inline(always)]
        |i, y| {
            let x = &x[i * g.input_plane()..][..g.input_plane()];
            max_plane(g, x, y);
        },
    );
}

pub(crate) fn max_backward<T: Real>(g: &Geometry, x: &[T], grad_y: &[T], grad_x: &mut [T]) {
    each_plane(
        g,
        grad_x,
        g.input_plane(),
        #[inline(always)]
        |i, grad_x| {
            let x = &x[i * g.input_plane()..][..g.input_plane()];
            let grad_y = &grad_y[i * g.output_plane()..][..g.output_plane()];
            max_plane_backward(g, x, grad_y, grad_x);
        },
    );
}

pub(crate) fn avg_forward<T: Real>(g: &Geometry, x: &[T], y: &mut [T]) {
    let factor = T::one() / T::narrow(g.window() as f64);
    each_plane(
        g,
        y,
        g.output_plane(),
        #[inline(always)]
        |i, y| {
            let x = &x[i * g.input_plane()..][..g.input_plane()];
            y.fill(T::zero());
            for_each_row(
                g,
                #[inline(always)]
                |at, outputs, inputs, step| {
                    let y = &mut y[at * g.output[1]..][outputs];
                    for (y, &v) in y.iter_mut().zip(x[inputs..].iter().step_by(step)) {
                        *y += v;
                    }
                },
            );
            y.iter_mut().for_each(|y| *y *= factor);
        },
    );
}

pub(crate) fn avg_backward<T: Real>(g: &Geometry, grad_y: &[T], grad_x: &mut [T]) {
    let factor = T::one() / T::narrow(g.window() as f64);
    each_plane(
        g,
        grad_x,
        g.input_plane(),
        #[inline(always)]
        |i, grad_x| {
            let grad_y = &grad_y[i * g.output_plane()..][..g.output_plane()];
            grad_x.fill(T::zero());
            for_each_row(
                g,
                #[inline(always)]
                |at, outputs, inputs, step| {
                    let grad_y = &grad_y[at * g.output[1]..][outputs];
                    for (v, &g) in grad_x[inputs..].iter_mut().step_by(step).zip(grad_y) {
                        *v += g * factor;
                    }
                },
            );
        },
    );
}

/// Calls `f(plane, part of out)` for all planes of `out`, several a task.
fn each_plane<T: Real>(
    g: &Geometry,
    out: &mut [T],
    plane: usize,
    f: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    let touched = g.input_plane().max(plane);
    let planes = (CHUNK / touched).max(1);
    let work = out.len() / plane * touched;
    for_each_chunk(out, planes * plane, work, |task, out| {
        vectorized(
            #[inline(always)]
            || {
                for (i, out) in out.chunks_exact_mut(plane).enumerate() {
                    f(task * planes + i, out);
                }
            },
        );
    });
}

/// For every output row i and window position, in this order, calls `f(i, outputs, inputs, step)`: the outputs of that row whose
/// window meets the input there, and where in the plane the first of them and each next one (`step` further on) meets it.
#[inline(always)]
fn for_each_row(g: &Geometry, mut f: impl FnMut(usize, Range<usize>, usize, usize)) {
    let columns: Vec<_> = (0..g.kernel[1])
        .map(|b| (b, g.inside(1, b)))
        .filter(|(_, outputs)| !outputs.is_empty())
        .map(|(b, outputs)| (outputs.start * g.stride[1] + b - g.padding[1], outputs))
        .collect();
    for i in 0..g.output[0] {
        for a in 0..g.kernel[0] {
            let row = (i * g.stride[0] + a).checked_sub(g.padding[0]);
            let Some(row) = row.filter(|&row| row < g.input[0]) else {
                continue;
            };
            for (column, outputs) in &columns {
                // Constants let the compiler unroll `f` for the usual steps.
                match g.stride[1] {
                    1 => f(i, outputs.clone(), row * g.input[1] + column, 1),
                    2 => f(i, outputs.clone(), row * g.input[1] + column, 2),
                    step => f(i, outputs.clone(), row * g.input[1] + column, step),
                }
            }
        }
    }
}

/// Whether `v` takes the place of `best`: later equal values do not, NaN always does.
#[inline(always)]
fn beats<T: Real>(v: T, best: T) -> bool {
    v > best || v.is_nan()
}

/// The commonest case: every 2 x 2 square becomes one pixel.
#[inline(always)]
fn is_halving(g: &Geometry) -> bool {
    (g.kernel, g.stride, g.padding) == ([2, 2], [2, 2], [0, 0])
}

#[inline(always)]
fn max_plane<T: Real>(g: &Geometry, x: &[T], y: &mut [T]) {
    if is_halving(g) {
        for (lines, y) in x
            .chunks_exact(2 * g.input[1])
            .zip(y.chunks_exact_mut(g.output[1]))
        {
            let (upper, lower) = lines.split_at(g.input[1]);
            for ((y, u), l) in y
                .iter_mut()
                .zip(upper.as_chunks::<2>().0)
                .zip(lower.as_chunks::<2>().0)
            {
                let mut best = u[0];
                for v in [u[1], l[0], l[1]] {
                    best = if beats(v, best) { v } else { best };
                }
                *y = best;
            }
        }
        return;
    }
    y.fill(T::neg_infinity());
    for_each_row(
        g,
        #[inline(always)]
        |i, outputs, inputs, step| {
            let y = &mut y[i * g.output[1]..][outputs];
            for (best, &v) in y.iter_mut().zip(x[inputs..].iter().step_by(step)) {
                *best = if beats(v, *best) { v } else { *best };
            }
        },
    );
}

#[inline(always)]
fn max_plane_backward<T: Real>(g: &Geometry, x: &[T], grad_y: &[T], grad_x: &mut [T]) {
    let width = g.input[1];
    if is_halving(g) {
        if g.input[0] % 2 + g.input[1] % 2 > 0 {
            grad_x.fill(T::zero()); // a last row or column that no square holds
        }
        let lines = x
            .chunks_exact(2 * width)
            .zip(grad_x.chunks_exact_mut(2 * width));
        for ((x, grad_x), grad_y) in lines.zip(grad_y.chunks_exact(g.output[1])) {
            let ((upper, lower), (grad_upper, grad_lower)) =
                (x.split_at(width), grad_x.split_at_mut(width));
            let x = upper
                .as_chunks::<2>()
                .0
                .iter()
                .zip(lower.as_chunks::<2>().0);
            let grad_x = grad_upper
                .as_chunks_mut::<2>()
                .0
                .iter_mut()
                .zip(grad_lower.as_chunks_mut::<2>().0);
            // Selections instead of branches: which of four random numbers is largest cannot be predicted.
            for (((u, l), (gu, gl)), &gradient) in x.zip(grad_x).zip(grad_y) {
                let second = beats(u[1], u[0]);
                let best = if second { u[1] } else { u[0] };
                let third = beats(l[0], best);
                let best = if third { l[0] } else { best };
                let fourth = beats(l[1], best);
                let pick = |picked: bool| if picked { gradient } else { T::zero() };
                gu[0] = pick(!(second | third | fourth));
                gu[1] = pick(second & !(third | fourth));
                gl[0] = pick(third & !fourth);
                gl[1] = pick(fourth);
            }
        }
        return;
    }
    grad_x.fill(T::zero());
    // Best value and its place so far, beginning with each window's first element: it wins if nothing exceeds -inf.
    let mut best = vec![T::neg_infinity(); g.output_plane()];
    let first = |axis: usize, o: usize| (o * g.stride[axis]).saturating_sub(g.padding[axis]);
    let mut place: Vec<u32> = (0..g.output[0])
        .flat_map(|i| (0..g.output[1]).map(move |j| (first(0, i) * width + first(1, j)) as u32))
        .collect();
    for_each_row(
        g,
        #[inline(always)]
        |i, outputs, inputs, step| {
            let outputs = i * g.output[1] + outputs.start..i * g.output[1] + outputs.end;
            let best = best[outputs.clone()].iter_mut().zip(&mut place[outputs]);
            for (k, ((best, place), &v)) in best.zip(x[inputs..].iter().step_by(step)).enumerate() {
                let beaten = beats(v, *best);
                *best = if beaten { v } else { *best };
                *place = if beaten {
                    (inputs + k * step) as u32
                } else {
                    *place
                };
            }
        },
    );
    for (&place, &gradient) in place.iter().zip(grad_y) {
        grad_x[place as usize] += gradient;
    }
}
