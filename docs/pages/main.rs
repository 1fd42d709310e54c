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

/// A file and what belongs in it.
type Filled = (PathBuf, String);

/// Every generated file of the book in the folder `docs`, with what belongs in it.
fn generate(docs: &Path) -> Result<Vec<Filled>, String> {
    let networks = zoo::networks()?;
    let reports = results::read(&docs.join("results"), &networks)?;
    let mut files = networks_and_fronts(docs, &networks, &reports)?;
    files.extend(in_earnest(docs, &networks, &reports)?);
    files.extend(times(docs)?);
    files.extend(in_bytes(docs, &reports)?);
    Ok(files)
}

/// The pages on the networks, and the tables that the front pages have of them.
fn networks_and_fronts(
    docs: &Path,
    networks: &[zoo::Network],
    reports: &[Report],
) -> Result<Vec<Filled>, String> {
    let source = docs.join("src");
    let mut files = Vec::new();
    for network in networks {
        let picture = format!("img/models/{}.svg", network.name);
        files.push((source.join(picture), figure::draw(network).text()));
        let path = source.join(format!("models/{}.md", network.name));
        let results = results::table(std::slice::from_ref(network), reports);
        let regions = [("layers", tables::layers(network)), ("results", results)];
        files.push(page(path, &regions)?);
    }
    let regions = [
        ("networks", tables::networks(networks)),
        ("results", results::table(networks, reports)),
    ];
    files.push(page(source.join("models.md"), &regions)?);
    let regions = [("front", experiments::front(networks, reports))];
    files.push(page(source.join("index.md"), &regions)?);
    let regions = [("readme", experiments::readme(reports))];
    files.push(page(docs.join("../README.md"), &regions)?);
    Ok(files)
}

/// The page on the results in earnest with its curves, and the walk through the paper's recipe.
fn in_earnest(
    docs: &Path,
    networks: &[zoo::Network],
    reports: &[Report],
) -> Result<Vec<Filled>, String> {
    let source = docs.join("src");
    let studies = |folder: &str| results::reports(&docs.join("results").join(folder));
    let of = |name: &str| -> Vec<Report> {
        let counts = |r: &&Report| r.experiment == name && experiments::counts(r);
        reports.iter().filter(counts).cloned().collect()
    };
    // An experiment's runs in earnest, and others to compare with them.
    let beside = |name: &str, others: &[Report], like: &dyn Fn(&Report) -> bool| {
        let others = others.iter().filter(|r| like(r)).cloned();
        study::table(study::group(of(name).into_iter().chain(others)))
    };
    let (bytes, curves) = (studies("bytes")?, studies("curves")?);
    let mut baselines = studies("baselines")?;
    let pruned = |r: &&Report| r.experiment == "lenet5-pruned" && r.changes == ["--budget 776"];
    baselines.extend(bytes.iter().filter(pruned).cloned());
    let against = |name: &str, network: &str| {
        beside(name, &baselines, &|r| r.experiment.starts_with(network))
    };
    let mut changed = studies("method")?;
    let shared = studies("shares")?;
    let shared = shared.into_iter().filter(|r| r.regularised.kept == 776);
    changed.extend(shared.chain(of("lenet5-paper")));
    let method = |name: &str| beside(name, &changed, &|r| r.experiment == name);
    let whole_method = |r: &Report| ["lenet5", "lenet5-paper"].contains(&&*r.experiment);
    let regions = [
        ("experiments", experiments::table(networks, reports)),
        ("runs", experiments::runs(reports)),
        ("baselines", against("lenet5", "lenet5-")),
        ("baselines-resnet18", against("resnet18-v2", "resnet18-")),
        ("method", beside("lenet5", &changed, &whole_method)),
        ("autoencoder", method("vae-v1")),
        ("vgg16", method("vgg16-v2")),
        ("generator", method("dcgan-v1")),
    ];
    let paper = beside("lenet5", &of("lenet5-paper"), &|_| true);
    let panels = panels(reports, curves, bytes);
    Ok(vec![
        page(source.join("lenet5-paper.md"), &[("paper", paper)])?,
        page(source.join("results.md"), &regions)?,
        (source.join("img/curves.svg"), curves::draw(&panels).text()),
    ])
}

/// The pages on speed and on networks that are trained together.
fn times(docs: &Path) -> Result<Vec<Filled>, String> {
    let source = docs.join("src");
    let bench = |name: &str| docs.join("bench").join(name);
    let grown = |by, heading| own::growth(&bench("growth.jsonl"), by, heading);
    let speed = [
        ("peer", bench::table(&bench("peer.json"))?),
        ("forms", own::forms(&bench("forms.jsonl"))?),
        ("pixels", grown("pixels", "pixels")?),
        ("channels", grown("channels", "channels")?),
        ("kept", grown("kept", "kept")?),
        ("threads", grown("threads", "threads")?),
        ("choice", own::layers(&bench("layers.jsonl"))?),
    ];
    let link = bench("cluster/measured.json");
    let together = [
        ("measured", cluster::measured(&link)?),
        ("model", cluster::model(&link)?),
    ];
    Ok(vec![
        page(source.join("performance.md"), &speed)?,
        page(source.join("cluster.md"), &together)?,
    ])
}

/// The page on files: what networks take in few bits a number, and how budgets are shared out.
fn in_bytes(docs: &Path, reports: &[Report]) -> Result<Vec<Filled>, String> {
    let source = docs.join("src");
    let bytes = docs.join("results/bytes");
    let runs = coded::runs(&bytes, reports)?;
    let shares = coded::shares(&docs.join("results/shares"), &bytes, reports)?;
    let regions = [
        ("coded", coded::table(&runs)),
        ("pruned", coded::pruned(&runs)),
        ("shares", shares),
    ];
    Ok(vec![
        (source.join("img/bytes.svg"), coded::draw(&runs).text()),
        page(source.join("files.md"), &regions)?,
    ])
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
fn page(path: PathBuf, regions: &[(&str, String)]) -> Result<Filled, String> {
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
