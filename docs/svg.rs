//! A little of SVG: cells and boxes of colour, words, outlines.

use std::collections::BTreeMap;
use std::fmt::Write;

/// A picture in the making, on a white ground so that it can be read on a page of any colour.
pub struct Svg {
    width: f64,
    height: f64,
    body: String,
}

/// Where a word stands on its point.
#[derive(Clone, Copy)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// Shades of a value from -1 to 1. Few of them, so that cells of one shade share one path.
const SHADES: i32 = 24;

impl Svg {
    /// An empty picture with a title for those who cannot see it.
    pub fn new(width: f64, height: f64, title: &str) -> Self {
        let mut body = format!("<title>{title}</title>\n");
        let _ = writeln!(
            body,
            "<rect width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"#fff\"/>"
        );
        Svg {
            width,
            height,
            body,
        }
    }

    /// A row-major grid of values, `columns` wide, its upper left corner at `at`, a cell `cell` wide. Zero is
    /// white, `-limit` blue, `limit` orange; what lies beyond is drawn as the limit.
    pub fn grid(&mut self, at: [f64; 2], cell: f64, columns: usize, values: &[f64], limit: f64) {
        let mut shades: BTreeMap<i32, String> = BTreeMap::new();
        for (i, value) in values.iter().enumerate() {
            let shade = ((value / limit).clamp(-1.0, 1.0) * f64::from(SHADES)).round() as i32;
            let path = shades.entry(shade).or_default();
            let _ = write!(path, "M{} {}h1v1h-1z", i % columns, i / columns);
        }
        let _ = writeln!(
            self.body,
            "<g transform=\"translate({} {}) scale({cell})\" shape-rendering=\"crispEdges\">",
            at[0], at[1]
        );
        for (shade, path) in shades {
            let colour = colour(f64::from(shade) / f64::from(SHADES));
            let _ = writeln!(self.body, "<path fill=\"{colour}\" d=\"{path}\"/>");
        }
        self.body.push_str("</g>\n");
        let (wide, high) = (
            columns as f64 * cell,
            (values.len() / columns) as f64 * cell,
        );
        self.outline(
            &[
                at,
                [at[0] + wide, at[1]],
                [at[0] + wide, at[1] + high],
                [at[0], at[1] + high],
            ],
            "#bbb",
            0.7,
        );
    }

    /// A closed line through `points`.
    pub fn outline(&mut self, points: &[[f64; 2]], stroke: &str, width: f64) {
        let points: Vec<String> = points.iter().map(|[x, y]| format!("{x},{y}")).collect();
        let _ = writeln!(
            self.body,
            "<polygon points=\"{}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"/>",
            points.join(" ")
        );
    }

    /// An open line through `points`.
    pub fn line(&mut self, points: &[[f64; 2]], stroke: &str, width: f64) {
        let points: Vec<String> = points.iter().map(|[x, y]| format!("{x},{y}")).collect();
        let _ = writeln!(
            self.body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"/>",
            points.join(" ")
        );
    }

    /// A filled circle around `at`.
    pub fn dot(&mut self, at: [f64; 2], radius: f64, fill: &str) {
        let _ = writeln!(
            self.body,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{radius}\" fill=\"{fill}\"/>",
            at[0], at[1]
        );
    }

    /// A filled box, `size` wide and high, its upper left corner at `at`.
    pub fn filled(&mut self, at: [f64; 2], size: [f64; 2], fill: &str) {
        let _ = writeln!(
            self.body,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{fill}\"/>",
            at[0], at[1], size[0], size[1]
        );
    }

    /// Words with the foot of their letters at `at`. They must be free of `<` and `&`.
    pub fn words(&mut self, at: [f64; 2], size: f64, anchor: Anchor, words: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = writeln!(
            self.body,
            "<text x=\"{}\" y=\"{}\" font-size=\"{size}\" text-anchor=\"{anchor}\">{words}</text>",
            at[0], at[1]
        );
    }

    /// The whole file.
    pub fn text(&self) -> String {
        let Svg {
            width,
            height,
            body,
        } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             font-family=\"sans-serif\" fill=\"#222\" role=\"img\">\n{body}</svg>\n"
        )
    }
}

/// White at 0, blue at -1, orange at 1.
fn colour(value: f64) -> String {
    let end = if value < 0.0 {
        [0x21, 0x5a, 0xa8]
    } else {
        [0xd9, 0x6c, 0x06]
    };
    let mix = end.map(|channel| (255.0 + (f64::from(channel) - 255.0) * value.abs()).round() as u8);
    format!("#{:02x}{:02x}{:02x}", mix[0], mix[1], mix[2])
}
