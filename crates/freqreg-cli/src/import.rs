//! `freqreg import`.

use crate::Failure;
use freqreg_train::import::import_unet;
use freqreg_train::network::codec;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The authors' PyTorch file of sparse coefficients, as unet_fr.pt
    file: PathBuf,
    /// The model file to write
    #[arg(short, long, value_name = "FILE.freq")]
    output: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let model = import_unet(&args.file)?;
    codec().write(&model, &args.output)?;
    println!(
        "{}: {} of {} tensors, {} weights as {} numbers, {} bytes",
        args.output.display(),
        model.architecture,
        model.tensors.len(),
        model.weights(),
        model.kept(),
        std::fs::metadata(&args.output)?.len(),
    );
    Ok(())
}
