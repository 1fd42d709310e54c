//! Fills what is generated in the book's pages on the networks: `pages DOCS`.
//!
//! The pages are written by hand but for the regions that say they are generated: tables of layers, made from the
//! experiments that come with the zoo, of results and of sizes, made from the reports in `DOCS/results`, and of times, made from `DOCS/bench`. The picture of each network
//! is generated whole. A test holds the committed files against what would be written now.

#![forbid(unsafe_code)]

mod bench;
mod coded;
mod experiments;
mod figure;
mod own;
mod regions;
mod results;
mod tables;
mod zoo;

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
    let regions = [
        ("experiments", experiments::table(&networks, &reports)),
        ("runs", experiments::runs(&reports)),
    ];
    files.push(page(source.join("results.md"), &regions)?);
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
    let bytes = docs.join("results/bytes");
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
