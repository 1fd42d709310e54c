//! IDX files as they should be, and in every way they should not.

use freqreg_data::{Error, Images, idx};

const NAMES: [&str; 2] = ["images", "labels"];

/// Three images of 2 x 4 pixels, labelled 9, 0 and 4.
fn three() -> Images {
    Images::new(2, 4, (0..24).collect(), vec![9, 0, 4]).unwrap()
}

fn parse(images: &[u8], labels: &[u8]) -> Result<Images, Error> {
    idx::parse(NAMES, images, labels)
}

/// The fault of a file: its name, the field at fault and the value found.
fn fault(result: Result<Images, Error>) -> (String, &'static str, u64) {
    match result {
        Err(Error::Format {
            file, what, found, ..
        }) => (file, what, found),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_written_is_read() {
    let [images, labels] = idx::write(&three()).unwrap();
    assert_eq!(
        images[..16],
        [0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 4]
    );
    assert_eq!(labels, [0, 0, 8, 1, 0, 0, 0, 3, 9, 0, 4]);
    assert_eq!(parse(&images, &labels).unwrap(), three());
}

#[test]
fn files_cut_short_anywhere() {
    let [images, labels] = idx::write(&three()).unwrap();
    for length in 0..images.len() {
        assert_eq!(
            fault(parse(&images[..length], &labels)),
            ("images".into(), "length in bytes", length as u64)
        );
    }
    for length in 0..labels.len() {
        assert_eq!(
            fault(parse(&images, &labels[..length])),
            ("labels".into(), "length in bytes", length as u64)
        );
    }
}

#[test]
fn bytes_behind_the_end() {
    let [mut images, mut labels] = idx::write(&three()).unwrap();
    labels.push(0);
    assert_eq!(
        fault(parse(&images, &labels)),
        ("labels".into(), "length in bytes", 12)
    );
    images.push(0);
    assert_eq!(
        fault(parse(&images, &labels)),
        ("images".into(), "length in bytes", 41)
    );
}

#[test]
fn the_files_swapped() {
    let [images, labels] = idx::write(&three()).unwrap();
    assert_eq!(
        fault(parse(&images, &images)),
        ("labels".into(), "magic number", 0x803)
    );
    let many = [labels.as_slice(), &[0; 8]].concat();
    assert_eq!(
        fault(parse(&many, &labels)),
        ("images".into(), "magic number", 0x801)
    );
}

#[test]
fn absurd_axes_are_refused_without_allocating() {
    let [mut images, labels] = idx::write(&three()).unwrap();
    images[4..16].fill(0xFF);
    let error = parse(&images, &labels).unwrap_err().to_string();
    // (2^32 - 1)^3 + 16, which does not fit 64 bits.
    assert!(
        error.contains("is 40, expected 79228162458924105385300197391"),
        "{error}"
    );
}

#[test]
fn axes_of_length_zero() {
    let [images, labels] = idx::write(&three()).unwrap();
    for axis in 0..3 {
        let mut images = images[..16].to_vec();
        images[4 + 4 * axis..][..4].fill(0);
        assert_eq!(
            fault(parse(&images, &labels)),
            ("images".into(), "length of an axis", 0)
        );
    }
}

#[test]
fn labels_of_ten_and_above() {
    for label in [10, 255] {
        let mut images = three();
        images.labels[1] = label;
        let [images, labels] = idx::write(&images).unwrap();
        assert_eq!(
            fault(parse(&images, &labels)),
            ("labels".into(), "label", label.into())
        );
    }
}

#[test]
fn more_labels_than_images() {
    let [images, _] = idx::write(&three()).unwrap();
    let [_, labels] = idx::write(&Images::new(1, 1, vec![0; 4], vec![1; 4]).unwrap()).unwrap();
    assert_eq!(
        fault(parse(&images, &labels)),
        ("labels".into(), "number of labels", 4)
    );
}

#[test]
fn errors_say_which_file_what_and_what_was_expected() {
    let [images, labels] = idx::write(&three()).unwrap();
    let error = parse(&images[..39], &labels).unwrap_err().to_string();
    assert_eq!(
        error,
        "images: the length in bytes is 39, expected 40 for the axes [3, 2, 4]"
    );
}

#[test]
fn images_that_do_not_fit_together_are_not_written() {
    let mut images = three();
    images.pixels.pop();
    assert!(matches!(
        idx::write(&images),
        Err(Error::Images {
            what: "pixels",
            expected: 24,
            found: 23,
            ..
        })
    ));
    images.count = 4;
    assert!(matches!(
        idx::write(&images),
        Err(Error::Images {
            what: "labels",
            expected: 4,
            found: 3,
            ..
        })
    ));
}
