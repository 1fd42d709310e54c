//! Fused blocks against plain loops and the other kernels, over random shapes.

mod naive;

use freqreg_kernels::{
    Conv2d, ConvTranspose2d, MapShape, Maps, NarrowConv, Over, Towards, Upstream, Wide, moments,
};
use naive::{distance, narrow, numbers};
use proptest::prelude::*;
use std::sync::Arc;

fn some(len: usize, seed: u64) -> Vec<f32> {
    narrow(&numbers(len, seed))
}

fn wider(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

/// Maps of random numbers, and these numbers as `[images, channels, height, width]`.
fn maps(shape: MapShape, border: [usize; 2], seed: u64) -> (Maps, Vec<f64>) {
    let values = some(shape.channels * shape.pixels(), seed);
    let maps = Maps::from_images(shape, border, &values).unwrap();
    (maps, wider(&values))
}

/// `[rows, inner]` times the channels of `[images, inner, pixels]`, plus a shift.
fn product(weights: &[f64], shift: &[f64], x: &[f64], images: usize, inner: usize) -> Vec<f64> {
    let (rows, pixels) = (weights.len() / inner, x.len() / images / inner);
    let mut y = Vec::new();
    for image in x.chunks_exact(inner * pixels) {
        for r in 0..rows {
            for p in 0..pixels {
                let sum: f64 = (0..inner)
                    .map(|i| weights[r * inner + i] * image[i * pixels + p])
                    .sum();
                y.push(sum + shift[r]);
            }
        }
    }
    y
}

fn relu(x: &mut [f64]) {
    x.iter_mut().for_each(|v| *v = v.max(0.0));
}

/// The largest of each window, plainly.
fn pool(x: &[f64], [h, w]: [usize; 2], kernel: [usize; 2], stride: [usize; 2]) -> Vec<f64> {
    let out = |i: usize, size: usize| (size - kernel[i]) / stride[i] + 1;
    let mut y = Vec::new();
    for plane in x.chunks_exact(h * w) {
        for r in 0..out(0, h) {
            for c in 0..out(1, w) {
                let mut best = f64::NEG_INFINITY;
                for a in 0..kernel[0] {
                    for b in 0..kernel[1] {
                        best = best.max(plane[(r * stride[0] + a) * w + c * stride[1] + b]);
                    }
                }
                y.push(best);
            }
        }
    }
    y
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// A residual block's end: relu(relu(E z + t) + F u), pooled, read in all three ways.
    #[test]
    fn channels_are_what_they_are_computed_to_be(
        channels in 1usize..20, images in 1usize..4, height in 2usize..20, width in 2usize..40,
        p in 1usize..6, q in 1usize..7, to in 1usize..9, pooled in any::<bool>(), border in 0usize..3,
    ) {
        let shape = MapShape { channels: p, images, height, width };
        let (z, z_plain) = maps(shape, [0, 0], 1);
        let (u, u_plain) = maps(MapShape { channels: q, ..shape }, [0, 0], 2);
        let (e, f) = (some(channels * p, 3), some(channels * q, 4));
        let (t, b) = (some(channels, 5), some(to * channels, 6));
        let mut wide = Wide::new(channels, Arc::new(z), &e, &t).unwrap().relu();
        let branch = Wide::new(channels, Arc::new(u), &f, &[]).unwrap();
        prop_assert!(branch.is_linear() && !wide.is_linear());
        wide = wide.and(&branch).unwrap().relu();
        let mut want = product(&wider(&e), &wider(&t), &z_plain, images, p);
        relu(&mut want);
        let more = product(&wider(&f), &vec![0.0; channels], &u_plain, images, q);
        want.iter_mut().zip(more).for_each(|(a, b)| *a += b);
        relu(&mut want);
        let mut size = [height, width];
        if pooled {
            let (kernel, stride) = ([2, 2], [2, 1]);
            wide = wide.max_pool(kernel, stride).unwrap();
            want = pool(&want, size, kernel, stride);
            size = [(height - 2) / 2 + 1, width - 1];
        }
        prop_assert!(distance(&wide.images(), &want) < 1e-5);
        let pixels = size[0] * size[1];
        let means: Vec<f64> = want.chunks_exact(pixels).map(|c| c.iter().sum::<f64>() / pixels as f64).collect();
        prop_assert!(distance(&wide.means(), &means) < 1e-5);
        let out = MapShape { channels: to, images, height: size[0], width: size[1] };
        let mut projected = Maps::zeros(out, [border, border]).unwrap();
        let want = product(&wider(&b), &vec![0.0; to], &want, images, channels);
        wide.project(&b, &mut projected, false).unwrap();
        prop_assert!(distance(&projected.to_images(), &want) < 1e-5);
        // Added a second time, and the border still zero: the maps equal those made from the numbers.
        wide.project(&b, &mut projected, true).unwrap();
        let twice: Vec<f64> = want.iter().map(|v| 2.0 * v).collect();
        prop_assert!(distance(&projected.to_images(), &twice) < 1e-5);
        prop_assert_eq!(&Maps::from_images(out, [border, border], &projected.to_images()).unwrap(), &projected);
    }

    #[test]
    fn pixels_are_spread_as_a_transposed_convolution_does_it(
        channels_in in 1usize..6, channels_out in 1usize..6, images in 1usize..4, height in 1usize..20, width in 1usize..70,
        kernel in prop::array::uniform2(1usize..4), border in 0usize..3,
    ) {
        let up = ConvTranspose2d {
            batch: images, channels_in, height, width, channels_out, kernel, stride: kernel, ..ConvTranspose2d::default()
        };
        let shape = MapShape { channels: channels_in, images, height, width };
        let (z, z_plain) = maps(shape, [border, border], 1);
        let weights = some(channels_in * channels_out * kernel[0] * kernel[1], 2);
        let found = z.spread(channels_out, kernel, &weights).unwrap();
        let mut want = vec![0.0; images * channels_out * height * kernel[0] * width * kernel[1]];
        up.forward(&z_plain, &wider(&weights), None, &mut want).unwrap();
        prop_assert!(distance(&found.to_images(), &want) < 1e-5);
        prop_assert!(z.spread(channels_out, [kernel[0], 0], &weights).is_err());
        prop_assert!(z.spread(channels_out + 1, kernel, &weights).is_err());
    }

    #[test]
    fn narrow_convolution(
        channels_in in 1usize..6, channels_out in 1usize..10, images in 1usize..4, height in 1usize..20, width in 1usize..70,
        kernel in prop::array::uniform2(1usize..5), dilation in prop::array::uniform2(1usize..3), padding in prop::array::uniform2(0usize..4),
    ) {
        let conv = Conv2d {
            batch: images, channels_in, height, width, channels_out, kernel, dilation, padding, ..Conv2d::default()
        };
        prop_assume!(conv.validated().is_ok());
        let (x, plain) = maps(MapShape { channels: channels_in, images, height, width }, padding, 1);
        let weights = some(conv.weight_len(), 2);
        let got = NarrowConv::new([channels_out, channels_in], kernel, dilation, &weights).unwrap().forward(&x).unwrap();
        let mut want = vec![0.0; conv.output_len()];
        conv.forward(&plain, &wider(&weights), None, &mut want).unwrap();
        prop_assert_eq!([got.shape().height, got.shape().width], conv.output_size());
        prop_assert!(distance(&got.to_images(), &want) < 1e-5);
    }

    /// Mean and variance of the expanded channels, of each image and of all.
    #[test]
    fn moments_of_expanded_channels(
        p in 1usize..6, groups in 1usize..5, per in 1usize..4, images in 1usize..4, height in 1usize..60, width in 1usize..80, offset in -50f32..50.0,
    ) {
        let shape = MapShape { channels: p, images, height, width };
        let values: Vec<f32> = some(p * shape.pixels(), 1).iter().map(|v| v + offset).collect();
        let z = Maps::from_images(shape, [0, 0], &values).unwrap();
        let e = some(groups * per * p, 2);
        let wide = product(&wider(&e), &vec![0.0; groups * per], &wider(&values), images, p);
        let group = per * height * width;
        let found = moments(&z).unwrap();
        let per_image = wide.chunks_exact(group).map(|c| c.to_vec());
        let pooled = (0..groups).map(|g| {
            (0..images).flat_map(|i| wide[(i * groups + g) * group..][..group].to_vec()).collect::<Vec<f64>>()
        });
        for (set, found) in per_image.zip(found.expanded(&e, per)).chain(pooled.zip(found.pooled().expanded(&e, per))) {
            let mean = set.iter().sum::<f64>() / set.len() as f64;
            let variance = set.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / set.len() as f64;
            let size = 1.0 + f64::from(offset.abs()) + variance;
            prop_assert!((found.0 - mean).abs() < 1e-5 * size, "{:?} for {mean}", found);
            prop_assert!((found.1 - variance).abs() < 1e-5 * size, "{:?} for {variance}", found);
        }
    }
}

/// More weights than one task has multiply-adds: a task still computes some pixels.
#[test]
fn narrow_convolution_of_many_weights() {
    let (channels, height, width) = (121, 5, 7);
    let conv = Conv2d {
        batch: 2,
        channels_in: channels,
        height,
        width,
        channels_out: channels,
        kernel: [3, 3],
        padding: [1, 1],
        ..Conv2d::default()
    };
    let shape = MapShape {
        channels,
        images: 2,
        height,
        width,
    };
    let (x, plain) = maps(shape, [1, 1], 1);
    let weights = some(conv.weight_len(), 2);
    let narrow = NarrowConv::new([channels; 2], [3, 3], [1, 1], &weights).unwrap();
    let mut want = vec![0.0; conv.output_len()];
    conv.forward(&plain, &wider(&weights), None, &mut want)
        .unwrap();
    assert!(distance(&narrow.forward(&x).unwrap().to_images(), &want) < 1e-5);
}

/// One term of the channels whose gradients are tested.
#[derive(Debug, Clone)]
struct Step {
    narrow: usize,
    norm: Option<Over>,
    relu: bool,
    towards_expansion: bool,
}

fn step(groups: usize) -> impl Strategy<Value = Step> {
    let norm = prop_oneof![
        Just(None),
        Just(Some(Over::Batch)),
        Just(Some(Over::Groups(groups))),
        Just(Some(Over::Groups(1))),
    ];
    (1usize..5, norm, any::<bool>(), any::<bool>()).prop_map(
        |(narrow, norm, relu, towards_expansion)| Step {
            narrow,
            norm,
            relu,
            towards_expansion,
        },
    )
}

const EPS: f64 = 1e-3;

/// Each channel, or each group of channels of each image, to mean 0 and variance 1.
fn normalize(x: &mut [f64], images: usize, channels: usize, over: Over) {
    let pixels = x.len() / images / channels;
    let set = |n: usize, c: usize| match over {
        Over::Batch => c,
        Over::Groups(groups) => n * groups + c / (channels / groups),
    };
    let sets = set(images - 1, channels - 1) + 1;
    for wanted in 0..sets {
        let members: Vec<usize> = (0..x.len())
            .filter(|i| set(i / pixels / channels, i / pixels % channels) == wanted)
            .collect();
        let count = members.len() as f64;
        let mean = members.iter().map(|&i| x[i]).sum::<f64>() / count;
        let variance = members.iter().map(|&i| (x[i] - mean).powi(2)).sum::<f64>() / count;
        for i in members {
            x[i] = (x[i] - mean) / (variance + EPS).sqrt();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    /// Gradients against differences of a plain computation in f64: every kind of norm, ReLU, sum, pool and way to read the channels.
    #[test]
    fn gradients_of_fused_channels(
        (groups, steps) in (1usize..4).prop_flat_map(|g| (Just(g), prop::collection::vec(step(g), 1..4))),
        per in 1usize..6, images in 1usize..4, height in 2usize..8, width in 2usize..12,
        stride in prop::option::of((1usize..3, 1usize..3)), read in 0usize..3, to in 1usize..5,
    ) {
        let channels = groups * per;
        let [h, w] = match stride {
            None => [height, width],
            Some((a, b)) => [(height - 2) / a + 1, (width - 2) / b + 1],
        };
        let shape = |narrow| MapShape { channels: narrow, images, height, width };
        let weights = numbers(to * channels, 7);
        let len = [to * images * h * w, channels * images * h * w, channels * images][read];
        let upstream = numbers(len, 8);
        let inputs: Vec<[Vec<f64>; 2]> = steps.iter().enumerate().map(|(i, s)| {
            let seed = 10 + 2 * i as u64;
            // Single precision numbers, which both computations can hold.
            let exact = |len, seed| wider(&some(len, seed));
            [exact(s.narrow * images * height * width, seed), exact(channels * s.narrow, seed + 1)]
        }).collect();
        let loss = |inputs: &[[Vec<f64>; 2]]| {
            let mut sum = vec![0.0; channels * images * height * width];
            for (step, [z, e]) in steps.iter().zip(inputs) {
                let mut value = product(e, &vec![0.0; channels], z, images, step.narrow);
                if let Some(over) = step.norm {
                    normalize(&mut value, images, channels, over);
                }
                sum.iter_mut().zip(value).for_each(|(a, b)| *a += b);
                if step.relu {
                    relu(&mut sum);
                }
            }
            if let Some((a, b)) = stride {
                sum = pool(&sum, [height, width], [2, 2], [a, b]);
            }
            let out = match read {
                0 => product(&weights, &vec![0.0; to], &sum, images, channels),
                1 => sum,
                _ => sum.chunks_exact(h * w).map(|c| c.iter().sum::<f64>() / (h * w) as f64).collect(),
            };
            out.iter().zip(&upstream).map(|(a, b)| a * b).sum::<f64>()
        };
        let mut wide: Option<Wide> = None;
        for (step, [z, e]) in steps.iter().zip(&inputs) {
            let maps = Maps::from_images(shape(step.narrow), [0, 0], &narrow(z)).unwrap();
            let mut term = Wide::new(channels, Arc::new(maps), &narrow(e), &[]).unwrap();
            if let Some(over) = step.norm {
                term = term.normalize(over, EPS).unwrap();
            }
            let mut all = match wide.take() {
                None => term,
                Some(wide) => wide.and(&term).unwrap(),
            };
            if step.relu {
                all = all.relu();
            }
            wide = Some(all);
        }
        let mut wide = wide.unwrap();
        if let Some((a, b)) = stride {
            wide = wide.max_pool([2, 2], [a, b]).unwrap();
        }
        let (weights, gradient) = (narrow(&weights), narrow(&upstream));
        let upstream = match read {
            0 => Upstream::Projected { weights: &weights, gradient: &gradient },
            1 => Upstream::Images(&gradient),
            _ => Upstream::Means(&gradient),
        };
        let towards: Vec<Towards> = steps.iter().map(|s| match s.towards_expansion {
            true => Towards::Expansion,
            false => Towards::Maps,
        }).collect();
        let found = wide.backward(upstream, &towards).unwrap();
        for (t, (found, step)) in found.iter().zip(&steps).enumerate() {
            let which = usize::from(step.towards_expansion);
            let here = loss(&inputs);
            let want: Vec<[f64; 2]> = (0..inputs[t][which].len()).map(|i| {
                let at = |by: f64| {
                    let mut moved = inputs.clone();
                    moved[t][which][i] += by;
                    loss(&moved)
                };
                // From either side: where a ReLU or a maximum sits on its kink, whatever lies between the two is a gradient.
                let (below, above) = ((here - at(-1e-6)) / 1e-6, (at(1e-6) - here) / 1e-6);
                [below.min(above), below.max(above)]
            }).collect();
            // A gradient of nothing but rounding, as that of a norm of one number, is measured by its parts.
            let size = 1.0 + want.iter().flatten().fold(0.0f64, |m, v| m.max(v.abs()));
            for (i, (&found, &[low, high])) in found.iter().zip(&want).enumerate() {
                let (found, near) = (f64::from(found), 1e-4 * size);
                prop_assert!(found > low - near && found < high + near, "term {}, {}: {} for {} to {}", t, i, found, low, high);
            }
            prop_assert_eq!(found.len(), want.len());
        }
        let nothing = wide.backward(upstream, &vec![Towards::Nothing; steps.len()]).unwrap();
        prop_assert!(nothing.iter().all(Vec::is_empty));
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let shape = MapShape {
        channels: 4,
        images: 2,
        height: 70,
        width: 131,
    };
    let (z, _) = maps(shape, [0, 0], 1);
    let z = Arc::new(z);
    let wide = Wide::new(36, z.clone(), &some(36 * 4, 2), &[]).unwrap();
    let wide = wide.normalize(Over::Groups(4), 1e-5).unwrap().relu();
    let conv = NarrowConv::new([5, 4], [3, 3], [1, 1], &some(180, 4)).unwrap();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut u = Maps::zeros(shape, [1, 1]).unwrap();
            wide.project(&some(4 * 36, 5), &mut u, false).unwrap();
            let next = conv.forward(&u).unwrap();
            let images = wide.images();
            let gradients = [Towards::Maps, Towards::Expansion].map(|towards| {
                wide.backward(Upstream::Images(&images), &[towards])
                    .unwrap()
            });
            (
                moments(&next).unwrap(),
                next,
                images,
                wide.means(),
                gradients,
            )
        })
    };
    let one = run(1);
    assert!(one == run(2) && one == run(3));
}

#[test]
fn what_does_not_fit_is_refused() {
    let shape = MapShape {
        channels: 2,
        images: 3,
        height: 4,
        width: 5,
    };
    let zeros = |shape| Maps::zeros(shape, [0, 0]);
    for bad in [
        MapShape {
            channels: 0,
            ..shape
        },
        MapShape { images: 0, ..shape },
        MapShape { height: 0, ..shape },
        MapShape {
            width: usize::MAX,
            ..shape
        },
    ] {
        assert!(zeros(bad).is_err(), "{bad:?}");
    }
    assert!(Maps::zeros(shape, [usize::MAX, 0]).is_err());
    assert!(Maps::from_images(shape, [0, 0], &[0.0; 119]).is_err());
    let z = Arc::new(zeros(shape).unwrap());
    for kernel in [[5, 1], [1, 6], [0, 1]] {
        assert!(z.phases(kernel, [1, 1]).is_err(), "{kernel:?}");
    }
    assert!(z.phases([1, 1], [0, 1]).is_err());
    let wide = |expand: usize, shift: usize| {
        Wide::new(4, z.clone(), &vec![0.0; expand], &vec![0.0; shift])
    };
    for (expand, shift) in [(7, 0), (16, 0), (24, 0), (8, 3), (8, 12)] {
        assert!(wide(expand, shift).is_err(), "{expand}, {shift}");
    }
    let good = wide(8, 4).unwrap();
    assert!(Wide::new(0, z.clone(), &[], &[]).is_err());
    // Norms of what is no plain expansion, and of groups that do not divide it.
    assert!(good.clone().normalize(Over::Batch, 1e-5).is_err());
    let plain = wide(8, 0).unwrap();
    for groups in [0, 3] {
        assert!(plain.clone().normalize(Over::Groups(groups), 1e-5).is_err());
    }
    let normalised = plain.clone().normalize(Over::Groups(2), 1e-5).unwrap();
    assert!(normalised.clone().normalize(Over::Batch, 1e-5).is_err());
    assert!(normalised.extended(1, 1).is_err());
    assert!(plain.clone().relu().normalize(Over::Batch, 1e-5).is_err());
    let read = |upstream: Upstream<'_>| plain.backward(upstream, &[Towards::Maps]);
    assert!(plain.backward(Upstream::Means(&[0.0; 12]), &[]).is_err());
    assert!(read(Upstream::Means(&[0.0; 11])).is_err());
    assert!(read(Upstream::Images(&[0.0; 239])).is_err());
    for (weights, gradient) in [(7, 120), (8, 119)] {
        let (weights, gradient) = (vec![0.0; weights], vec![0.0; gradient]);
        let upstream = Upstream::Projected {
            weights: &weights,
            gradient: &gradient,
        };
        assert!(read(upstream).is_err());
    }
    let bordered = Arc::new(Maps::zeros(shape, [1, 0]).unwrap());
    assert!(Wide::new(4, bordered.clone(), &[0.0; 8], &[]).is_err());
    assert!(moments(&bordered).is_err());
    let other = Arc::new(zeros(MapShape { height: 5, ..shape }).unwrap());
    let other = Wide::new(4, other, &[0.0; 8], &[]).unwrap();
    assert!(good.clone().and(&other).is_err());
    // Shifts are not zero where zeros are added; and one pool does not follow another.
    assert!(good.extended(1, 1).is_err());
    assert!(
        good.max_pool([2, 2], [2, 2])
            .unwrap()
            .max_pool([2, 2], [2, 2])
            .is_err()
    );
    let mut out = zeros(shape).unwrap();
    assert!(good.project(&[0.0; 7], &mut out, false).is_err());
    assert!(
        good.project(
            &[0.0; 8],
            &mut zeros(MapShape { width: 4, ..shape }).unwrap(),
            false
        )
        .is_err()
    );
    assert!(NarrowConv::new([1, 2], [3, 3], [1, 1], &[0.0; 17]).is_err());
    assert!(NarrowConv::new([1, 2], [3, 3], [0, 1], &[0.0; 18]).is_err());
    let conv = NarrowConv::new([1, 2], [5, 3], [1, 1], &[0.0; 30]).unwrap();
    assert!(conv.forward(&z).is_err());
    assert!(
        conv.forward(
            &zeros(MapShape {
                channels: 1,
                ..shape
            })
            .unwrap()
        )
        .is_err()
    );
    let far = NarrowConv::new([1, 2], [2, 2], [usize::MAX, 1], &[0.0; 8]).unwrap();
    assert!(far.forward(&z).is_err());
}

#[test]
fn nan_is_not_hidden() {
    let shape = MapShape {
        channels: 1,
        images: 1,
        height: 2,
        width: 2,
    };
    let z = Maps::from_images(shape, [0, 0], &[1.0, f32::NAN, 2.0, 3.0]).unwrap();
    let wide = Wide::new(1, Arc::new(z), &[1.0], &[]).unwrap().relu();
    assert!(wide.images()[1].is_nan());
    assert!(wide.max_pool([2, 2], [1, 1]).unwrap().images()[0].is_nan());
}
