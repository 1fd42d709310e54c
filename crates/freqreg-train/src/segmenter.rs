//! A segmentation network on a user's pictures.

use crate::images::{Preparation, Scale};
use crate::network::Network;
use crate::tasks::masks;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use freqreg_data::folder::{Mask, Picture};
use freqreg_file::Model as ModelFile;
use freqreg_models::Task;
use freqreg_nn::{Execution, no_grad};

/// Finds the foreground of pictures.
pub struct Segmenter {
    network: Network,
    device: Device,
}

/// Pixels as the segmentation networks of the zoo take them: 0 to 1.
const PREPARATION: Preparation = Preparation {
    scale: Scale {
        mean: 0.0,
        deviation: 1.0,
    },
    resize: None,
};

impl Segmenter {
    /// The network in a file.
    ///
    /// # Errors
    /// A file that holds no network of the zoo, or one that does not segment pictures of three colours.
    pub fn new(file: &ModelFile, device: &Device) -> Result<Self> {
        Self::with_execution(file, device, Execution::Auto)
    }

    /// The same with layers that run as `execution` says.
    ///
    /// # Errors
    /// As [`Segmenter::new`].
    pub fn with_execution(file: &ModelFile, device: &Device, execution: Execution) -> Result<Self> {
        let network = Network::from_file_with(file, device, execution)?;
        let architecture = &network.architecture;
        if architecture.task() != Task::Segmentation || architecture.input().0 != 3 {
            return Err(Error::Model(format!(
                "it holds a {}, which does not segment pictures of three colours",
                architecture.name()
            )));
        }
        Ok(Segmenter {
            network,
            device: device.clone(),
        })
    }

    /// The logits `[1, classes, height, width]`.
    ///
    /// # Errors
    /// A picture smaller than the network takes.
    pub fn logits(&self, picture: &Picture) -> Result<Tensor> {
        let Scale { mean, deviation } = PREPARATION.scale;
        let value = |p: &u8| ((f64::from(*p) / 255.0 - mean) / deviation) as f32;
        let pixels: Vec<f32> = picture.pixels.iter().map(value).collect();
        let x = Tensor::from_vec(pixels, (1, 3, picture.height, picture.width), &self.device)?;
        Ok(no_grad(|| self.network.model.forward(&x))?)
    }

    /// The class of each pixel: everything but 0 is foreground.
    ///
    /// # Errors
    /// A picture smaller than the network takes.
    pub fn run(&self, picture: &Picture) -> Result<Mask> {
        Ok(Mask {
            height: picture.height,
            width: picture.width,
            values: masks(&self.logits(picture)?)?.concat(),
        })
    }
}
