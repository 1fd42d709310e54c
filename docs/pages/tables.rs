//! Tables of networks and of their layers, in Markdown.

use crate::thousands;
use crate::zoo::{Network, Tensor, Version, shape};
use freqreg_nn::KeepOrder;
use std::fmt::Write;

/// The tensors of a network with what each version keeps of them, and the sums.
pub(crate) fn layers(network: &Network) -> String {
    let versions = &network.versions;
    let mut text = String::from("| layer | shape | weights |");
    for version in versions {
        let _ = write!(text, " `{}` |", column(version));
    }
    text += &format!(
        "\n| --- | --- | ---: |{}\n",
        " ---: |".repeat(versions.len())
    );
    for (tensor, of) in network.rows() {
        let weights = thousands(tensor.weights());
        let _ = write!(
            text,
            "| `{}` | {} | {weights} |",
            tensor.name,
            shape(&tensor.shape)
        );
        for of in of {
            let _ = write!(text, " {} |", of.map_or("none".into(), kept));
        }
        text.push('\n');
    }
    let mut sums =
        |name: &str, weights: &dyn Fn(&Version) -> String, kept: &dyn Fn(&Version) -> String| {
            // Versions that agree in their weights share the one column.
            let mut of: Vec<String> = versions.iter().map(weights).collect();
            of.dedup();
            let _ = write!(text, "| **{name}** | | {} |", of.join(" / "));
            for version in versions {
                let _ = write!(text, " **{}** |", kept(version));
            }
            text.push('\n');
        };
    for (name, prefixes_only) in [("all", false), ("coefficients alone", true)] {
        if !prefixes_only || versions.iter().any(|v| v.kept(true) < v.kept(false)) {
            sums(name, &|v| thousands(v.weights(prefixes_only)), &|v| {
                thousands(v.kept(prefixes_only))
            });
        }
    }
    if versions.iter().any(|v| v.experiment.paper.is_some()) {
        let printed = |v: &Version| {
            v.experiment
                .paper
                .as_ref()
                .map(|claim| claim.weights.clone())
        };
        sums(
            "printed in the paper",
            &|v| printed(v).unwrap_or("nothing".into()),
            &claimed,
        );
    }
    text
}

/// Every version of every network in a row of its own.
pub(crate) fn networks(networks: &[Network]) -> String {
    let mut text = String::from(
        "| network | experiment | weights | numbers stored | of these ordinary weights | kept, as the paper prints |\n\
         | --- | --- | ---: | ---: | ---: | ---: |\n",
    );
    for network in networks {
        for (i, version) in network.versions.iter().enumerate() {
            let title = match i {
                0 => format!("[{}](models/{}.md)", network.title, network.name),
                _ => String::new(),
            };
            let ordinary = match version.kept(false) - version.kept(true) {
                0 => "none".into(),
                n => thousands(n),
            };
            let _ = writeln!(
                text,
                "| {title} | `{}` | {} | {}\u{a0}{} | {ordinary} | {} |",
                version.name(),
                thousands(version.weights(false)),
                thousands(version.kept(false)),
                number(version),
                claimed(version)
            );
        }
    }
    text
}

/// A version's name over a narrow column: `v2` of `alexnet-v2`.
fn column(version: &Version) -> &str {
    let name = version.name();
    match name.rsplit_once("-v") {
        Some((network, _)) => &name[network.len() + 1..],
        None => name,
    }
}

/// How numbers are stored, as the experiment says: `float16`.
fn number(version: &Version) -> String {
    version.experiment.regularised.number.to_string()
}

/// How many numbers are kept, as the paper prints.
fn claimed(version: &Version) -> String {
    let claim = version.experiment.paper.as_ref();
    claim.map_or("nothing".into(), |claim| thousands(claim.kept))
}

/// What is kept of a tensor, and what is unusual about it.
fn kept(tensor: &Tensor) -> String {
    let mut text = thousands(tensor.kept);
    let Some((axes, order)) = &tensor.prefix else {
        return text + ", dense";
    };
    if *order != KeepOrder::Zigzag {
        let _ = write!(text, ", order {order}");
    }
    if *axes != tensor.shape {
        let _ = write!(text, ", axes {}", shape(axes));
    }
    text
}
