//! The golden vectors: coefficients, spatial tensors and zigzag ranks made in float64 with the authors' transform.

use freqreg_dct::{Dct, KeepOrder, Plan, Way};
use safetensors::SafeTensors;

struct Case {
    name: &'static str,
    shape: Vec<usize>,
    coefficients: Vec<f64>,
    spatial: Vec<f64>,
    ranks: Vec<usize>,
}

fn cases() -> Vec<Case> {
    let bytes = include_bytes!("golden/transform.safetensors");
    let file = SafeTensors::deserialize(bytes).unwrap();
    let words = |key: &str| -> Vec<[u8; 8]> {
        file.tensor(key)
            .unwrap()
            .data()
            .chunks_exact(8)
            .map(|word| word.try_into().unwrap())
            .collect()
    };
    let case = |name: &'static str| Case {
        name,
        shape: file
            .tensor(&format!("{name}.coeffs"))
            .unwrap()
            .shape()
            .to_vec(),
        coefficients: words(&format!("{name}.coeffs"))
            .into_iter()
            .map(f64::from_le_bytes)
            .collect(),
        spatial: words(&format!("{name}.spatial"))
            .into_iter()
            .map(f64::from_le_bytes)
            .collect(),
        ranks: words(&format!("{name}.rank"))
            .into_iter()
            .map(|word| u64::from_le_bytes(word) as usize)
            .collect(),
    };
    let names = [
        "conv_1x1x1x1",
        "conv_20x1x5x5",
        "conv_64x3x7x5",
        "conv_8x4x3x3",
        "fc_12x7x1x1",
        "up_16x8x2x2",
    ];
    assert_eq!(file.len(), 3 * names.len(), "a golden case is not tested");
    names.map(case).into()
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max)
}

fn largest(a: &[f64]) -> f64 {
    a.iter().fold(0.0, |m, v| m.max(v.abs()))
}

fn narrow(a: &[f64]) -> Vec<f32> {
    a.iter().map(|&v| v as f32).collect()
}

fn wide(a: &[f32]) -> Vec<f64> {
    a.iter().map(|&v| f64::from(v)).collect()
}

#[test]
fn whole_tensors() {
    for case in cases() {
        let dct = Dct::<f64>::new(&case.shape).unwrap();
        let mut x = case.coefficients.clone();
        dct.inverse(&mut x).unwrap();
        assert!(
            largest_difference(&x, &case.spatial) < 1e-12,
            "{} inverse",
            case.name
        );
        let mut x = case.spatial.clone();
        dct.forward(&mut x).unwrap();
        assert!(
            largest_difference(&x, &case.coefficients) < 1e-12,
            "{} forward",
            case.name
        );

        let dct = Dct::<f32>::new(&case.shape).unwrap();
        let mut x = narrow(&case.coefficients);
        dct.inverse(&mut x).unwrap();
        let error = largest_difference(&wide(&x), &case.spatial);
        assert!(
            error < 1e-5 * largest(&case.spatial),
            "{} inverse in f32: {error}",
            case.name
        );
        let mut x = narrow(&case.spatial);
        dct.forward(&mut x).unwrap();
        let error = largest_difference(&wide(&x), &case.coefficients);
        assert!(
            error < 1e-5 * largest(&case.coefficients),
            "{} forward in f32: {error}",
            case.name
        );
    }
}

#[test]
fn both_ways() {
    for case in cases() {
        let prefix = KeepOrder::Zigzag
            .prefix(&case.shape, case.coefficients.len())
            .unwrap();
        let kept: Vec<f64> = prefix
            .offsets()
            .iter()
            .map(|&at| case.coefficients[at])
            .collect();
        for way in [Way::Box, Way::Fft] {
            let plan = Plan::<f64>::with_way(prefix.clone(), way).unwrap();
            let x = plan.synthesize(&kept).unwrap();
            assert!(
                largest_difference(&x, &case.spatial) < 1e-12,
                "{} synthesis {way:?}",
                case.name
            );
            let x = plan.analyze(&case.spatial).unwrap();
            assert!(
                largest_difference(&x, &kept) < 1e-12,
                "{} analysis {way:?}",
                case.name
            );

            let plan = Plan::<f32>::with_way(prefix.clone(), way).unwrap();
            let x = plan.synthesize(&narrow(&kept)).unwrap();
            let error = largest_difference(&wide(&x), &case.spatial);
            assert!(
                error < 1e-5 * largest(&case.spatial),
                "{} synthesis in f32 {way:?}: {error}",
                case.name
            );
            let x = plan.analyze(&narrow(&case.spatial)).unwrap();
            let error = largest_difference(&wide(&x), &kept);
            assert!(
                error < 1e-5 * largest(&kept),
                "{} analysis in f32 {way:?}: {error}",
                case.name
            );
        }
    }
}

#[test]
fn ranks() {
    for case in cases() {
        let prefix = KeepOrder::Zigzag
            .prefix(&case.shape, case.ranks.len())
            .unwrap();
        for (rank, &offset) in prefix.offsets().iter().enumerate() {
            assert_eq!(case.ranks[offset], rank, "{} prefix", case.name);
            assert_eq!(
                KeepOrder::Zigzag
                    .rank(&case.shape, &prefix.index(rank))
                    .unwrap(),
                rank,
                "{} rank",
                case.name
            );
        }
    }
}
