//! Maximum of each window.

use super::for_each_part;
use super::phases::Phases;
use crate::geometry::Geometry;
use crate::real::Real;
use crate::scratch::with_scratch;
use crate::simd::vectorized;

pub(crate) fn forward<T: Real>(g: &Geometry, x: &[T], y: &mut [T]) {
    if (g.kernel, g.stride, g.padding) == ([2, 2], [2, 2], [0, 0]) {
        return halve(g, x, y);
    }
    let phases = Phases::new(g);
    for_each_part(g, y, g.output_plane(), |first, y| {
        with_scratch(phases.len() + phases.span(), |scratch: &mut [T]| {
            let (cut, best) = scratch.split_at_mut(phases.len());
            let planes = x[first * g.input_plane()..].chunks_exact(g.input_plane());
            vectorized(
                #[inline(always)]
                || {
                    for (x, y) in planes.zip(y.chunks_exact_mut(g.output_plane())) {
                        phases.cut(x, T::neg_infinity(), cut);
                        best.fill(T::neg_infinity());
                        for tap in &phases.taps {
                            for (best, &v) in best.iter_mut().zip(&cut[tap.start..]) {
                                *best = if beats(v, *best) { v } else { *best };
                            }
                        }
                        let rows = y.chunks_exact_mut(g.output[1]);
                        for (y, best) in rows.zip(best.chunks(phases.line())) {
                            y.iter_mut().zip(best).for_each(|(y, &best)| *y = best);
                        }
                    }
                },
            );
        });
    });
}

/// The commonest case needs no phases: every 2 x 2 square becomes one pixel.
fn halve<T: Real>(g: &Geometry, x: &[T], y: &mut [T]) {
    for_each_part(g, y, g.output_plane(), |first, y| {
        let planes = x[first * g.input_plane()..].chunks_exact(g.input_plane());
        vectorized(
            #[inline(always)]
            || {
                for (x, y) in planes.zip(y.chunks_exact_mut(g.output_plane())) {
                    let pairs = x.chunks_exact(2 * g.input[1]);
                    for (lines, y) in pairs.zip(y.chunks_exact_mut(g.output[1])) {
                        let (upper, lower) = lines.split_at(g.input[1]);
                        let squares = upper.as_chunks().0.iter().zip(lower.as_chunks().0);
                        for (y, (&[a, b], &[c, d])) in y.iter_mut().zip(squares) {
                            *y = a;
                            for v in [b, c, d] {
                                *y = if beats(v, *y) { v } else { *y };
                            }
                        }
                    }
                }
            },
        );
    });
}

pub(crate) fn backward<T: Real>(g: &Geometry, x: &[T], grad_y: &[T], grad_x: &mut [T]) {
    let phases = Phases::new(g);
    for_each_part(g, grad_x, g.input_plane(), |first, grad_x| {
        let mut places = vec![0; phases.span()];
        with_scratch(phases.len() + phases.span(), |scratch: &mut [T]| {
            let (cut, best) = scratch.split_at_mut(phases.len());
            let x = x[first * g.input_plane()..].chunks_exact(g.input_plane());
            let grad_y = grad_y[first * g.output_plane()..].chunks_exact(g.output_plane());
            let grad_x = grad_x.chunks_exact_mut(g.input_plane());
            vectorized(
                #[inline(always)]
                || {
                    for ((x, grad_y), grad_x) in x.zip(grad_y).zip(grad_x) {
                        phases.cut(x, T::neg_infinity(), cut);
                        search(g, &phases, cut, best, &mut places);
                        hand_out(g, phases.line(), best, &places, grad_y, grad_x);
                    }
                },
            );
        });
    });
}

/// Finds the maximum of each window, and its place seen from the window's upper left corner.
///
/// The corner may lie outside of the plane, and both may lie further apart than a `u32` reaches, but the sum of both is a place
/// in the plane: it comes out right because the numbers wrap.
#[inline(always)]
fn search<T: Real>(g: &Geometry, phases: &Phases, cut: &[T], best: &mut [T], places: &mut [u32]) {
    best.fill(T::neg_infinity());
    for tap in &phases.taps {
        let [row, column] = tap.position;
        let here = row.wrapping_mul(g.input[1]).wrapping_add(column) as u32;
        let windows = best.iter_mut().zip(&mut *places);
        for ((best, place), &v) in windows.zip(&cut[tap.start..]) {
            let beaten = beats(v, *best);
            *best = if beaten { v } else { *best };
            *place = if beaten { here } else { *place };
        }
    }
}

/// Adds each window's gradient where its maximum is.
#[inline(always)]
fn hand_out<T: Real>(
    g: &Geometry,
    line: usize,
    best: &[T],
    places: &[u32],
    grad_y: &[T],
    grad_x: &mut [T],
) {
    let corner = |axis: usize, o: usize| (o * g.stride[axis]).wrapping_sub(g.padding[axis]);
    let first = |axis: usize, o: usize| (o * g.stride[axis]).saturating_sub(g.padding[axis]);
    let windows = best.chunks(line).zip(places.chunks(line));
    grad_x.fill(T::zero());
    for (i, (gradients, (best, places))) in
        grad_y.chunks_exact(g.output[1]).zip(windows).enumerate()
    {
        let row = corner(0, i).wrapping_mul(g.input[1]);
        let windows = best.iter().zip(places).enumerate();
        for (&gradient, (j, (&best, &place))) in gradients.iter().zip(windows) {
            let place = if best == T::neg_infinity() {
                // Nothing exceeded it: the window's first pixel is the maximum.
                first(0, i) * g.input[1] + first(1, j)
            } else {
                (row.wrapping_add(corner(1, j)) as u32).wrapping_add(place) as usize
            };
            grad_x[place] += gradient;
        }
    }
}

/// Whether `v` takes the place of `best`: later equal values do not, NaN always does.
#[inline(always)]
fn beats<T: Real>(v: T, best: T) -> bool {
    v > best || v.is_nan()
}
