//! `freqreg man`: the manual, a page for each command.

use crate::{Failure, help, io};
use clap::{Command, ValueHint};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use freqreg_file::write_atomically;
use std::io::Error;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write all pages into this folder instead, which is made if it is not there
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut program = help::command().disable_help_subcommand(true);
    // Tells the commands their whole names.
    program.build();
    let Some(folder) = &args.output else {
        return io::print(&page(&program)?);
    };
    let cannot = |cause| freqreg_file::Error::Io {
        action: "create",
        path: folder.clone(),
        cause,
    };
    std::fs::create_dir_all(folder).map_err(cannot)?;
    let pages = std::iter::once(&program).chain(program.get_subcommands());
    let mut count = 0;
    for command in pages {
        let name = command.get_display_name().unwrap_or(command.get_name());
        write_atomically(folder.join(format!("{name}.1")), page(command)?.as_bytes())?;
        count += 1;
    }
    io::print(&format!("{}: {count} pages\n", folder.display()))
}

/// The page of a command, in the language of manuals.
fn page(command: &Command) -> Result<String, Error> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let man = Man::new(command.clone())
        .title(name)
        .source(concat!("freqreg ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    let whole = command.has_subcommands();
    if whole {
        man.render_subcommands_section(&mut text)?;
    }
    let mut more = Roff::new();
    let examples = match whole {
        true => help::FIRST_STEPS,
        false => help::examples(command.get_name()),
    };
    more.control("SH", ["EXAMPLES"]);
    for (what, line) in examples {
        more.text([roman(format!("{what}:"))]);
        more.control("RS", ["4"]);
        more.control("nf", []);
        more.text([bold(*line)]);
        more.control("fi", []);
        more.control("RE", []);
        more.control("PP", []);
    }
    more.control("SH", ["EXIT STATUS"]);
    for (status, what) in help::STATUS {
        more.control("TP", ["6"]);
        more.text([bold(*status)]);
        more.text([roman(*what)]);
    }
    if !whole {
        more.control("SH", ["SEE ALSO"]);
        more.text([bold("freqreg"), roman("(1)")]);
    }
    more.to_writer(&mut text)?;
    String::from_utf8(text).map_err(Error::other)
}
