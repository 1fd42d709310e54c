//! One measurement as a program prints it: a JSON object on a line of its own.

use super::process::Finished;
use serde_json::Value;

/// What was measured and how long it took, in one run of one program.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    /// What was done.
    pub(super) what: String,
    /// Seconds: the median over the program's own repeats.
    pub(super) seconds: f64,
    /// The largest resident memory of the process that printed it, in MiB.
    pub(super) peak_mb: Option<f64>,
}

/// The figures among a program's lines; other lines are passed over.
pub(super) fn figures(finished: &Finished) -> Vec<Figure> {
    finished
        .output
        .lines()
        .filter_map(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            Some(Figure {
                what: line["what"].as_str()?.into(),
                seconds: line["median_s"].as_f64()?,
                peak_mb: finished.peak_mb,
            })
        })
        .collect()
}

/// The median; of an even number of values, the mean of the two in the middle. `None` without values.
pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_one_a_line_among_other_lines() {
        let output = "loading\n{\"what\": \"a\", \"median_s\": 0.5, \"min_s\": 0.4}\n{\"note\": 1}\n{\"what\": \"b\", \"median_s\": 2}\n";
        let found = figures(&Finished {
            output: output.into(),
            peak_mb: Some(3.0),
        });
        let figure = |what: &str, seconds| Figure {
            what: what.into(),
            seconds,
            peak_mb: Some(3.0),
        };
        assert_eq!(found, [figure("a", 0.5), figure("b", 2.0)]);
    }

    #[test]
    fn the_median_does_not_depend_on_the_order() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }
}
