//! The program `freqreg`.
fn main() {}
