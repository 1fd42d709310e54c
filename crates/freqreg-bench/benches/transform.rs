//! Synthesis and analysis by box and by fast transform, and the plain sum where it ends before supper.
//! After each case stands how the ways compare.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{
    BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime,
};
use freqreg_dct::{Basis, KeepOrder, Plan, Way};

/// Shape and number of coefficients kept.
const CASES: &[(&[usize], usize)] = &[
    (&[1024, 1024, 3, 3], 33),
    (&[128, 8, 5, 5], 256),
    (&[196, 128, 4, 4], 280),
    (&[196, 128, 4, 4], 401_408),
    (&[500, 800], 400),
    (&[500, 800], 40_000),
    (&[500, 800], 400_000),
];

/// The plain way is left out where it would take more than this many multiply-adds.
const PLAIN: usize = 1 << 27;

/// Runs one benchmark and notes its best time an iteration.
fn timed(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &'static str,
    best: &mut BTreeMap<&'static str, Duration>,
    mut work: impl FnMut(),
) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            let one = || {
                let start = Instant::now();
                work();
                start.elapsed()
            };
            let times: Vec<Duration> = std::iter::repeat_with(one)
                .take(iterations as usize)
                .collect();
            let least = *times.iter().min().expect("at least one iteration");
            best.entry(name)
                .and_modify(|best| *best = least.min(*best))
                .or_insert(least);
            times.iter().sum()
        });
    });
}

/// Axis by axis with whole bases: the sum as the definition has it.
fn plain(shape: &[usize], bases: &[Basis<f32>], mut tensor: Vec<f32>) -> Vec<f32> {
    for (axis, basis) in bases.iter().enumerate() {
        let (n, after) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
        let mut next = vec![0.0; tensor.len()];
        for (at, value) in next.iter_mut().enumerate() {
            let (before, j, last) = (at / after / n, at / after % n, at % after);
            *value = (0..n)
                .map(|p| basis.row(p)[j] * tensor[(before * n + p) * after + last])
                .sum();
        }
        tensor = next;
    }
    tensor
}

fn ways(criterion: &mut Criterion) {
    for &(shape, k) in CASES {
        let name: Vec<String> = shape.iter().map(ToString::to_string).collect();
        let mut group = criterion.benchmark_group(format!("{}, {k} kept", name.join("x")));
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_secs(1));
        let prefix = KeepOrder::Zigzag.prefix(shape, k).unwrap();
        let coefficients: Vec<f32> = (0..k).map(|i| (i as f32).sin()).collect();
        let mut best = BTreeMap::new();
        let elements: usize = shape.iter().product();
        let mut tensor = vec![0.0; elements];
        let mut back = vec![0.0; k];
        for (way, synthesis, analysis) in [
            (Way::Box, "synthesis by box", "analysis by box"),
            (Way::Fft, "synthesis by fft", "analysis by fft"),
        ] {
            let plan = Plan::<f32>::with_way(prefix.clone(), way).unwrap();
            timed(&mut group, synthesis, &mut best, || {
                plan.synthesize_into(black_box(&coefficients), &mut tensor)
                    .unwrap()
            });
            timed(&mut group, analysis, &mut best, || {
                plan.analyze_into(black_box(&tensor), &mut back).unwrap()
            });
        }
        if elements * shape.iter().sum::<usize>() <= PLAIN {
            let bases: Vec<_> = shape.iter().map(|&n| Basis::new(n, n).unwrap()).collect();
            timed(&mut group, "synthesis, plain sum", &mut best, || {
                let mut all = vec![0.0; elements];
                prefix
                    .offsets()
                    .iter()
                    .zip(&coefficients)
                    .for_each(|(&at, &c)| all[at] = c);
                black_box(plain(shape, &bases, all));
            });
        }
        group.finish();
        let chosen = Plan::<f32>::from_prefix(prefix).unwrap().way();
        let reference = best["synthesis by box"].as_secs_f64();
        for (name, time) in &best {
            println!(
                "    {name}: {time:.2?}, {:.2} x the box's synthesis",
                time.as_secs_f64() / reference
            );
        }
        println!("    chosen by cost: {chosen:?}\n");
    }
}

fn keep_order(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("enumeration");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    for order in [KeepOrder::Zigzag, KeepOrder::InverseSqrt] {
        for (shape, k) in [
            (&[1024, 1024, 3, 3][..], 33),
            (&[196, 128, 4, 4], 401_408),
            (&[1024, 1024, 3, 3], 1 << 20),
        ] {
            let name = format!("{order}, first {k} of {shape:?}");
            group.bench_function(name, |bencher| {
                bencher.iter(|| order.prefix(black_box(shape), k).unwrap())
            });
        }
        let shape = [1024, 1024, 3, 3];
        group.bench_function(format!("{order}, rank of the middle"), |bencher| {
            bencher.iter(|| order.rank(black_box(&shape), &[512, 512, 1, 1]).unwrap());
        });
    }
    let plan = Plan::<f32>::new(&[500, 800], &KeepOrder::Zigzag, 400_000).unwrap();
    let mut k = plan.len();
    let mut cut = plan.clone();
    group.bench_function("truncation of a plan, step by step, 500x800", |bencher| {
        bencher.iter(|| {
            k = if k > 300 { k - k / 100 - 1 } else { plan.len() };
            cut = if k == plan.len() {
                plan.clone()
            } else {
                cut.truncated(k).unwrap()
            };
        });
    });
}

criterion_group!(benches, ways, keep_order);
criterion_main!(benches);
