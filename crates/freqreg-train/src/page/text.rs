//! Numbers and words as the page prints them: escaped, grouped, and never the word for a number that is none.

use crate::report::Metric;
use std::fmt;

/// Stands where there is no number.
pub(super) const NONE: &str = "–";

/// Text that may hold anything, escaped as HTML when it is printed.
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // HTML has no place for the other control characters.
                c if c.is_control() && c != '\n' => f.write_str("\u{fffd}")?,
                c => fmt::Write::write_char(f, c)?,
            }
        }
        Ok(())
    }
}

/// `429,168`.
pub(super) fn count(n: usize) -> String {
    group(&n.to_string())
}

/// A number with that many digits after the point, as `1,106.1`.
pub(super) fn decimal(x: f64, digits: usize) -> String {
    if !x.is_finite() {
        return NONE.into();
    }
    let text = format!("{:.digits$}", x.abs());
    let (whole, fraction) = text
        .split_once('.')
        .map_or((&text[..], None), |(w, f)| (w, Some(f)));
    // What is rounded to zero has no sign.
    let sign = if x < 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        "−"
    } else {
        ""
    };
    let point = fraction.map_or(String::new(), |f| format!(".{f}"));
    format!("{sign}{}{point}", group(whole))
}

/// A share of 0 to 1 as `98.21 %`.
pub(super) fn percent(share: f64, digits: usize) -> String {
    unit(decimal(100.0 * share, digits), "\u{a0}%")
}

/// A score as its metric is printed.
pub(super) fn score(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Accuracy | Metric::Dice => percent(value, 2),
        Metric::FrechetDistance => decimal(value, 3),
        Metric::BitsPerPixel => decimal(value, 4),
    }
}

/// A percentage without superfluous zeros, as `99.5 %`.
pub(super) fn percent_tick(share: f64) -> String {
    let text = decimal(100.0 * share, 3);
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    unit(text.to_owned(), "\u{a0}%")
}

/// `1,106×`; with a digit after the point where that tells more.
pub(super) fn ratio(x: f64) -> String {
    unit(decimal(x, if x < 100.0 { 1 } else { 0 }), "×")
}

/// Three significant digits, as `0.0123`; very small and very large ones as `1.2e-7`.
pub(super) fn significant(x: f64) -> String {
    if !x.is_finite() {
        return NONE.into();
    }
    if x == 0.0 {
        return "0".into();
    }
    let magnitude = x.abs().log10().floor();
    if !(-4.0..6.0).contains(&magnitude) {
        return format!("{x:.1e}").replace('-', "−");
    }
    decimal(x, (2.0 - magnitude).max(0.0) as usize)
}

/// `7 min 12 s`.
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NONE.into();
    }
    if seconds < 60.0 {
        return format!("{}\u{a0}s", decimal(seconds, 1));
    }
    let whole = seconds.round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{hours}\u{a0}h {minutes}\u{a0}min")
    } else {
        format!("{minutes}\u{a0}min {seconds}\u{a0}s")
    }
}

/// `128 × 8 × 5 × 5`.
pub(super) fn shape(axes: &[usize]) -> String {
    if axes.is_empty() {
        return NONE.into();
    }
    axes.iter()
        .map(|&n| count(n))
        .collect::<Vec<_>>()
        .join("\u{a0}×\u{a0}")
}

fn group(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn unit(number: String, unit: &str) -> String {
    if number == NONE {
        number
    } else {
        number + unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_signed() {
        assert_eq!(count(0), "0");
        assert_eq!(count(776), "776");
        assert_eq!(count(429_168), "429,168");
        assert_eq!(count(31_000_000), "31,000,000");
        assert_eq!(decimal(-1234.567, 2), "−1,234.57");
        assert_eq!(decimal(-0.001, 2), "0.00");
        assert_eq!(decimal(f64::NAN, 2), NONE);
        assert_eq!(percent(0.9821, 2), "98.21\u{a0}%");
        assert_eq!(percent(f64::INFINITY, 2), NONE);
        assert_eq!(percent_tick(0.5), "50\u{a0}%");
        assert_eq!(percent_tick(1.0), "100\u{a0}%");
        assert_eq!(percent_tick(0.995), "99.5\u{a0}%");
        assert_eq!(ratio(1106.1), "1,106×");
        assert_eq!(ratio(1.0), "1.0×");
        assert_eq!(ratio(f64::INFINITY), NONE);
        assert_eq!(significant(0.012_345), "0.0123");
        assert_eq!(significant(-12.345), "−12.3");
        assert_eq!(significant(1.23e-9), "1.2e−9");
        assert_eq!(significant(0.0), "0");
        assert_eq!(duration(432.4), "7\u{a0}min 12\u{a0}s");
        assert_eq!(duration(59.96), "60.0\u{a0}s");
        assert_eq!(duration(3723.0), "1\u{a0}h 2\u{a0}min");
        assert_eq!(duration(f64::NAN), NONE);
        assert_eq!(shape(&[128, 8]), "128\u{a0}×\u{a0}8");
    }

    #[test]
    fn text_is_escaped() {
        let text = Text("<b a=\"1\" b='2'> & \u{7}").to_string();
        assert_eq!(
            text,
            "&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt; &amp; \u{fffd}"
        );
    }
}
