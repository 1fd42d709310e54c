//! What the pictures share.

use std::fmt::{self, Write};

/// The colours of paper, ink and rules, those of the reports, in light and in the dark; and of what a picture marks, in `mark`.
pub(crate) const STYLE: &str = "\
.paper { fill: #fdfdfb; } .ink { fill: #1d2327; } .quiet { fill: #565f66; } .rule { stroke: #dcdcd4; } .mark { color: #0b6b63; } \
@media (prefers-color-scheme: dark) { \
.paper { fill: #14181a; } .ink { fill: #e7e9e6; } .quiet { fill: #a3acb0; } .rule { stroke: #333b3f; } .mark { color: #4fc9b8; } }";

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
