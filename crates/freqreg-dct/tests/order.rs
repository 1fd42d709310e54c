//! Keep orders and prefixes against a plain sort of all indices.

mod common;

use common::{budgeted, naive_order, offset, ordered};
use freqreg_dct::{Error, KeepOrder};
use proptest::prelude::*;

#[test]
fn zigzag_by_hand() {
    let prefix = KeepOrder::Zigzag.prefix(&[2, 3, 2], 12).unwrap();
    let indices: Vec<_> = (0..12).map(|i| prefix.index(i)).collect();
    let expected = [
        [0, 0, 0],
        [0, 0, 1],
        [0, 1, 0],
        [1, 0, 0],
        [0, 1, 1],
        [0, 2, 0],
        [1, 0, 1],
        [1, 1, 0],
        [0, 2, 1],
        [1, 1, 1],
        [1, 2, 0],
        [1, 2, 1],
    ];
    assert_eq!(indices, expected);
}

#[test]
fn weighted_by_hand() {
    // Keys 2 i + 3 j: 0 3 / 2 5 / 4 7 / 6 9.
    let prefix = KeepOrder::Weighted(vec![2, 3]).prefix(&[4, 2], 8).unwrap();
    assert_eq!(prefix.offsets(), [0, 2, 1, 4, 3, 6, 5, 7]);
    assert_eq!(prefix.truncated(4).unwrap().bounds(), [3, 2]);
}

#[test]
fn inverse_sqrt_weights_are_exact_integers() {
    let weights = KeepOrder::InverseSqrt
        .axis_weights(&[1, 2, 3, 4, 9, 1024, 9216])
        .unwrap();
    assert_eq!(
        weights,
        [
            1 << 32,
            3_037_000_499,
            2_479_700_524,
            1 << 31,
            1_431_655_765,
            1 << 27,
            44_739_242
        ]
    );
    // 8 steps along an axis of 64 weigh what 2 steps along one of 4 do.
    let rank = |index: &[usize]| KeepOrder::InverseSqrt.rank(&[64, 4], index).unwrap();
    assert_eq!(rank(&[8, 0]), rank(&[4, 1]) + 1);
    assert_eq!(rank(&[4, 1]), rank(&[0, 2]) + 1);
}

#[test]
fn ranks_of_huge_tensors_are_counted() {
    let n = 1 << 20;
    let order = KeepOrder::Zigzag;
    assert_eq!(order.rank(&[n, n], &[n - 1, n - 1]).unwrap(), n * n - 1);
    // Before (3, 2) of a matrix: the diagonals 0 to 4, and (0, 5), (1, 4), (2, 3).
    assert_eq!(order.rank(&[n, n], &[3, 2]).unwrap(), 15 + 3);
    assert_eq!(order.prefix(&[n, n], 19).unwrap().index(18), [3, 2]);
    // Mirror images have mirrored ranks, but for the order of ties.
    let shape = [1024, 1024, 3, 3];
    assert_eq!(
        order.rank(&shape, &[1023, 1023, 2, 1]).unwrap(),
        1024 * 1024 * 9 - 2
    );
    assert_eq!(
        order.rank(&shape, &[1023, 1022, 2, 2]).unwrap(),
        1024 * 1024 * 9 - 4
    );
}

#[test]
fn a_layer_of_the_released_unet() {
    let prefix = KeepOrder::Zigzag.prefix(&[1024, 1024, 3, 3], 33).unwrap();
    assert_eq!(prefix.bounds(), [4, 4, 3, 3]);
    assert_eq!(prefix.index(32), [3, 0, 0, 0]);
}

#[test]
fn large_whole_tensors() {
    // More than one slab of keys, and slabs that are sorted in parallel.
    for order in ["zigzag", "inverse-sqrt", "weights:3,1,7,5"] {
        let order: KeepOrder = order.parse().unwrap();
        let shape = [64, 90, 5, 7];
        let all = 64 * 90 * 5 * 7;
        let prefix = order.prefix(&shape, all).unwrap();
        let weights = order.axis_weights(&shape).unwrap();
        let key = |i: usize| -> u64 {
            prefix
                .index(i)
                .iter()
                .zip(&weights)
                .map(|(&i, &w)| i as u64 * w)
                .sum()
        };
        let keyed: Vec<_> = (0..all).map(|i| (key(i), prefix.offsets()[i])).collect();
        assert!(keyed.is_sorted(), "{order}");
        assert!(
            keyed.windows(2).all(|pair| pair[0] != pair[1]),
            "{order}: an index twice"
        );
        assert_eq!(prefix.bounds(), shape);
        for i in [0, 1, 65_535, 65_536, 65_537, 131_072, all - 1] {
            assert_eq!(order.rank(&shape, &prefix.index(i)).unwrap(), i, "{order}");
        }
    }
}

#[test]
fn text() {
    let orders = [
        KeepOrder::Zigzag,
        KeepOrder::InverseSqrt,
        KeepOrder::Weighted(vec![1, 1, 4, u32::MAX]),
    ];
    for order in orders {
        assert_eq!(order.to_string().parse::<KeepOrder>().unwrap(), order);
    }
    assert_eq!(
        "weights:1, 2".parse::<KeepOrder>().unwrap(),
        KeepOrder::Weighted(vec![1, 2])
    );
    for text in [
        "",
        "Zigzag",
        "zigzag ",
        "weights",
        "weights:",
        "weights:1,",
        "weights:1,0",
        "weights:-1",
        "weights:4294967296",
    ] {
        let refused = text.parse::<KeepOrder>().unwrap_err();
        assert_eq!(
            refused,
            Error::UnknownOrder {
                text: text.to_owned()
            }
        );
    }
}

#[test]
fn refusals() {
    let zigzag = KeepOrder::Zigzag;
    assert_eq!(zigzag.prefix(&[], 1).unwrap_err(), Error::NoAxes);
    assert_eq!(
        zigzag.prefix(&[2, 0], 1).unwrap_err(),
        Error::EmptyAxis {
            shape: vec![2, 0],
            axis: 1
        }
    );
    let huge = vec![usize::MAX, 2];
    assert_eq!(
        zigzag.prefix(&huge, 1).unwrap_err(),
        Error::TooManyElements { shape: huge }
    );
    for keep in [0, 7] {
        let refused = zigzag.prefix(&[2, 3], keep).unwrap_err();
        assert_eq!(
            refused,
            Error::Budget {
                keep,
                available: 6,
                shape: vec![2, 3]
            }
        );
        assert!(
            refused.to_string().contains("at least 1 and at most 6"),
            "{refused}"
        );
    }
    let far = 1 << 60;
    assert_eq!(
        zigzag.prefix(&[far], far).unwrap_err(),
        Error::OutOfMemory {
            shape: vec![far],
            elements: far
        }
    );
    for index in [&[0][..], &[0, 3], &[0, 0, 0]] {
        let refused = zigzag.rank(&[2, 3], index).unwrap_err();
        assert_eq!(
            refused,
            Error::Index {
                index: index.to_vec(),
                shape: vec![2, 3]
            }
        );
    }
    let weighted = |weights: &[u32], shape: &[usize]| {
        KeepOrder::Weighted(weights.to_vec())
            .prefix(shape, 1)
            .unwrap_err()
    };
    assert_eq!(
        weighted(&[1], &[2, 3]),
        Error::WeightCount {
            weights: 1,
            shape: vec![2, 3]
        }
    );
    assert_eq!(
        weighted(&[1, 0], &[2, 3]),
        Error::ZeroWeight {
            weights: vec![1, 0],
            axis: 1
        }
    );
    let long = 1 << 33;
    assert_eq!(
        weighted(&[u32::MAX], &[long]),
        Error::KeyOverflow {
            weights: vec![u64::from(u32::MAX)],
            shape: vec![long]
        }
    );
    let prefix = zigzag.prefix(&[2, 3], 4).unwrap();
    for keep in [0, 5] {
        let refused = prefix.truncated(keep).unwrap_err();
        assert_eq!(
            refused,
            Error::Budget {
                keep,
                available: 4,
                shape: vec![2, 3]
            }
        );
    }
}

#[test]
fn the_largest_keys_that_fit() {
    // The last key is 2^64 - 2^32: nothing on the way to it may overflow.
    let n = (1 << 32) + 1;
    let order = KeepOrder::Weighted(vec![u32::MAX, u32::MAX - 1]);
    assert_eq!(order.rank(&[n, 1], &[n - 1, 0]).unwrap(), n - 1);
    assert_eq!(order.prefix(&[n, 2], 3).unwrap().index(2), [1, 0]);
}

proptest! {
    #[test]
    fn prefix_is_the_start_of_a_sort((shape, order, k) in budgeted(60)) {
        let sorted = naive_order(&shape, &order);
        let prefix = order.prefix(&shape, k).unwrap();
        prop_assert_eq!(prefix.len(), k);
        for (i, index) in sorted[..k].iter().enumerate() {
            prop_assert_eq!(&prefix.index(i), index);
            prop_assert_eq!(prefix.offsets()[i], offset(&shape, index));
        }
        let bound = |axis: usize| 1 + sorted[..k].iter().map(|index| index[axis]).max().unwrap();
        prop_assert_eq!(prefix.bounds(), (0..shape.len()).map(bound).collect::<Vec<_>>());
    }

    #[test]
    fn rank_is_the_place_in_a_sort((shape, order) in ordered(60)) {
        let sorted = naive_order(&shape, &order);
        for (rank, index) in sorted.iter().enumerate().step_by(1 + sorted.len() / 100) {
            prop_assert_eq!(order.rank(&shape, index).unwrap(), rank);
        }
    }

    #[test]
    fn truncation_is_the_shorter_prefix((shape, order, k) in budgeted(60), part in 0.0..1.0f64) {
        let shorter = 1 + (part * (k - 1) as f64) as usize;
        let cut = order.prefix(&shape, k).unwrap().truncated(shorter).unwrap();
        let direct = order.prefix(&shape, shorter).unwrap();
        prop_assert_eq!(cut.offsets(), direct.offsets());
        prop_assert_eq!(cut.bounds(), direct.bounds());
        prop_assert_eq!(cut, direct);
    }
}
