//! `freqreg diff`: what changed between two model files, as a file.

use crate::Failure;
use crate::io::{Input, Output, another_file, at_most_one_standard, facts};
use clap::ValueHint;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The model file that is there already, or - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    old: Input,
    /// The model file that it is to become, or - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    new: Input,
    /// The update to write, or - for standard output
    #[arg(short, long, value_name = "UPDATE.freq", value_hint = ValueHint::FilePath)]
    output: Output,
    /// Say as JSON what was done
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    at_most_one_standard(&[&args.old, &args.new])?;
    another_file(&args.old, &args.output)?;
    another_file(&args.new, &args.output)?;
    let ((old, _), (new, whole)) = (args.old.model()?, args.new.model()?);
    let update = old.update_to(&new).map_err(|fault| Failure {
        message: format!("error: {} and {}: {fault}", args.old, args.new),
        code: 1,
    })?;
    let bytes = args.output.model(&update)?;
    // Also a tensor less or a new configuration is a change.
    let unchanged = old.to_bytes()? == new.to_bytes()?;
    let sentence = match unchanged {
        true => format!("{}: nothing changed, {bytes} bytes", args.output),
        false => format!(
            "{}: {} of {} tensors changed, {bytes} bytes ({} has {whole}{})",
            args.output,
            update.tensors.len(),
            new.tensors.len(),
            args.new,
            match bytes < whole {
                true => "",
                false => ", so better send that",
            },
        ),
    };
    let names: Vec<&str> = update.tensors.iter().map(|t| t.name.as_str()).collect();
    let mut json = facts(&update, bytes);
    json["output"] = args.output.argument().into();
    json["changed"] = names.into();
    json["new_file_bytes"] = whole.into();
    args.output.done(args.json, &sentence, &json)
}
