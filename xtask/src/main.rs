//! The tasks of the project: a thin runner that starts the real programs.
fn main() {}
