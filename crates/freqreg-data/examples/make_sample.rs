//! Makes the sample of MNIST that is embedded in the crate, from the full files.
//!
//! ```text
//! cargo run --release -p freqreg-data --example make_sample -- FOLDER-OF-MNIST crates/freqreg-data/sample
//! ```
//!
//! The rule: the images of each part are ranked by the SHA-256 of `freqreg sample`, the part's published file name and
//! the image's index (eight bytes, little-endian), one after the other. The first 600 of each class are taken of the
//! training images, the first 100 of the test images, and stand in the sample in their original order.

use std::io::Write;
use std::path::Path;
use std::{env, error, fs};

use flate2::Compression;
use flate2::write::GzEncoder;
use freqreg_data::{CLASSES, DatasetName, Images, Options, idx, load};
use sha2::{Digest, Sha256};

fn main() -> Result<(), Box<dyn error::Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [folder, out] = words.as_slice() else {
        return Err("usage: make_sample FOLDER-OF-MNIST OUT".into());
    };
    let mnist = load(
        DatasetName::Mnist,
        &Options {
            folder: Some(folder.into()),
            ..Options::offline()
        },
    )?;
    for (images, per_class, part) in [(&mnist.train, 600, "train"), (&mnist.test, 100, "t10k")] {
        let names = [
            format!("{part}-images-idx3-ubyte"),
            format!("{part}-labels-idx1-ubyte"),
        ];
        let sample = images.subset(&choose(images, per_class, &names[0]))?;
        for (name, content) in names.iter().zip(idx::write(&sample)?) {
            let hash: String = Sha256::digest(&content)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let mut gz = GzEncoder::new(Vec::new(), Compression::best());
            gz.write_all(&content)?;
            let gz = gz.finish()?;
            println!("{hash}  {name}  {} bytes as .gz", gz.len());
            fs::write(Path::new(out).join(format!("{name}.gz")), gz)?;
        }
    }
    Ok(())
}

/// The indices of the images taken, ascending.
fn choose(images: &Images, per_class: usize, file: &str) -> Vec<usize> {
    let rank = |i: usize| {
        Sha256::new()
            .chain_update("freqreg sample")
            .chain_update(file)
            .chain_update((i as u64).to_le_bytes())
            .finalize()
    };
    let mut order: Vec<usize> = (0..images.count).collect();
    order.sort_by_cached_key(|&i| rank(i));
    let class = |c: u8| {
        order
            .iter()
            .copied()
            .filter(move |&i| images.labels[i] == c)
            .take(per_class)
    };
    let mut chosen: Vec<usize> = (0..CLASSES).flat_map(class).collect();
    chosen.sort_unstable();
    chosen
}
