//! `freqreg import`.

use crate::Failure;
use crate::io::{Input, Output, another_file, facts};
use clap::ValueHint;
use freqreg_train::import::{import_unet, import_unet_bytes};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The authors' PyTorch file of sparse coefficients, as unet_fr.pt, or - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    file: Input,
    /// The model file to write, or - for standard output
    #[arg(short, long, value_name = "FILE.freq", value_hint = ValueHint::FilePath)]
    output: Output,
    /// Say as JSON what was done
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    another_file(&args.file, &args.output)?;
    let model = match &args.file {
        Input::File(path) if !args.file.is_stream() => import_unet(path)?,
        _ => import_unet_bytes(&args.file.bytes()?, args.file.name())?,
    };
    let bytes = args.output.model(&model)?;
    let sentence = format!(
        "{}: {} of {} tensors, {} weights as {} numbers, {bytes} bytes",
        args.output,
        model.architecture,
        model.tensors.len(),
        model.weights(),
        model.kept(),
    );
    let mut json = facts(&model, bytes);
    json["output"] = args.output.argument().into();
    args.output.done(args.json, &sentence, &json)
}
