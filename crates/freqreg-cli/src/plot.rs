//! The spectrum of a model file as a picture: of every tensor the magnitudes of its kept coefficients, in keep order.
//!
//! One SVG that stands alone: two columns of small charts with one vertical scale, so that layers can be compared. It is narrow enough to be
//! read on a telephone, and takes the colours of its reader, light or dark.

use crate::svg::{Escaped, STYLE};
use freqreg_file::{Model, Storage, Tensor};
use std::fmt::Write;

const WIDTH: f64 = 480.0;
const MARGIN: f64 = 12.0;
/// Height of what stands above the charts.
const HEAD: f64 = 86.0;
/// A chart with its name and its marks, and what of it is drawn in.
const ROW: f64 = 156.0;
const COLUMNS: usize = 2;
const LEFT: f64 = 46.0;
const PLOT_WIDTH: f64 = 174.0;
const PLOT_HEIGHT: f64 = 84.0;
const ABOVE: f64 = 44.0;
/// The most bars in a chart: of more numbers than that, each bar is the largest of several.
const BARS: usize = 174;
/// The widest bar.
const WIDEST: f64 = 6.0;
/// The part of the height below the least magnitude, where bars of no height would not be seen.
const FOOT: f64 = 0.06;
/// The longest name that fits above a chart, in letters.
const NAME: usize = 26;
/// The most decades drawn: what is smaller by more than that does not stand out from zero.
const DECADES: i32 = 9;

/// What is drawn of tensors that are stored whole.
const PLAIN: &str =
    ".plain { color: #5b6470; } @media (prefers-color-scheme: dark) { .plain { color: #a4afb9; } }";

/// The picture.
pub(crate) fn spectrum(model: &Model) -> String {
    let curves: Vec<Curve> = model.tensors.iter().map(Curve::new).collect();
    let scale = Scale::of(&curves);
    let rows = curves.len().div_ceil(COLUMNS);
    let height = HEAD + rows as f64 * ROW + MARGIN;
    let title = format!("The spectrum of {}", model.architecture);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"title description\" \
         style=\"display: block; width: 100%; max-width: 45rem; height: auto; margin: 0 auto\" \
         font-family=\"system-ui, 'DejaVu Sans', sans-serif\" font-size=\"13\">\n\
         <title id=\"title\">{}</title>\n<desc id=\"description\">{}</desc>\n<style>{STYLE}{PLAIN}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\"/>\n",
        Escaped(&title),
        Escaped(&description(&curves)),
    );
    // Writing to a string does not fail.
    let _ = writeln!(
        svg,
        "<text class=\"ink\" x=\"{MARGIN}\" y=\"28\" font-size=\"17\" font-weight=\"600\">{}</text>\n\
         <text class=\"quiet\" x=\"{MARGIN}\" y=\"50\">up: magnitude, by its logarithm, on one scale for all</text>\n\
         <text class=\"quiet\" x=\"{MARGIN}\" y=\"68\">across: place in keep order, from the first to the last number kept</text>",
        Escaped(&shortened(&title, 44)),
    );
    for (i, curve) in curves.iter().enumerate() {
        let x = MARGIN + (i % COLUMNS) as f64 * (WIDTH - MARGIN) / COLUMNS as f64;
        let y = HEAD + (i / COLUMNS) as f64 * ROW;
        let _ = writeln!(
            svg,
            "<g transform=\"translate({x} {y})\">{}</g>",
            curve.chart(&scale)
        );
    }
    svg + "</svg>\n"
}

/// The magnitudes of a tensor's numbers.
struct Curve<'a> {
    tensor: &'a Tensor,
    magnitudes: Vec<f32>,
}

/// The decades between which magnitudes are drawn.
struct Scale {
    low: i32,
    high: i32,
}

impl Scale {
    fn of(curves: &[Curve]) -> Self {
        let all = || {
            let values = curves.iter().flat_map(|c| &c.magnitudes);
            values.copied().filter(|&m| m > 0.0)
        };
        let most = all().fold(0.0, f32::max);
        if most == 0.0 {
            return Scale { low: -1, high: 0 };
        }
        let least = all().fold(most, f32::min);
        let high = most.log10().ceil() as i32;
        let low = (least.log10().floor() as i32).clamp(high - DECADES, high - 1);
        Scale { low, high }
    }

    /// How high a magnitude stands, from 0 to 1.
    fn place(&self, magnitude: f32) -> f64 {
        let (low, high) = (f64::from(self.low), f64::from(self.high));
        let share = (f64::from(magnitude).log10() - low) / (high - low);
        FOOT + (1.0 - FOOT) * share.clamp(0.0, 1.0)
    }

    /// The decades that bear a mark, from above: at most four.
    fn marks(&self) -> impl Iterator<Item = i32> {
        let step = (self.high - self.low + 2) / 3;
        (self.low..=self.high).rev().step_by(step as usize)
    }
}

impl<'a> Curve<'a> {
    fn new(tensor: &'a Tensor) -> Self {
        let magnitudes = tensor.values.to_f32().into_iter().map(f32::abs);
        Curve {
            tensor,
            magnitudes: magnitudes.collect(),
        }
    }

    /// What its numbers are, in a line.
    fn kind(&self) -> String {
        let weights: usize = self.tensor.shape.iter().product();
        match &self.tensor.storage {
            Storage::Plain => format!("all {weights} weights, row by row"),
            Storage::Prefix { order, .. } => {
                format!("{} of {weights}, {order}", self.magnitudes.len())
            }
        }
    }

    /// What it shows, for those who do not see it.
    fn description(&self) -> String {
        let largest = self.magnitudes.iter().copied().enumerate();
        let largest = largest.fold((0, 0.0), |a, b| if b.1 > a.1 { b } else { a });
        let zeros = self.magnitudes.iter().filter(|m| **m == 0.0).count();
        let mut text = format!("{}: {}; ", self.tensor.name, self.kind());
        let _ = match largest {
            (_, 0.0) => write!(text, "all zero"),
            (place, most) => write!(text, "the largest is {most:.3e}, in place {}", place + 1),
        };
        if zeros > 0 && zeros < self.magnitudes.len() {
            let _ = write!(text, "; {zeros} are zero");
        }
        text
    }

    /// The heights of its bars, as magnitudes: of each number or, where there are too many, the largest of those that share a bar.
    fn bars(&self) -> Vec<f32> {
        let (all, bars) = (&self.magnitudes, self.magnitudes.len().min(BARS));
        let part = |i: usize| &all[i * all.len() / bars..(i + 1) * all.len() / bars];
        (0..bars)
            .map(|i| part(i).iter().copied().fold(0.0, f32::max))
            .collect()
    }

    /// Its chart, from its upper left corner.
    fn chart(&self, scale: &Scale) -> String {
        let (bottom, right) = (ABOVE + PLOT_HEIGHT, LEFT + PLOT_WIDTH);
        let height = |share: f64| bottom - share * PLOT_HEIGHT;
        let mut svg = format!(
            "<title>{}</title>\n\
             <text class=\"ink\" x=\"0\" y=\"14\" font-weight=\"600\">{}</text>\n\
             <text class=\"quiet\" x=\"0\" y=\"30\">{}</text>\n",
            Escaped(&self.description()),
            Escaped(&shortened(&self.tensor.name, NAME)),
            Escaped(&shortened(&self.kind(), 32)),
        );
        for decade in scale.marks() {
            let y = height(scale.place(10f32.powi(decade)));
            let _ = writeln!(
                svg,
                "<path class=\"rule\" d=\"M{LEFT} {y:.1}H{right}\"/>\
                 <text class=\"quiet\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                y + 4.5,
                power(decade)
            );
        }
        let bars = self.bars();
        let across = PLOT_WIDTH / bars.len().max(1) as f64;
        // Bars that are many stand close, for they are one outline.
        let wide = match self.magnitudes.len() > BARS {
            true => across,
            false => (0.7 * across).min(WIDEST),
        };
        let kind = match self.tensor.storage {
            Storage::Plain => "plain",
            Storage::Prefix { .. } => "mark",
        };
        let _ = write!(
            svg,
            "<path class=\"{kind}\" stroke=\"currentColor\" stroke-width=\"{wide:.2}\" d=\""
        );
        for (i, &magnitude) in bars.iter().enumerate().filter(|(_, m)| **m > 0.0) {
            let (x, y) = (
                LEFT + (i as f64 + 0.5) * across,
                height(scale.place(magnitude)),
            );
            let _ = write!(svg, "M{x:.1} {bottom}V{y:.1}");
        }
        let _ = writeln!(
            svg,
            "\"/>\n<text class=\"quiet\" x=\"{LEFT}\" y=\"{:.1}\">1</text>",
            bottom + 15.0
        );
        if self.magnitudes.len() > 1 {
            let _ = writeln!(
                svg,
                "<text class=\"quiet\" x=\"{right}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                bottom + 15.0,
                self.magnitudes.len()
            );
        }
        svg
    }
}

/// What the picture shows, for those who do not see it.
fn description(curves: &[Curve]) -> String {
    let mut text = format!(
        "Of {} tensors the magnitudes of the kept numbers, by their logarithm, in keep order.",
        curves.len()
    );
    for curve in curves {
        text += "\n";
        text += &curve.description();
    }
    text
}

/// `10⁻³`.
fn power(decade: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let digit = |c: char| c.to_digit(10).map_or('⁻', |d| DIGITS[d as usize]);
    format!(
        "10{}",
        decade.to_string().chars().map(digit).collect::<String>()
    )
}

/// A text of at most so many letters; of a longer one its end, which tells layers apart.
fn shortened(text: &str, letters: usize) -> String {
    let over = text.chars().count().saturating_sub(letters);
    match over {
        0 => text.into(),
        _ => format!("…{}", text.chars().skip(over + 1).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use freqreg_dct::KeepOrder;
    use freqreg_file::Values;

    fn model(tensors: &[(&str, Vec<f32>)]) -> Model {
        let tensors = tensors.iter().map(|(name, values)| Tensor {
            name: name.to_string(),
            shape: vec![1000, 1000],
            storage: Storage::Prefix {
                axes: vec![1000, 1000],
                order: KeepOrder::Zigzag,
            },
            values: Values::F32(values.clone()),
        });
        Model {
            architecture: "net".into(),
            config: String::new(),
            tensors: tensors.collect(),
        }
    }

    fn bars(svg: &str) -> usize {
        svg.matches(" 128V").count()
    }

    #[test]
    fn every_number_is_a_bar_and_of_very_many_the_largest_are() {
        let svg = spectrum(&model(&[("a", vec![1.0, -0.5, 0.0, 0.25])]));
        assert_eq!(bars(&svg), 3, "a zero has no height");
        assert!(
            svg.contains("4 of 1000000, zigzag; the largest is 1.000e0, in place 1; 1 are zero")
        );

        let mut many = vec![1e-4f32; 1_000_000];
        many[777_777] = 50.0;
        let svg = spectrum(&model(&[("a", many.clone()), ("b", vec![3.0])]));
        assert_eq!(bars(&svg), BARS + 1);
        assert!(svg.len() < 20_000, "{}", svg.len());
        let model = model(&[("a", many)]);
        let heights = Curve::new(&model.tensors[0]).bars();
        assert_eq!(heights.iter().filter(|h| **h == 50.0).count(), 1);
    }

    #[test]
    fn whatever_a_file_holds_is_drawn() {
        for values in [
            vec![0.0; 3],
            vec![f32::MAX, f32::MIN_POSITIVE, f32::from_bits(1)],
            vec![1.0],
            vec![-10.0, 10.0],
        ] {
            let svg = spectrum(&model(&[("<&>\u{1b}", values)]));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            assert!(svg.contains("&lt;&amp;&gt;\u{fffd}") && !svg.contains('\u{1b}'));
        }
        assert!(spectrum(&model(&[])).ends_with("</svg>\n"));
    }

    #[test]
    fn a_scale_has_few_marks() {
        let one = |low: i32, high: i32| Scale { low, high }.marks().collect::<Vec<_>>();
        assert_eq!(one(-1, 0), [0, -1]);
        assert_eq!(one(-4, 2), [2, 0, -2, -4]);
        assert_eq!(one(-7, 2), [2, -1, -4, -7]);
        assert_eq!(power(-12), "10⁻¹²");
        assert_eq!(shortened("layer1.conv.weight", 8), "….weight");
    }
}
