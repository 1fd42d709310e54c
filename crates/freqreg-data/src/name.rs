//! The data sets known here, and the published files of each.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::content::Pin;
use crate::{CLASSES, Error, cifar};

/// A data set. Its word, for command lines and files, is `mnist`, `fashion-mnist`, `cifar10`, `garments` or `carvana`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatasetName {
    /// Handwritten digits (LeCun, Cortes, Burges): 60,000 training and 10,000 test images, 1 x 28 x 28, 10 classes.
    Mnist,
    /// Pictures of clothing (Xiao, Rasul, Vollgraf): 60,000 training and 10,000 test images, 1 x 28 x 28, 10 classes.
    FashionMnist,
    /// Small photographs (Krizhevsky, Nair, Hinton): 50,000 training and 10,000 test images, 3 x 32 x 32, 10 classes.
    Cifar10,
    /// Garments of Fashion-MNIST on generated grounds, for segmentation: 4,000 training and 500 test images,
    /// 3 x 96 x 96, with exact masks. See [`garments`](crate::garments).
    Garments,
    /// Photographs of cars (Carvana Image Masking Challenge), for segmentation. It may not be passed on, so it is read
    /// only from a folder. See [`folder::read_set`](crate::folder::read_set).
    Carvana,
}

impl DatasetName {
    /// Every data set known here.
    pub const ALL: [Self; 5] = [
        Self::Mnist,
        Self::FashionMnist,
        Self::Cifar10,
        Self::Garments,
        Self::Carvana,
    ];

    /// The name as prose writes it: `MNIST`, `Fashion-MNIST`.
    pub fn title(self) -> &'static str {
        match self {
            Self::Mnist => "MNIST",
            Self::FashionMnist => "Fashion-MNIST",
            Self::Cifar10 => "CIFAR-10",
            Self::Garments => "Garments",
            Self::Carvana => "Carvana",
        }
    }

    /// How many classes an image, or in a set for segmentation a pixel, can be of: 10, or 2.
    pub fn classes(self) -> u8 {
        match self {
            Self::Mnist | Self::FashionMnist | Self::Cifar10 => CLASSES,
            Self::Garments | Self::Carvana => 2,
        }
    }

    /// Whether its labels are masks: [`Images::masked`](crate::Images::masked) of both of its parts.
    pub fn masked(self) -> bool {
        matches!(self, Self::Garments | Self::Carvana)
    }

    /// The word that [`Display`](fmt::Display) writes and [`FromStr`] reads: `mnist`, `fashion-mnist`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Cifar10 => "cifar10",
            Self::Garments => "garments",
            Self::Carvana => "carvana",
        }
    }

    /// The published files: four in the order of [`FILES`], or an archive. None for a set without files of its own.
    pub(crate) fn pins(self) -> Vec<Pin> {
        match self {
            Self::Mnist => idx_pins(
                [60_000, 10_000],
                [
                    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                ],
            )
            .to_vec(),
            Self::FashionMnist => idx_pins(
                [60_000, 10_000],
                [
                    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
                ],
            )
            .to_vec(),
            Self::Cifar10 => vec![cifar::ARCHIVE],
            Self::Garments | Self::Carvana => Vec::new(),
        }
    }
}

/// The files of MNIST and of Fashion-MNIST, by their published names.
pub(crate) const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// The pins of a set of training and test images of 28 x 28 pixels, in the order of [`FILES`]. IDX puts 16 bytes before images, 8 before labels.
pub(crate) const fn idx_pins([train, test]: [u64; 2], sha256: [&'static str; 4]) -> [Pin; 4] {
    [
        Pin {
            file: FILES[0],
            gz: true,
            bytes: 16 + train * 28 * 28,
            sha256: sha256[0],
        },
        Pin {
            file: FILES[1],
            gz: true,
            bytes: 8 + train,
            sha256: sha256[1],
        },
        Pin {
            file: FILES[2],
            gz: true,
            bytes: 16 + test * 28 * 28,
            sha256: sha256[2],
        },
        Pin {
            file: FILES[3],
            gz: true,
            bytes: 8 + test,
            sha256: sha256[3],
        },
    ]
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for DatasetName {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|name| name.word() == word);
        found.ok_or_else(|| Error::UnknownName {
            found: word.to_owned(),
        })
    }
}
