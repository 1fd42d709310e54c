//! What the help and the manual say beyond a line for each option: enough to use a command from its page alone.

use crate::Cli;
use clap::{Command, CommandFactory};
use std::fmt::Write;

/// What an example shows, and the command line.
type Example = (&'static str, &'static str);

/// A command's page.
struct Page {
    command: &'static str,
    /// What follows the first sentence.
    text: &'static str,
    examples: &'static [Example],
}

const PROGRAM: &str = "\
A weight tensor is held as the first coefficients of its discrete cosine transform, in a fixed order: a network is a short list of numbers. This \
program trains such networks, and works with the model files (.freq) that hold them.

Wherever a command reads or writes a file, - is standard input or standard output (a file of that name is ./-). Files are written whole or not at \
all. Commands with --json print for programs what they print otherwise for people; where the file goes to standard output, what is said goes to \
standard error. Errors are sentences on standard error, with or without --json.";

/// The examples of the page of the program itself.
pub(crate) const FIRST_STEPS: &[Example] = &[
    (
        "Train LeNet5 in 776 numbers on MNIST, and report",
        "freqreg reproduce lenet5",
    ),
    ("See what a model file holds", "freqreg inspect lenet5.freq"),
    (
        "Store its numbers in about 7 bits each",
        "freqreg quantize lenet5.freq -o small.freq --bits 7",
    ),
    ("Draw it as a QR code", "freqreg qr small.freq -o small.svg"),
    (
        "Give its weights to PyTorch",
        "freqreg unpack lenet5.freq -o lenet5.safetensors",
    ),
];

/// What the program ends with.
pub(crate) const STATUS: &[(&str, &str)] = &[
    ("0", "Done."),
    (
        "1",
        "An error, which a sentence on standard error tells. No file is left half-written.",
    ),
    ("2", "A wrong command line."),
    ("130", "Stopped by Ctrl-C or SIGTERM."),
];

const PAGES: &[Page] = &[
    Page {
        command: "reproduce",
        text: "\
An experiment is a TOML file: a network, a data set, a budget of numbers to keep and the training of both networks. Those that come along \
are known by their names (--list); for a variation, copy one, change it and give its path. The data set is taken from --data, or from the folder that \
FREQREG_DATA names, or ~/.cache/freqreg; what is not there is fetched and checked by its hash. With FREQREG_OFFLINE set nothing is fetched, and the sample \
of MNIST that comes along stands in.

The folder of results, target/reproduce/NAME or that of --out, gets model.freq, the network as a file of its numbers; \
model.safetensors, the same as ordinary weights; report.json and report.html. Accuracies are measured on the network as it is read back from its \
file. `all` runs every experiment, each in a folder of its own, and puts them into one table.

Ctrl-C, as SIGTERM, saves the state and stops; the same command with --resume goes on from there.

Built with --features mpi, and started by mpirun (or srun) as several processes, on one machine or many, it trains with all of them: each takes its part of \
every batch, and in a step they exchange the gradients of the numbers that are kept, once. The first process writes and measures. The result is that of one \
process, up to rounding; --resume goes on with as many processes as there are then.",
        examples: &[
            ("Which experiments there are", "freqreg reproduce --list"),
            (
                "See in a few minutes that everything works",
                "freqreg reproduce lenet5 --quick",
            ),
            (
                "A variation: another seed, half the numbers, 7 bits each",
                "freqreg reproduce lenet5 --seed 2 --budget 388 --number bits:7 --out half",
            ),
        ],
    },
    Page {
        command: "sweep",
        text: "\
The file names experiments, and with each of them every seed, every budget and every combination of settings is run:

    experiments = [\"lenet5\"]
    seeds = [1, 2, 3]
    budgets = [400, 776]
    arguments = [\"--quick\"]
    [set]
    \"regularised.training.rate.peak\" = [0.02, 0.04]

Only experiments is needed; seeds is [1] otherwise, budgets those of the experiments. set takes what --set of freqreg reproduce does, with a list of \
values, and arguments is given to every run. Each run has a folder of its own, with what freqreg reproduce leaves there and with log.txt, what it said.

The same command again runs what is missing or was cut off, from its last checkpoint; nothing that is done is done again, but for a run whose \
arguments the file has changed. Then table.md has the \
mean of the seeds of each setting, with their standard deviation, and plot.svg a dot for each run.

--slurm writes a script for a cluster instead, whose folders all its machines must see: an array with a job for each run that is missing.",
        examples: &[
            (
                "What a sweep of two quick runs comes to, both at once",
                "freqreg sweep grid.toml --out runs --jobs 2",
            ),
            (
                "The same on a cluster",
                "freqreg sweep grid.toml --out cluster --slurm jobs.sh",
            ),
            (
                "The table again",
                "freqreg sweep grid.toml --out runs --gather",
            ),
        ],
    },
    Page {
        command: "eval",
        text: "\
The model is a UNet, as the one that the paper's authors released. Pictures are 8-bit RGB, PNG or JPEG, of any size from 16 x 16 pixels on. With \
--masks each found mask is scored by its Dice coefficient and by intersection over union (IoU), and the means are printed last. A mask is grey \
PNG or GIF; what is at least half as bright as white is foreground.

--json prints model, images (image, dice, iou, foreground, seconds), mean_dice and mean_iou.",
        examples: &[
            (
                "Segment pictures, score what is found, and keep it",
                "freqreg eval unet.freq --images images --masks masks --save found",
            ),
            (
                "The scores for a program, of a model that comes through a pipe",
                "cat unet.freq | freqreg eval - --images images --masks masks --json",
            ),
        ],
    },
    Page {
        command: "import",
        text: "\
The file is a PyTorch state dict of sparse tensors, the first coefficients of each weight. It is read as data: nothing in it is run. Its \
numbers are stored as float16 where that holds all of a tensor exactly, and as float32 otherwise. A file of any other network is refused, with the \
name of the first tensor that does not belong.

--json prints architecture, weights, kept, payload_bytes (of the numbers alone), file_bytes and output.",
        examples: &[
            (
                "Import the released UNet",
                "freqreg import unet_fr.pt -o unet.freq",
            ),
            (
                "Only look at what it would become",
                "cat unet_fr.pt | freqreg import - -o - | freqreg inspect -",
            ),
        ],
    },
    Page {
        command: "inspect",
        text: "\
Prints the architecture and what of its configuration is not the default, then for each tensor its shape, how many weights that are, how many \
numbers are kept for them, how they are stored, in how many bytes, and in which order coefficients are kept; then the sums. An update, as \
`freqreg diff` writes it, is shown in the same way.

--json prints architecture, config, tensors (name, shape, axes, order, weights, kept, number, step, bytes), weights, kept, payload_bytes (of \
the numbers alone) and file_bytes.

--plot draws the spectrum: a chart for each tensor, of the magnitudes of its kept numbers in keep order. All have one vertical scale, by the \
logarithm. Of more numbers than a chart has room for, each bar is the largest of several. The picture takes the colours of its reader, light or dark.",
        examples: &[
            ("A table", "freqreg inspect unet.freq"),
            (
                "How many numbers are kept, for a script",
                "freqreg inspect unet.freq --json | grep kept",
            ),
            (
                "The table, and a picture of the numbers",
                "freqreg inspect unet.freq --plot unet.svg",
            ),
        ],
    },
    Page {
        command: "quantize",
        text: "\
Every number becomes a whole multiple of its tensor's step, and an entropy coder writes the multiples. The step is a fixed part of the root mean \
square of the tensor's numbers, chosen so that a number takes about --bits. With 8 bits LeNet5 and the \
released UNet do what they did with 16; nothing is trained to make up for what is lost. What is quantised already can be quantised again, also into its own file.

With --data the network is measured before and after, on images that were held out of the training of that experiment; with --target-bytes too each \
tensor gets the bits that serve best: it is tried in several, with all others as they were, and the validation loss says what it may lose. The test images are read \
for --test alone.

Data sets are looked for in the folder that FREQREG_DATA names, or ~/.cache/freqreg, and else fetched; with FREQREG_OFFLINE set nothing is fetched, and \
the sample of MNIST that comes along stands in.

--json prints architecture, weights, kept, payload_bytes, file_bytes, file_bytes_before and output, and for each set of images metric, score, \
score_before, loss and loss_before.",
        examples: &[
            (
                "About 7 bits a number",
                "freqreg quantize unet.freq -o unet7.freq --bits 7",
            ),
            (
                "Smaller still, by rounding towards zero",
                "freqreg quantize unet.freq -o unet6.freq --bits 6 --dead 0.6",
            ),
            (
                "At most 700 bytes, shared out by what each tensor needs",
                "freqreg quantize lenet5.freq -o s.freq --data lenet5 --target-bytes 700",
            ),
        ],
    },
    Page {
        command: "pack",
        text: "\
Each weight tensor is transformed, and the first of its coefficients are kept; nothing is trained to make up for what is cut off. A network that was \
not trained in this form holds little in few coefficients, and fewer bits often serve it better than fewer coefficients: look at the energy that was kept \
and at the error, and try the network with the weights that freqreg unpack gives back. Tensors with one axis, biases and the numbers of norms, are stored \
whole in float16 (float32 with --number float32); freqreg quantize rounds them too.

Weights are float16, bfloat16, float32 or float64, finite, of one to eight axes. Other tensors, as the counters of batch norms or scalars, are left out by --skip '*_tracked'. \
Of the file's metadata architecture and config are taken over, the rest is not; and freqreg unpack gives float32, whatever there was.

The energy kept is the sum of squares of the coefficients that are kept, before they are rounded, in parts of that of all. The error is the root mean square \
of what the rebuilt weights differ by, rounding included, in parts of that of the weights themselves. Both are in --json too, for each tensor, as energy_kept \
and error, from 0 to 1.

The order zigzag takes coefficients by the sum of their indices. weights:W,W,.. multiplies each index by the weight of its axis first, so that along an axis \
with a larger weight fewer are kept; it has as many weights as a tensor has axes, so where tensors differ in that, it belongs into the file of --per-layer. \
inverse-sqrt weighs an axis by one over the square root of its length, so that more are kept along long ones.

A file for --per-layer names tensors, each in quotes and without wildcards: \"fc1.weight\" = { keep = \"5%\", order = \"weights:2,1\", \
number = \"bits:6\" }; axes = [196, 128, 4, 4] transforms over those, and dense = true stores every weight instead of keeping some. What is not said \
there is as for all tensors. With --target-bytes a keep is the most that the tensor gets.",
        examples: &[
            (
                "A tenth of every tensor",
                "freqreg pack weights.safetensors -o weights.freq --keep 10%",
            ),
            (
                "As little error as 1000 bytes can have",
                "freqreg pack weights.safetensors -o weights.freq --target-bytes 1000",
            ),
            (
                "Half of every tensor but those of the last layer",
                "freqreg pack weights.safetensors -o h.freq --keep 50% --skip 'fc2*'",
            ),
        ],
    },
    Page {
        command: "unpack",
        text: "\
Each weight is rebuilt from its coefficients and written as float32 under its own name and shape, one tensor at a time. Architecture and \
configuration stand among the metadata. In Python: safetensors.torch.load_file(\"OUT.safetensors\").

--json prints architecture, weights, kept, payload_bytes (of the numbers alone) and file_bytes of the model file, and output and output_bytes of \
the weights.",
        examples: &[
            (
                "Weights for PyTorch",
                "freqreg unpack lenet5.freq -o lenet5.safetensors",
            ),
            (
                "Only their checksum",
                "freqreg unpack lenet5.freq -o - | cksum",
            ),
        ],
    },
    Page {
        command: "diff",
        text: "\
An update is a model file with the tensors that changed or came anew, and the names of those that are gone. It knows the model that it was made from \
and the one that it leads to by checksums of what they hold, not of their bytes: the same model in an older version of the format has the same. Its \
architecture is update:NAME, so that nothing takes it for a network. Both models must have the same architecture. A tensor that changed is whole in the \
update, so where all of them changed, the new file is the better one to send. How far weights are apart, freqreg unpack and a program of yours can say.

Where nothing changed, that is said, and an update that changes nothing is written.

--json prints architecture, weights, kept, payload_bytes and file_bytes of the update, changed (the names of its tensors), output, \
and new_file_bytes, the length of NEW.",
        examples: &[
            (
                "What a retrained layer takes",
                "freqreg diff old.freq new.freq -o update.freq",
            ),
            (
                "What is in an update",
                "freqreg inspect update.freq",
            ),
        ],
    },
    Page {
        command: "patch",
        text: "\
OLD must hold the model that the update was made from, and the result is checked to be the model that it was made for; otherwise nothing is \
written. The tensors have the order that they have in the new model. The output may be OLD itself: it is replaced whole, or stays.

--json prints architecture, weights, kept, payload_bytes and file_bytes of the new model, changed (the names of the tensors that came from the \
update) and output.",
        examples: &[
            (
                "A model and its update make the new model",
                "freqreg patch old.freq update.freq -o new.freq",
            ),
            (
                "In place, with an update that comes through a pipe",
                "cat update.freq | freqreg patch old.freq - -o old.freq",
            ),
        ],
    },
    Page {
        command: "qr",
        text: "\
The code holds the bytes of the file as they are (byte mode), in the smallest size that has room for them at the level of error correction: up \
to 2,953 bytes at level L. The picture is an SVG, black on white with the light frame that readers need, and may be printed at any size. A reader \
must give the bytes as they are; many telephones show text only.

--json prints architecture, weights, kept, payload_bytes, file_bytes, output, modules (the length of a side) and level.",
        examples: &[
            ("A network to print", "freqreg qr lenet5.freq -o lenet5.svg"),
            (
                "With more room for stains",
                "freqreg qr lenet5.freq --level m -o lenet5.svg",
            ),
        ],
    },
    Page {
        command: "completions",
        text: "The script goes to standard output. Where a shell looks for such scripts, its own manual says.",
        examples: &[
            (
                "For bash, in ~/.bashrc",
                "source <(freqreg completions bash)",
            ),
            (
                "For fish",
                "freqreg completions fish > ~/.config/fish/completions/freqreg.fish",
            ),
        ],
    },
    Page {
        command: "man",
        text: "The pages are freqreg.1, and freqreg-COMMAND.1 for each command.",
        examples: &[
            ("Read the first page", "freqreg man | man -l -"),
            (
                "Install all pages for one user",
                "freqreg man -o ~/.local/share/man/man1",
            ),
        ],
    },
    Page {
        command: "bench",
        text: "\
Prints one JSON object a line for each figure: what, median_s and min_s (seconds), repeat, threads, peak_rss_mb, and more where there is \
more to say. Nothing is trained to an end or fetched, and every number is drawn from a fixed seed.",
        examples: &[
            (
                "How long the expansion of a large weight takes",
                "freqreg bench synth",
            ),
            (
                "A training step, on one thread",
                "freqreg bench lenet --threads 1",
            ),
        ],
    },
];

/// The program's command line with all of this.
pub(crate) fn command() -> Command {
    let whole = Cli::command()
        .long_about(format!("{}.\n\n{PROGRAM}", about(&Cli::command())))
        .after_long_help(after(FIRST_STEPS));
    PAGES.iter().fold(whole, |whole, page| {
        whole.mut_subcommand(page.command, |command| {
            let text = format!("{}.\n\n{}", about(&command), page.text);
            command
                .long_about(text)
                .after_long_help(after(page.examples))
        })
    })
}

fn about(command: &Command) -> String {
    command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// The examples of a command's page.
pub(crate) fn examples(command: &str) -> &'static [Example] {
    let page = PAGES.iter().find(|page| page.command == command);
    page.map_or(&[], |page| page.examples)
}

/// What stands behind the options.
fn after(examples: &[Example]) -> String {
    let mut text = String::from("Examples:\n");
    // Writing to a string does not fail.
    for (what, line) in examples {
        let _ = writeln!(text, "  {what}:\n    $ {line}");
    }
    text += "\nExit status:\n";
    for (status, what) in STATUS {
        let _ = writeln!(text, "  {status:4} {what}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_an_example() {
        let command = command();
        command.clone().debug_assert();
        for command in command.get_subcommands() {
            let name = command.get_name();
            let page = PAGES.iter().find(|page| page.command == name);
            assert!(page.is_some_and(|p| !p.text.is_empty()), "{name}");
            let uses = format!("freqreg {name}");
            let examples = examples(name);
            // What is wrapped can't be copied.
            let long = examples.iter().find(|(_, line)| line.len() > 74);
            assert_eq!(long, None);
            assert!(
                examples.iter().any(|(_, line)| line.contains(&uses)),
                "{name}"
            );
        }
    }
}
