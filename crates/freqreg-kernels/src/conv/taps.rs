//! Filter elements one by one, each with the pixels where it meets the input: what it would multiply in the padding is left out.
//!
//! On a small map that is much: of the products of a 3 x 3 filter on a padded map of 2 x 2 pixels more than half are with padding. But
//! a product by one filter element is only as deep as there are channels, so it takes many of them to be worth it.

use super::plan::{Plan, Tile};
use crate::geometry::Geometry;

/// Fewest channels to sum over in a product.
const CHANNELS: usize = 64;

/// Padding's part of all products from which on leaving it out is worth it: one in this many.
const SAVING: usize = 8;

/// A filter element.
#[derive(Debug)]
pub(super) struct Tap {
    /// Pixels of the largest tile where it meets the input; a smaller tile has the first of them.
    pixels: Vec<usize>,
    /// Offset of the input pixel that it meets there, from the tile's first image on.
    inputs: Vec<usize>,
    /// How many of them an image has.
    each: usize,
}

impl Tap {
    pub(super) fn pixels(&self, tile: &Tile) -> &[usize] {
        &self.pixels[..tile.images.len() * self.each]
    }

    pub(super) fn inputs(&self, tile: &Tile) -> &[usize] {
        &self.inputs[..tile.images.len() * self.each]
    }
}

impl Plan {
    /// The filter elements in row-major order, if it is worth it to take them one by one where `channels` are summed over.
    pub(super) fn taps(&self, channels: usize) -> Option<Vec<Tap>> {
        let g = &self.geometry;
        let met = |axis: usize| (0..g.kernel[axis]).map(move |k| g.inside(axis, k).len());
        let useful = met(0).sum::<usize>() * met(1).sum::<usize>();
        let all = g.window() * g.output_plane();
        let worthwhile =
            channels >= CHANNELS && self.tiles_are_whole() && all - useful >= all / SAVING;
        worthwhile.then(|| {
            let [rows, columns] = g.kernel;
            let window = (0..rows).flat_map(|a| (0..columns).map(move |b| [a, b]));
            window.map(|element| self.tap(g, element)).collect()
        })
    }

    fn tap(&self, g: &Geometry, [a, b]: [usize; 2]) -> Tap {
        let (mut pixels, mut inputs) = (Vec::new(), Vec::new());
        let (down, across) = (g.inside(0, a), g.inside(1, b));
        let met = |axis: usize, o: usize, k: usize| {
            o * g.stride[axis] + k * g.dilation[axis] - g.padding[axis]
        };
        for n in 0..self.tile_size().0 {
            let (pixel, input) = (n * g.output_plane(), self.input_start(n, 0, 0));
            for i in down.clone() {
                for j in across.clone() {
                    pixels.push(pixel + i * g.output[1] + j);
                    inputs.push(input + met(0, i, a) * g.input[1] + met(1, j, b));
                }
            }
        }
        let each = down.len() * across.len();
        Tap {
            pixels,
            inputs,
            each,
        }
    }
}
