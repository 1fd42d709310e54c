//! What can be wrong with a PyTorch file as a whole; what is wrong with one tensor is a [`Fault`](crate::Fault).

/// Why a `.pt` file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PtFault {
    /// The file is no zip archive, as a `.pt` file is.
    #[error(
        "not a .pt file: it begins with {found:02x?}, \
         and a state dict saved with PyTorch 1.6 or newer is a zip archive"
    )]
    NotZip {
        /// The first bytes, at most four.
        found: Vec<u8>,
    },
    /// The file has the form that PyTorch wrote before version 1.6.
    #[error(
        "a .pt file of the form before PyTorch 1.6, which is not read: load it in PyTorch and \
          save it again with torch.save"
    )]
    Legacy,
    /// The zip archive is damaged.
    #[error("the zip archive is damaged or cut short: {cause}; fetch or write it again")]
    Zip {
        /// What was found.
        cause: String,
    },
    /// The archive lacks an entry.
    #[error("the archive has no entry `{name}`")]
    Missing {
        /// The entry.
        name: String,
    },
    /// The archive has several entries where one is asked for.
    #[error("the archive has {what} more than once")]
    Twice {
        /// What there is too much of.
        what: &'static str,
    },
    /// An entry is encrypted, or compressed in another way than by deflate.
    #[error("entry `{name}` is {how}: only entries that are stored or deflated are read")]
    Packed {
        /// The entry.
        name: String,
        /// What was done to it.
        how: String,
    },
    /// An entry has another length than it should have.
    #[error("entry `{name}` should have {expected} bytes and has {got}")]
    Size {
        /// The entry.
        name: String,
        /// Bytes asked for.
        expected: u64,
        /// Bytes there are.
        got: u64,
    },
    /// The checksum of an entry does not match its bytes.
    #[error(
        "entry `{name}` is damaged: its checksum is {expected:08x} and its content gives {got:08x}"
    )]
    Checksum {
        /// The entry.
        name: String,
        /// The CRC-32 in the archive.
        expected: u32,
        /// The CRC-32 of the content.
        got: u32,
    },
    /// The numbers are not little-endian.
    #[error(
        "the byte order of the numbers is `{found}`, and only `little` is read: \
         save the file on a little-endian machine"
    )]
    ByteOrder {
        /// What the archive says.
        found: String,
    },
    /// The pickle asks for something that no state dict needs. Nothing was executed.
    #[error(
        "the file wants `{name}` (data.pkl, byte {offset}): refused; \
         what a state dict of tensors needs is known, and this is not part of it"
    )]
    Global {
        /// Where, counted from the beginning of the pickle.
        offset: usize,
        /// Module and name.
        name: String,
    },
    /// The pickle has an instruction that no state dict needs.
    #[error(
        "data.pkl has instruction {opcode:#04x} at byte {offset}: refused; \
         torch.save writes no such instruction for a state dict of tensors"
    )]
    Opcode {
        /// Where, counted from the beginning of the pickle.
        offset: usize,
        /// The instruction.
        opcode: u8,
    },
    /// The pickle is malformed or cut short.
    #[error("data.pkl is malformed at byte {offset}: {what}")]
    Pickle {
        /// Where, counted from the beginning of the pickle.
        offset: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// The file holds something else than a state dict.
    #[error(
        "the file holds {found}, not a state dict: save one with torch.save(model.state_dict(), path)"
    )]
    NotAStateDict {
        /// What it holds.
        found: &'static str,
    },
}
