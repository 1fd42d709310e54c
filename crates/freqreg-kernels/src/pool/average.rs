//! Mean of each window.

use super::for_each_part;
use super::phases::Phases;
use crate::geometry::Geometry;
use crate::real::Real;
use crate::scratch::with_scratch;
use crate::simd::vectorized;

pub(crate) fn forward<T: Real>(g: &Geometry, x: &[T], y: &mut [T]) {
    let phases = Phases::new(g);
    let factor = factor::<T>(g);
    for_each_part(g, y, g.output_plane(), |first, y| {
        with_scratch(phases.len() + phases.span(), |scratch: &mut [T]| {
            let (cut, sums) = scratch.split_at_mut(phases.len());
            let planes = x[first * g.input_plane()..].chunks_exact(g.input_plane());
            vectorized(
                #[inline(always)]
                || {
                    for (x, y) in planes.zip(y.chunks_exact_mut(g.output_plane())) {
                        phases.cut(x, T::zero(), cut);
                        sums.fill(T::zero());
                        for tap in &phases.taps {
                            for (sum, &v) in sums.iter_mut().zip(&cut[tap.start..]) {
                                *sum += v;
                            }
                        }
                        let rows = y.chunks_exact_mut(g.output[1]);
                        for (y, sums) in rows.zip(sums.chunks(phases.line())) {
                            y.iter_mut()
                                .zip(sums)
                                .for_each(|(y, &sum)| *y = sum * factor);
                        }
                    }
                },
            );
        });
    });
}

pub(crate) fn backward<T: Real>(g: &Geometry, grad_y: &[T], grad_x: &mut [T]) {
    let phases = Phases::new(g);
    let factor = factor::<T>(g);
    for_each_part(g, grad_x, g.input_plane(), |first, grad_x| {
        with_scratch(phases.len() + phases.span(), |scratch: &mut [T]| {
            let (sums, shares) = scratch.split_at_mut(phases.len());
            shares.fill(T::zero());
            let planes = grad_y[first * g.output_plane()..].chunks_exact(g.output_plane());
            vectorized(
                #[inline(always)]
                || {
                    for (grad_y, grad_x) in planes.zip(grad_x.chunks_exact_mut(g.input_plane())) {
                        let rows = grad_y.chunks_exact(g.output[1]);
                        for (row, shares) in rows.zip(shares.chunks_mut(phases.line())) {
                            shares
                                .iter_mut()
                                .zip(row)
                                .for_each(|(s, &v)| *s = v * factor);
                        }
                        sums.fill(T::zero());
                        for tap in &phases.taps {
                            for (sum, &share) in sums[tap.start..].iter_mut().zip(&*shares) {
                                *sum += share;
                            }
                        }
                        phases.join(sums, grad_x);
                    }
                },
            );
        });
    });
}

/// One over the window's size, padding included: in floating point, for the size may exceed any integer.
fn factor<T: Real>(g: &Geometry) -> T {
    let [rows, columns] = g.kernel.map(|k| k as f64);
    T::narrow((rows * columns).recip())
}
