//! `freqreg patch`: an update applied to the model file that it was made from.

use crate::Failure;
use crate::io::{Input, Output, another_file, at_most_one_standard, facts};
use clap::ValueHint;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The model file that the update was made from, or - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    old: Input,
    /// The update, or - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    update: Input,
    /// The model file to write, or - for standard output; it may be the old one
    #[arg(short, long, value_name = "NEW.freq", value_hint = ValueHint::FilePath)]
    output: Output,
    /// Say as JSON what was done
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    at_most_one_standard(&[&args.old, &args.update])?;
    another_file(&args.update, &args.output)?;
    let ((old, _), (update, _)) = (args.old.model()?, args.update.model()?);
    let new = old.updated(&update).map_err(|fault| Failure {
        message: format!("error: {} with {}: {fault}", args.old, args.update),
        code: 1,
    })?;
    let bytes = args.output.model(&new)?;
    let sentence = format!(
        "{}: {} tensors, {} of them from the update, {bytes} bytes",
        args.output,
        new.tensors.len(),
        update.tensors.len(),
    );
    let names: Vec<&str> = update.tensors.iter().map(|t| t.name.as_str()).collect();
    let mut json = facts(&new, bytes);
    json["output"] = args.output.argument().into();
    json["changed"] = names.into();
    args.output.done(args.json, &sentence, &json)
}
