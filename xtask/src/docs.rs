//! `docs`: the site, of the book with its demonstrations and the API documentation.

use crate::cargo::{self, cargo, root};
use crate::{Failure, Outcome};
use lexopt::{Arg, Parser, ValueExt};
use std::ffi::OsString;
use std::process::Command;

const USAGE: &str = "cargo xtask docs [--serve [PORT]] [--open] [--test]";
const TARGET: &str = "wasm32-unknown-unknown";

/// Where the site is handed out if nothing else is said.
const PORT: u16 = 8000;

#[derive(Default)]
struct Options {
    port: Option<u16>,
    open: bool,
    test: bool,
}

pub(crate) fn run(arguments: Vec<OsString>) -> Outcome {
    let options = options(arguments).map_err(|e| Failure::Usage(format!("{e}\nusage: {USAGE}")))?;
    cargo::run(cargo(["doc", "--no-deps", "--workspace"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    demonstrations()?;
    let target = cargo::target()?;
    let mut site = cargo(["run", "--quiet", "--package", "freqreg-site", "--"]);
    let wasm = target.join(TARGET).join("web/freqreg_web.wasm");
    let out = target.join("site");
    site.arg("--book").arg(root().join("docs"));
    site.arg("--wasm").arg(wasm);
    site.arg("--api").arg(target.join("doc"));
    site.arg("--out").arg(&out);
    if let Some(port) = options.port {
        site.arg("--serve").arg(port.to_string());
    }
    if options.open {
        site.arg("--open");
    }
    cargo::run(&mut site)?;
    if options.test {
        let mut tests = cargo([
            "test",
            "--package",
            "freqreg-site",
            "--test",
            "browser",
            "--",
        ]);
        cargo::run(tests.args(["--ignored", "--nocapture", "--test-threads=1"]))?;
    }
    Ok(())
}

fn options(arguments: Vec<OsString>) -> Result<Options, lexopt::Error> {
    let mut options = Options::default();
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("serve") => {
                let port = parser.optional_value().or_else(|| {
                    let mut values = parser.try_raw_args()?;
                    let digits = |v: &std::ffi::OsStr| v.to_string_lossy().parse::<u16>().is_ok();
                    values.next_if(digits)
                });
                options.port = Some(port.map_or(Ok(PORT), |p| p.parse())?);
            }
            Arg::Long("open") => options.open = true,
            Arg::Long("test") => options.test = true,
            other => return Err(other.unexpected()),
        }
    }
    if options.open {
        // The demonstrations want a server: browsers load no modules from files.
        options.port = options.port.or(Some(PORT));
    }
    Ok(options)
}

/// What the pages compute with, for any browser that has 128-bit vectors, which all have had since 2023.
fn demonstrations() -> Outcome {
    let installed = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .output();
    let there = installed.as_ref().is_ok_and(|o| {
        String::from_utf8_lossy(&o.stdout)
            .lines()
            .any(|l| l == TARGET)
    });
    if installed.is_ok() && !there {
        cargo::run(Command::new("rustup").args(["target", "add", TARGET]))?;
    }
    let mut build = cargo(["build", "--package", "freqreg-web", "--profile", "web"]);
    build.args(["--target", TARGET]);
    cargo::run(build.env(
        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
        "-C target-feature=+simd128",
    ))
}
