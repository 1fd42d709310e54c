//! From ordinary weights to kept coefficients, after training.

use std::string::String;
use std::vec::Vec;

use freqreg_dct::{KeepOrder, Plan};

use crate::number::step;
use crate::{Error, Fault, NumberKind, Point, Result, Storage, Tensor, Values, allocate};

/// The coefficients of a weight tensor, as far as they may be kept.
#[derive(Clone, Debug)]
pub struct Spectrum {
    name: String,
    shape: Vec<usize>,
    axes: Vec<usize>,
    order: KeepOrder,
    coefficients: Vec<f64>,
    energy: f64,
}

/// A tensor as a file will hold it, and what was lost on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    /// For the file.
    pub tensor: Tensor,
    /// Which part of the weights' energy, the sum of their squares, the kept coefficients have: 0 to 1.
    pub energy_kept: f64,
    /// The root mean square of what the weights differ by when they are rebuilt, in parts of their own: 0 to some 1. What is cut off and what is
    /// rounded both count.
    pub error: f64,
}

impl Spectrum {
    /// Transforms `weights`, row-major, over `axes`, and holds on to the first `most` coefficients in keep order. In float64, so that a
    /// spectrum kept whole gives the weights back to all digits of float32.
    ///
    /// # Errors
    /// [`Error::Tensor`]: axes that do not fit the shape, another number of weights than the shape has elements, a weight that is not
    /// finite, `most` that is 0 or more than the elements.
    pub fn new(
        name: &str,
        shape: &[usize],
        axes: &[usize],
        order: &KeepOrder,
        most: usize,
        weights: &[f32],
    ) -> Result<Self> {
        let this = |fault| Error::Tensor {
            tensor: name.into(),
            fault,
        };
        let storage = Storage::Prefix {
            axes: axes.to_vec(),
            order: order.clone(),
        };
        let layout = storage.check(shape).map_err(this)?;
        layout.check_count(most).map_err(this)?;
        if layout.elements != weights.len() {
            return Err(this(Fault::Count {
                expected: layout.elements,
                got: weights.len(),
            }));
        }
        if let Some(index) = weights.iter().position(|v| !v.is_finite()) {
            let value = weights[index];
            return Err(this(Fault::NotFinite { index, value }));
        }
        let weights: Vec<f64> = weights.iter().map(|&v| f64::from(v)).collect();
        let coefficients = Plan::<f64>::new(axes, order, most)
            .and_then(|plan| plan.analyze(&weights))
            .map_err(|e| this(Fault::Transform(e)))?;
        Ok(Self {
            name: name.into(),
            shape: shape.to_vec(),
            axes: axes.to_vec(),
            order: order.clone(),
            coefficients,
            // The transform is orthonormal: the energy of all coefficients is that of the weights.
            energy: energy(&weights),
        })
    }

    /// The name of the tensor.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many coefficients are here to be kept.
    #[allow(clippy::len_without_is_empty)] // There is one at least.
    pub fn len(&self) -> usize {
        self.coefficients.len()
    }

    /// Which part of the energy the first `k` coefficients have, 0 to 1.
    pub fn energy_kept(&self, k: usize) -> f64 {
        self.part(energy(&self.coefficients[..k.min(self.len())]), 1.0)
    }

    /// The tensor as its first `k` coefficients, 1 to [`len`](Self::len).
    ///
    /// # Errors
    /// [`Error::Tensor`] for another `k`, and for a coefficient that `number` cannot hold.
    pub fn pack(&self, k: usize, number: NumberKind) -> Result<Packed> {
        let this = |fault| Error::Tensor {
            tensor: self.name.clone(),
            fault,
        };
        if k == 0 || k > self.len() {
            return Err(this(Fault::Kept {
                elements: self.len(),
                got: k,
            }));
        }
        let kept = &self.coefficients[..k];
        let values = Values::F32(kept.iter().map(|&v| v as f32).collect())
            .in_form(number)
            .map_err(this)?;
        let rounded = values.to_f32();
        let off = |(a, &b): (&f64, &f32)| (a - f64::from(b)).powi(2);
        let lost =
            (self.energy - energy(kept)).max(0.0) + kept.iter().zip(&rounded).map(off).sum::<f64>();
        Ok(Packed {
            tensor: Tensor {
                name: self.name.clone(),
                shape: self.shape.clone(),
                storage: Storage::Prefix {
                    axes: self.axes.clone(),
                    order: self.order.clone(),
                },
                values,
            },
            energy_kept: self.energy_kept(k),
            error: self.part(lost, 0.0).sqrt(),
        })
    }

    /// In which ways the tensor might be stored: each a number of coefficients and of bits, and what it costs and loses, in bytes and in the
    /// part of the energy that is lost, both about.
    fn ways(&self, numbers: &[NumberKind]) -> Vec<(usize, NumberKind, Point)> {
        let mut ways = Vec::new();
        let largest = |kept: &[f64]| kept.iter().fold(0.0, |m: f64, c| m.max(c.abs()));
        let mut k = 1;
        loop {
            let kept = &self.coefficients[..k];
            let power = energy(kept);
            let rms = (power / k as f64).sqrt();
            let cut = (self.energy - power).max(0.0);
            for &number in numbers {
                let (bytes, noise) = match number {
                    NumberKind::Float16 => (2.0, 0.0),
                    NumberKind::Float32 => (4.0, 0.0),
                    NumberKind::Bits(bits) => {
                        // Of what is rounded to a step the error is even; what is less than half a step is lost.
                        let even = step(rms, largest(kept), bits).to_f64().powi(2) / 12.0;
                        let noise = kept.iter().map(|c| (c * c).min(even)).sum();
                        (f64::from(bits) / 8.0, noise)
                    }
                };
                let point = Point {
                    cost: bytes * k as f64,
                    loss: self.part(cut + noise, 0.0),
                };
                ways.push((k, number, point));
            }
            if k == self.len() {
                return ways;
            }
            k = (k + 1 + k / 16).min(self.len());
        }
    }

    /// `energy` as a part of the whole; `otherwise` where there is none.
    fn part(&self, energy: f64, otherwise: f64) -> f64 {
        match self.energy > 0.0 {
            true => energy / self.energy,
            false => otherwise,
        }
    }
}

/// A tensor whose weights are all stored, as they are.
///
/// # Errors
/// [`Error::Tensor`] where the weights are not as many as the shape says, and for one that is not finite in this form.
pub fn pack_plain(
    name: &str,
    shape: &[usize],
    weights: &[f32],
    number: NumberKind,
) -> Result<Packed> {
    let this = |fault| Error::Tensor {
        tensor: name.into(),
        fault,
    };
    let exact = Values::F32(weights.to_vec());
    let tensor = Tensor {
        name: name.into(),
        shape: shape.to_vec(),
        storage: Storage::Plain,
        values: exact.in_form(number).map_err(this)?,
    };
    tensor.validate()?;
    let wide = |v: &[f32]| energy(&v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
    let rounded = tensor.values.to_f32();
    let off: Vec<f32> = weights.iter().zip(rounded).map(|(a, b)| a - b).collect();
    let whole = wide(weights);
    Ok(Packed {
        tensor,
        energy_kept: 1.0,
        error: match whole > 0.0 {
            true => (wide(&off) / whole).sqrt(),
            false => 0.0,
        },
    })
}

/// How many coefficients of each spectrum are kept, and how they are stored, such that a file of them has as little error as can be had within
/// so many bytes: the sum, over the tensors, of the part of each one's energy that is lost. `bytes` says what a file of some tensors
/// takes; beside each spectrum stand the forms to choose from.
///
/// `None` where even a single coefficient each takes more.
///
/// # Errors
/// Those of `bytes` and of [`Spectrum::pack`].
pub fn pack_within(
    spectra: &[(Spectrum, Vec<NumberKind>)],
    most: usize,
    mut bytes: impl FnMut(&[Packed]) -> Result<usize>,
) -> Result<Option<Vec<Packed>>> {
    let ways: Vec<_> = spectra.iter().map(|(s, numbers)| s.ways(numbers)).collect();
    let curves: Vec<Vec<Point>> = ways
        .iter()
        .map(|ways| ways.iter().map(|(_, _, point)| *point).collect())
        .collect();
    let pack = |choice: &[usize]| -> Result<Vec<Packed>> {
        let chosen = spectra.iter().zip(&ways).zip(choice);
        chosen
            .map(|(((spectrum, _), ways), &i)| spectrum.pack(ways[i].0, ways[i].1))
            .collect()
    };
    let choice = allocate(&curves, |choice| {
        Ok::<_, Error>(bytes(&pack(choice)?)? <= most)
    })?;
    choice.map(|choice| pack(&choice)).transpose()
}

fn energy(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Model;

    /// Weights that are smooth along both axes, and noise of `noise` times their size.
    fn weights(rows: usize, columns: usize, noise: f32) -> Vec<f32> {
        let at = |i: usize| {
            let (r, c) = (i / columns, i % columns);
            let smooth = (0.3 * r as f32).sin() + (0.2 * c as f32 + 0.1 * r as f32).cos();
            smooth + noise * (((i * 7919 + 104_729) % 1009) as f32 / 504.5 - 1.0)
        };
        (0..rows * columns).map(at).collect()
    }

    fn spectrum(name: &str, noise: f32) -> Spectrum {
        let w = weights(24, 30, noise);
        Spectrum::new(name, &[24, 30], &[24, 30], &KeepOrder::Zigzag, 720, &w).unwrap()
    }

    #[test]
    fn the_error_said_is_that_of_the_rebuilt_weights() {
        let spectrum = spectrum("a", 0.3);
        let exact = weights(24, 30, 0.3);
        let size: f64 = exact.iter().map(|&v| f64::from(v).powi(2)).sum();
        for (k, number) in [
            (720, NumberKind::Float32),
            (720, NumberKind::Bits(6)),
            (60, NumberKind::Float16),
            (60, NumberKind::Bits(4)),
            (1, NumberKind::Float32),
        ] {
            let packed = spectrum.pack(k, number).unwrap();
            let rebuilt = packed.tensor.expand().unwrap();
            let off: f64 = exact
                .iter()
                .zip(rebuilt)
                .map(|(a, b)| f64::from(a - b).powi(2))
                .sum();
            let error = (off / size).sqrt();
            assert!(
                (packed.error - error).abs() < 1e-6,
                "{} {error}",
                packed.error
            );
            assert!(packed.energy_kept <= 1.0 + 1e-12 && packed.energy_kept > 0.0);
        }
        assert!(spectrum.pack(60, NumberKind::Float16).unwrap().energy_kept > 0.8);
        assert!(spectrum.pack(720, NumberKind::Float32).unwrap().error < 1e-7);
    }

    #[test]
    fn bytes_go_where_they_serve() {
        // One is smooth and needs few numbers; in the other each tells a little.
        let numbers = [4, 6, 8].map(NumberKind::Bits).to_vec();
        let spectra =
            [spectrum("smooth", 0.0), spectrum("rough", 1.5)].map(|s| (s, numbers.clone()));
        let bytes = |packed: &[Packed]| {
            let tensors = packed.iter().map(|p| p.tensor.clone()).collect();
            let model = Model {
                architecture: "m".into(),
                config: String::new(),
                tensors,
            };
            Ok(model.to_bytes()?.len())
        };
        let mut last = f64::INFINITY;
        for most in [80, 200, 400, 800] {
            let packed = pack_within(&spectra, most, bytes).unwrap().unwrap();
            let size = bytes(&packed).unwrap();
            assert!(size <= most && size * 100 > most * 95, "{size} of {most}");
            let lost: f64 = packed.iter().map(|p| p.error.powi(2)).sum();
            assert!(lost < last, "{lost} after {last}");
            last = lost;
            // Not worse than an even split in one form.
            let k = most * 8 / 6 / 2;
            let mut even = f64::INFINITY;
            for k in (1..=k.min(720)).rev() {
                let both = spectra
                    .each_ref()
                    .map(|(s, _)| s.pack(k, NumberKind::Bits(6)).unwrap());
                if bytes(&both).unwrap() <= most {
                    even = both.iter().map(|p| p.error.powi(2)).sum();
                    break;
                }
            }
            assert!(lost < even, "{lost} where an even split loses {even}");
        }
        assert_eq!(pack_within(&spectra, 20, bytes).unwrap(), None);
    }

    #[test]
    fn one_coefficient_far_above_the_others_fits_every_form() {
        let mut w = weights(64, 64, 1.0);
        w.iter_mut().for_each(|v| *v += 100.0);
        let spectrum =
            Spectrum::new("w", &[64, 64], &[64, 64], &KeepOrder::Zigzag, 4096, &w).unwrap();
        let numbers = (2..=16).map(NumberKind::Bits).collect();
        let all = pack_within(&[(spectrum, numbers)], 1 << 20, |packed| {
            Ok(packed.iter().map(|p| p.tensor.values.bytes()).sum())
        });
        let packed = all.unwrap().unwrap();
        assert_eq!(packed[0].tensor.values.len(), 4096);
        // 64 times a uniform error over a step of 6,400 / 2^20, of a norm of 6,400.
        assert!(packed[0].error < 2e-5, "{}", packed[0].error);
    }

    #[test]
    fn zeros_are_kept_without_loss() {
        let zeros = [0.0; 12];
        let spectrum = Spectrum::new("z", &[3, 4], &[3, 4], &KeepOrder::Zigzag, 5, &zeros).unwrap();
        for packed in [
            spectrum.pack(5, NumberKind::Bits(8)).unwrap(),
            pack_plain("z", &[12], &zeros, NumberKind::Float16).unwrap(),
        ] {
            assert_eq!((packed.energy_kept, packed.error), (1.0, 0.0));
            assert_eq!(packed.tensor.expand().unwrap(), zeros);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let new = |axes: &[usize], most, weights: &[f32]| {
            Spectrum::new("w", &[2, 3], axes, &KeepOrder::Zigzag, most, weights)
                .map(|_| ())
                .unwrap_err()
                .to_string()
        };
        let six = [1.0; 6];
        assert!(new(&[7], 1, &six).contains("[7]"));
        assert!(new(&[2, 3], 0, &six).contains('6'));
        assert!(new(&[2, 3], 7, &six).contains('7'));
        assert!(new(&[2, 3], 6, &six[..5]).contains('5'));
        let mut bad = six;
        bad[4] = f32::NAN;
        assert!(new(&[2, 3], 6, &bad).contains('4'));
        let plain = |weights: &[f32]| pack_plain("w", &[2, 3], weights, NumberKind::Float16);
        assert!(plain(&six[..5]).is_err() && plain(&bad).is_err());
        assert!(plain(&[1e6; 6]).is_err());
    }
}
