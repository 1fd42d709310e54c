//! Folders of pictures and masks as they should be, and in every way they should not.

use std::fs;
use std::path::{Path, PathBuf};

use freqreg_data::folder::{Mask, list, pairs, read_set, write_mask, write_png};
use freqreg_data::{DatasetName, Error, Options, load};
use tempfile::tempdir;

/// Makes empty files.
fn touch(folder: &Path, names: &[&str]) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    for name in names {
        fs::write(folder.join(name), b"").unwrap();
    }
    folder.to_owned()
}

fn names<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Vec<&'a str> {
    paths
        .into_iter()
        .map(|p| p.file_name().unwrap().to_str().unwrap())
        .collect()
}

#[test]
fn pictures_are_listed_by_name_and_other_files_passed_over() {
    let folder = tempdir().unwrap();
    touch(
        folder.path(),
        &[
            "b.PNG",
            "c.jpeg",
            "a.jpg",
            "notes.txt",
            "._b.png",
            ".png",
            "d.gif",
            "png",
        ],
    );
    fs::create_dir(folder.path().join("e.png")).unwrap();
    assert_eq!(
        names(&list(folder.path()).unwrap()),
        ["a.jpg", "b.PNG", "c.jpeg"]
    );
}

#[test]
fn masks_are_found_by_every_custom() {
    let folder = tempdir().unwrap();
    let images = touch(
        &folder.path().join("i"),
        &[
            "in0001.png",
            "car_01.jpg",
            "street.png",
            "in.png",
            "both.png",
        ],
    );
    let masks = touch(
        &folder.path().join("m"),
        &[
            "gt0001.png",
            "car_01_mask.gif",
            "street.gif",
            "gt.png",
            "both.png",
            "both_mask.png",
            "other.png",
        ],
    );
    let found = pairs(&images, &masks).unwrap();
    let images: Vec<_> = found.iter().map(|pair| pair.image.clone()).collect();
    let masks: Vec<_> = found.iter().map(|pair| pair.mask.clone()).collect();
    assert_eq!(
        names(&images),
        [
            "both.png",
            "car_01.jpg",
            "in.png",
            "in0001.png",
            "street.png"
        ]
    );
    assert_eq!(
        names(&masks),
        [
            "both.png",
            "car_01_mask.gif",
            "gt.png",
            "gt0001.png",
            "street.gif"
        ]
    );
}

#[test]
fn folders_that_make_no_pairs_are_errors_that_name_the_file() {
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let images = touch(&path("i"), &["a.png", "b.png"]);
    let masks = touch(&path("m"), &["a.png"]);
    let text = |images: &Path, masks: &Path| match pairs(images, masks) {
        Err(error @ Error::Folder { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(
        text(&images, &masks).contains("there is no mask of ")
            && text(&images, &masks).contains("b.png")
    );
    let empty = touch(&path("empty"), &["notes.txt"]);
    assert!(text(&empty, &masks).contains("empty: it holds no picture (png, jpg, jpeg)"));
    assert!(text(&images, &empty).contains("empty: it holds no picture (png, gif)"));
    let twins = touch(&path("twins"), &["a.png", "a.jpg"]);
    assert!(
        text(&twins, &masks).contains("a.jpg and ")
            && text(&twins, &masks).contains("only in the extension")
    );
    assert!(matches!(list(&path("nowhere")), Err(Error::Io { .. })));
}

/// A folder of pictures of one colour each, `size` pixels, with masks whose first row is foreground.
fn write_pairs(folder: &Path, names: std::ops::Range<u8>, (height, width): (usize, usize)) {
    for i in names {
        let name = format!("{i:03}.png");
        write_png(
            &folder.join("images").join(&name),
            3,
            height,
            width,
            &vec![i; 3 * height * width],
        )
        .unwrap();
        let values = (0..height * width).map(|at| u8::from(at < width)).collect();
        write_mask(
            &folder.join("masks").join(&name),
            &Mask {
                height,
                width,
                values,
            },
        )
        .unwrap();
    }
}

#[test]
fn of_one_pair_of_folders_the_last_tenth_is_for_the_test() {
    let folder = tempdir().unwrap();
    write_pairs(folder.path(), 0..21, (2, 3));
    let options = Options {
        folder: Some(folder.path().to_owned()),
        ..Options::offline()
    };
    let set = load(DatasetName::Carvana, &options).unwrap();
    assert_eq!(
        (set.name, set.source.id()),
        (DatasetName::Carvana, "folder")
    );
    assert_eq!((set.train.count, set.test.count), (18, 3));
    for (images, first) in [(&set.train, 0), (&set.test, 18)] {
        assert!(images.masked());
        assert_eq!((images.channels, images.height, images.width), (3, 2, 3));
        for i in 0..images.count {
            assert_eq!(images.image(i).unwrap(), [first + i as u8; 18]);
            assert_eq!(images.labels_of(i).unwrap(), [1, 1, 1, 0, 0, 0]);
        }
    }
}

#[test]
fn folders_for_training_and_test_are_taken_as_they_are() {
    let folder = tempdir().unwrap();
    // Under the name of the data set.
    write_pairs(&folder.path().join("carvana/train"), 5..7, (1, 2));
    write_pairs(&folder.path().join("carvana/test"), 0..3, (1, 2));
    let options = Options {
        folder: Some(folder.path().to_owned()),
        ..Options::offline()
    };
    let set = load(DatasetName::Carvana, &options).unwrap();
    assert_eq!((set.train.count, set.test.count), (2, 3));
    assert_eq!(set.test.image(1).unwrap(), [1; 6]);
}

#[test]
fn folders_that_make_no_set_are_errors_that_say_why() {
    let folder = tempdir().unwrap();
    let text = || read_set(folder.path()).unwrap_err().to_string();
    assert!(
        text().contains("there is no folder ") && text().contains("images/ and masks/"),
        "{}",
        text()
    );
    write_pairs(folder.path(), 0..1, (2, 2));
    assert!(text().contains("cannot be parted"), "{}", text());
    write_pairs(folder.path(), 1..3, (2, 3));
    assert!(
        text().contains("001.png has 2 x 3 pixels") && text().contains("expected 2 x 2"),
        "{}",
        text()
    );
    fs::remove_file(folder.path().join("masks/000.png")).unwrap();
    assert!(text().contains("there is no mask of "), "{}", text());
    fs::create_dir(folder.path().join("train")).unwrap();
    assert!(
        text().contains("there is no folder ") && text().contains("train"),
        "{}",
        text()
    );
}
