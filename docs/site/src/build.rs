//! Putting the site together.

use mdbook_driver::MDBook;
use std::path::{Path, PathBuf};
use wasm_bindgen_cli_support::Bindgen;

/// What the site is made from.
#[derive(Debug)]
pub struct Parts {
    /// The folder of the book.
    pub book: PathBuf,
    /// The demonstrations, as the compiler leaves them.
    pub wasm: PathBuf,
    /// The API documentation, as `cargo doc` leaves it.
    pub api: PathBuf,
}

/// Writes the site to the folder `out`, which is emptied first.
///
/// # Errors
/// A sentence on what can't be read, built or written.
pub fn build(parts: &Parts, out: &Path) -> Result<(), String> {
    let mut book = MDBook::load(&parts.book).map_err(|e| format!("the book: {e:#}"))?;
    // The folder is emptied by mdBook.
    book.config.build.build_dir = std::path::absolute(out).map_err(|e| at(out, e))?;
    book.build().map_err(|e| format!("the book: {e:#}"))?;
    lighten(out)?;
    let demo = out.join("demo");
    Bindgen::new()
        .input_path(&parts.wasm)
        .omit_default_module_path(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .web(true)
        .and_then(|bindgen| bindgen.typescript(false).generate(&demo))
        .map_err(|e| format!("{}: {e:#}", parts.wasm.display()))?;
    copy(&parts.book.join("web/models"), &demo.join("models"))?;
    copy(&parts.api, &out.join("api"))
}

/// In the place of a library of 140 kB that colours code, on pages that have none.
const NO_COLOURS: &str = "<script>const hljs = { configure() {}, highlightBlock() {} };</script>";

/// Takes from pages without code what colours it.
fn lighten(folder: &Path) -> Result<(), String> {
    for entry in std::fs::read_dir(folder).map_err(|e| at(folder, e))? {
        let path = entry.map_err(|e| at(folder, e))?.path();
        if path.is_dir() {
            lighten(&path)?;
        } else if path.extension().is_some_and(|e| e == "html") {
            let page = std::fs::read_to_string(&path).map_err(|e| at(&path, e))?;
            if let Some(lighter) = without_colours(&page) {
                std::fs::write(&path, lighter).map_err(|e| at(&path, e))?;
            }
        }
    }
    Ok(())
}

fn without_colours(page: &str) -> Option<String> {
    if page.contains("<code class=\"") {
        return None;
    }
    let script = |at: usize| {
        let end = page[at..].find("</script>")? + "</script>".len();
        let whole = &page[at..at + end];
        whole.contains("highlight-").then_some(whole)
    };
    let mut starts = page.match_indices("<script src=\"").map(|(at, _)| at);
    let script = starts.find_map(script)?;
    Some(page.replace(script, NO_COLOURS))
}

fn at(path: &Path, error: impl std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    std::fs::create_dir_all(to).map_err(|e| at(to, e))?;
    for entry in std::fs::read_dir(from).map_err(|e| at(from, e))? {
        let path = entry.map_err(|e| at(from, e))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        match path.is_dir() {
            true => copy(&path, &target)?,
            false => {
                std::fs::copy(&path, &target).map_err(|e| at(&path, e))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_without_code_are_lightened() {
        let page = |body: &str| {
            format!(
                "<script src=\"book-1.js\"></script>{body}<script src=\"../highlight-2.js\"></script>end"
            )
        };
        assert_eq!(
            without_colours(&page("<p>words</p>")),
            Some(format!(
                "<script src=\"book-1.js\"></script><p>words</p>{NO_COLOURS}end"
            ))
        );
        let code = page("<pre><code class=\"language-sh\">ls</code></pre>");
        assert_eq!(without_colours(&code), None);
        assert_eq!(without_colours("<p>words</p>"), None);
    }
}
