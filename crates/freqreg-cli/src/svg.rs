//! What the pictures share.

use std::fmt::{self, Write};

/// A text that may hold anything, escaped as XML when it is printed.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            // XML has no place for these.
            '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}'),
            c if c.is_control() && c != '\n' => f.write_char('\u{fffd}'),
            c => f.write_char(c),
        })
    }
}
