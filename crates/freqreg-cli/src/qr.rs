//! `freqreg qr`: a model file as a QR code.

use crate::Failure;
use crate::io::{Input, Output, another_file, facts};
use crate::svg::Escaped;
use clap::{ValueEnum, ValueHint};
use fast_qr::qr::{QRBuilder, QRCode};
use fast_qr::{ECL, Mode};
use std::fmt::Write;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A model file, or - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    file: Input,
    /// The SVG to write, or - for standard output
    #[arg(short, long, value_name = "OUT.svg", value_hint = ValueHint::FilePath)]
    output: Output,
    /// How much of the code may be lost: the more, the fewer bytes fit
    #[arg(long, value_enum, ignore_case = true, default_value = "l")]
    level: Level,
    /// Say as JSON what was done
    #[arg(long)]
    json: bool,
}

/// The levels of error correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    /// 7 %; up to 2,953 bytes
    L,
    /// 15 %; up to 2,331 bytes
    M,
    /// 25 %; up to 1,663 bytes
    Q,
    /// 30 %; up to 1,273 bytes
    H,
}

impl Level {
    /// How many bytes the largest code holds.
    fn bytes(self) -> usize {
        match self {
            Level::L => 2953,
            Level::M => 2331,
            Level::Q => 1663,
            Level::H => 1273,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Level::L => "L",
            Level::M => "M",
            Level::Q => "Q",
            Level::H => "H",
        }
    }

    fn correction(self) -> ECL {
        match self {
            Level::L => ECL::L,
            Level::M => ECL::M,
            Level::Q => ECL::Q,
            Level::H => ECL::H,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    another_file(&args.file, &args.output)?;
    // A QR code is printed, and what is printed can't be called back: a damaged file does not become one.
    let (model, bytes) = args.file.model_and_bytes()?;
    let code = code(&bytes, args.level).map_err(|reason| Failure {
        message: format!("error: {}: {reason}", args.file),
        code: 1,
    })?;
    let title = format!("{} in {} bytes", model.architecture, bytes.len());
    args.output.text(&svg(&code, &title))?;
    let sentence = format!(
        "{}: {} bytes as a QR code of {size} x {size} modules, level {}",
        args.output,
        bytes.len(),
        args.level.name(),
        size = code.size,
    );
    let mut json = facts(&model, bytes.len());
    json["output"] = args.output.argument().into();
    json["modules"] = code.size.into();
    json["level"] = args.level.name().into();
    args.output.done(args.json, &sentence, &json)
}

/// The smallest code that holds these bytes.
fn code(bytes: &[u8], level: Level) -> Result<QRCode, String> {
    let mut builder = QRBuilder::new(bytes);
    builder.mode(Mode::Byte).ecl(level.correction());
    match builder.build() {
        Ok(code) if bytes.len() <= level.bytes() => Ok(code),
        _ => {
            let lower = match level {
                Level::L => String::new(),
                _ => format!(", {} at level L", Level::L.bytes()),
            };
            Err(format!(
                "{} bytes are too many for a QR code: {} fit at level {}{lower}; `freqreg quantize` makes the file smaller",
                bytes.len(),
                level.bytes(),
                level.name(),
            ))
        }
    }
}

/// The light frame that a reader needs around a code, in modules.
const QUIET: usize = 4;
/// The width of a module where the picture is shown as it is.
const MODULE: usize = 4;

/// The code as a picture, black on white whatever the colours of its reader, for cameras ask for that.
fn svg(code: &QRCode, title: &str) -> String {
    let side = code.size + 2 * QUIET;
    let shown = side * MODULE;
    let mut dark = String::new();
    for y in 0..code.size {
        let row = &code[y];
        let mut x = 0;
        while x < code.size {
            let run = row[x..code.size].iter().take_while(|m| m.value()).count();
            if run > 0 {
                // Writing to a string does not fail.
                let _ = write!(dark, "M{} {}h{run}v1h-{run}z", x + QUIET, y + QUIET);
            }
            x += run + 1;
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" width=\"{shown}\" height=\"{shown}\" \
         shape-rendering=\"crispEdges\" role=\"img\" aria-labelledby=\"title\">\n\
         <title id=\"title\">A QR code: {}</title>\n\
         <rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/>\n<path fill=\"#000\" d=\"{dark}\"/>\n</svg>\n",
        Escaped(title),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest code's numbers of bytes are those of the standard.
    #[test]
    fn as_many_bytes_fit_as_are_promised() {
        for level in [Level::L, Level::M, Level::Q, Level::H] {
            let most = vec![0xFD; level.bytes()];
            assert_eq!(code(&most, level).unwrap().size, 177);
            let said = code(&vec![0xFD; level.bytes() + 1], level).err().unwrap();
            let says = format!("{} fit at level {}", level.bytes(), level.name());
            assert!(said.contains(&says) && said.contains("quantize"), "{said}");
        }
    }
}
