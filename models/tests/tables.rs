//! The tables of the paper's appendix: every version's layers in order, their counts, and the sums.

use candle_core::{DType, Device};
use freqreg_models::{Architecture, Budgets, EXPERIMENTS, Layers};
use freqreg_nn::{Init, Store};
use serde_json::Value;

/// Name, original count and kept count of each tensor of an experiment's regularised network.
fn tensors(experiment: &str) -> Vec<(String, usize, usize)> {
    let (_, text) = EXPERIMENTS
        .iter()
        .find(|(name, _)| *name == experiment)
        .unwrap();
    let table: toml::Table = toml::from_str(text).unwrap();
    let regularised = table["regularised"].clone();
    let architecture: Architecture = regularised["model"].clone().try_into().unwrap();
    let budgets: Budgets = regularised["budgets"].clone().try_into().unwrap();
    let store = Store::new(1, DType::F32, &Device::Cpu);
    architecture
        .build(Layers::regularised(store.root(), &budgets, Init::Paper))
        .unwrap();
    store
        .parameters()
        .iter()
        .map(|p| (p.name().to_string(), p.weights(), p.kept()))
        .collect()
}

/// Rows of the appendix as original and kept count, then the sums that it prints.
fn printed(table: &str) -> (Vec<[usize; 2]>, [usize; 2]) {
    let all: Value = serde_json::from_str(include_str!("golden/layers.json")).unwrap();
    let tables = all["tables"].as_array().unwrap();
    let table = tables.iter().find(|t| t["name"] == table).unwrap();
    let count = |v: &Value| v.as_u64().unwrap() as usize;
    let rows = table["layers"].as_array().unwrap();
    let rows = rows.iter().map(|r| [count(&r[1]), count(&r[2])]).collect();
    (rows, [count(&table["total"][0]), count(&table["total"][1])])
}

/// Experiments, and the part of their layers, that keep as much as their table in all, but share it out among the layers otherwise.
const OWN_SHARES: [(&str, &str); 3] = [
    ("vgg16-v1", ""),
    ("vgg16-v2", ""),
    ("dcgan-v1", "generator."),
];

/// Holds an experiment against a table; `left_out` are tensors that the table does not have.
fn check(experiment: &str, table: &str, part: &str, left_out: &[&str]) {
    let ours = tensors(experiment);
    let ours: Vec<_> = ours
        .iter()
        .filter(|(name, ..)| name.starts_with(part) && !left_out.contains(&name.as_str()))
        .collect();
    let (rows, sums) = printed(table);
    assert_eq!(ours.len(), rows.len(), "{experiment}");
    let own_shares = OWN_SHARES.contains(&(experiment, part));
    for ((name, weights, kept), [original, remaining]) in ours.iter().zip(&rows) {
        // The appendix prints the count of the position table for the patch embedding, too.
        let original = match (table.starts_with("ViT"), name.as_str()) {
            (true, "patch.weight") => &24_576,
            _ => original,
        };
        assert_eq!(weights, original, "{experiment}: {name}");
        if !own_shares {
            assert_eq!(kept, remaining, "{experiment}: {name}");
        }
    }
    let differs = ours
        .iter()
        .zip(&rows)
        .any(|((.., kept), row)| *kept != row[1]);
    assert_eq!(differs, own_shares, "{experiment}");
    let sum = ours.iter().fold([0, 0], |[a, b], (_, w, k)| [a + w, b + k]);
    // With the slip put right, the ViT's rows add up to the printed sum.
    assert_eq!(
        sum,
        match table.starts_with("ViT") {
            true => [9_500_672, sums[1]],
            false => sums,
        },
        "{experiment}"
    );
}

#[test]
fn alexnet() {
    for v in ["v1", "v2", "v3", "v4"] {
        check(&format!("alexnet-{v}"), &format!("AlexNet-{v}"), "", &[]);
    }
}

#[test]
fn vgg16() {
    check("vgg16-v1", "VGG16-v1", "", &[]);
    for v in ["v2", "v3"] {
        check(
            &format!("vgg16-{v}"),
            &format!("VGG16-{v}"),
            "",
            &["fc1.weight"],
        );
    }
}

#[test]
fn resnet18() {
    for v in ["v1", "v2", "v3"] {
        check(
            &format!("resnet18-{v}"),
            &format!("ResNet-{v}"),
            "",
            &["stem.weight"],
        );
    }
}

#[test]
fn vit() {
    for v in ["v1", "v2"] {
        check(&format!("vit-{v}"), &format!("ViT-{v}"), "", &[]);
    }
}

#[test]
fn gan() {
    check("dcgan-v1", "GAN-v1 discriminator", "discriminator.", &[]);
    check("dcgan-v1", "GAN-v1 generator", "generator.", &[]);
}

#[test]
fn unet_and_lenet5_by_their_claims() {
    let sum = |name: &str| {
        tensors(name)
            .iter()
            .fold([0, 0], |[a, b], (_, w, k)| [a + w, b + k])
    };
    assert_eq!(sum("unet"), [31_024_960, 759]);
    assert!(tensors("unet").iter().all(|(_, _, kept)| *kept == 33));
    assert_eq!(sum("lenet5"), [429_168, 776]);
}
