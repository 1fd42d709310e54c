//! `freqreg unpack`: a model file as ordinary weights.

use crate::Failure;
use crate::io::{Input, Output, Pipe, another_file, facts};
use clap::ValueHint;
use freqreg_file::Model;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A model file, or - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    file: Input,
    /// The safetensors file to write, of float32 weights under the names of the model's tensors; - for standard output
    #[arg(short, long, value_name = "OUT.safetensors", value_hint = ValueHint::FilePath)]
    output: Output,
    /// Say as JSON what was done
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    another_file(&args.file, &args.output)?;
    let (model, read) = args.file.model()?;
    if let Some(network) = model.update_of() {
        return Err(Failure {
            message: format!(
                "error: {} is an update of a `{network}`, not a network: apply it to its network with freqreg patch first",
                args.file
            ),
            code: 1,
        });
    }
    let bytes = write(&model, &args.output)?;
    let sentence = format!(
        "{}: {} tensors, {} weights from {} numbers, {bytes} bytes",
        args.output,
        model.tensors.len(),
        model.weights(),
        model.kept(),
    );
    let mut json = facts(&model, read);
    json["output"] = args.output.argument().into();
    json["output_bytes"] = bytes.into();
    args.output.done(args.json, &sentence, &json)
}

/// Writes the weights, one expanded tensor at a time, and says how many bytes they take.
fn write(model: &Model, output: &Output) -> Result<u64, Failure> {
    match output {
        Output::File(path) => Ok(model.write_safetensors(path)?),
        Output::Standard => {
            let mut pipe = Pipe::binary()?;
            let mut bytes = 0;
            model.put_safetensors(&mut |part| {
                bytes += part.len() as u64;
                pipe.put(part)
            })?;
            pipe.end()?;
            Ok(bytes)
        }
    }
}
