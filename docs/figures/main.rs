//! Draws the pictures of the book.
fn main() {}
