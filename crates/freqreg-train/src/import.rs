//! The authors' released networks as model files.

use crate::network::{Network, tidied};
use crate::{Error, Result};
use candle_core::Device;
use freqreg_file::{Limits, Model as ModelFile, PtTensor, import_prefixes, parse_pt, read_pt};
use freqreg_models::{Architecture, UnetConfig};
use std::path::Path;

/// Reads the authors' UNet from a PyTorch file of sparse coefficient tensors. The file's pickle is read as data; nothing
/// in it is run.
///
/// # Errors
/// A file that can't be read or is none, and one that holds another network, with the names that were found.
pub fn import_unet(path: &Path) -> Result<ModelFile> {
    unet(&read_pt(path, &Limits::default())?, path)
}

/// As [`import_unet`], for the bytes of a file, which errors call `name`.
///
/// # Errors
/// As [`import_unet`].
pub fn import_unet_bytes(bytes: &[u8], name: &Path) -> Result<ModelFile> {
    let tensors = parse_pt(bytes, &Limits::default()).map_err(|error| Error::Import {
        path: name.into(),
        reason: error.to_string(),
    })?;
    unet(&tensors, name)
}

fn unet(tensors: &[PtTensor], path: &Path) -> Result<ModelFile> {
    let refuse = |reason: String| Error::Import {
        path: path.into(),
        reason,
    };
    if let Some(other) = tensors.iter().find(|t| rename(&t.name).is_none()) {
        return Err(refuse(format!(
            "it holds `{}`, which is no tensor of the authors' UNet; this is the one network that they released and that can be imported",
            other.name
        )));
    }
    let tensors = import_prefixes(tensors, rename)?;
    let shape = |name: &str| {
        let found = tensors.iter().find(|t| t.name == name);
        found
            .map(|t| t.shape.clone())
            .filter(|shape| shape.len() == 4)
            .ok_or_else(|| {
                refuse(format!(
                    "it holds no convolution that would be `{name}` of a UNet"
                ))
            })
    };
    let (first, last) = (shape("inc.conv1.weight")?, shape("out.weight")?);
    let levels = tensors
        .iter()
        .filter(|t| t.name.starts_with("down") && t.name.ends_with("conv1.weight"));
    let architecture = Architecture::Unet(UnetConfig {
        channels_in: first[1],
        classes: last[0],
        width: first[0],
        depth: levels.count(),
        ..UnetConfig::default()
    });
    let file = ModelFile {
        architecture: architecture.name().into(),
        config: serde_json::to_string(&architecture).map_err(|e| Error::Model(e.to_string()))?,
        tensors,
    };
    // What can't be run is no network.
    Network::from_file(&file, &Device::Cpu).map_err(|e| refuse(e.to_string()))?;
    Ok(tidied(file))
}

/// Our name of a tensor of the authors' UNet; `None` for any other.
fn rename(name: &str) -> Option<String> {
    if name == "outc.conv.weight" {
        return Some("out.weight".into());
    }
    let (block, rest) = name.split_once('.')?;
    let numbered = |prefix: &str| {
        let number = block.strip_prefix(prefix)?;
        (number.len() == 1 && number.as_bytes()[0].is_ascii_digit()).then_some(())
    };
    let rest = match rest {
        _ if block == "inc" => rest.strip_prefix("double_conv.")?,
        _ if numbered("down").is_some() => rest.strip_prefix("maxpool_conv.1.double_conv.")?,
        _ if numbered("up").is_none() => return None,
        "up.weight" => return Some(format!("{block}.up.weight")),
        _ => rest.strip_prefix("conv.double_conv.")?,
    };
    match rest {
        "0.weight" => Some(format!("{block}.conv1.weight")),
        "3.weight" => Some(format!("{block}.conv2.weight")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authors_names_become_ours() {
        let cases = [
            ("inc.double_conv.0.weight", Some("inc.conv1.weight")),
            (
                "down4.maxpool_conv.1.double_conv.3.weight",
                Some("down4.conv2.weight"),
            ),
            ("up1.up.weight", Some("up1.up.weight")),
            ("up2.conv.double_conv.3.weight", Some("up2.conv2.weight")),
            ("outc.conv.weight", Some("out.weight")),
            ("conv1.weight", None),
            ("inc.double_conv.1.weight", None),
            ("downx.maxpool_conv.1.double_conv.0.weight", None),
            ("up.up.weight", None),
            ("", None),
        ];
        for (theirs, ours) in cases {
            assert_eq!(rename(theirs).as_deref(), ours, "{theirs}");
        }
    }
}
