//! What `load` promises, as far as it can be seen without a network.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use freqreg_data::{CLASSES, DatasetName, Error, Options, load};

/// Options that find nothing but what lies in `cache`, and the lines that `load` says.
fn offline(cache: &Path) -> (Options, Arc<Mutex<String>>) {
    let said = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&said);
    let notify = move |line: &str| *sink.lock().unwrap() += &format!("{line}\n");
    (
        Options {
            cache: Some(cache.to_owned()),
            notify: Some(Box::new(notify)),
            ..Options::offline()
        },
        said,
    )
}

#[test]
fn offline_with_an_empty_cache_the_sample_is_used_and_announced() {
    let cache = tempfile::tempdir().unwrap();
    let (options, said) = offline(cache.path());
    let mnist = load(DatasetName::Mnist, &options).unwrap();
    assert!(mnist.source.is_sample());
    assert_eq!(mnist.source.id(), "embedded-sample");
    let said = said.lock().unwrap();
    assert!(said.contains("NOT THE WHOLE OF MNIST"), "{said}");
    assert!(said.contains("not asked: offline"), "{said}");
    assert_eq!(
        fs::read_dir(cache.path()).unwrap().count(),
        0,
        "the sample was stored as if it were the whole"
    );
}

#[test]
fn the_sample_has_as_many_images_of_each_class() {
    let cache = tempfile::tempdir().unwrap();
    let mnist = load(DatasetName::Mnist, &offline(cache.path()).0).unwrap();
    for (images, per_class) in [(&mnist.train, 600), (&mnist.test, 100)] {
        let count = |class| {
            images
                .labels
                .iter()
                .filter(|&&label| label == class)
                .count()
        };
        assert_eq!((0..CLASSES).map(count).collect::<Vec<_>>(), [per_class; 10]);
        // Digits are bright strokes on a black ground: a blank or shifted image would show here.
        for i in 0..images.count {
            let image = images.image(i).unwrap();
            let mean = image.iter().map(|&p| f64::from(p)).sum::<f64>() / 784.0;
            assert!(
                (2.0..140.0).contains(&mean),
                "image {i} has a mean of {mean}"
            );
        }
    }
}

#[test]
fn a_damaged_file_in_the_cache_is_reported_and_not_used() {
    let cache = tempfile::tempdir().unwrap();
    let folder = cache.path().join("mnist");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("train-labels-idx1-ubyte"), b"damaged").unwrap();
    let (options, said) = offline(cache.path());
    assert!(
        load(DatasetName::Mnist, &options)
            .unwrap()
            .source
            .is_sample()
    );
    let said = said.lock().unwrap();
    assert!(
        said.contains("train-labels-idx1-ubyte: not the published file: 7 bytes"),
        "{said}"
    );
}

#[test]
fn a_given_folder_without_the_files_is_an_error_and_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        folder: Some(folder.path().to_owned()),
        ..Options::default()
    };
    match load(DatasetName::Mnist, &options) {
        Err(Error::Missing { file }) => {
            assert!(file.ends_with("train-images-idx3-ubyte"), "{file}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_given_folder_with_another_file_is_an_error_with_path_and_both_hashes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train-images-idx3-ubyte");
    fs::write(&path, b"").unwrap();
    let options = Options {
        folder: Some(folder.path().to_owned()),
        ..Options::default()
    };
    match load(DatasetName::Mnist, &options) {
        Err(Error::Content {
            file,
            expected,
            found,
            found_bytes: 0,
            ..
        }) => {
            assert_eq!(Path::new(&file), path);
            assert_eq!(
                expected,
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
            );
            assert_eq!(
                found,
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_read_as_they_are_written() {
    for name in DatasetName::ALL {
        assert_eq!(name.to_string().parse::<DatasetName>().unwrap(), name);
    }
    let error = "cifar-10".parse::<DatasetName>().unwrap_err().to_string();
    assert!(
        error.contains("`cifar-10`")
            && error.contains("mnist, fashion-mnist, cifar10, garments, carvana"),
        "{error}"
    );
}

/// A program of its own, for it is the environment that is tested: what it says goes to standard error.
#[test]
fn the_environment_can_forbid_the_network_and_name_the_cache() {
    let cache = tempfile::tempdir().unwrap();
    fs::create_dir(cache.path().join("mnist")).unwrap();
    fs::write(
        cache.path().join("mnist/t10k-labels-idx1-ubyte"),
        b"damaged",
    )
    .unwrap();
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program)
        .args([
            "--exact",
            "load_as_the_environment_says",
            "--ignored",
            "--nocapture",
        ])
        .env("FREQREG_OFFLINE", "1")
        .env("FREQREG_DATA", cache.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for part in [
        "NOT THE WHOLE OF MNIST",
        "not asked: offline",
        "damaged in the cache",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("asking"), "{said}");
}

#[test]
#[ignore = "needs another environment: the test above runs it in one, in a process of its own, at every `cargo test`"]
fn load_as_the_environment_says() {
    if std::env::var_os("FREQREG_OFFLINE").is_some() {
        assert!(
            load(DatasetName::Mnist, &Options::default())
                .unwrap()
                .source
                .is_sample()
        );
    }
}

#[test]
fn sets_without_a_source_say_what_was_tried_and_what_to_give() {
    let cache = tempfile::tempdir().unwrap();
    let (options, _) = offline(cache.path());
    for (name, parts) in [
        (
            DatasetName::Cifar10,
            [
                "CIFAR-10 cannot be had",
                "cifar-10-binary.tar.gz",
                "not asked: offline",
            ],
        ),
        (
            DatasetName::Carvana,
            ["Carvana cannot be had", "a folder", "images/ and masks/"],
        ),
    ] {
        match load(name, &options) {
            Err(error @ Error::NoSource { .. }) => {
                let text = error.to_string();
                assert!(parts.iter().all(|part| text.contains(part)), "{text}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_archive_in_the_cache_that_is_not_the_published_one_is_reported() {
    let cache = tempfile::tempdir().unwrap();
    fs::create_dir(cache.path().join("cifar10")).unwrap();
    fs::write(
        cache.path().join("cifar10/cifar-10-binary.tar.gz"),
        b"damaged",
    )
    .unwrap();
    let (options, said) = offline(cache.path());
    assert!(matches!(
        load(DatasetName::Cifar10, &options),
        Err(Error::NoSource { .. })
    ));
    let said = said.lock().unwrap();
    assert!(
        said.contains("cifar-10-binary.tar.gz: not the published file: 7 bytes"),
        "{said}"
    );
}

#[test]
fn garments_are_made_of_fashion_mnist_alone() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        folder: Some(folder.path().to_owned()),
        ..Options::default()
    };
    match load(DatasetName::Garments, &options) {
        Err(Error::Missing { file }) => {
            assert!(file.ends_with("train-images-idx3-ubyte"), "{file}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn classes_are_those_of_images_or_of_pixels() {
    for name in DatasetName::ALL {
        assert_eq!(name.classes(), if name.masked() { 2 } else { CLASSES });
    }
}
