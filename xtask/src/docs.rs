//! `docs`: the API documentation and the book.

use crate::cargo::{self, cargo, root};
use crate::{Failure, Outcome, failure};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::process::Command;

pub(crate) fn run(arguments: Vec<OsString>) -> Outcome {
    failure::no_arguments("docs", &arguments)?;
    cargo::run(cargo(["doc", "--no-deps", "--workspace"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    let book = root().join("docs");
    if let Err(error) = Command::new("mdbook").arg("--version").output() {
        return Err(Failure::Failed(match error.kind() {
            ErrorKind::NotFound => "the API documentation is built, but the book needs mdBook: \
                `cargo install mdbook --locked`, then run this again"
                .into(),
            _ => format!("cannot start `mdbook`: {error}"),
        }));
    }
    cargo::run(Command::new("mdbook").arg("build").arg(&book))?;
    println!(
        "the book: {}",
        book.join("book").join("index.html").display()
    );
    Ok(())
}
