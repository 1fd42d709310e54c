//! How a task ends when it does not end well.

use std::process::ExitCode;

/// What every task returns.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Why a task stopped.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was called wrongly: exit status 2.
    Usage(String),
    /// Something did not work: exit status 1.
    Failed(String),
}

impl Failure {
    /// What to tell the user.
    pub(crate) fn text(&self) -> &str {
        match self {
            Failure::Usage(text) | Failure::Failed(text) => text,
        }
    }

    /// The exit status of the whole run.
    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Failure::Usage(_) => ExitCode::from(2),
            Failure::Failed(_) => ExitCode::FAILURE,
        }
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Failure::Usage(error.to_string())
    }
}

/// ` (did you mean ...?)`, or nothing where no name is near.
pub(crate) fn nearest(typed: &str, names: &[&str]) -> String {
    names
        .iter()
        .map(|name| (strsim::jaro_winkler(typed, name), name))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| format!(" (did you mean `{name}`?)"))
        .unwrap_or_default()
}

/// Refuses arguments given to a task that takes none.
pub(crate) fn no_arguments(task: &str, arguments: &[std::ffi::OsString]) -> Outcome {
    match arguments.first() {
        None => Ok(()),
        Some(first) => Err(Failure::Usage(format!(
            "`{task}` takes no argument, but got `{}`",
            first.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn only_a_near_name_is_suggested() {
        let names = ["bench", "docs"];
        assert_eq!(nearest("bnech", &names), " (did you mean `bench`?)");
        assert_eq!(nearest("doc", &names), " (did you mean `docs`?)");
        assert_eq!(nearest("xyz", &names), "");
    }
}
