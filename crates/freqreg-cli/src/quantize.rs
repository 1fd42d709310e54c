//! `freqreg quantize`: the numbers of a model file in fewer bits.

use crate::Failure;
use clap::builder::RangedU64ValueParser;
use freqreg_train::network::{codec, tidied};
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A model file
    file: PathBuf,
    /// The model file to write
    #[arg(short, long, value_name = "OUT.freq")]
    output: PathBuf,
    /// About how many bits a number takes, coded, 2 to 16
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = RangedU64ValueParser::<u32>::new().range(2..=16))]
    bits: u32,
    /// The part of a step that counts as nothing: 0.5 rounds to the nearest, more makes smaller files of less accurate numbers
    #[arg(long, value_name = "PART", default_value_t = 0.5, value_parser = dead_zone)]
    dead: f32,
}

fn dead_zone(text: &str) -> Result<f32, String> {
    let part: f32 = text.parse().map_err(|_| "no number".to_string())?;
    match (0.5..1.0).contains(&part) {
        true => Ok(part),
        false => Err("it must be at least 0.5 and below 1".into()),
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut model = tidied(codec().read(&args.file)?);
    for tensor in &mut model.tensors {
        tensor.values = tensor
            .values
            .in_bits(args.bits, args.dead)
            .map_err(|fault| Failure {
                message: format!("error: tensor `{}`: {fault}", tensor.name),
                code: 1,
            })?;
    }
    let before = std::fs::metadata(&args.file)?.len();
    codec().write(&model, &args.output)?;
    let after = std::fs::metadata(&args.output)?.len();
    println!(
        "{}: {} numbers of about {} bits, {after} bytes ({} had {before})",
        args.output.display(),
        model.kept(),
        args.bits,
        args.file.display(),
    );
    Ok(())
}
