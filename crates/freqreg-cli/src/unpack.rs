//! `freqreg unpack`: a model file as ordinary weights.

use crate::Failure;
use freqreg_train::network::codec;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A model file
    file: PathBuf,
    /// The safetensors file to write, of float32 weights under the names of the model's tensors
    #[arg(short, long, value_name = "OUT.safetensors")]
    output: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let model = codec().read(&args.file)?;
    model.write_safetensors(&args.output)?;
    println!(
        "{}: {} tensors, {} weights from {} numbers, {} bytes",
        args.output.display(),
        model.tensors.len(),
        model.weights(),
        model.kept(),
        std::fs::metadata(&args.output)?.len(),
    );
    Ok(())
}
