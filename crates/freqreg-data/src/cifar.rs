//! CIFAR-10 in its binary form: records of a label and three planes, in five files to train on and one to test on.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use crate::content::Pin;
use crate::{CLASSES, Error, Images, Result};

/// The archive as the authors publish it.
pub(crate) const ARCHIVE: Pin = Pin {
    file: "cifar-10-binary.tar.gz",
    gz: false,
    bytes: 170_052_171,
    sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
};

/// The folder in the archive.
const INNER: &str = "cifar-10-batches-bin";

/// Those to train on, in order, and the one to test on.
const FILES: [&str; 6] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
    "test_batch.bin",
];

/// Pixels from top to bottom, and from left to right.
const SIDE: usize = 32;
/// Red, green and blue, plane after plane, rows from the top.
const PIXELS: usize = 3 * SIDE * SIDE;
/// A label, then the pixels.
const RECORD: usize = 1 + PIXELS;
/// Records a file.
const RECORDS: usize = 10_000;
/// The images to train on and those to test on.
type Parts = (Images, Images);

/// Reads the archive, its hash checked, or the unpacked files, wherever they lie in `folder`.
///
/// Hashes of the unpacked files are not published. They are checked by what is: their lengths, labels of 0 to 9, and as
/// many images of every class.
pub(crate) fn read_folder(folder: &Path) -> Result<Parts> {
    let places = [
        folder.to_owned(),
        folder.join("cifar10"),
        folder.join(INNER),
        folder.join("cifar10").join(INNER),
    ];
    let holds =
        |file: &str| -> Option<&PathBuf> { places.iter().find(|place| place.join(file).exists()) };
    if let Some(place) = holds(ARCHIVE.file) {
        return unpack(&ARCHIVE.read_in(place)?);
    }
    let Some(place) = FILES.iter().find_map(|file| holds(file)) else {
        return Err(Error::Folder {
            folder: folder.display().to_string(),
            fault: format!("it holds neither {} nor {}", ARCHIVE.file, FILES[0]),
            remedy: "give a folder with the archive of the binary version of CIFAR-10, or with its unpacked files, \
                     in it or in a folder cifar10 or cifar-10-batches-bin in it",
        });
    };
    read_unpacked(place, RECORDS)
}

/// Reads the six unpacked files, of so many records each.
fn read_unpacked(folder: &Path, records: usize) -> Result<Parts> {
    let mut files = Vec::with_capacity(FILES.len());
    for name in FILES {
        let path = folder.join(name);
        let file = File::open(&path).map_err(|cause| Error::Io {
            file: path.display().to_string(),
            cause,
        })?;
        files.push(read_batch(&path.display().to_string(), file, records)?);
    }
    let (train, test) = parts(&files, records)?;
    for images in [&train, &test] {
        check_classes(folder, images)?;
    }
    Ok((train, test))
}

/// Takes the files out of the archive, whose hash was checked.
pub(crate) fn unpack(archive: &[u8]) -> Result<Parts> {
    unpack_batches(archive, RECORDS)
}

/// As [`unpack`], from an archive whose files hold so many records each.
fn unpack_batches(archive: &[u8], records: usize) -> Result<Parts> {
    let io = |cause| Error::Io {
        file: ARCHIVE.file.to_owned(),
        cause,
    };
    let mut found: [Option<Vec<u8>>; FILES.len()] = Default::default();
    // Beside its files the archive holds a list of names and a page of text: a little more than the records.
    let limit = (FILES.len() * records * RECORD) as u64 + (1 << 20);
    let mut archive = tar::Archive::new(GzDecoder::new(archive).take(limit));
    for entry in archive.entries().map_err(io)? {
        let entry = entry.map_err(io)?;
        let path = entry.path().map_err(io)?.into_owned();
        let wanted = |file: &str| path == Path::new(INNER).join(file);
        if let Some(i) = FILES.iter().position(|file| wanted(file)) {
            let place = format!("{} of {}", path.display(), ARCHIVE.file);
            found[i] = Some(read_batch(&place, entry, records)?);
        }
    }
    let mut files = Vec::with_capacity(FILES.len());
    for (name, content) in FILES.iter().zip(found) {
        files.push(content.ok_or_else(|| Error::Missing {
            file: format!("{INNER}/{name} of {}", ARCHIVE.file),
        })?);
    }
    parts(&files, records)
}

/// Reads a file of so many records, and not more, and checks its length and labels.
fn read_batch(place: &str, reader: impl Read, records: usize) -> Result<Vec<u8>> {
    let expected = records * RECORD;
    let mut content = Vec::new();
    reader
        .take(expected as u64 + 1)
        .read_to_end(&mut content)
        .map_err(|cause: io::Error| Error::Io {
            file: place.to_owned(),
            cause,
        })?;
    if content.len() > expected {
        return Err(Error::TooLong {
            file: place.to_owned(),
            expected_bytes: expected as u64,
        });
    }
    let fault = |what, expected, found| Error::Format {
        file: place.to_owned(),
        what,
        expected,
        found,
    };
    if content.len() < expected {
        let wanted = format!("{expected}: {records} records of {RECORD} bytes");
        return Err(fault("length in bytes", wanted, content.len() as u64));
    }
    let labels = content.iter().step_by(RECORD);
    match labels.enumerate().find(|&(_, &label)| label >= CLASSES) {
        None => Ok(content),
        Some((i, &label)) => Err(fault(
            "label",
            format!("0 to {}, for image {i}", CLASSES - 1),
            label.into(),
        )),
    }
}

/// Puts the images of the six files together.
fn parts(files: &[Vec<u8>], records: usize) -> Result<Parts> {
    let (train, test) = files.split_at(files.len().saturating_sub(1));
    Ok((images(train, records)?, images(test, records)?))
}

fn images(files: &[Vec<u8>], records: usize) -> Result<Images> {
    let mut pixels = Vec::with_capacity(files.len() * records * PIXELS);
    let mut labels = Vec::with_capacity(files.len() * records);
    for record in files.iter().flat_map(|file| file.chunks_exact(RECORD)) {
        labels.extend_from_slice(&record[..1]);
        pixels.extend_from_slice(&record[1..]);
    }
    Images::with_channels(3, SIDE, SIDE, pixels, labels)
}

/// Checks that every class has as many images: the authors state that so it is in `test_batch.bin`, 1,000 each, and in
/// the five others together, 5,000 each.
fn check_classes(place: &Path, images: &Images) -> Result<()> {
    let per_class = images.count / usize::from(CLASSES);
    for class in 0..CLASSES {
        let found = images
            .labels
            .iter()
            .filter(|&&label| label == class)
            .count();
        if found != per_class {
            return Err(Error::Format {
                file: place.display().to_string(),
                what: "number of images of a class",
                expected: format!("{per_class} of class {class} among {}", images.count),
                found: found as u64,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// A record whose pixels tell where they are: a bright bar on the upper rows of red, on the left columns of green,
    /// and the label in blue's first pixel.
    fn record(label: u8) -> Vec<u8> {
        let mut record = vec![label];
        record.extend((0..1024).map(|i| if i / 32 < 4 { 255 } else { 0 }));
        record.extend((0..1024).map(|i| if i % 32 < 4 { 255 } else { 0 }));
        record.push(label);
        record.resize(RECORD, 0);
        record
    }

    fn batch(labels: impl IntoIterator<Item = u8>) -> Vec<u8> {
        labels.into_iter().flat_map(record).collect()
    }

    fn archive<'a>(files: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> Vec<u8> {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            let path = format!("{INNER}/{name}");
            tar.append_data(&mut header, path, content.as_slice())
                .unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn images_stand_upright_in_colour_and_in_order() {
        let files = FILES.iter().enumerate().rev();
        let files = files.map(|(i, &name)| (name, batch([i as u8, 9 - i as u8])));
        // Whatever the order in the archive.
        let (train, test) = unpack_batches(&archive(files), 2).unwrap();
        assert_eq!(
            (train.count, train.channels, train.height, train.width),
            (10, 3, 32, 32)
        );
        assert_eq!(train.labels, [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]);
        assert_eq!(test.labels, [5, 4]);
        let pixel =
            |i: usize, c: usize, y: usize, x: usize| train.image(i).unwrap()[(c * 32 + y) * 32 + x];
        for i in 0..10 {
            assert_eq!(pixel(i, 0, 0, 31), 255, "red is bright in the upper right");
            assert_eq!(pixel(i, 0, 31, 0), 0, "red is dark in the lower left");
            assert_eq!(pixel(i, 1, 31, 0), 255, "green is bright in the lower left");
            assert_eq!(pixel(i, 1, 0, 31), 0, "green is dark in the upper right");
            assert_eq!(pixel(i, 2, 0, 0), train.labels[i]);
            assert_eq!(pixel(i, 2, 31, 31), 0);
        }
    }

    #[test]
    fn a_file_cut_short_or_too_long_is_an_error() {
        let whole = batch([1, 2, 3]);
        assert_eq!(read_batch("here", whole.as_slice(), 3).unwrap(), whole);
        for length in [0, 1, RECORD, 2 * RECORD, 3 * RECORD - 1] {
            match read_batch("here", &whole[..length], 3) {
                Err(Error::Format { what, found, .. }) => {
                    assert_eq!((what, found), ("length in bytes", length as u64));
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(
            read_batch("here", io::repeat(0), 3),
            Err(Error::TooLong {
                expected_bytes: 9219,
                ..
            })
        ));
    }

    #[test]
    fn labels_of_ten_and_above_are_errors_that_name_the_image() {
        for label in [10, 255] {
            let error = read_batch("here", batch([9, 0, label]).as_slice(), 3).unwrap_err();
            let text = format!("here: the label is {label}, expected 0 to 9, for image 2");
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn an_archive_that_lacks_a_file_or_is_cut_off_is_an_error() {
        let whole: Vec<_> = FILES.iter().map(|&name| (name, batch([1]))).collect();
        unpack_batches(&archive(whole.clone()), 1).unwrap();
        let lacking = archive(whole[..5].to_vec());
        match unpack_batches(&lacking, 1) {
            Err(Error::Missing { file }) => assert!(file.contains("test_batch.bin"), "{file}"),
            other => panic!("{other:?}"),
        }
        let bytes = archive(whole);
        assert!(unpack_batches(&bytes[..bytes.len() / 2], 1).is_err());
        assert!(
            matches!(unpack(&bytes), Err(Error::Format { .. })),
            "of one record, not 10,000"
        );
    }

    /// A folder of six files, each with 20 images, two of every class, but for what `change` does to each.
    fn folder(change: impl Fn(usize, &mut Vec<u8>)) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let even = batch((0..20).map(|i| i % 10));
        for (i, name) in FILES.iter().enumerate() {
            let mut content = even.clone();
            change(i, &mut content);
            fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    }

    #[test]
    fn the_unpacked_files_are_read_as_those_of_the_archive() {
        let folder = folder(|i, content| content[1] = i as u8);
        let found = read_unpacked(folder.path(), 20).unwrap();
        let files = FILES.map(|name| (name, fs::read(folder.path().join(name)).unwrap()));
        assert_eq!(found, unpack_batches(&archive(files), 20).unwrap());
        assert_eq!((found.0.count, found.1.count), (100, 20));
    }

    #[test]
    fn unpacked_files_that_cannot_be_the_published_ones_are_errors() {
        let text = |folder: &Path| read_unpacked(folder, 20).unwrap_err().to_string();
        // One image of another class: the authors' counts do not hold.
        let other = folder(|i, content| content[0] = u8::from(i == 2));
        assert!(
            text(other.path()).contains("is 9, expected 10 of class 0"),
            "{}",
            text(other.path())
        );
        let short = folder(|i, content| content.truncate(content.len() - i));
        assert!(
            text(short.path())
                .contains("data_batch_2.bin: the length in bytes is 61459, expected 61460"),
            "{}",
            text(short.path())
        );
        fs::remove_file(short.path().join(FILES[1])).unwrap();
        assert!(
            text(short.path()).contains("data_batch_2.bin"),
            "{}",
            text(short.path())
        );
    }

    #[test]
    fn the_unpacked_files_are_looked_for_in_every_place() {
        for inner in ["", "cifar10", INNER, "cifar10/cifar-10-batches-bin"] {
            let folder = tempfile::tempdir().unwrap();
            let place = folder.path().join(inner);
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join(FILES[0]), b"short").unwrap();
            let text = read_folder(folder.path()).unwrap_err().to_string();
            assert!(
                text.contains("data_batch_1.bin: the length in bytes is 5, expected 30730000"),
                "{text}"
            );
        }
    }

    #[test]
    fn an_archive_that_is_not_the_published_one_is_refused() {
        let folder = folder(|_, _| ());
        fs::write(folder.path().join(ARCHIVE.file), b"other").unwrap();
        assert!(matches!(
            read_folder(folder.path()),
            Err(Error::Content { found_bytes: 5, .. })
        ));
    }

    #[test]
    fn a_folder_without_the_files_is_an_error_that_says_what_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let text = read_folder(folder.path()).unwrap_err().to_string();
        assert!(
            text.contains("cifar-10-binary.tar.gz") && text.contains("data_batch_1.bin"),
            "{text}"
        );
    }
}
