//! What both directions of the format share: the constants, the code byte of a tensor, and variable-length integers.

use freqreg_dct::KeepOrder;

/// The first bytes of every file. The first is no ASCII, so that nobody takes the file for text.
pub(crate) const MAGIC: [u8; 4] = [0xFD, b'F', b'R', b'Q'];
/// The version written in the byte after the magic.
pub(crate) const VERSION: u8 = 1;
/// Magic and version.
pub(crate) const PREAMBLE: usize = MAGIC.len() + 1;
/// The CRC-32 at the end.
pub(crate) const CHECKSUM: usize = 4;

/// Bits of a tensor's code byte. Bits without a name are zero.
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

/// The two-bit code of a keep order.
pub(crate) fn order_code(order: &KeepOrder) -> u8 {
    match order {
        KeepOrder::Zigzag => 0,
        KeepOrder::InverseSqrt => 1,
        KeepOrder::Weighted(_) => 2,
    }
}

/// Appends `value` as LEB128: seven bits a byte, the lowest first, the high bit set on all but the last byte.
pub(crate) fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
