//! A plane cut into phases, in which the windows of any step lie one element apart.
//!
//! Phase (p, q) holds every `stride`-th pixel of every `stride`-th row of the padded plane, beginning at pixel (p, q). All phases have
//! lines of the same length, so element (a, b) of output (i, j)'s window lies `i * line + j` elements behind a place that only
//! (a, b) decides. A loop over the outputs, for one window element after another, thus runs through memory without a gap. What lies
//! between the outputs' lines is computed too, and not used.

use crate::geometry::Geometry;
use crate::real::Real;

#[derive(Debug)]
pub(super) struct Phases {
    geometry: Geometry,
    /// Rows and columns of a phase.
    size: [usize; 2],
    /// What the phases hold: of the rows, and of the columns.
    stretches: [Vec<Stretch>; 2],
    /// Window elements that meet the plane at all, in row-major order.
    pub(super) taps: Vec<Tap>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Tap {
    /// Where the first output's window has it, among all phases.
    pub(super) start: usize,
    /// Row and column in the window.
    pub(super) position: [usize; 2],
}

/// Of an axis of a phase, elements `start..end` are every `stride`-th pixel from `first` on; the others are padding.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    start: usize,
    end: usize,
    first: usize,
}

impl Phases {
    pub(super) fn new(g: &Geometry) -> Self {
        // A window may be far larger than the plane, if it is mostly padding.
        let useful = [0, 1].map(|axis| {
            let last = (g.output[axis] - 1) * g.stride[axis];
            let end = g.kernel[axis].min(g.padding[axis] + g.input[axis]);
            g.padding[axis].saturating_sub(last)..end
        });
        let size = [0, 1].map(|axis| g.output[axis] + (useful[axis].len() - 1) / g.stride[axis]);
        let stretches = [0, 1].map(|axis| {
            let border = g.padding[axis] - useful[axis].start;
            let phases = useful[axis].len().min(g.stride[axis]);
            let stretch = |phase: usize| {
                let start = border.saturating_sub(phase).div_ceil(g.stride[axis]);
                let first = start * g.stride[axis] + phase - border;
                let pixels = (g.input[axis] - first).div_ceil(g.stride[axis]);
                let end = (start + pixels).min(size[axis]);
                Stretch { start, end, first }
            };
            (0..phases).map(stretch).collect::<Vec<_>>()
        });
        let mut taps = Vec::with_capacity(useful[0].len() * useful[1].len());
        for (i, a) in useful[0].clone().enumerate() {
            for (j, b) in useful[1].clone().enumerate() {
                let phase = i % g.stride[0] * stretches[1].len() + j % g.stride[1];
                let start = (phase * size[0] + i / g.stride[0]) * size[1] + j / g.stride[1];
                let position = [a, b];
                taps.push(Tap { start, position });
            }
        }
        Self {
            geometry: *g,
            size,
            stretches,
            taps,
        }
    }

    /// Elements of all phases.
    pub(super) fn len(&self) -> usize {
        self.stretches[0].len() * self.stretches[1].len() * self.size[0] * self.size[1]
    }

    /// Elements from an output to the one below it.
    pub(super) fn line(&self) -> usize {
        self.size[1]
    }

    /// Elements from the first output to the last.
    pub(super) fn span(&self) -> usize {
        let [height, width] = self.geometry.output;
        (height - 1) * self.line() + width
    }

    /// Cuts `plane` into `phases`; the padding becomes `border`.
    #[inline(always)]
    pub(super) fn cut<T: Real>(&self, plane: &[T], border: T, phases: &mut [T]) {
        self.for_each_line(
            #[inline(always)]
            |at, row, columns| {
                let line = &mut phases[at..at + self.line()];
                let Some(row) = row else {
                    return line.fill(border);
                };
                line[..columns.start].fill(border);
                line[columns.end..].fill(border);
                let Some((last, most)) = line[columns.start..columns.end].split_last_mut() else {
                    return;
                };
                let (step, from) = (self.geometry.stride[1], &plane[row + columns.first..]);
                *last = from[most.len() * step];
                match step {
                    1 => most.copy_from_slice(&from[..most.len()]),
                    // Pairs let the compiler use vector registers for the commonest step.
                    2 => most
                        .iter_mut()
                        .zip(from.as_chunks().0)
                        .for_each(|(to, &[v, _])| *to = v),
                    _ => most
                        .iter_mut()
                        .zip(from.iter().step_by(step))
                        .for_each(|(to, &v)| *to = v),
                }
            },
        );
    }

    /// Puts `phases` together to a `plane` again, zero where they have nothing.
    #[inline(always)]
    pub(super) fn join<T: Real>(&self, phases: &[T], plane: &mut [T]) {
        plane.fill(T::zero());
        self.for_each_line(
            #[inline(always)]
            |at, row, columns| {
                let line = &phases[at..at + self.line()];
                let (Some(row), Some((&last, most))) =
                    (row, line[columns.start..columns.end].split_last())
                else {
                    return;
                };
                let (step, to) = (self.geometry.stride[1], &mut plane[row + columns.first..]);
                to[most.len() * step] = last;
                match step {
                    1 => to[..most.len()].copy_from_slice(most),
                    2 => to
                        .as_chunks_mut()
                        .0
                        .iter_mut()
                        .zip(most)
                        .for_each(|([to, _], &v)| *to = v),
                    _ => to
                        .iter_mut()
                        .step_by(step)
                        .zip(most)
                        .for_each(|(to, &v)| *to = v),
                }
            },
        );
    }

    /// Calls `f(start, row, columns)` for every line of every phase: where it begins among the phases, where the row that it holds
    /// begins in the plane (none if it is padding), and what it holds of that.
    #[inline(always)]
    fn for_each_line(&self, mut f: impl FnMut(usize, Option<usize>, Stretch)) {
        let (stride, width) = (self.geometry.stride[0], self.geometry.input[1]);
        let mut at = 0;
        for rows in &self.stretches[0] {
            for &columns in &self.stretches[1] {
                for i in 0..self.size[0] {
                    let held = (rows.start..rows.end).contains(&i);
                    let row = held.then(|| (rows.first + (i - rows.start) * stride) * width);
                    f(at, row, columns);
                    at += self.line();
                }
            }
        }
    }
}
