//! The last resort: a class-balanced sample of real MNIST, embedded in the program.
//!
//! `examples/make_sample.rs` makes it from the full files, by a rule written there.

use crate::Result;
use crate::content::Pin;
use crate::name::idx_pins;

/// What the embedded files are, uncompressed.
pub(crate) const PINS: [Pin; 4] = idx_pins(
    [6_000, 1_000],
    [
        "19364042872a72275649230f48b0d42f0ded2eaefb83d57b638e1b2694146d41",
        "260e9e59018577a2b3978bf85c762fedb9ff1102d0655891f7107f5225b4dd18",
        "99d9f93a3195bf07c729b019a9b6915f5afa3a6a796d44b40e2f52b42c1b8bca",
        "893862195eaa97c019cf6cec6139d51abce344ec5cb932a4976079a6d0d025b8",
    ],
);

const FILES: [&[u8]; 4] = [
    include_bytes!("../../sample/train-images-idx3-ubyte.gz"),
    include_bytes!("../../sample/train-labels-idx1-ubyte.gz"),
    include_bytes!("../../sample/t10k-images-idx3-ubyte.gz"),
    include_bytes!("../../sample/t10k-labels-idx1-ubyte.gz"),
];

/// The four files, in the usual order.
pub(crate) fn read() -> Result<[Vec<u8>; 4]> {
    let read = |i: usize| PINS[i].read_gz(&format!("the embedded {}", PINS[i].file), FILES[i]);
    Ok([read(0)?, read(1)?, read(2)?, read(3)?])
}
