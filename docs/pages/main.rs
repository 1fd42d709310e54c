//! Fills what is generated in the book's pages on the networks: `pages DOCS`.
//!
//! The pages are written by hand but for the regions that say they are generated: tables of layers, made from the
//! experiments that come with the zoo, of results and of sizes, made from the reports in `DOCS/results`, and of times, made from `DOCS/bench`. The picture of each network
//! is generated whole. A test holds the committed files against what would be written now.

#![forbid(unsafe_code)]

mod bench;
mod cluster;
mod coded;
mod curves;
mod experiments;
mod figure;
mod own;
mod regions;
mod results;
mod study;
mod tables;
mod zoo;

use freqreg_train::report::Report;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(docs) = std::env::args_os().nth(1) else {
        eprintln!("error: say where the book is: pages DOCS");
        return ExitCode::from(2);
    };
    let written = generate(Path::new(&docs)).and_then(|files| {
        for (path, text) in files {
            std::fs::write(&path, text).map_err(|e| said(&path, e))?;
            println!("{}", path.display());
        }
        Ok(())
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Every generated file of the book in the folder `docs`, with what belongs in it.
fn generate(docs: &Path) -> Result<Vec<(PathBuf, String)>, String> {
    let networks = zoo::networks()?;
    let reports = results::read(&docs.join("results"), &networks)?;
    let source = docs.join("src");
    let mut files = Vec::new();
    for network in &networks {
        let picture = format!("img/models/{}.svg", network.name);
        files.push((source.join(picture), figure::draw(network).text()));
        let path = source.join(format!("models/{}.md", network.name));
        let regions = [
            ("layers", tables::layers(network)),
            (
                "results",
                results::table(std::slice::from_ref(network), &reports),
            ),
        ];
        files.push(page(path, &regions)?);
    }
    let regions = [
        ("networks", tables::networks(&networks)),
        ("results", results::table(&networks, &reports)),
    ];
    files.push(page(source.join("models.md"), &regions)?);
    let regions = [("front", experiments::front(&networks, &reports))];
    files.push(page(source.join("index.md"), &regions)?);
    let regions = [("readme", experiments::readme(&reports))];
    files.push(page(docs.join("../README.md"), &regions)?);
    let studies = |folder: &str| coded::read(&docs.join("results").join(folder));
    let bytes = docs.join("results/bytes");
    let results_of = |name: &str| -> Vec<Report> {
        let of = |r: &&Report| r.experiment == name && experiments::counts(r);
        reports.iter().filter(of).cloned().collect()
    };
    let lenet5 = results_of("lenet5");
    let with = |others: Vec<Report>| study::group(lenet5.iter().cloned().chain(others));
    let mut baselines = studies("baselines")?;
    let pruned = |r: &Report| r.experiment == "lenet5-pruned" && r.changes == ["--budget 776"];
    baselines.extend(studies("bytes")?.into_iter().filter(pruned));
    let variations = studies("method")?;
    let variations_of = |name: &str| -> Vec<Report> {
        let of = |r: &&Report| r.experiment == name;
        variations.iter().filter(of).cloned().collect()
    };
    let studied = |name: &str| {
        let rows = results_of(name).into_iter().chain(variations_of(name));
        study::table(study::group(rows))
    };
    let mut method = variations_of("lenet5");
    let shares = studies("shares")?.into_iter();
    method.extend(shares.filter(|r| r.regularised.kept == 776));
    let paper_runs = results_of("lenet5-paper");
    method.extend(paper_runs.iter().cloned());
    let regions = [("paper", study::table(with(paper_runs)))];
    files.push(page(source.join("lenet5-paper.md"), &regions)?);
    let regions = [
        ("experiments", experiments::table(&networks, &reports)),
        ("runs", experiments::runs(&reports)),
        ("baselines", study::table(with(baselines))),
        ("method", study::table(with(method))),
        ("autoencoder", studied("vae-v1")),
        ("vgg16", studied("vgg16-v2")),
    ];
    files.push(page(source.join("results.md"), &regions)?);
    let panels = panels(&reports, studies("curves")?, coded::read(&bytes)?);
    let picture = source.join("img/curves.svg");
    files.push((picture, curves::draw(&panels).text()));
    let times = |name: &str| docs.join("bench").join(name);
    let grown = |by, heading| own::growth(&times("growth.jsonl"), by, heading);
    let regions = [
        ("peer", bench::table(&times("peer.json"))?),
        ("forms", own::forms(&times("forms.jsonl"))?),
        ("pixels", grown("pixels", "pixels")?),
        ("channels", grown("channels", "channels")?),
        ("kept", grown("kept", "kept")?),
        ("threads", grown("threads", "threads")?),
        ("choice", own::layers(&times("layers.jsonl"))?),
    ];
    files.push(page(source.join("performance.md"), &regions)?);
    let link = times("cluster/measured.json");
    let regions = [
        ("measured", cluster::measured(&link)?),
        ("model", cluster::model(&link)?),
    ];
    files.push(page(source.join("cluster.md"), &regions)?);
    let runs = coded::runs(&bytes, &reports)?;
    files.push((source.join("img/bytes.svg"), coded::draw(&runs).text()));
    let regions = [
        ("coded", coded::table(&runs)),
        ("pruned", coded::pruned(&runs)),
        (
            "shares",
            coded::shares(&docs.join("results/shares"), &bytes, &reports)?,
        ),
    ];
    files.push(page(source.join("files.md"), &regions)?);
    Ok(files)
}

/// What is drawn of accuracy against numbers kept: LeNet5 in float16, and every version and budget of the two larger networks.
fn panels(reports: &[Report], curves: Vec<Report>, bytes: Vec<Report>) -> Vec<curves::Panel> {
    let whole = reports.iter().filter(experiments::counts).cloned();
    let all: Vec<Report> = whole.chain(curves).chain(bytes).collect();
    let named = [
        ("lenet5", "LeNet5"),
        ("resnet18", "ResNet18"),
        ("vgg16", "VGG16"),
    ];
    let panel = |(name, title): (&str, &str)| {
        let of = |r: &&Report| {
            let version = r.experiment.strip_prefix(name);
            let budget = r
                .changes
                .iter()
                .all(|c| c.starts_with("--budget ") && !c.contains('='));
            version.is_some_and(|v| v.is_empty() || v.starts_with("-v"))
                && budget
                && r.regularised.pruned.is_none()
        };
        let runs: Vec<Report> = all.iter().filter(of).cloned().collect();
        let data = runs.first().map(|r| r.data.name.clone())?;
        Some(curves::Panel {
            title: format!("{title} on {data}"),
            studies: study::group(runs),
        })
    };
    named.into_iter().filter_map(panel).collect()
}

/// The page at `path` with its regions filled.
fn page(path: PathBuf, regions: &[(&str, String)]) -> Result<(PathBuf, String), String> {
    let old = std::fs::read_to_string(&path).map_err(|e| said(&path, e))?;
    let new = regions::fill(&old, regions).map_err(|e| said(&path, e))?;
    Ok((path, new))
}

fn said(path: &Path, error: impl std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

/// A count with its thousands apart: `57,035,456`.
fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_pages_are_what_is_generated() {
        let files = generate(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        for (path, text) in files {
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                committed == text,
                "{} is out of date: run `cargo xtask results`",
                path.display()
            );
        }
    }

    #[test]
    fn counts_have_their_thousands_apart() {
        assert_eq!(
            [0, 776, 1000, 429_168, 57_035_456].map(thousands),
            ["0", "776", "1,000", "429,168", "57,035,456"]
        );
    }
}
