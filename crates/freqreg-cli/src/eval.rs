//! `freqreg eval`.

use crate::Failure;
use crate::io::{Input, print};
use crate::trace::{self, Peak};
use clap::ValueHint;
use freqreg_data::folder::{self, Mask, Picture};
use freqreg_nn::Execution;
use freqreg_train::reproduce::device;
use freqreg_train::segmenter::Segmenter;
use freqreg_train::tasks::{Overlap, overlap};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A model file of a segmentation network, or - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    model: Input,
    /// Folder of pictures, 8-bit RGB PNG or JPEG
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// Folder of their true masks, to score by: a mask has its picture's name, or that with _mask behind it, or is
    /// gtN for a picture inN
    #[arg(long, value_name = "DIR")]
    masks: Option<PathBuf>,
    /// Write the found masks and the pictures with them laid over as PNG into this folder
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Print the scores as JSON
    #[arg(long)]
    json: bool,
    /// How layers run; the results are the same up to rounding
    #[arg(long, value_enum, default_value = "auto")]
    execution: Way,
    /// Print for the first picture what each layer did: the way it ran, time, multiplications, bytes moved, and how near
    /// that is to what the machine can do
    #[arg(long, conflicts_with = "json")]
    trace: bool,
    /// Where to run: cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    threads: Option<usize>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Way {
    /// Whichever takes fewer operations
    Auto,
    /// Through the factors of each weight, wide activations only for a few pixels at a time
    Fused,
    /// Through the factors of each weight
    Factored,
    /// With each weight rebuilt
    Spatial,
}

/// One picture's result.
#[derive(Serialize)]
struct Score {
    image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    dice: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iou: Option<f64>,
    /// Share of the pixels found to be foreground.
    foreground: f64,
    seconds: f64,
}

#[derive(Serialize)]
struct Scores {
    model: String,
    images: Vec<Score>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_dice: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_iou: Option<f64>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()?;
    }
    let execution = match args.execution {
        Way::Auto => Execution::Auto,
        Way::Factored => Execution::Factored,
        Way::Fused => Execution::Fused,
        Way::Spatial => Execution::Spatial,
    };
    let segmenter =
        Segmenter::with_execution(&args.model.model()?.0, &device(&args.device)?, execution)?;
    // Everything that a folder can be refused for is found out before the first picture is segmented.
    let pairs: Vec<(PathBuf, Option<folder::Pair>)> = match &args.masks {
        None => folder::list(&args.images)?
            .into_iter()
            .map(|p| (p, None))
            .collect(),
        Some(masks) => folder::pairs(&args.images, masks)?
            .into_iter()
            .map(|pair| (pair.image.clone(), Some(pair)))
            .collect(),
    };
    if let Some(save) = &args.save {
        std::fs::create_dir_all(save).map_err(|cause| freqreg_train::Error::Io {
            action: "create",
            path: save.clone(),
            cause,
        })?;
        // A found mask has the name that a true one may have.
        let same = |other: &Path| match (other.canonicalize(), save.canonicalize()) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        };
        if same(&args.images) || args.masks.as_deref().is_some_and(same) {
            return Err(Failure {
                message: "error: --save must be another folder than --images and --masks".into(),
                code: 2,
            });
        }
    }
    if let (true, Some((path, _))) = (args.trace, pairs.first()) {
        let picture = folder::read_image(path)?;
        // Once untimed, as a program that answers many times would find it.
        segmenter.run(&picture).map_err(|e| refused(path, &e))?;
        let peak = Peak::measure();
        let clock = Instant::now();
        let (found, layers) = freqreg_nn::trace(|| segmenter.run(&picture));
        let seconds = clock.elapsed().as_secs_f64();
        found.map_err(|e| refused(path, &e))?;
        print(&trace::table(&layers, &peak, seconds))?;
    }
    let mut scores = Vec::new();
    for (path, pair) in &pairs {
        let score = one(&segmenter, path, pair.as_ref(), args.save.as_deref())?;
        if !args.json {
            print(&line(&score))?;
        }
        scores.push(score);
    }
    let mean = |of: fn(&Score) -> Option<f64>| {
        let values: Option<Vec<f64>> = scores.iter().map(of).collect();
        values.map(|v| v.iter().sum::<f64>() / v.len().max(1) as f64)
    };
    let (mean_dice, mean_iou) = (mean(|s| s.dice), mean(|s| s.iou));
    match args.json {
        true => {
            let scores = Scores {
                model: args.model.argument(),
                images: scores,
                mean_dice,
                mean_iou,
            };
            print(&(serde_json::to_string_pretty(&scores)? + "\n"))?;
        }
        false => {
            if let (Some(dice), Some(iou)) = (mean_dice, mean_iou) {
                print(&format!(
                    "mean of {}: Dice {dice:.5}  IoU {iou:.5}\n",
                    scores.len()
                ))?;
            }
        }
    }
    Ok(())
}

fn refused(path: &Path, error: &freqreg_train::Error) -> Failure {
    Failure {
        message: format!("error: {}: {error}", path.display()),
        code: 1,
    }
}

fn one(
    segmenter: &Segmenter,
    path: &Path,
    pair: Option<&folder::Pair>,
    save: Option<&Path>,
) -> Result<Score, Failure> {
    let picture = folder::read_image(path)?;
    let truth = match pair {
        None => None,
        Some(pair) => {
            let mask = folder::read_mask(&pair.mask)?;
            folder::check_size(pair, &picture, &mask)?;
            Some(mask)
        }
    };
    let clock = Instant::now();
    let found = segmenter.run(&picture).map_err(|e| refused(path, &e))?;
    let seconds = clock.elapsed().as_secs_f64();
    let stem = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if let Some(save) = save {
        folder::write_mask(&save.join(format!("{stem}_mask.png")), &found)?;
        let over = overlay(&picture, &found);
        let target = save.join(format!("{stem}_overlay.png"));
        folder::write_png(&target, 3, picture.height, picture.width, &over)?;
    }
    let scored: Option<Overlap> = truth.map(|t| overlap(&found.values, &t.values));
    let foreground = found.values.iter().filter(|&&v| v != 0).count();
    Ok(Score {
        image: path.display().to_string(),
        dice: scored.map(|s| s.dice),
        iou: scored.map(|s| s.iou),
        foreground: foreground as f64 / found.values.len().max(1) as f64,
        seconds,
    })
}

fn line(score: &Score) -> String {
    let scored = match (score.dice, score.iou) {
        (Some(dice), Some(iou)) => format!("Dice {dice:.5}  IoU {iou:.5}  "),
        _ => String::new(),
    };
    format!(
        "{}: {scored}foreground {:.1} %  {:.3} s\n",
        score.image,
        100.0 * score.foreground,
        score.seconds
    )
}

/// The picture, its background dimmed to grey: planes in, planes out.
fn overlay(picture: &Picture, mask: &Mask) -> Vec<u8> {
    let plane = picture.height * picture.width;
    let mut pixels = picture.pixels.clone();
    for (i, &m) in mask.values.iter().enumerate() {
        if m == 0 {
            let sum: u32 = (0..3)
                .map(|c| u32::from(picture.pixels[c * plane + i]))
                .sum();
            for c in 0..3 {
                pixels[c * plane + i] = (sum / 6) as u8;
            }
        }
    }
    pixels
}
