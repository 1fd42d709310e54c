//! Regions of a page that are generated: all between `<!-- generated: NAME -->` and `<!-- /generated -->`.

const OPEN: &str = "<!-- generated: ";
const SHUT: &str = " -->";
const CLOSE: &str = "<!-- /generated -->";

/// The page with each region filled by the text of its name.
///
/// # Errors
/// A region that is not closed, one that nothing is known of, and one that is missing.
pub(crate) fn fill(page: &str, regions: &[(&str, String)]) -> Result<String, String> {
    let mut filled = String::new();
    let mut seen = Vec::new();
    let mut rest = page;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (name, after) = after
            .split_once(SHUT)
            .ok_or("a generated region's name does not end")?;
        let (old, after) = after
            .split_once(CLOSE)
            .ok_or_else(|| format!("the region `{name}` is not closed"))?;
        if old.contains(OPEN) {
            return Err(format!("the region `{name}` is not closed"));
        }
        let (_, text) = regions
            .iter()
            .find(|(n, _)| *n == name)
            .ok_or_else(|| format!("there is nothing to fill the region `{name}` with"))?;
        filled += &format!("{before}{OPEN}{name}{SHUT}\n{}\n{CLOSE}", text.trim_end());
        seen.push(name);
        rest = after;
    }
    match regions.iter().find(|(name, _)| !seen.contains(name)) {
        Some((name, _)) => Err(format!("the region `{name}` is missing")),
        None => Ok(filled + rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "a\n<!-- generated: x -->\nold\n<!-- /generated -->\nb\n<!-- generated: y --><!-- /generated -->";

    fn both() -> [(&'static str, String); 2] {
        [("x", "1\n2\n".into()), ("y", "3".into())]
    }

    #[test]
    fn regions_are_replaced_and_the_rest_stays() {
        let filled = fill(PAGE, &both()).unwrap();
        let expected = "a\n<!-- generated: x -->\n1\n2\n<!-- /generated -->\nb\n<!-- generated: y -->\n3\n<!-- /generated -->";
        assert_eq!(filled, expected);
        assert_eq!(fill(&filled, &both()).unwrap(), filled);
    }

    #[test]
    fn a_region_that_is_unknown_missing_or_open_is_named() {
        let error = |page, regions: &[(&str, String)]| fill(page, regions).unwrap_err();
        assert!(error(PAGE, &both()[..1]).contains("`y`"));
        assert!(error("a", &both()).contains("`x` is missing"));
        assert!(error("<!-- generated: x -->", &both()).contains("`x` is not closed"));
        let nested = "<!-- generated: x --><!-- generated: y --><!-- /generated -->";
        assert!(error(nested, &both()).contains("`x` is not closed"));
    }
}
