//! Where an experiment runs.

use crate::{Error, Result};
use candle_core::{Device, DeviceLocation};

/// The device called `cpu`, `cuda` or `cuda:N`.
///
/// # Errors
/// [`Error::Device`] for another name, for CUDA in a build without it, and where the driver finds no such GPU.
pub fn device(name: &str) -> Result<Device> {
    let refuse = |reason: String| Error::Device {
        name: name.into(),
        reason,
    };
    let ordinal = match name.split_once(':') {
        None if name == "cpu" => return Ok(Device::Cpu),
        None if name == "cuda" => 0,
        Some(("cuda", n)) => n
            .parse()
            .map_err(|_| refuse(format!("`{n}` is no number of a GPU; cuda:0 is the first")))?,
        _ => return Err(refuse("there are cpu, cuda and cuda:N".into())),
    };
    if !cfg!(feature = "cuda") {
        return Err(refuse(
            "this program was built without CUDA; build it with --features cuda, or use --device cpu".into(),
        ));
    }
    Device::new_cuda(ordinal).map_err(|e| refuse(e.to_string()))
}

/// Its name, as [`device`] takes it.
pub(super) fn device_name(device: &Device) -> String {
    match device.location() {
        DeviceLocation::Cpu => "cpu".into(),
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_plainly() {
        assert!(device("cpu").is_ok());
        for name in ["tpu", "cuda:x", "", "cpu:0"] {
            assert!(device(name).is_err(), "{name}");
        }
    }
}
