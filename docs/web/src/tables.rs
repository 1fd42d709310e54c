//! The shapes of the two networks, which their files leave to whoever reads them.

use crate::Result;
use freqreg_file::{Codec, Model};

/// Only the networks that the pages have are known; another one's file has to name its tensors.
fn tables(architecture: &str, config: &str) -> Option<Vec<(String, Vec<usize>)>> {
    let sets = |setting: &str| config.contains(setting);
    let lenet5 = [
        ("conv1", vec![8, 1, 5, 5]),
        ("conv2", vec![128, 8, 5, 5]),
        ("fc1", vec![196, 2048]),
        ("fc2", vec![10, 196]),
    ];
    let other = ["input", "classes", "channels_in", "width", "depth"];
    if other.iter().any(|key| sets(&format!("\"{key}\":"))) {
        return None;
    }
    match architecture {
        "lenet5" if sets("\"channels\":[8,128]") && sets("\"hidden\":196") => {
            let named = |(name, shape)| (format!("{name}.weight"), shape);
            Some(lenet5.map(named).to_vec())
        }
        "unet" => Some(unet(3, 64, 4, 2)),
        _ => None,
    }
}

/// The layers of a UNet in their order.
pub(crate) fn unet(
    colours: usize,
    width: usize,
    depth: usize,
    classes: usize,
) -> Vec<(String, Vec<usize>)> {
    let of = |level: usize| width << level;
    let mut layers = Vec::new();
    let mut push =
        |name: String, shape: [usize; 4]| layers.push((format!("{name}.weight"), shape.to_vec()));
    push("inc.conv1".into(), [width, colours, 3, 3]);
    push("inc.conv2".into(), [width, width, 3, 3]);
    for level in 1..=depth {
        let (from, to) = (of(level - 1), of(level));
        push(format!("down{level}.conv1"), [to, from, 3, 3]);
        push(format!("down{level}.conv2"), [to, to, 3, 3]);
    }
    for i in 1..=depth {
        let (from, to) = (of(depth + 1 - i), of(depth - i));
        push(format!("up{i}.up"), [from, to, 2, 2]);
        push(format!("up{i}.conv1"), [to, from, 3, 3]);
        push(format!("up{i}.conv2"), [to, to, 3, 3]);
    }
    push("out".into(), [classes, width, 1, 1]);
    layers
}

pub(crate) fn read(file: &[u8]) -> Result<Model> {
    let codec = Codec {
        tables: &tables,
        ..Codec::default()
    };
    Ok(codec.decode(file)?)
}
