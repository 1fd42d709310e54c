//! Line charts as inline SVG: axes with units, lines named where they end, a tooltip at every point.

use super::text::Text;

/// How values lie along an axis.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// Evenly.
    Linear,
    /// Evenly, with marks at whole numbers only.
    Whole,
    /// By their logarithm.
    Log,
    /// A share of what is right, by the logarithm of the rest: 98 % and 99 % stand apart, as 80 % and 90 % do.
    /// Errors below the given share count as that share.
    Errors(f64),
}

/// An axis.
pub(super) struct Axis {
    /// What it shows, with the unit.
    pub(super) label: &'static str,
    /// How values lie along it.
    pub(super) scale: Scale,
    /// The text of a mark.
    pub(super) mark: fn(f64) -> String,
}

/// A point of a line.
pub(super) struct Point {
    /// Place on the horizontal axis.
    pub(super) x: f64,
    /// Place on the vertical axis.
    pub(super) y: f64,
    /// What it says when pointed at.
    pub(super) tip: String,
}

/// A line.
pub(super) struct Series {
    /// Class in the style sheet: `dense` or `run`.
    pub(super) class: &'static str,
    /// Its name, at its end.
    pub(super) name: &'static str,
    /// Its points from left to right.
    pub(super) points: Vec<Point>,
}

/// A chart.
pub(super) struct Chart {
    /// Unique on the page.
    pub(super) id: &'static str,
    /// What it is, for those who do not see it.
    pub(super) title: String,
    /// What it shows, for those who do not see it.
    pub(super) description: String,
    /// The horizontal axis.
    pub(super) x: Axis,
    /// The vertical axis.
    pub(super) y: Axis,
    /// The lines.
    pub(super) series: Vec<Series>,
}

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 300.0;
/// The plotting area; the rest is for marks and names.
const LEFT: f64 = 66.0;
const RIGHT: f64 = 380.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 250.0;
/// Height of a name with its value: two lines of text.
const NAME: f64 = 36.0;

impl Scale {
    /// The place of a value, or what is not finite if it has none.
    fn place(self, value: f64) -> f64 {
        match self {
            Scale::Linear | Scale::Whole => value,
            Scale::Log => value.log10(),
            Scale::Errors(least) => {
                let error = 1.0 - value;
                // Not `max`, which would make an error of what is no number.
                -(if error < least { least } else { error }).log10()
            }
        }
    }

    /// The values that bear a mark, and the places where the axis begins and ends.
    fn marks(self, low: f64, high: f64) -> (Vec<f64>, f64, f64) {
        match self {
            Scale::Linear | Scale::Whole => {
                let (low, high) = if low == high {
                    (low - 0.5, high + 0.5)
                } else {
                    (low, high)
                };
                let mut step = nice_step((high - low) / 5.0);
                if self == Scale::Whole {
                    step = step.max(1.0);
                }
                // From integers, so that 0.1 + 0.2 is never printed; whole numbers need no rounded ends.
                let (from, to) = ((low / step).floor(), (high / step).ceil());
                let marks: Vec<f64> = (0..=(to - from) as usize)
                    .map(|i| (from + i as f64) * step)
                    .collect();
                match self {
                    Scale::Whole => (
                        marks
                            .into_iter()
                            .filter(|m| (low..=high).contains(m))
                            .collect(),
                        low,
                        high,
                    ),
                    _ => (marks, from * step, to * step),
                }
            }
            Scale::Log | Scale::Errors(_) => {
                // Places are powers of ten, up or down.
                let pad = ((high - low) * 0.06).max(0.05);
                let (low, high) = (low - pad, high + pad);
                let sign = if self == Scale::Log { 1.0 } else { -1.0 };
                let digits: &[f64] = if high - low > 2.6 {
                    &[1.0]
                } else {
                    &[1.0, 2.0, 5.0]
                };
                let (first, last) = ((low.floor() as i32) - 1, (high.ceil() as i32) + 1);
                let marks = (first..=last)
                    .flat_map(|decade| {
                        digits
                            .iter()
                            .map(move |digit| digit * 10f64.powf(sign * f64::from(decade)))
                    })
                    .map(|power| {
                        if self == Scale::Log {
                            power
                        } else {
                            1.0 - power
                        }
                    })
                    .filter(|&mark| (low..=high).contains(&self.place(mark)))
                    .collect();
                (marks, low, high)
            }
        }
    }
}

/// The least of 1, 2, 5 times a power of ten that is not below `least`.
fn nice_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|&step| step >= least)
        .unwrap_or(10.0 * power)
}

impl Chart {
    /// The chart, or nothing if there is no point to draw.
    pub(super) fn svg(&self) -> Option<String> {
        let drawable =
            |p: &&Point| self.x.scale.place(p.x).is_finite() && self.y.scale.place(p.y).is_finite();
        let lines: Vec<(&Series, Vec<&Point>)> = self
            .series
            .iter()
            .map(|s| (s, s.points.iter().filter(drawable).collect()))
            .collect();
        let all = || lines.iter().flat_map(|(_, points)| points.iter());
        let (left, right) = extent(all().map(|p| self.x.scale.place(p.x)))?;
        let (low, high) = extent(all().map(|p| self.y.scale.place(p.y)))?;
        let (x_marks, left, right) = self.x.scale.marks(left, right);
        let (y_marks, low, high) = self.y.scale.marks(low, high);
        let x = |value: f64| {
            LEFT + (self.x.scale.place(value) - left) / (right - left) * (RIGHT - LEFT)
        };
        let y =
            |value: f64| BOTTOM - (self.y.scale.place(value) - low) / (high - low) * (BOTTOM - TOP);

        let mut grid = String::new();
        for &mark in &y_marks {
            let (at, text) = (y(mark), (self.y.mark)(mark));
            grid += &format!(
                "<line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>",
                LEFT - 8.0,
                at + 4.5
            );
        }
        for &mark in &x_marks {
            let (at, text) = (x(mark), (self.x.mark)(mark));
            grid += &format!(
                "<line class=\"tick\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{BOTTOM}\" y2=\"{:.1}\"/>\
                 <text class=\"middle\" x=\"{at:.1}\" y=\"{:.1}\">{text}</text>",
                BOTTOM + 5.0,
                BOTTOM + 20.0
            );
        }

        let mut drawn = String::new();
        let mut ends = Vec::new();
        for (series, points) in &lines {
            let Some(last) = points.last() else { continue };
            let places: Vec<String> = points
                .iter()
                .map(|p| format!("{:.1},{:.1}", x(p.x), y(p.y)))
                .collect();
            let dots: String = points
                .iter()
                .map(|p| {
                    let tip = Text(&p.tip);
                    format!(
                        "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\"><title>{tip}</title></circle>",
                        x(p.x),
                        y(p.y)
                    )
                })
                .collect();
            drawn += &format!(
                "<g class=\"{}\"><polyline points=\"{}\"/>{dots}</g>",
                series.class,
                places.join(" ")
            );
            ends.push((y(last.y), *series, last.y));
        }
        let names = name_ends(ends, |value| (self.y.mark)(value));

        Some(format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
             <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>\
             <g class=\"grid\">{grid}</g>\
             <text class=\"axis\" x=\"2\" y=\"14\">{}</text>\
             <text class=\"axis middle\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\
             {drawn}{names}</svg>",
            Text(&self.title),
            Text(&self.description),
            Text(self.y.label),
            (LEFT + RIGHT) / 2.0,
            HEIGHT - 8.0,
            Text(self.x.label),
            id = self.id,
        ))
    }
}

/// Names beside the ends of the lines, moved apart where they would lie on each other.
fn name_ends(mut ends: Vec<(f64, &Series, f64)>, value: impl Fn(f64) -> String) -> String {
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = TOP - 12.0;
    let mut tops: Vec<f64> = Vec::new();
    for (at, ..) in &ends {
        let top = (at - NAME / 2.0).max(free);
        free = top + NAME;
        tops.push(top);
    }
    // What was pushed below the plot goes up again, and takes along what it meets.
    let mut limit = BOTTOM + 8.0;
    for top in tops.iter_mut().rev() {
        *top = top.min(limit - NAME);
        limit = *top;
    }
    ends.iter()
        .zip(tops)
        .map(|((_, series, last), top)| {
            let x = RIGHT + 10.0;
            format!(
                "<text class=\"name {}\" x=\"{x:.1}\" y=\"{:.1}\">{}\
                 <tspan x=\"{x:.1}\" dy=\"16\">{}</tspan></text>",
                series.class,
                top + 14.0,
                Text(series.name),
                value(*last)
            )
        })
        .collect()
}

fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |range, v| match range {
        None => Some((v, v)),
        Some((low, high)) => Some((f64::min(low, v), f64::max(high, v))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::text::{count, percent_tick};

    fn chart(points: &[(f64, f64)]) -> Chart {
        let point = |&(x, y): &(f64, f64)| Point {
            x,
            y,
            tip: format!("{x} <{y}>"),
        };
        Chart {
            id: "c",
            title: "A & B".into(),
            description: "d".into(),
            x: Axis {
                label: "epoch",
                scale: Scale::Whole,
                mark: |x| count(x as usize),
            },
            y: Axis {
                label: "accuracy",
                scale: Scale::Errors(1e-4),
                mark: percent_tick,
            },
            series: vec![Series {
                class: "run",
                name: "run",
                points: points.iter().map(point).collect(),
            }],
        }
    }

    #[test]
    fn nothing_to_draw_is_no_chart() {
        assert!(chart(&[]).svg().is_none());
        assert!(
            chart(&[(1.0, f64::NAN), (f64::INFINITY, 0.5)])
                .svg()
                .is_none()
        );
    }

    #[test]
    fn one_point_and_a_perfect_one_are_drawn() {
        for points in [&[(1.0, 0.9)][..], &[(1.0, 0.1), (2.0, 1.0)], &[(3.0, 1.0)]] {
            let svg = chart(points).svg().expect("points to draw");
            assert_eq!(svg.matches("<circle").count(), points.len());
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            assert!(svg.contains("A &amp; B") && svg.contains("&lt;"));
        }
    }

    #[test]
    fn marks_are_round_and_inside() {
        let (marks, low, high) = Scale::Linear.marks(0.113, 0.982);
        assert_eq!(marks.len(), 6);
        assert_eq!((low, high), (0.0, 1.0));
        assert_eq!(Scale::Whole.marks(1.0, 10.0).0, [2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(Scale::Whole.marks(1.0, 3.0).0, [1.0, 2.0, 3.0]);
        assert_eq!(Scale::Whole.marks(1.0, 1.0).0, [1.0]);
        assert_eq!(
            Scale::Log.marks(50f64.log10(), 700f64.log10()).0,
            [50.0, 100.0, 200.0, 500.0]
        );
        let (marks, ..) = Scale::Errors(1e-4).marks(1.0, 2.0);
        assert_eq!(
            marks
                .iter()
                .map(|&m| percent_tick(m))
                .collect::<Vec<_>>()
                .concat()
                .matches('%')
                .count(),
            4
        );
    }

    #[test]
    fn names_keep_apart() {
        let chart = chart(&[]);
        let ends = vec![
            (100.0, &chart.series[0], 0.9),
            (101.0, &chart.series[0], 0.8),
        ];
        let names = name_ends(ends, percent_tick);
        let tops: Vec<f64> = names
            .match_indices("y=\"")
            .filter(|(at, _)| !names[..*at].ends_with('d'))
            .map(|(at, _)| {
                names[at + 3..]
                    .split('"')
                    .next()
                    .unwrap_or_default()
                    .parse()
                    .expect("a number")
            })
            .collect();
        assert!(tops.windows(2).any(|t| t[1] - t[0] >= NAME), "{tops:?}");
    }
}
