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
    copy(&parts.api, &out.join("api"))?;
    link_items(&out.join("crates"), &out.join("api"))
}

/// The pages of crates are also the front pages of their API documentation, where items in brackets become links by themselves. Here they become
/// links to there.
fn link_items(pages: &Path, api: &Path) -> Result<(), String> {
    for entry in std::fs::read_dir(pages).map_err(|e| at(pages, e))? {
        let path = entry.map_err(|e| at(pages, e))?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else {
            continue;
        };
        let Some(own) = name.strip_suffix(".html") else {
            continue;
        };
        let page = std::fs::read_to_string(&path).map_err(|e| at(&path, e))?;
        let linked = with_links(&page, |item| {
            documented(api, &format!("freqreg_{own}"), item)
        });
        let linked = linked.map_err(|item| {
            format!(
                "{}: `{item}` is in no crate's API documentation",
                path.display()
            )
        })?;
        std::fs::write(&path, linked).map_err(|e| at(&path, e))?;
    }
    Ok(())
}

/// A page whose items in brackets are links to where `place` says that they are documented. The error is an item that is nowhere.
fn with_links(page: &str, place: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    const OPEN: &str = "[<code>";
    const CLOSE: &str = "</code>]";
    let mut linked = String::new();
    let mut rest = page;
    while let Some((before, behind)) = rest.split_once(OPEN) {
        linked += before;
        rest = match behind.split_once(CLOSE) {
            // Nothing but a name: code in brackets may be other things.
            Some((item, behind))
                if item
                    .chars()
                    .all(|c| c.is_alphanumeric() || "_:".contains(c)) =>
            {
                let to = place(item).ok_or_else(|| item.to_owned())?;
                linked += &format!("<a href=\"../api/{to}\"><code>{item}</code></a>");
                behind
            }
            _ => {
                linked += OPEN;
                behind
            }
        };
    }
    Ok(linked + rest)
}

/// Where the API documentation has an item, as `Store`, `Keep::dense`, `ops` or `ops::portable`: that of the crate `own`, or of another that it shows.
fn documented(api: &Path, own: &str, item: &str) -> Option<String> {
    let page = |path: String| api.join(&path).is_file().then_some(path);
    let item_of = |module: &str, name: &str| {
        let kinds = ["struct", "enum", "trait", "fn", "type", "constant"];
        let of_kind = |kind: &&str| page(format!("{module}/{kind}.{name}.html"));
        let module = || page(format!("{module}/{name}/index.html"));
        kinds.iter().find_map(of_kind).or_else(module)
    };
    if let Some(whole) = page(format!("{item}/index.html")) {
        return Some(whole);
    }
    [own, "freqreg_dct"]
        .iter()
        .find_map(|of| match item.split_once("::") {
            None => item_of(of, item),
            Some((owner, member)) => item_of(&format!("{of}/{owner}"), member).or_else(|| {
                let path = item_of(of, owner)?;
                let text = std::fs::read_to_string(api.join(&path)).ok()?;
                let mut anchors = ["method", "variant"]
                    .iter()
                    .map(|kind| format!("{kind}.{member}"));
                let anchor = anchors.find(|a| text.contains(&format!("id=\"{a}\"")))?;
                Some(format!("{path}#{anchor}"))
            }),
        })
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
    fn items_in_brackets_become_links() {
        let api = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(api.path().join("freqreg_nn/ops/portable")).unwrap();
        for (path, text) in [
            ("struct.Keep.html", "<a id=\"method.dense\">"),
            ("ops/index.html", ""),
            ("ops/portable/index.html", ""),
        ] {
            std::fs::write(api.path().join("freqreg_nn").join(path), text).unwrap();
        }
        let linked =
            |page: &str| with_links(page, |item| documented(api.path(), "freqreg_nn", item));
        let to = |place: &str, item: &str| {
            Ok(format!(
                "a <a href=\"../api/freqreg_nn/{place}\"><code>{item}</code></a> b"
            ))
        };
        for (item, place) in [
            ("Keep", "struct.Keep.html"),
            ("Keep::dense", "struct.Keep.html#method.dense"),
            ("ops", "ops/index.html"),
            ("ops::portable", "ops/portable/index.html"),
        ] {
            assert_eq!(
                linked(&format!("a [<code>{item}</code>] b")),
                to(place, item)
            );
        }
        assert_eq!(
            linked("[<code>Keep::sparse</code>]"),
            Err("Keep::sparse".into())
        );
        for other in ["[<code>a b</code>]", "[<code>a", "<code>[Keep]</code>"] {
            assert_eq!(linked(other), Ok(other.into()));
        }
    }

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
