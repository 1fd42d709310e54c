//! Picking from images.

use freqreg_data::{Error, Images};

/// Images of one pixel whose value, and label, tells which they are.
fn images(count: u8) -> Images {
    Images::new(
        1,
        1,
        (0..count).collect(),
        (0..count).map(|i| i % 10).collect(),
    )
    .unwrap()
}

#[test]
fn a_split_parts_without_loss_and_keeps_the_order() {
    let all = images(100);
    let (train, validation) = all.split(30, 1).unwrap();
    assert_eq!((train.count, validation.count), (70, 30));
    for part in [&train, &validation] {
        assert!(part.pixels.is_sorted());
        assert!(
            part.pixels
                .iter()
                .zip(&part.labels)
                .all(|(&pixel, &label)| pixel % 10 == label)
        );
    }
    let mut together = [train.pixels, validation.pixels].concat();
    together.sort();
    assert_eq!(together, all.pixels);
}

/// The draw is part of what makes a run repeatable: these values are never to change.
/// They were worked out apart from this code, from the definition of ChaCha8 and the rule in the documentation.
#[test]
fn a_split_is_the_same_everywhere_and_for_ever() {
    assert_eq!(
        images(20).split(6, 0).unwrap().1.pixels,
        [2, 4, 6, 8, 12, 16]
    );
    assert_eq!(
        images(20).split(6, 1).unwrap().1.pixels,
        [0, 6, 7, 16, 17, 18]
    );
    assert_eq!(
        images(20).split(6, u64::MAX).unwrap().1.pixels,
        [2, 5, 10, 12, 13, 14]
    );
}

#[test]
fn every_image_is_as_likely_to_be_chosen() {
    let all = images(20);
    let mut chosen = [0u32; 20];
    for seed in 0..4_000 {
        all.split(5, seed)
            .unwrap()
            .1
            .pixels
            .iter()
            .for_each(|&i| chosen[usize::from(i)] += 1);
    }
    // 1,000 expected each, standard deviation 27: beyond 5 of them chance is no explanation.
    assert!(
        chosen.iter().all(|n| (865..=1135).contains(n)),
        "{chosen:?}"
    );
}

#[test]
fn splits_at_the_ends() {
    let all = images(7);
    let (train, validation) = all.split(0, 3).unwrap();
    assert_eq!((train, validation.count), (all.clone(), 0));
    let (train, validation) = all.split(7, 3).unwrap();
    assert_eq!((train.count, validation), (0, all.clone()));
    assert!(matches!(
        all.split(8, 3),
        Err(Error::Split {
            wanted: 8,
            count: 7
        })
    ));
}

#[test]
fn a_subset_follows_its_indices() {
    let all = Images::new(1, 2, vec![1, 2, 3, 4, 5, 6], vec![7, 8, 9]).unwrap();
    let some = all.subset(&[2, 0, 2]).unwrap();
    assert_eq!(
        some,
        Images::new(1, 2, vec![5, 6, 1, 2, 5, 6], vec![9, 7, 9]).unwrap()
    );
    assert!(matches!(
        all.subset(&[0, 3]),
        Err(Error::Index { index: 3, count: 3 })
    ));
    assert!(matches!(
        all.subset(&[usize::MAX]),
        Err(Error::Index {
            index: usize::MAX,
            count: 3
        })
    ));
    assert_eq!((all.image(1), all.image(3)), (Some(&[3, 4][..]), None));
}

#[test]
fn fields_that_do_not_fit_together_are_refused() {
    assert!(matches!(
        Images::new(2, 2, vec![0; 7], vec![0; 2]),
        Err(Error::Images {
            expected: 8,
            found: 7,
            ..
        })
    ));
    assert!(matches!(
        Images::new(usize::MAX, 2, vec![], vec![0]),
        Err(Error::Images { found: 0, .. })
    ));
}
