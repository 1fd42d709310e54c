//! How well networks do in how few bytes: the reports in `results/bytes`, and those on the same experiment as it stands.

use crate::{results, thousands};
use freqreg_docs::svg::{Anchor, Svg};
use freqreg_train::experiment::Preset;
use freqreg_train::report::Report;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

/// Runs that differ in their seed only.
pub(crate) struct Runs {
    /// Numbers that are kept; of a pruned network those that are not zero.
    kept: usize,
    /// How they are stored.
    form: String,
    /// In how many epochs it was trained with them as stored, if in any.
    epochs: String,
    pruned: bool,
    /// By seed.
    reports: Vec<Report>,
}

/// What a file takes; of a pruned network, what is not zero and where it stands.
pub(crate) fn bytes(report: &Report) -> usize {
    let network = &report.regularised;
    network
        .pruned
        .as_ref()
        .map_or(network.file_bytes, |pruned| pruned.bytes)
}

impl Runs {
    fn mean(&self, of: impl Fn(&Report) -> f64) -> f64 {
        self.reports.iter().map(of).sum::<f64>() / self.reports.len().max(1) as f64
    }

    fn each(&self, of: impl Fn(&Report) -> String) -> String {
        let texts: Vec<String> = self.reports.iter().map(of).collect();
        texts.join(", ")
    }

    fn bytes(&self) -> f64 {
        self.mean(|r| bytes(r) as f64)
    }

    fn validation(&self) -> f64 {
        self.mean(|r| r.regularised.validation)
    }

    fn test(&self) -> f64 {
        self.mean(|r| r.regularised.test)
    }

    /// The cells that all tables end with: validation, test by seed, mean.
    fn scores(&self) -> String {
        format!(
            "{} | {} | **{}&nbsp;%**",
            percent(self.validation()),
            self.each(|r| percent(r.regularised.test)),
            percent(self.test()),
        )
    }
}

fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

/// Of these reports those of LeNet5 as it stands.
fn as_it_stands(reports: &[Report]) -> impl Iterator<Item = Report> {
    let found = reports.iter().filter(|r| {
        r.experiment == "lenet5" && r.preset == Preset::Default && r.changes.is_empty()
    });
    found.cloned()
}

/// The value of a change that the run was made with.
fn change<'a>(run: &'a Report, key: &str) -> Option<&'a str> {
    let found = run.changes.iter().find_map(|c| c.strip_prefix(key));
    found.map(str::trim)
}

/// All runs by what they have in common, from few bytes to many.
///
/// # Errors
/// As [`results::reports`].
pub(crate) fn runs(folder: &Path, reports: &[Report]) -> Result<Vec<Runs>, String> {
    let mut all = results::reports(folder)?;
    all.extend(as_it_stands(reports));
    let mut kinds: BTreeMap<_, Vec<Report>> = BTreeMap::new();
    for run in all {
        let network = &run.regularised;
        // Seeds differ by a few in what is not zero, for steps do.
        let asked = match &network.pruned {
            Some(pruned) => {
                change(&run, "--budget").map_or(pruned.nonzero.to_string(), String::from)
            }
            None => network.kept.to_string(),
        };
        let form = match change(&run, "--number") {
            Some(form) => form.replace("bits:", "") + " bits",
            None => network.number.clone(),
        };
        let epochs = change(&run, "--quantised-epochs").unwrap_or_default();
        let kind = (network.pruned.is_some(), asked, form, epochs.to_string());
        kinds.entry(kind).or_default().push(run);
    }
    let runs = |((pruned, _, form, epochs), mut reports): (
        (bool, String, String, String),
        Vec<Report>,
    )| {
        reports.sort_by_key(|r| r.seed);
        let first = &reports[0].regularised;
        Runs {
            kept: first.pruned.as_ref().map_or(first.kept, |p| p.nonzero),
            form,
            epochs,
            pruned,
            reports,
        }
    };
    let mut found: Vec<Runs> = kinds.into_iter().map(runs).collect();
    found.sort_by(|a, b| a.bytes().total_cmp(&b.bytes()));
    Ok(found)
}

/// A row for each kind of run of ours.
pub(crate) fn table(runs: &[Runs]) -> String {
    let mut text = String::from(
        "| numbers | form | epochs with it | bytes of the file | validation | test accuracy | mean |\n\
         | ---: | --- | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for run in runs.iter().filter(|r| !r.pruned) {
        let epochs = match run.epochs.as_str() {
            "" => "–",
            epochs => epochs,
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {} | {epochs} | {} | {} |",
            run.kept,
            run.form,
            run.each(|r| bytes(r).to_string()),
            run.scores(),
        );
    }
    text.trim_end().into()
}

/// A row for each pruned network.
pub(crate) fn pruned(runs: &[Runs]) -> String {
    let mut text = String::from(
        "| not zero | bytes of them and of the gaps | validation | test accuracy | mean |\n\
         | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for run in runs.iter().filter(|r| r.pruned) {
        let nonzero = |r: &Report| {
            let pruned = &r.regularised.pruned;
            pruned.as_ref().map_or(0, |p| p.nonzero).to_string()
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            run.each(nonzero),
            run.each(|r| bytes(r).to_string()),
            run.scores(),
        );
    }
    text.trim_end().into()
}

/// Budgets shared out in three ways: a row for each way and size of budget of the reports in `shares`, beside those in `bytes` and of LeNet5
/// as it stands that keep as many float16 numbers.
///
/// # Errors
/// As [`results::reports`].
pub(crate) fn shares(shares: &Path, bytes: &Path, reports: &[Report]) -> Result<String, String> {
    let mut runs = results::reports(shares)?;
    let sizes: BTreeSet<usize> = runs.iter().map(|r| r.regularised.kept).collect();
    let others = results::reports(bytes)?
        .into_iter()
        .chain(as_it_stands(reports));
    runs.extend(others.filter(|r| {
        let network = &r.regularised;
        network.number == "float16" && sizes.contains(&network.kept)
    }));
    let mut kinds: BTreeMap<(usize, usize), Vec<Report>> = BTreeMap::new();
    for run in runs {
        let way = match &run.changes {
            changes if changes.iter().any(|c| c == "--share-out") => 2,
            changes if changes.iter().any(|c| c.contains('=')) => 0,
            _ => 1,
        };
        let kind = (run.regularised.kept, way);
        kinds.entry(kind).or_default().push(run);
    }
    let mut text = String::from(
        "| numbers | shared out | in each layer | validation | test accuracy | mean |\n\
         | ---: | --- | --- | ---: | ---: | ---: |\n",
    );
    for ((kept, way), mut reports) in kinds {
        reports.sort_by_key(|r| r.seed);
        let way = ["evenly", "as the recipe has them", "by what is lost"][way];
        let runs = Runs {
            kept,
            form: String::new(),
            epochs: String::new(),
            pruned: false,
            reports,
        };
        let mut layers: Vec<String> = runs.reports.iter().map(layers).collect();
        layers.dedup();
        let _ = writeln!(
            text,
            "| {kept} | {way} | {} | {} |",
            layers.join("; "),
            runs.scores(),
        );
    }
    Ok(text.trim_end().into())
}

fn layers(report: &Report) -> String {
    let kept = report.regularised.layers.iter().map(|l| l.kept.to_string());
    kept.collect::<Vec<_>>().join(" ")
}

const SIZE: [f64; 2] = [640.0, 400.0];
const LEFT: f64 = 62.0;
const RIGHT: f64 = 622.0;
const TOP: f64 = 26.0;
const FOOT: f64 = 352.0;
const GRID: &str = "#e3e6ea";
const BYTES: [f64; 2] = [300.0, 8000.0];
/// What is misread, of all, at the top and at the foot.
const ERROR: [f64; 2] = [0.006, 0.15];

/// Where a network stands: bytes to the right and errors downwards, both on scales of factors.
fn place(bytes: f64, accuracy: f64) -> [f64; 2] {
    let part = |x: f64, [a, b]: [f64; 2]| ((x / a).ln() / (b / a).ln()).clamp(0.0, 1.0);
    let tenths = |x: f64| (10.0 * x).round() / 10.0;
    [
        tenths(LEFT + part(bytes, BYTES) * (RIGHT - LEFT)),
        tenths(TOP + part(1.0 - accuracy, ERROR) * (FOOT - TOP)),
    ]
}

/// Accuracy against bytes.
pub(crate) fn draw(runs: &[Runs]) -> Svg {
    let mut svg = Svg::new(
        SIZE[0],
        SIZE[1],
        "Test accuracy of LeNet5 on MNIST against the bytes that it takes: ours in float16, ours in few bits, and pruned",
    );
    for bytes in [300, 500, 1000, 2000, 4000, 8000] {
        let [x, _] = place(f64::from(bytes), 0.9);
        svg.filled([x, TOP], [1.0, FOOT - TOP], GRID);
        svg.words(
            [x, FOOT + 16.0],
            11.0,
            Anchor::Middle,
            &thousands(bytes as usize),
        );
    }
    for accuracy in [0.85, 0.9, 0.95, 0.97, 0.98, 0.985, 0.99, 0.992] {
        let [_, y] = place(1000.0, accuracy);
        svg.filled([LEFT, y], [RIGHT - LEFT, 1.0], GRID);
        let text = format!("{} %", (1000.0_f64 * accuracy).round() / 10.0);
        svg.words([LEFT - 6.0, y + 4.0], 11.0, Anchor::End, &text);
    }
    svg.words([LEFT, TOP - 6.0], 12.0, Anchor::Start, "test accuracy");
    let middle = 0.5 * (LEFT + RIGHT);
    svg.words([middle, FOOT + 36.0], 12.0, Anchor::Middle, "bytes");
    let float = |r: &&Runs| !r.pruned && r.form == "float16";
    let coded = |r: &&Runs| !r.pruned && r.form != "float16";
    let series: [(Vec<&Runs>, &str, &str); 3] = [
        (
            runs.iter().filter(coded).collect(),
            "#d96c06",
            "coefficients, few bits, coded",
        ),
        (
            runs.iter().filter(float).collect(),
            "#215aa8",
            "coefficients, float16",
        ),
        (
            runs.iter().filter(|r| r.pruned).collect(),
            "#6b7280",
            "pruned weights, 8 bits, coded",
        ),
    ];
    for (i, (runs, colour, name)) in series.iter().enumerate() {
        let mut best = 0.0;
        // Through those that the validation images prefer to all that take less.
        let front: Vec<[f64; 2]> = runs
            .iter()
            .filter(|r| {
                let better = r.validation() > best;
                best = r.validation().max(best);
                better
            })
            .map(|r| place(r.bytes(), r.test()))
            .collect();
        svg.line(&front, colour, 1.5);
        for run in runs {
            for report in &run.reports {
                svg.dot(
                    place(bytes(report) as f64, report.regularised.test),
                    3.2,
                    colour,
                );
            }
        }
        let y = FOOT - 62.0 + 20.0 * i as f64;
        svg.dot([middle + 90.0, y - 4.0], 4.0, colour);
        svg.words([middle + 100.0, y], 12.0, Anchor::Start, name);
    }
    svg
}
