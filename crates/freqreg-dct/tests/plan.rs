//! Synthesis, analysis and factors: what holds between them, whatever the shape, order and budget.

mod common;

use common::{budgeted, largest_difference, naive_forward, naive_inverse, numbers};
use freqreg_dct::{Error, KeepOrder, Plan, Prefix, Way};
use proptest::prelude::*;

const WAYS: [Way; 2] = [Way::Box, Way::Fft];

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The tensor of a prefix by the definition.
fn naive_synthesis(prefix: &Prefix, coefficients: &[f64]) -> Vec<f64> {
    let mut all = vec![0.0; prefix.shape().iter().product()];
    prefix
        .offsets()
        .iter()
        .zip(coefficients)
        .for_each(|(&at, &c)| all[at] = c);
    naive_inverse(prefix.shape(), &all)
}

#[test]
fn by_hand() {
    // Coefficients 00 = 2, 01 = sqrt 2 of a 2 x 2 tensor: 1 plus and minus 1 / sqrt 2 along the second axis.
    let plan = Plan::<f64>::new(&[2, 2], &KeepOrder::Zigzag, 2).unwrap();
    let half = 0.5f64.sqrt();
    let tensor = plan.synthesize(&[2.0, 2f64.sqrt()]).unwrap();
    assert!(largest_difference(&tensor, &[1.0 + half, 1.0 - half, 1.0 + half, 1.0 - half]) < 1e-15);
    let back = plan.analyze(&[1.0, 3.0, 5.0, 7.0]).unwrap();
    assert!(largest_difference(&back, &[8.0, -2.0]) < 1e-14);
}

#[cfg(feature = "fft")]
#[test]
fn large_tensors_by_either_way() {
    // Large enough for many tiles, several tasks and every kind of step.
    for (shape, k) in [
        (&[300, 200][..], 900),
        (&[300, 200], 60_000),
        (&[130, 70, 3, 3], 500),
        (&[5, 5, 80, 90], 700),
        (&[2, 70, 600], 3000),
        (&[90_000], 40),
    ] {
        let prefix = KeepOrder::Zigzag.prefix(shape, k).unwrap();
        let [by_box, by_fft] = WAYS.map(|way| Plan::<f64>::with_way(prefix.clone(), way).unwrap());
        let c = numbers(3, k);
        let tensor = by_box.synthesize(&c).unwrap();
        assert!(
            largest_difference(&tensor, &by_fft.synthesize(&c).unwrap()) < 1e-12,
            "{shape:?} {k}"
        );
        assert!(
            largest_difference(&by_box.analyze(&tensor).unwrap(), &c) < 1e-12,
            "{shape:?} {k}"
        );
        assert!(
            largest_difference(&by_fft.analyze(&tensor).unwrap(), &c) < 1e-12,
            "{shape:?} {k}"
        );
    }
}

#[test]
fn what_a_buffer_held_does_not_matter() {
    for (shape, k) in [
        (&[40, 30, 3, 3][..], 33),
        (&[100, 3], 1),
        (&[100, 90], 2),
        (&[1, 1], 1),
        (&[70], 3),
    ] {
        for way in WAYS {
            let plan =
                Plan::<f32>::with_way(KeepOrder::Zigzag.prefix(shape, k).unwrap(), way).unwrap();
            let c: Vec<f32> = numbers(4, k).into_iter().map(|v| v as f32).collect();
            let clean = plan.synthesize(&c).unwrap();
            // Fill the plan's own buffers with NaN as well.
            plan.synthesize(&vec![f32::NAN; k]).unwrap();
            plan.analyze(&vec![f32::NAN; clean.len()]).unwrap();
            let mut out = vec![f32::NAN; clean.len()];
            plan.synthesize_into(&c, &mut out).unwrap();
            assert_eq!(out, clean, "{shape:?} {way:?}");
            let mut back = vec![f32::NAN; k];
            plan.analyze_into(&clean, &mut back).unwrap();
            assert!(
                back.iter().zip(&c).all(|(a, b)| (a - b).abs() < 1e-5),
                "{shape:?} {way:?}"
            );
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    fn bits<T>(threads: usize, f: impl FnOnce() -> T + Send) -> T
    where
        T: Send,
    {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(f)
    }
    for (shape, k) in [
        (&[256, 200, 3, 3][..], 33),
        (&[500, 800], 400),
        (&[300, 260], 78_000),
        (&[196, 128, 4, 4], 280),
        (&[128, 8, 5, 5], 256),
        (&[40_000, 2], 5000),
    ] {
        for way in WAYS {
            let prefix = KeepOrder::InverseSqrt.prefix(shape, k).unwrap();
            let run = || {
                let plan = Plan::<f32>::with_way(prefix.clone(), way).unwrap();
                let c: Vec<f32> = numbers(5, k).into_iter().map(|v| v as f32).collect();
                let tensor = plan.synthesize(&c).unwrap();
                let back = plan.analyze(&tensor).unwrap();
                (tensor, back)
            };
            let one = bits(1, run);
            for threads in [2, 5] {
                assert!(
                    one == bits(threads, run),
                    "{shape:?} {way:?} {threads} threads"
                );
            }
        }
    }
}

#[test]
fn one_plan_serves_several_threads() {
    let plan = Plan::<f64>::new(&[60, 50, 3, 3], &KeepOrder::Zigzag, 100).unwrap();
    let expected: Vec<_> = (0..8)
        .map(|i| plan.synthesize(&numbers(i, 100)).unwrap())
        .collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|i| {
                scope.spawn({
                    let plan = &plan;
                    move || plan.synthesize(&numbers(i, 100)).unwrap()
                })
            })
            .collect();
        for (thread, expected) in threads.into_iter().zip(&expected) {
            assert_eq!(&thread.join().unwrap(), expected);
        }
    });
}

#[test]
fn shrinking_step_by_step() {
    // As a training does: from the whole tensor down, through the change of way, and never enumerated again.
    let shape = [150, 130];
    let mut plan = Plan::<f64>::new(&shape, &KeepOrder::Zigzag, 150 * 130).unwrap();
    let first = plan.clone();
    let mut ways = vec![plan.way()];
    let c = numbers(6, plan.len());
    while plan.len() > 20 {
        plan = plan.truncated(plan.len() * 4 / 5).unwrap();
        ways.push(plan.way());
        let direct = Plan::<f64>::new(&shape, &KeepOrder::Zigzag, plan.len()).unwrap();
        assert_eq!((plan.way(), plan.prefix()), (direct.way(), direct.prefix()));
        let c = &c[..plan.len()];
        let tensor = plan.synthesize(c).unwrap();
        assert_eq!(tensor, direct.synthesize(c).unwrap());
        assert!(largest_difference(&plan.analyze(&tensor).unwrap(), c) < 1e-12);
    }
    // Having been truncated leaves a plan as it was.
    let x = numbers(7, first.elements());
    assert!(
        largest_difference(&first.synthesize(&first.analyze(&x).unwrap()).unwrap(), &x) < 1e-12
    );
    assert_eq!(*ways.last().unwrap(), Way::Box);
}

#[test]
fn refusals() {
    let plan = Plan::<f32>::new(&[4, 5], &KeepOrder::Zigzag, 3).unwrap();
    let length = |what, shape: &[usize], expected, actual| Error::Length {
        what,
        shape: shape.to_vec(),
        expected,
        actual,
    };
    assert_eq!(
        plan.synthesize(&[0.0; 2]).unwrap_err(),
        length("coefficients", &[4, 5], 3, 2)
    );
    assert_eq!(
        plan.synthesize_into(&[0.0; 3], &mut [0.0; 19]).unwrap_err(),
        length("tensor", &[4, 5], 20, 19)
    );
    assert_eq!(
        plan.analyze(&[0.0; 21]).unwrap_err(),
        length("tensor", &[4, 5], 20, 21)
    );
    assert_eq!(
        plan.analyze_into(&[0.0; 20], &mut [0.0; 4]).unwrap_err(),
        length("coefficients", &[4, 5], 3, 4)
    );
    assert_eq!(
        plan.factors(&[0.0; 4]).unwrap_err(),
        length("coefficients", &[4, 5], 3, 4)
    );
    assert_eq!(
        plan.core_into(&[0.0; 3], &mut [0.0; 3]).unwrap_err(),
        length("core", &[2, 2], 4, 3)
    );
    assert!(plan.truncated(4).is_err());
    assert!(plan.truncated(0).is_err());
    // Few coefficients of tensors that no machine can hold.
    for vast in [1 << 59, 1 << 46] {
        let plan = Plan::<f32>::new(&[1, vast], &KeepOrder::Zigzag, 1);
        assert!(plan.and_then(|plan| plan.synthesize(&[1.0])).is_err());
    }
    let side = 1 << 23;
    let plan = Plan::<f32>::new(&[side, side], &KeepOrder::Zigzag, 3).unwrap();
    let refused = plan.synthesize(&[1.0; 3]).unwrap_err();
    let (shape, elements) = (vec![side, side], side * side);
    assert_eq!(refused, Error::OutOfMemory { shape, elements });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn synthesis_is_the_naive_inverse((shape, order, k) in budgeted(200), seed: u64) {
        let prefix = order.prefix(&shape, k).unwrap();
        let c = numbers(seed, k);
        let naive = naive_synthesis(&prefix, &c);
        for way in WAYS {
            let plan = Plan::with_way(prefix.clone(), way).unwrap();
            prop_assert!(largest_difference(&plan.synthesize(&c).unwrap(), &naive) < 1e-12, "{way:?}");
        }
        let plan = Plan::from_prefix(prefix).unwrap();
        prop_assert!(largest_difference(&plan.synthesize(&c).unwrap(), &naive) < 1e-12);
    }

    #[test]
    fn analysis_is_the_naive_forward_cut((shape, order, k) in budgeted(200), seed: u64) {
        let prefix = order.prefix(&shape, k).unwrap();
        let x = numbers(seed, shape.iter().product());
        let naive = naive_forward(&shape, &x);
        let naive: Vec<f64> = prefix.offsets().iter().map(|&at| naive[at]).collect();
        for way in WAYS {
            let plan = Plan::with_way(prefix.clone(), way).unwrap();
            prop_assert!(largest_difference(&plan.analyze(&x).unwrap(), &naive) < 1e-12, "{way:?}");
        }
    }

    #[test]
    fn analysis_undoes_and_transposes_synthesis((shape, order, k) in budgeted(200), seed: u64) {
        let prefix = order.prefix(&shape, k).unwrap();
        let c = numbers(seed, k);
        let w = numbers(!seed, shape.iter().product());
        for way in WAYS {
            let plan = Plan::with_way(prefix.clone(), way).unwrap();
            let tensor = plan.synthesize(&c).unwrap();
            prop_assert!(largest_difference(&plan.analyze(&tensor).unwrap(), &c) < 1e-12, "{way:?} identity");
            let difference = dot(&tensor, &w) - dot(&c, &plan.analyze(&w).unwrap());
            prop_assert!(difference.abs() < 1e-11, "{way:?} adjoint: {difference}");
        }
    }

    #[test]
    fn synthesis_is_linear((shape, order, k) in budgeted(200), seed: u64, s in -3.0..3.0f64) {
        let plan = Plan::<f64>::new(&shape, &order, k).unwrap();
        let (a, b) = (numbers(seed, k), numbers(!seed, k));
        let sum: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a + s * b).collect();
        let (x, y) = (plan.synthesize(&a).unwrap(), plan.synthesize(&b).unwrap());
        let expected: Vec<f64> = x.iter().zip(&y).map(|(x, y)| x + s * y).collect();
        prop_assert!(largest_difference(&plan.synthesize(&sum).unwrap(), &expected) < 1e-12);
    }

    #[test]
    fn single_precision_is_close((shape, order, k) in budgeted(200), seed: u64) {
        let prefix = order.prefix(&shape, k).unwrap();
        let c = numbers(seed, k);
        let narrow: Vec<f32> = c.iter().map(|&v| v as f32).collect();
        let exact = naive_synthesis(&prefix, &c);
        let largest = exact.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
        for way in WAYS {
            let plan = Plan::<f32>::with_way(prefix.clone(), way).unwrap();
            let tensor: Vec<f64> = plan.synthesize(&narrow).unwrap().into_iter().map(f64::from).collect();
            prop_assert!(largest_difference(&tensor, &exact) < 2e-6 * largest, "{way:?}");
        }
    }

    #[test]
    fn factors_rebuild_the_tensor((shape, order, k) in budgeted(60), seed: u64) {
        let plan = Plan::<f64>::new(&shape, &order, k).unwrap();
        let c = numbers(seed, k);
        let factors = plan.factors(&c).unwrap();
        prop_assert_eq!(&factors.bounds[..], plan.prefix().bounds());
        // Expand axis by axis, by the definition.
        let (mut sizes, mut tensor) = (factors.bounds.clone(), factors.core.clone());
        for (axis, basis) in factors.bases.iter().enumerate() {
            prop_assert_eq!((basis.rows(), basis.length()), (sizes[axis], shape[axis]));
            let after: usize = sizes[axis + 1..].iter().product();
            let (rows, n) = (sizes[axis], shape[axis]);
            sizes[axis] = n;
            tensor = (0..sizes.iter().product::<usize>())
                .map(|at| {
                    let (before, j, last) = (at / after / n, at / after % n, at % after);
                    (0..rows).map(|p| tensor[(before * rows + p) * after + last] * basis.row(p)[j]).sum()
                })
                .collect();
        }
        prop_assert!(largest_difference(&tensor, &plan.synthesize(&c).unwrap()) < 1e-12);
        // The core and back again, and the two are transposes.
        let mut back = vec![f64::NAN; k];
        plan.cut_core_into(&factors.core, &mut back).unwrap();
        prop_assert_eq!(&back, &c);
        let g = numbers(!seed, factors.core.len());
        plan.cut_core_into(&g, &mut back).unwrap();
        prop_assert!((dot(&g, &factors.core) - dot(&back, &c)).abs() < 1e-12);
    }

    #[test]
    fn truncated_plan_is_the_direct_one((shape, order, k) in budgeted(200), part in 0.0..1.0f64, seed: u64) {
        let shorter = 1 + (part * (k - 1) as f64) as usize;
        let c = numbers(seed, shorter);
        let cut = Plan::<f64>::new(&shape, &order, k).unwrap().truncated(shorter).unwrap();
        let direct = Plan::<f64>::new(&shape, &order, shorter).unwrap();
        prop_assert_eq!((cut.prefix(), cut.way()), (direct.prefix(), direct.way()));
        prop_assert_eq!(cut.synthesize(&c).unwrap(), direct.synthesize(&c).unwrap());
    }
}
