//! Files and pipes: wherever a command reads or writes a file, `-` is standard input or standard output.

use crate::Failure;
use freqreg_file::{Error, Model, write_atomically};
use freqreg_train::network::codec;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

/// Where a command reads from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Input {
    Standard,
    File(PathBuf),
}

/// Where a command writes to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Output {
    Standard,
    File(PathBuf),
}

impl From<OsString> for Input {
    fn from(argument: OsString) -> Self {
        match argument == "-" {
            true => Input::Standard,
            false => Input::File(argument.into()),
        }
    }
}

impl From<OsString> for Output {
    fn from(argument: OsString) -> Self {
        match argument == "-" {
            true => Output::Standard,
            false => Output::File(argument.into()),
        }
    }
}

/// As sentences name it.
impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name().display())
    }
}

/// As sentences name it.
impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name().display())
    }
}

impl Input {
    /// What errors call it.
    pub(crate) fn name(&self) -> &Path {
        match self {
            Input::Standard => Path::new("standard input"),
            Input::File(path) => path,
        }
    }

    /// As the command line names it: the path, or `-`.
    pub(crate) fn argument(&self) -> String {
        match self {
            Input::Standard => "-".into(),
            Input::File(path) => path.display().to_string(),
        }
    }

    /// Whether it is to be read from its beginning to its end, as a pipe, and not here and there.
    pub(crate) fn is_stream(&self) -> bool {
        match self {
            Input::Standard => true,
            // Of what can't be looked at, reading says why.
            Input::File(path) => path.metadata().is_ok_and(|there| !there.is_file()),
        }
    }

    /// All its bytes, which may be as many as the longest model file has.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, Error> {
        let limit = codec().limits.file_bytes();
        let read = match self {
            Input::Standard => bounded(io::stdin().lock(), limit),
            Input::File(path) => File::open(path).and_then(|file| bounded(file, limit)),
        };
        let bytes = read.map_err(|cause| Error::Io {
            action: "read",
            path: self.name().into(),
            cause,
        })?;
        let got = bytes.len() as u64;
        match got > limit {
            true => Err(self.at_fault(Error::Limit {
                what: "bytes",
                limit,
                got,
            })),
            false => Ok(bytes),
        }
    }

    /// The model file that it is, and its length in bytes.
    pub(crate) fn model(&self) -> Result<(Model, usize), Error> {
        let (model, bytes) = self.model_and_bytes()?;
        Ok((model, bytes.len()))
    }

    /// The model file that it is, read and as it stands.
    pub(crate) fn model_and_bytes(&self) -> Result<(Model, Vec<u8>), Error> {
        let bytes = self.bytes()?;
        let model = codec().decode(&bytes).map_err(|e| self.at_fault(e))?;
        Ok((model, bytes))
    }

    fn at_fault(&self, error: Error) -> Error {
        Error::InFile {
            path: self.name().into(),
            error: Box::new(error),
        }
    }
}

/// What a reader gives, but at most one byte more than the limit, which tells that it is longer.
fn bounded(reader: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Standard input can be read once.
pub(crate) fn at_most_one_standard(inputs: &[&Input]) -> Result<(), Failure> {
    let standard = inputs.iter().filter(|i| ***i == Input::Standard).count();
    match standard > 1 {
        true => Err(Failure {
            message: "error: only one file can be `-`, standard input".into(),
            code: 2,
        }),
        false => Ok(()),
    }
}

/// Refuses to write over the file that is read where that is not what the output is to take the place of: it would be lost.
pub(crate) fn another_file(input: &Input, output: &Output) -> Result<(), Failure> {
    match input {
        Input::Standard => Ok(()),
        Input::File(path) => another_path(path, output),
    }
}

/// As [`another_file`], for a file that is no model.
pub(crate) fn another_path(from: &Path, output: &Output) -> Result<(), Failure> {
    let Output::File(to) = output else {
        return Ok(());
    };
    match (from.canonicalize(), to.canonicalize()) {
        (Ok(a), Ok(b)) if a == b => Err(Failure {
            message: format!(
                "error: {output} is the file that is read, and would be lost: give the output another name"
            ),
            code: 2,
        }),
        _ => Ok(()),
    }
}

impl Output {
    /// What errors call it.
    pub(crate) fn name(&self) -> &Path {
        match self {
            Output::Standard => Path::new("standard output"),
            Output::File(path) => path,
        }
    }

    /// Writes bytes that are no text: to a file whole or not at all, and not to a terminal.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Output::Standard => {
                let mut pipe = Pipe::binary()?;
                pipe.put(bytes).and_then(|()| pipe.end())?;
            }
            Output::File(path) => write_atomically(path, bytes)?,
        }
        Ok(())
    }

    /// Writes a text, to a file whole or not at all.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        match self {
            Output::Standard => print(text)?,
            Output::File(path) => write_atomically(path, text.as_bytes())?,
        }
        Ok(())
    }

    /// Writes a model file, and says how many bytes it has.
    pub(crate) fn model(&self, model: &Model) -> Result<usize, Failure> {
        let bytes = codec().encode(model)?;
        self.bytes(&bytes)?;
        Ok(bytes.len())
    }

    /// Says what was done, as a sentence or, with `--json`, as JSON: on standard output, or on standard error where what was done went
    /// to standard output.
    pub(crate) fn done(&self, as_json: bool, sentence: &str, json: &Value) -> Result<(), Failure> {
        let text = match as_json {
            true => format!("{json:#}\n"),
            false => format!("{sentence}\n"),
        };
        self.beside(&text)
    }

    /// Prints a text beside what goes to this output.
    pub(crate) fn beside(&self, text: &str) -> Result<(), Failure> {
        match self {
            Output::File(_) => print(text),
            Output::Standard => {
                // Who closed standard error does not want to know.
                let _ = io::stderr().write_all(harmless(text).as_bytes());
                Ok(())
            }
        }
    }

    /// As the command line names it: the path, or `-`.
    pub(crate) fn argument(&self) -> String {
        match self {
            Output::Standard => "-".into(),
            Output::File(path) => path.display().to_string(),
        }
    }
}

/// Prints a text on standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut pipe = Pipe(io::stdout().lock());
    pipe.put(harmless(text).as_bytes())
        .and_then(|()| pipe.end())?;
    Ok(())
}

/// A line on standard error. Nobody may be listening any more, which is no reason to stop.
pub(crate) fn say(line: impl fmt::Display) {
    _ = writeln!(io::stderr(), "{}", harmless(&line.to_string()));
}

/// The text without what a terminal would take for orders: names come from files, and files from anywhere. Control characters are written as
/// JSON escapes them, so that JSON keeps its meaning.
fn harmless(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => plain.push(c),
            c if c.is_control() => plain += &format!("\\u{:04x}", u32::from(c)),
            c => plain.push(c),
        }
    }
    plain
}

/// Standard output, for bytes that come piece by piece.
pub(crate) struct Pipe(io::StdoutLock<'static>);

impl Pipe {
    /// Refuses a terminal, which would show bytes as whatever they happen to mean to it.
    pub(crate) fn binary() -> Result<Self, Failure> {
        let stdout = io::stdout();
        refuse_terminal(stdout.is_terminal())?;
        Ok(Pipe(stdout.lock()))
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.write_all(bytes).map_err(unwritable)
    }

    pub(crate) fn end(&mut self) -> Result<(), Error> {
        self.0.flush().map_err(unwritable)
    }
}

fn refuse_terminal(terminal: bool) -> Result<(), Failure> {
    match terminal {
        true => Err(Failure {
            message: "error: standard output is a terminal, and this is no text: give a file, or a pipe behind the command".into(),
            code: 1,
        }),
        false => Ok(()),
    }
}

fn unwritable(cause: io::Error) -> Error {
    Error::Io {
        action: "write",
        path: Output::Standard.name().into(),
        cause,
    }
}

/// Whether whoever read our standard output has closed it: they have read enough.
pub(crate) fn closed(error: &Error) -> bool {
    matches!(error, Error::Io { path, cause, .. }
        if cause.kind() == ErrorKind::BrokenPipe && path == Output::Standard.name())
}

/// What `--json` says of every model file.
pub(crate) fn facts(model: &Model, file_bytes: usize) -> Value {
    json!({
        "architecture": model.architecture,
        "weights": model.weights(),
        "kept": model.kept(),
        "payload_bytes": model.payload_bytes(),
        "file_bytes": file_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_bytes() {
        let said = refuse_terminal(true).err().map(|f| f.message);
        assert!(said.is_some_and(|s| s.contains("terminal")));
        assert!(refuse_terminal(false).is_ok());
    }

    #[test]
    fn what_is_longer_than_any_model_file_is_not_held() {
        assert_eq!(bounded(io::repeat(0), 1000).unwrap().len(), 1001);
        assert_eq!(bounded(&[1, 2, 3][..], 3).unwrap(), [1, 2, 3]);
    }
}
