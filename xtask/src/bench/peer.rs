//! `bench peer`: our times and those of a program in Python, taken in turns.

use super::figure::{Figure, figures, median};
use super::process::measure;
use crate::{Failure, Outcome, cargo, failure};
use lexopt::prelude::*;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

const HELP: &str = "\
Usage: cargo xtask bench peer --python PY --peer PATH [OPTION...]

Runs `freqreg bench WORK` and `PY PATH WORK` in turns and prints how the times compare. Both are called with
`--threads T --repeat N` and print one JSON object a line for each figure: `what`, `median_s` in seconds. For `infer`, dense networks
as they answer, the program in Python is our own and needs nothing but torch.

  --python PY     the Python to run it with, with the packages that it imports
  --peer PATH     the program
  --work WORK     synth, lenet, unet, resnet18 or infer; may be given several times (all of them)
  --repeat N      repeats within a program, of which it takes the median (5)
  --rounds R      turns, over which the median is taken again (3)
  --threads T     threads of either program (as many as there are cores)
  --json          prints a list of {what, ours_s, peer_s, ratio, ours_peak_mb, peer_peak_mb} instead of a table;
                  ratio is peer / ours: above 1, ours is faster

A peak is the most memory the process held that printed the figure, the program's libraries included.
";

/// The works either program is asked for.
const WORKS: [&str; 5] = ["synth", "lenet", "unet", "resnet18", "infer"];

/// Dense networks in PyTorch as they answer.
const DENSE: &str = include_str!("torch_dense.py");

/// Two figures that are compared.
struct Pair {
    work: &'static str,
    what: &'static str,
    ours: &'static str,
    peer: &'static str,
}

const fn pair(
    work: &'static str,
    what: &'static str,
    ours: &'static str,
    peer: &'static str,
) -> Pair {
    Pair {
        work,
        what,
        ours,
        peer,
    }
}

const SYNTH: &str = "synthesis 1024x1024x3x3, 33 kept";
const LENET: &str = "lenet5 training step, batch 128, dense";
const LENET_CUT: &str = "lenet5 training step, batch 128, regularised, linear layers cut too";
const UNET: &str = "unet_fr 640x959 forward";
const RESNET: &str = "resnet18 training step, batch 128, regularised";

const PAIRS: [Pair; 11] = [
    pair("synth", SYNTH, SYNTH, SYNTH),
    pair("lenet", LENET, LENET, LENET),
    pair(
        "lenet",
        "lenet5 training step, batch 128, regularised",
        "lenet5 training step, batch 128, regularised",
        "lenet5 training step, batch 128, regularised (frereg)",
    ),
    // The peer's linear layers keep every coefficient whatever the budget: this is the step we take instead.
    pair(
        "lenet",
        LENET_CUT,
        LENET_CUT,
        "lenet5 training step, batch 128, regularised (frereg)",
    ),
    pair("unet", "released unet, answer to 640x959", UNET, UNET),
    pair(
        "resnet18",
        "resnet18-v3 training step, batch 128, beside frereg",
        RESNET,
        "resnet18 training step, batch 128, regularised (frereg)",
    ),
    pair(
        "resnet18",
        "resnet18-v3 training step, batch 128, beside dense",
        RESNET,
        "resnet18 training step, batch 128, dense",
    ),
    answer(
        "resnet18-v3 answer to 1, beside dense",
        "resnet18 forward, batch 1",
    ),
    answer(
        "resnet18-v3 answer to 64, beside dense",
        "resnet18 forward, batch 64",
    ),
    answer(
        "vgg16-v3 answer to 1, beside dense",
        "vgg16 forward, batch 1",
    ),
    answer(
        "vgg16-v3 answer to 64, beside dense",
        "vgg16 forward, batch 64",
    ),
];

const fn answer(what: &'static str, figure: &'static str) -> Pair {
    pair("infer", what, figure, figure)
}

struct Options {
    python: OsString,
    peer: PathBuf,
    works: Vec<&'static str>,
    repeat: usize,
    rounds: usize,
    threads: usize,
    json: bool,
}

pub(super) fn run(arguments: Vec<OsString>) -> Outcome {
    let Some(options) = parse(arguments)? else {
        print!("{HELP}");
        return Ok(());
    };
    let freqreg = cargo::build_freqreg(None)?;
    let ours = |work: &str| program(Command::new(&freqreg).arg("bench"), work, &options);
    let peer = |work: &str| {
        let mut python = Command::new(&options.python);
        match work {
            "infer" => python.args(["-c", DENSE]),
            _ => python.arg(&options.peer),
        };
        program(&mut python, work, &options)
    };
    let (mut our_figures, mut peer_figures) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        for &work in &options.works {
            eprintln!("round {} of {}: {work}", round + 1, options.rounds);
            // Who goes first changes, so that neither always finds the machine as the other left it.
            if round % 2 == 0 {
                our_figures.extend(ours(work)?);
                peer_figures.extend(peer(work)?);
            } else {
                peer_figures.extend(peer(work)?);
                our_figures.extend(ours(work)?);
            }
        }
    }
    let rows = PAIRS
        .iter()
        .filter(|pair| options.works.contains(&pair.work))
        .map(|pair| compare(pair, &our_figures, &peer_figures))
        .collect::<Outcome<Vec<_>>>()?;
    if options.json {
        println!("{:#}", rows.iter().map(Row::json).collect::<Value>());
    } else {
        print!("{}", table(&rows));
    }
    Ok(())
}

fn parse(arguments: Vec<OsString>) -> Outcome<Option<Options>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut python, mut peer, mut json) = (None, None, false);
    let (mut repeat, mut rounds, mut threads) = (5, 3, cores);
    let mut works = Vec::new();
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("python") => python = Some(parser.value()?),
            Long("peer") => peer = Some(PathBuf::from(parser.value()?)),
            Long("work") => {
                let work = parser.value()?.to_string_lossy().into_owned();
                works.push(WORKS.into_iter().find(|w| *w == work).ok_or_else(|| {
                    Failure::Usage(format!(
                        "`--work {work}` is none of {}{}",
                        WORKS.join(", "),
                        failure::nearest(&work, &WORKS)
                    ))
                })?);
            }
            Long("repeat") => repeat = parser.value()?.parse()?,
            Long("rounds") => rounds = parser.value()?.parse()?,
            Long("threads") => threads = parser.value()?.parse()?,
            Long("json") => json = true,
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    let missing = |option: &str, what: &str| {
        Failure::Usage(format!(
            "`bench peer` needs `{option}`, {what}; `bench peer --help` says more"
        ))
    };
    let options = Options {
        python: python.ok_or_else(|| missing("--python PY", "the Python to run the peer with"))?,
        peer: peer
            .ok_or_else(|| missing("--peer PATH", "the program in Python to compare with"))?,
        works: if works.is_empty() {
            WORKS.to_vec()
        } else {
            works
        },
        repeat,
        rounds,
        threads,
        json,
    };
    for (option, value) in [
        ("--repeat", repeat),
        ("--rounds", rounds),
        ("--threads", threads),
    ] {
        if value == 0 {
            return Err(Failure::Usage(format!("`{option}` must be 1 at least")));
        }
    }
    if !options.peer.is_file() {
        let path = options.peer.display();
        return Err(Failure::Usage(format!(
            "`--peer {path}`: there is no such file"
        )));
    }
    Ok(Some(options))
}

fn program(command: &mut Command, work: &str, options: &Options) -> Outcome<Vec<Figure>> {
    command.arg(work).args([
        "--threads",
        &options.threads.to_string(),
        "--repeat",
        &options.repeat.to_string(),
    ]);
    Ok(figures(&measure(command)?))
}

/// What came out for one pair: medians over the rounds, the largest peak.
#[derive(Debug, PartialEq)]
struct Row {
    what: &'static str,
    ours_s: f64,
    peer_s: f64,
    ours_peak_mb: Option<f64>,
    peer_peak_mb: Option<f64>,
}

fn compare(pair: &Pair, ours: &[Figure], peer: &[Figure]) -> Outcome<Row> {
    let side = |who: &str, what: &str, figures: &[Figure]| -> Outcome<(f64, Option<f64>)> {
        let of: Vec<&Figure> = figures
            .iter()
            .filter(|figure| figure.what == what)
            .collect();
        let seconds =
            median(of.iter().map(|figure| figure.seconds).collect()).ok_or_else(|| {
                let mut printed: Vec<&str> =
                    figures.iter().map(|figure| figure.what.as_str()).collect();
                printed.sort_unstable();
                printed.dedup();
                Failure::Failed(format!(
                    "{who} printed no figure \"{what}\", but only \"{}\"",
                    printed.join("\", \"")
                ))
            })?;
        Ok((
            seconds,
            of.iter()
                .filter_map(|figure| figure.peak_mb)
                .reduce(f64::max),
        ))
    };
    let (ours_s, ours_peak_mb) = side("freqreg", pair.ours, ours)?;
    let (peer_s, peer_peak_mb) = side("the peer", pair.peer, peer)?;
    Ok(Row {
        what: pair.what,
        ours_s,
        peer_s,
        ours_peak_mb,
        peer_peak_mb,
    })
}

impl Row {
    fn ratio(&self) -> f64 {
        self.peer_s / self.ours_s
    }

    fn json(&self) -> Value {
        let round = |x: f64, digits: i32| (x * 10f64.powi(digits)).round() / 10f64.powi(digits);
        json!({
            "what": self.what,
            "ours_s": round(self.ours_s, 7),
            "peer_s": round(self.peer_s, 7),
            "ratio": round(self.ratio(), 3),
            "ours_peak_mb": self.ours_peak_mb.map(|mb| round(mb, 1)),
            "peer_peak_mb": self.peer_peak_mb.map(|mb| round(mb, 1)),
        })
    }
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.what.len()).max().unwrap_or(0);
    let mb = |peak: Option<f64>| peak.map_or("-".into(), |mb| format!("{mb:.0}"));
    let mut text = format!(
        "{:width$}  {:>10}  {:>10}  {:>11}  {:>8}  {:>8}\n",
        "", "ours, ms", "peer, ms", "peer / ours", "ours, MB", "peer, MB"
    );
    for row in rows {
        text += &format!(
            "{:width$}  {:>10.3}  {:>10.3}  {:>10.2}x  {:>8}  {:>8}\n",
            row.what,
            row.ours_s * 1e3,
            row.peer_s * 1e3,
            row.ratio(),
            mb(row.ours_peak_mb),
            mb(row.peer_peak_mb)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIR: Pair = Pair {
        work: "",
        what: "w",
        ours: "o",
        peer: "p",
    };

    fn figure(what: &str, seconds: f64, peak_mb: f64) -> Figure {
        Figure {
            what: what.into(),
            seconds,
            peak_mb: Some(peak_mb),
        }
    }

    #[test]
    fn medians_are_taken_over_rounds_and_the_ratio_is_peer_by_ours() {
        let ours = [
            figure("o", 2.0, 1.0),
            figure("o", 1.0, 7.0),
            figure("o", 9.0, 5.0),
            figure("x", 0.1, 99.0),
        ];
        let peer = [figure("p", 5.0, 10.0)];
        let row = compare(&PAIR, &ours, &peer).expect("both are there");
        let expected = Row {
            what: "w",
            ours_s: 2.0,
            peer_s: 5.0,
            ours_peak_mb: Some(7.0),
            peer_peak_mb: Some(10.0),
        };
        assert_eq!(row, expected);
        assert_eq!(
            row.json(),
            json!({"what": "w", "ours_s": 2.0, "peer_s": 5.0, "ratio": 2.5, "ours_peak_mb": 7.0, "peer_peak_mb": 10.0})
        );
        assert!(table(&[row]).contains("2.50x"));
    }

    #[test]
    fn a_figure_that_is_missing_is_named_with_those_there_are() {
        let Err(Failure::Failed(text)) =
            compare(&PAIR, &[figure("o", 1.0, 1.0)], &[figure("q", 1.0, 1.0)])
        else {
            panic!("compared with nothing")
        };
        assert!(
            text.contains("the peer") && text.contains("\"p\"") && text.contains("\"q\""),
            "{text}"
        );
    }

    #[test]
    fn what_is_missing_or_absurd_is_refused_by_name() {
        let refused =
            |arguments: &[&str]| match parse(arguments.iter().map(OsString::from).collect()) {
                Err(Failure::Usage(text)) => text,
                _ => panic!("{arguments:?} was taken"),
            };
        assert!(refused(&["--python", "py"]).contains("--peer"));
        assert!(refused(&["--peer", "Cargo.toml"]).contains("--python"));
        assert!(refused(&["--python", "py", "--peer", "no/such.py"]).contains("no/such.py"));
        assert!(
            refused(&["--python", "py", "--peer", "Cargo.toml", "--rounds", "0"])
                .contains("--rounds")
        );
        assert!(refused(&["--work", "renset18"]).contains("resnet18"));
        assert!(refused(&["--repeat", "many"]).contains("many"));
        assert!(refused(&["--quick"]).contains("--quick"));
    }
}
