//! What both directions of the format share: the constants, the code byte of a tensor, and variable-length integers.

#[cfg(feature = "std")]
use alloc::vec::Vec;
#[cfg(feature = "std")]
use freqreg_dct::KeepOrder;

/// The first bytes of every file. The first is no ASCII, so that nobody takes the file for text.
pub(crate) const MAGIC: [u8; 4] = [0xFD, b'F', b'R', b'Q'];
/// The version written in the byte after the magic. Those before it are read.
pub(crate) const VERSION: u8 = 2;
/// Magic and version.
pub(crate) const PREAMBLE: usize = MAGIC.len() + 1;
/// The CRC-32 at the end.
pub(crate) const CHECKSUM: usize = 4;

/// The byte behind the preamble, from version 2 on.
pub(crate) mod head {
    /// Names and shapes are left to the architecture.
    pub(crate) const BY_ARCHITECTURE: u8 = 1;
    /// Where the two bits of the configuration's form begin.
    pub(crate) const CONFIG_SHIFT: u8 = 1;
    /// The bits of the configuration's form: 0 for none, or one of the following.
    pub(crate) const CONFIG: u8 = 0b11 << CONFIG_SHIFT;
    /// The configuration is a text.
    pub(crate) const TEXT: u8 = 1;
    /// The configuration is packed JSON.
    pub(crate) const PACKED: u8 = 2;
    /// Where the number of the architecture begins, which fills the byte: 0 where a text follows, else 1 + its place among
    /// [`ARCHITECTURES`](super::ARCHITECTURES).
    pub(crate) const ARCHITECTURE_SHIFT: u8 = 3;
}

/// Architectures that have numbers. New ones are added at the end, up to 31.
pub(crate) const ARCHITECTURES: [&str; 8] = [
    "lenet5", "alexnet", "vgg", "resnet18", "vit", "unet", "dcgan", "vae",
];

/// How most names of tensors end.
pub(crate) const SUFFIX: &str = ".weight";

/// Bits of a tensor's code byte in version 2. Those of the keep order are where version 1 has them.
pub(crate) mod code2 {
    /// The values are a prefix of coefficients (else: every weight, row-major).
    pub(crate) const PREFIX: u8 = 1;
    /// The two bits of the values' form: float16, float32, or quantised.
    pub(crate) const FORM: u8 = 0b11 << FORM_SHIFT;
    /// Where these begin.
    pub(crate) const FORM_SHIFT: u8 = 1;
    /// The bits of the keep order.
    pub(crate) const ORDER: u8 = 0b11 << ORDER_SHIFT;
    /// Where these begin.
    pub(crate) const ORDER_SHIFT: u8 = 3;
    /// The transform's axes follow, for they differ from the shape.
    pub(crate) const AXES: u8 = 1 << 5;
    /// Everything but name, shape and step is that of the tensor before, and the bits above are zero.
    pub(crate) const AGAIN: u8 = 1 << 6;
    /// [`SUFFIX`](super::SUFFIX) follows the name.
    pub(crate) const SUFFIX: u8 = 1 << 7;
}

/// Bits of a tensor's code byte in version 1. Bits without a name are zero.
pub(crate) mod code {
    /// The values are a prefix of coefficients (else: every weight, row-major).
    pub(crate) const PREFIX: u8 = 1;
    /// A value is a float32 (else: float16).
    pub(crate) const F32: u8 = 1 << 1;
    /// The transform's axes follow the shape, for they differ from it.
    pub(crate) const AXES: u8 = 1 << 2;
    /// Where the two bits of the keep order begin.
    pub(crate) const ORDER_SHIFT: u8 = 3;
    /// The bits of the keep order.
    pub(crate) const ORDER: u8 = 0b11 << ORDER_SHIFT;
    /// Every bit that has a meaning.
    pub(crate) const KNOWN: u8 = PREFIX | F32 | AXES | ORDER;
}

#[cfg(feature = "std")]
/// The two-bit code of a keep order.
pub(crate) fn order_code(order: &KeepOrder) -> u8 {
    match order {
        KeepOrder::Zigzag => 0,
        KeepOrder::InverseSqrt => 1,
        KeepOrder::Weighted(_) => 2,
    }
}

#[cfg(feature = "std")]
/// Appends `value` as LEB128: seven bits a byte, the lowest first, the high bit set on all but the last byte.
pub(crate) fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
