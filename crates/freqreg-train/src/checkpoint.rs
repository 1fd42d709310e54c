//! The state of a training, in a safetensors file that is written whole or not at all.

use crate::network::Network;
use crate::optimiser::{Optimiser, Slot};
use crate::report::EpochReport;
use crate::{Error, Result};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

const VERSION: u32 = 2;
const KEY: &str = "freqreg";

/// All of a training's state that is no tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    version: u32,
    /// What determines the training: settings, seed and data. Another one can't be continued from here.
    pub identity: String,
    /// Steps made.
    pub step: usize,
    /// Sums over the steps of the epoch under way.
    pub running: Running,
    /// Seconds spent so far.
    pub seconds: f64,
    /// Bytes that were given to sums over processes in the last step.
    #[serde(default)]
    pub exchanged: usize,
    /// The epochs that are complete.
    pub history: Vec<EpochReport>,
    /// Length of every parameter, in order.
    lengths: Vec<(String, usize)>,
    optimiser_steps: u64,
}

/// What an epoch adds up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Running {
    pub loss: f64,
    pub score: f64,
    pub steps: usize,
}

impl Progress {
    pub(crate) fn start(identity: String) -> Self {
        Progress {
            version: VERSION,
            identity,
            step: 0,
            running: Running::default(),
            seconds: 0.0,
            exchanged: 0,
            history: Vec::new(),
            lengths: Vec::new(),
            optimiser_steps: 0,
        }
    }
}

/// Writes the state to `path`.
pub(crate) fn save(
    path: &Path,
    network: &Network,
    optimiser: &Optimiser,
    progress: &Progress,
) -> Result<()> {
    let failed = |reason: String| Error::Checkpoint {
        path: path.into(),
        reason,
    };
    let mut progress = progress.clone();
    progress.optimiser_steps = optimiser.steps();
    progress.lengths.clear();
    let mut data: Vec<(String, Vec<u8>)> = Vec::new();
    for (p, slot) in network.parameters.iter().zip(optimiser.slots()) {
        progress.lengths.push((p.name().into(), p.kept()));
        let values: Vec<f32> = p.values()?.into_iter().map(|v| v as f32).collect();
        let parts = [
            ("value", &values),
            ("first", &slot.first),
            ("second", &slot.second),
        ];
        for (part, list) in parts {
            let bytes = list.iter().flat_map(|x| x.to_le_bytes()).collect();
            data.push((format!("{}/{part}", p.name()), bytes));
        }
    }
    let views = data
        .iter()
        .map(|(name, bytes)| {
            let view = TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes);
            Ok((name.as_str(), view.map_err(|e| failed(e.to_string()))?))
        })
        .collect::<Result<Vec<_>>>()?;
    let text = serde_json::to_string(&progress).map_err(|e| failed(e.to_string()))?;
    let mut sum = crc32fast::Hasher::new();
    for bytes in data.iter().map(|(_, bytes)| bytes.as_slice()) {
        sum.update(bytes);
    }
    sum.update(text.as_bytes());
    let sum = format!("{:08x}", sum.finalize());
    let meta = HashMap::from([(KEY.to_string(), text), ("crc32".to_string(), sum)]);
    let bytes = safetensors::serialize(views, Some(meta)).map_err(|e| failed(e.to_string()))?;
    Ok(freqreg_file::write_atomically(path, &bytes)?)
}

/// What of a safetensors header is read without the library.
#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__")]
    metadata: HashMap<String, String>,
}

/// Whether there is a checkpoint of this training at `path`. What can't be read is none.
pub(crate) fn is_of(path: &Path, identity: &str) -> bool {
    let read = || -> Option<String> {
        let mut file = std::fs::File::open(path).ok()?;
        let mut length = [0; 8];
        file.read_exact(&mut length).ok()?;
        let mut header = length.to_vec();
        // The header of the largest network takes some kilobytes.
        let bytes = u64::from_le_bytes(length);
        if bytes > 1 << 26 || file.take(bytes).read_to_end(&mut header).ok()? as u64 != bytes {
            return None;
        }
        // The header alone: the library reads one only together with the tensors behind it.
        let header: Header = serde_json::from_slice(header.get(8..)?).ok()?;
        let progress: Progress = serde_json::from_str(header.metadata.get(KEY)?).ok()?;
        (progress.version == VERSION).then_some(progress.identity)
    };
    read().is_some_and(|found| found == identity)
}

/// What stands in the file at `path`; `None` if there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Error::Io {
            action: "read",
            path: PathBuf::from(path),
            cause,
        }),
    }
}

/// Puts the state that was read at `path` into the network and the optimiser.
pub(crate) fn load(
    bytes: &[u8],
    path: &Path,
    identity: &str,
    network: &Network,
    optimiser: &mut Optimiser,
) -> Result<Progress> {
    let failed = |reason: String| Error::Checkpoint {
        path: path.into(),
        reason,
    };
    let damaged = |what: &str| failed(format!("it is damaged or no checkpoint ({what})"));
    let (_, meta) = SafeTensors::read_metadata(bytes).map_err(|e| damaged(&e.to_string()))?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| damaged(&e.to_string()))?;
    let meta = meta.metadata().clone().unwrap_or_default();
    let text = meta
        .get(KEY)
        .ok_or_else(|| damaged("it lacks its header"))?;
    let version: Version = serde_json::from_str(text).map_err(|e| damaged(&e.to_string()))?;
    if version.version != VERSION {
        let found = version.version;
        return Err(failed(format!(
            "it has version {found}, this program reads {VERSION}"
        )));
    }
    let progress: Progress = serde_json::from_str(text).map_err(|e| damaged(&e.to_string()))?;
    if progress.identity != identity {
        return Err(failed(
            "it was made with other settings, another seed or other data".into(),
        ));
    }
    let mut sum = crc32fast::Hasher::new();
    let mut slots = Vec::new();
    let known = network.parameters.len();
    if progress.lengths.len() != known {
        return Err(failed(format!(
            "it holds {} parameters, the network has {known}",
            progress.lengths.len()
        )));
    }
    for (p, (name, length)) in network.parameters.iter().zip(&progress.lengths) {
        if p.name() != name {
            return Err(damaged(&format!(
                "`{name}` stands where `{}` should",
                p.name()
            )));
        }
        let mut part = |part: &str| -> Result<Vec<f32>> {
            let view = tensors
                .tensor(&format!("{name}/{part}"))
                .map_err(|e| damaged(&e.to_string()))?;
            sum.update(view.data());
            let number = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            Ok(view.data().chunks_exact(4).map(number).collect())
        };
        let values: Vec<f64> = part("value")?.into_iter().map(f64::from).collect();
        let (first, second) = (part("first")?, part("second")?);
        if values.len() != *length {
            return Err(damaged(&format!(
                "`{name}` has another length than its header says"
            )));
        }
        if *length != p.kept() {
            p.truncate(*length)?;
        }
        p.set_values(&values)?;
        slots.push(Slot { first, second });
    }
    sum.update(text.as_bytes());
    let sum = format!("{:08x}", sum.finalize());
    if meta.get("crc32") != Some(&sum) {
        return Err(damaged("its checksum is wrong"));
    }
    optimiser
        .restore(slots, progress.optimiser_steps)
        .map_err(failed)?;
    Ok(progress)
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Optimiser as Settings;
    use candle_core::Device;
    use freqreg_models::Architecture;
    use freqreg_nn::Seed;

    fn network(seed: u64) -> Network {
        let text = "architecture = 'lenet5'\nchannels = [2, 3]\nhidden = 4";
        let architecture: Architecture = toml::from_str(text).unwrap();
        Network::dense(&architecture, seed, &Device::Cpu).unwrap()
    }

    fn optimiser(network: &Network) -> Optimiser {
        let settings = Settings::Adam {
            beta1: 0.9,
            beta2: 0.99,
            decay: 0.0,
        };
        Optimiser::new(settings, network.parameters.clone())
    }

    #[test]
    fn every_bit_of_a_state_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.safetensors");
        let mut numbers = vec![0.0; 1000];
        Seed(3).fill_normal("numbers", 1.0, &mut numbers);
        let mut progress = Progress::start("this".into());
        progress.step = 7;
        progress.running.loss = 0.1 + 0.2;
        progress.history = numbers
            .iter()
            .map(|&x| EpochReport {
                epoch: 1,
                step: 7,
                loss: x,
                train: Some(x / 3.0),
                validation: x * x,
                kept: 9,
                rate: x.abs().sqrt(),
            })
            .collect();
        let (a, b) = (network(1), network(2));
        save(&path, &a, &optimiser(&a), &progress).unwrap();
        let bytes = read(&path).unwrap().unwrap();
        let back = load(&bytes, &path, "this", &b, &mut optimiser(&b)).unwrap();
        assert_eq!(back.history, progress.history);
        assert_eq!(back.running, progress.running);
        for (p, q) in a.parameters.iter().zip(&b.parameters) {
            assert_eq!(p.values().unwrap(), q.values().unwrap());
        }
        let other = load(&bytes, &path, "another", &b, &mut optimiser(&b)).unwrap_err();
        assert!(other.to_string().contains("other settings"), "{other}");
        let none = folder.path().join("none");
        assert!(is_of(&path, "this") && !is_of(&path, "another") && !is_of(&none, "this"));
        assert!(read(&none).unwrap().is_none());
    }

    #[test]
    fn a_flipped_bit_anywhere_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.safetensors");
        let a = network(1);
        save(&path, &a, &optimiser(&a), &Progress::start("this".into())).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(37) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            let result = load(&damaged, &path, "this", &a, &mut optimiser(&a));
            // Blanks that pad the header mean nothing.
            assert!(result.is_err() || whole[at] == b' ', "byte {at}");
        }
    }
}
