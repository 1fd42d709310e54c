//! How much a reader is willing to hold.

/// How much a file may ask for. A reader checks these before it allocates.
///
/// They bound `.pt` and safetensors files too; `read_pt` and `read_safetensors` say how.
///
/// The defaults hold every network of a few hundred million weights, and keep a hostile file of a few bytes from
/// claiming a tensor that no memory could hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tensors in the table. Default: 65,536.
    pub tensors: usize,
    /// Stored values in all tensors together. Default: 2^28 (1 GiB as float32).
    pub kept: usize,
    /// Weights of all tensors together once expanded. Default: 2^30 (4 GiB as float32).
    pub elements: usize,
    /// Bytes of everything but the values: architecture, configuration and table. Default: 16 MiB.
    pub table_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tensors: 1 << 16,
            kept: 1 << 28,
            elements: 1 << 30,
            table_bytes: 1 << 24,
        }
    }
}

impl Limits {
    #[cfg(feature = "std")]
    /// The longest `.freq` file that these limits can accept, in bytes.
    pub fn file_bytes(&self) -> u64 {
        // A coded value may take more than a float32, if it is large and comes unexpected.
        let values = (self.kept as u64).saturating_mul(5).saturating_add(1024);
        values
            .saturating_add(self.table_bytes as u64)
            .saturating_add(crate::wire::CHECKSUM as u64)
    }
}
