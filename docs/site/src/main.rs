//! `freqreg-site --book DOCS --wasm FILE --api DIR --out SITE [--serve PORT [--open]]`: builds the site, and hands it out.

use freqreg_site::serve::Server;
use freqreg_site::{Parts, build};
use lexopt::{Arg, ValueExt};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let [mut book, mut wasm, mut api, mut out] = std::array::from_fn(|_| PathBuf::new());
    let (mut port, mut open): (Option<u16>, _) = (None, false);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next().map_err(|e| e.to_string())? {
        let to = match argument {
            Arg::Long("book") => &mut book,
            Arg::Long("wasm") => &mut wasm,
            Arg::Long("api") => &mut api,
            Arg::Long("out") => &mut out,
            Arg::Long("open") => {
                open = true;
                continue;
            }
            Arg::Long("serve") => {
                let value = parser.value().map_err(|e| e.to_string())?;
                port = Some(value.parse().map_err(|e| e.to_string())?);
                continue;
            }
            other => return Err(other.unexpected().to_string()),
        };
        *to = parser.value().map_err(|e| e.to_string())?.into();
    }
    build(&Parts { book, wasm, api }, &out)?;
    println!("the site: {}", out.join("index.html").display());
    if let Some(port) = port {
        let cannot = |e| format!("port {port}: {e}");
        let server = Server::new(out, port).map_err(cannot)?;
        let address = server.address().map_err(cannot)?;
        println!("handed out at http://{address}/ until Ctrl-C");
        if open {
            show(&format!("http://{address}/"));
        }
        server.run();
    }
    Ok(())
}

/// Opens a page in the user's browser.
fn show(page: &str) {
    let program = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ => "xdg-open",
    };
    if let Err(error) = Command::new(program).arg(page).spawn() {
        eprintln!("cannot start `{program}`: {error}; open {page}");
    }
}
