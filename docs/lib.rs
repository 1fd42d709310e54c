//! The examples of the book and of the project's README, compiled and run as tests; and what the programs that make its
//! pictures and tables share.

#![forbid(unsafe_code)]

pub mod svg;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("src/method.md")]
mod method {}

#[cfg(doctest)]
#[doc = include_str!("src/crates.md")]
mod crates {}

#[cfg(doctest)]
#[doc = include_str!("src/performance.md")]
mod performance {}

#[cfg(doctest)]
#[doc = include_str!("src/models.md")]
mod networks {}

#[cfg(doctest)]
#[doc = include_str!("src/models/lenet5.md")]
mod lenet5 {}

#[cfg(doctest)]
#[doc = include_str!("src/models/alexnet.md")]
mod alexnet {}

#[cfg(doctest)]
#[doc = include_str!("src/models/vgg.md")]
mod vgg {}

#[cfg(doctest)]
#[doc = include_str!("src/models/resnet18.md")]
mod resnet18 {}

#[cfg(doctest)]
#[doc = include_str!("src/models/vit.md")]
mod vit {}

#[cfg(doctest)]
#[doc = include_str!("src/models/unet.md")]
mod unet {}

#[cfg(doctest)]
#[doc = include_str!("src/models/dcgan.md")]
mod dcgan {}

#[cfg(doctest)]
#[doc = include_str!("src/models/vae.md")]
mod vae {}
