//! `package`: packs every crate that is published, as crates.io would get it.

use crate::cargo::{self, cargo};
use crate::{Failure, Outcome, failure};
use serde_json::Value;
use std::ffi::OsString;

/// All crates in one go: they depend on each other, and cargo looks for the others among those it packs.
pub(crate) fn run(arguments: Vec<OsString>) -> Outcome {
    failure::no_arguments("package", &arguments)?;
    let metadata = cargo::read(&mut cargo([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
    ]))?;
    let names = published(&metadata).ok_or_else(|| {
        Failure::Failed("`cargo metadata` does not list the workspace's packages".into())
    })?;
    let mut command = cargo(["package", "--no-verify", "--allow-dirty"]);
    for name in &names {
        command.args(["--package", name]);
    }
    cargo::run(&mut command)
}

/// The workspace's packages without `publish = false`.
fn published(metadata: &str) -> Option<Vec<String>> {
    let metadata: Value = serde_json::from_str(metadata).ok()?;
    metadata["packages"]
        .as_array()?
        .iter()
        .filter(|package| {
            package["publish"]
                .as_array()
                .is_none_or(|registries| !registries.is_empty())
        })
        .map(|package| package["name"].as_str().map(String::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::published;

    #[test]
    fn crates_that_are_not_published_are_left_out() {
        let metadata = r#"{"packages":[{"name":"a","publish":null},{"name":"b","publish":[]},{"name":"c","publish":["r"]}]}"#;
        assert_eq!(published(metadata), Some(vec!["a".into(), "c".into()]));
        assert_eq!(published("{}"), None);
    }
}
