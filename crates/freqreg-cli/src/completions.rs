//! `freqreg completions`: what a shell needs to complete command lines.

use crate::{Failure, help, io};
use clap_complete::Shell;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut help::command(), "freqreg", &mut script);
    io::print(&String::from_utf8_lossy(&script))
}
