//! Picking from images.

use freqreg_data::{Error, Images};
use proptest::prelude::*;

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

/// Two images of 2 channels, 2 x 3 pixels, numbered, with masks.
fn masked() -> Images {
    let masks = vec![0, 1, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1];
    Images::segmentation(2, 2, 3, (0..24).collect(), masks).unwrap()
}

#[test]
fn channels_and_masks_are_picked_with_their_images() {
    let all = masked();
    assert!(all.masked());
    assert_eq!((all.count, all.channels), (2, 2));
    assert_eq!(all.image(1), Some((12..24).collect::<Vec<u8>>().as_slice()));
    assert_eq!(all.labels_of(1), Some(&[1, 0, 0, 0, 0, 1][..]));
    assert_eq!((all.image(2), all.labels_of(2)), (None, None));
    let back = all.subset(&[1, 0, 1]).unwrap();
    assert!(back.masked());
    assert_eq!((back.count, back.image(2)), (3, all.image(1)));
    assert_eq!(back.labels_of(1), all.labels_of(0));
    assert_eq!(back.subset(&[1, 0]).unwrap(), all);

    let classes = Images::with_channels(2, 2, 3, (0..24).collect(), vec![7, 3]).unwrap();
    assert!(!classes.masked());
    assert_eq!(classes.labels_of(1), Some(&[3][..]));
    assert_eq!(classes.image(1), all.image(1));
}

#[test]
fn masks_stay_with_their_images_through_a_split() {
    // The image and the mask both tell which they are.
    let pixels: Vec<u8> = (0..40).flat_map(|i| [i, i]).collect();
    let masks: Vec<u8> = (0..40).flat_map(|i| [i % 2, i / 2 % 2]).collect();
    let all = Images::segmentation(1, 1, 2, pixels, masks).unwrap();
    let (train, validation) = all.split(15, 2).unwrap();
    assert_eq!((train.count, validation.count), (25, 15));
    for part in [train, validation] {
        for i in 0..part.count {
            let number = part.image(i).unwrap()[0];
            assert_eq!(part.labels_of(i).unwrap(), [number % 2, number / 2 % 2]);
        }
    }
}

#[test]
fn the_first_are_the_first_and_no_more_than_there_are() {
    for all in [masked(), images(5)] {
        assert_eq!(all.first(1), all.subset(&[0]).unwrap());
        assert_eq!(all.first(0), all.subset(&[]).unwrap());
        assert_eq!(all.first(usize::MAX), all);
    }
}

#[test]
fn masks_other_than_zero_and_one_or_of_another_size_are_refused() {
    match Images::segmentation(
        1,
        2,
        2,
        vec![0; 12],
        vec![0, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0],
    ) {
        Err(Error::MaskValue {
            index: 1,
            found: 255,
        }) => {}
        other => panic!("{other:?}"),
    }
    // Half an image too much, in either.
    for (pixels, masks) in [(12, 4), (8, 6), (0, 4)] {
        let result = Images::segmentation(2, 2, 2, vec![0; pixels], vec![0; masks]);
        assert!(matches!(result, Err(Error::Images { .. })), "{result:?}");
    }
    // Without pixels there is no telling how many.
    let result = Images::segmentation(1, 0, 2, vec![], vec![1]);
    assert!(
        matches!(
            result,
            Err(Error::Images {
                what: "mask values",
                ..
            })
        ),
        "{result:?}"
    );
    let result = Images::segmentation(1, usize::MAX, 2, vec![], vec![1]);
    assert!(matches!(result, Err(Error::Images { .. })), "{result:?}");
    assert_eq!(
        Images::segmentation(3, 4, 4, vec![], vec![]).unwrap().count,
        0
    );
}

#[test]
fn padding_centres_images_and_masks() {
    let image = Images::new(1, 2, vec![5, 6, 7, 8], vec![3, 4]).unwrap();
    // 1 -> 4 rows: one above, two below. 2 -> 3 columns: none to the left, one to the right.
    let padded = image.padded(4, 3).unwrap();
    let expected = vec![
        0, 0, 0, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0,
    ];
    assert_eq!(padded, Images::new(4, 3, expected, vec![3, 4]).unwrap());

    let padded = masked().padded(2, 5).unwrap();
    assert_eq!(padded.labels_of(0).unwrap(), [0, 0, 1, 0, 0, 0, 1, 1, 1, 0]);
    assert_eq!(
        padded.image(1).unwrap()[10..],
        [0, 18, 19, 20, 0, 0, 21, 22, 23, 0]
    );
    assert!(padded.masked());
}

#[test]
fn padding_that_would_cut_is_refused() {
    for (height, width) in [(1, 9), (9, 2), (usize::MAX, 3)] {
        match masked().padded(height, width) {
            Err(Error::Padded { from: (2, 3), to }) => assert_eq!(to, (height, width)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn grey_images_get_equal_channels() {
    let grey = Images::new(1, 2, vec![5, 6, 7, 8], vec![3, 4]).unwrap();
    let colour = grey.with_colour(3).unwrap();
    let pixels = vec![5, 6, 5, 6, 5, 6, 7, 8, 7, 8, 7, 8];
    assert_eq!(
        colour,
        Images::with_channels(3, 1, 2, pixels, vec![3, 4]).unwrap()
    );
    assert_eq!(colour.with_colour(3).unwrap(), colour);
    assert_eq!(grey.with_colour(1).unwrap(), grey);
    for (images, channels) in [(&colour, 1), (&grey, 0), (&colour, 4)] {
        let result = images.with_colour(channels);
        assert!(matches!(result, Err(Error::Colour { .. })), "{result:?}");
    }
}

proptest! {
    /// Padding loses nothing and adds nothing but zeros: cut out of the middle, every image is there again.
    #[test]
    fn what_is_padded_can_be_cut_out_again(
        (count, channels, height, width) in (0usize..4, 1usize..4, 1usize..6, 1usize..6),
        (more_rows, more_columns) in (0usize..5, 0usize..5),
        seed in any::<u8>(),
    ) {
        let values = |n: usize, modulus: usize| -> Vec<u8> {
            (0..n).map(|i| ((i * 37 + usize::from(seed)) % modulus + 1) as u8).collect()
        };
        let plane = height * width;
        let masks = values(count * plane, 2).iter().map(|v| v - 1).collect();
        let images = Images::segmentation(channels, height, width, values(count * channels * plane, 255), masks).unwrap();
        let (rows, columns) = (height + more_rows, width + more_columns);
        let padded = images.padded(rows, columns).unwrap();
        let cut = |all: &[u8]| -> Vec<u8> {
            all.chunks_exact(rows * columns)
                .flat_map(|plane| plane.chunks_exact(columns).skip(more_rows / 2).take(height))
                .flat_map(|row| row[more_columns / 2..][..width].to_vec())
                .collect()
        };
        prop_assert_eq!(cut(&padded.pixels), images.pixels.clone());
        prop_assert_eq!(cut(&padded.labels), images.labels);
        let lit = |all: &[u8]| all.iter().filter(|&&value| value != 0).count();
        prop_assert_eq!(lit(&padded.pixels), images.pixels.len());
    }
}
