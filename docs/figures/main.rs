//! Draws the pictures of the book with the project's own transform: `figures FOLDER`.

#![forbid(unsafe_code)]

mod basis;
mod filters;
mod order;
mod rebuilt;

use freqreg_docs::svg::Svg;
use std::path::Path;
use std::process::ExitCode;

type Draw = fn() -> Result<Svg, String>;

const PICTURES: [(&str, Draw); 5] = [
    ("basis.svg", || basis::draw().map_err(|e| e.to_string())),
    ("order.svg", || order::draw().map_err(|e| e.to_string())),
    ("box.svg", || order::draw_box().map_err(|e| e.to_string())),
    ("rebuilt.svg", || rebuilt::draw().map_err(|e| e.to_string())),
    ("filters.svg", || filters::draw().map_err(|e| e.to_string())),
];

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("error: say which folder to draw into: figures FOLDER");
        return ExitCode::from(2);
    };
    for (name, draw) in PICTURES {
        let path = Path::new(&folder).join(name);
        let written =
            draw().and_then(|svg| std::fs::write(&path, svg.text()).map_err(|e| e.to_string()));
        if let Err(error) = written {
            eprintln!("error: {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
        println!("{}", path.display());
    }
    ExitCode::SUCCESS
}
