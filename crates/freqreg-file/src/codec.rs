//! How files are read and written: within which limits, and which architectures are known.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{Limits, Model, Result};

/// A function from an architecture's name and configuration to the names and shapes of its tensors, in the order of the file; `None` for
/// an architecture that it does not know, or a configuration that it can't read.
pub type Tables<'a> = &'a (dyn Fn(&str, &str) -> Option<Vec<(String, Vec<usize>)>> + Sync);

/// How files are read and written.
///
/// A file whose architecture is known need not say what its tensors are called and how large they are, and is so much smaller:
///
/// ```
/// use freqreg_dct::KeepOrder;
/// use freqreg_file::{Codec, Model, Storage, Tensor, Values};
/// use half::f16;
///
/// let tables = |architecture: &str, _config: &str| {
///     (architecture == "two-layers").then(|| vec![("first.weight".to_string(), vec![300, 400]), ("second.weight".to_string(), vec![10, 300])])
/// };
/// let codec = Codec { tables: &tables, ..Codec::default() };
///
/// let tensor = |name: &str, shape: [usize; 2]| Tensor {
///     name: name.into(),
///     shape: shape.to_vec(),
///     storage: Storage::Prefix { axes: shape.to_vec(), order: KeepOrder::Zigzag },
///     values: Values::F16(vec![f16::ONE; 7]),
/// };
/// let model = Model {
///     architecture: "two-layers".into(),
///     config: String::new(),
///     tensors: vec![tensor("first.weight", [300, 400]), tensor("second.weight", [10, 300])],
/// };
/// let bytes = codec.encode(&model)?;
/// assert_eq!(codec.decode(&bytes)?, model);
/// assert!(bytes.len() + 20 < model.to_bytes()?.len());
/// // Who does not know the architecture is told so.
/// assert!(Model::from_bytes(&bytes).is_err());
/// # Ok::<(), freqreg_file::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Codec<'a> {
    /// How much a file may ask for.
    pub limits: Limits,
    /// Architectures that are known.
    pub tables: Tables<'a>,
}

impl Default for Codec<'_> {
    /// The default limits, and no architecture.
    fn default() -> Self {
        Codec {
            limits: Limits::default(),
            tables: &|_, _| None,
        }
    }
}

impl core::fmt::Debug for Codec<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Codec")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Model {
    /// Reads a model from the bytes of a `.freq` file, within the default [`Limits`].
    ///
    /// # Errors
    /// Says what is wrong with the bytes. No bytes cause a panic.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Codec::default().decode(bytes)
    }

    /// Reads a model from the bytes of a `.freq` file, within the given limits.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes).
    pub fn from_bytes_limited(bytes: &[u8], limits: Limits) -> Result<Self> {
        let codec = Codec {
            limits,
            ..Codec::default()
        };
        codec.decode(bytes)
    }
}

#[cfg(feature = "std")]
mod files {
    use super::Codec;
    use crate::{Error, Model, Result, write_atomically};
    use std::boxed::Box;
    use std::fs::File;
    use std::io::Read;
    use std::path::Path;
    use std::vec::Vec;

    impl Codec<'_> {
        /// Reads a `.freq` file.
        ///
        /// # Errors
        /// [`Error::Io`] where the file cannot be read, [`Error::InFile`] where its content is at fault.
        pub fn read(&self, path: impl AsRef<Path>) -> Result<Model> {
            let path = path.as_ref();
            let io = |cause| Error::Io {
                action: "read",
                path: path.to_owned(),
                cause,
            };
            let in_file = |error| Error::InFile {
                path: path.to_owned(),
                error: Box::new(error),
            };

            let limit = self.limits.file_bytes();
            let mut bytes = Vec::new();
            File::open(path)
                .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
                .map_err(io)?;
            if bytes.len() as u64 > limit {
                return Err(in_file(Error::Limit {
                    what: "bytes",
                    limit,
                    got: bytes.len() as u64,
                }));
            }
            self.decode(&bytes).map_err(in_file)
        }

        /// Writes the model as a `.freq` file, so that at every moment `path` holds the old file or the whole new one.
        ///
        /// # Errors
        /// As [`encode`](Self::encode), and [`Error::Io`].
        pub fn write(&self, model: &Model, path: impl AsRef<Path>) -> Result<()> {
            write_atomically(path, &self.encode(model)?)
        }
    }

    impl Model {
        /// Reads a `.freq` file, within the default [`Limits`](crate::Limits).
        ///
        /// # Errors
        /// As [`Codec::read`].
        pub fn read(path: impl AsRef<Path>) -> Result<Self> {
            Codec::default().read(path)
        }

        /// The model as the bytes of a `.freq` file, with the names and shapes of its tensors.
        ///
        /// # Errors
        /// As [`Codec::encode`].
        pub fn to_bytes(&self) -> Result<Vec<u8>> {
            Codec::default().encode(self)
        }

        /// Writes what [`to_bytes`](Self::to_bytes) gives, whole or not at all.
        ///
        /// # Errors
        /// As [`Codec::write`].
        pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
            Codec::default().write(self, path)
        }
    }
}
