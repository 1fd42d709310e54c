//! A network as a picture: its tensors in order, each a box as wide as the logarithm of its weights, and filled as far as the
//! logarithm of what is kept.

use crate::thousands;
use crate::zoo::{Network, Tensor, Version, shape};
use freqreg_docs::svg::{Anchor, Svg};

const WIDTH: f64 = 500.0;
/// Where the boxes begin, and how far the longest may reach.
const LEFT: f64 = 130.0;
const RIGHT: f64 = 384.0;
const TOP: f64 = 62.0;
const ROW: f64 = 19.0;
const BOX: f64 = 15.0;
/// Between one part of the network and the next, as `stage1` and `stage2`.
const GAP: f64 = 7.0;
/// Of the version that keeps most to the one that keeps least.
const FILLS: [&str; 3] = ["#fde8cf", "#f8c88f", "#ee9a3f"];
const EMPTY: &str = "#eef1f5";
const DENSE: &str = "#c9d6e8";
const LINE: &str = "#d7dbe0";

/// Draws it.
pub(crate) fn draw(network: &Network) -> Svg {
    let rows = network.rows();
    let versions = distinct(network);
    let places = places(&rows.iter().map(|(t, _)| *t).collect::<Vec<_>>());
    let foot = places.last().map_or(TOP, |y| y + ROW);
    let title = format!("The tensors of {} and what is kept of them", network.title);
    let mut svg = Svg::new(WIDTH, foot + 8.0, &title);
    legend(&mut svg, &versions);
    let most = rows.iter().map(|(t, _)| t.weights()).max().unwrap_or(1);
    let decades = (most as f64).log10().ceil().max(1.0);
    let scale = |n: usize| tenths((n as f64).log10() / decades * (RIGHT - LEFT));
    for decade in 0..=decades as u32 {
        let x = LEFT + scale(10_usize.pow(decade));
        svg.filled([x - 0.5, TOP - 6.0], [1.0, tenths(foot - TOP + 8.0)], LINE);
        svg.words([x, TOP - 10.0], 9.0, Anchor::Middle, &power(decade));
    }
    for ((tensor, of), y) in rows.iter().zip(places) {
        svg.words([8.0, y + 11.5], 11.0, Anchor::Start, &tensor.name);
        let mut bars: Vec<(usize, &str)> = vec![(tensor.weights(), EMPTY)];
        let mut labels: Vec<String> = Vec::new();
        for ((_, place), fill) in versions.iter().zip(fills(versions.len())) {
            let label = match of[*place] {
                None => "none".into(),
                Some(t) if t.prefix.is_none() => {
                    bars.push((t.kept, DENSE));
                    "all".into()
                }
                Some(t) => {
                    bars.push((t.kept, fill));
                    thousands(t.kept)
                }
            };
            labels.push(label);
        }
        // The widest first, so that none hides another; of equals the later, darker one shows.
        bars.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
        for (n, fill) in bars {
            svg.filled([LEFT, y], [scale(n).max(1.0), BOX], fill);
        }
        svg.words(
            [LEFT + 5.0, y + 11.0],
            10.0,
            Anchor::Start,
            &shape(&tensor.shape),
        );
        if labels.iter().all(|label| *label == labels[0]) {
            labels.truncate(1);
        }
        svg.words(
            [WIDTH - 8.0, y + 11.5],
            11.0,
            Anchor::End,
            &labels.join(" · "),
        );
    }
    svg
}

/// The versions by name and place, those that keep the same as the one before under one name.
fn distinct(network: &Network) -> Vec<(String, usize)> {
    let mut found: Vec<(String, usize)> = Vec::new();
    for (i, version) in network.versions.iter().enumerate() {
        let same = |(_, j): &&mut (String, usize)| network.versions[*j].tensors == version.tensors;
        match found.last_mut().filter(same) {
            Some((name, _)) => *name += &format!(" and {}", ending(version)),
            None => found.push((version.name().into(), i)),
        }
    }
    for (name, i) in &mut found {
        *name += &format!(": {}", thousands(network.versions[*i].kept(false)));
    }
    found
}

/// `v4` of `alexnet-v4`.
fn ending(version: &Version) -> &str {
    version.name().rsplit('-').next().unwrap_or_default()
}

/// As many fills as versions; a single one is the darkest.
fn fills(versions: usize) -> impl Iterator<Item = &'static str> {
    let from = FILLS.len().saturating_sub(versions);
    FILLS[from..]
        .iter()
        .chain(std::iter::repeat(&FILLS[2]))
        .copied()
}

fn legend(svg: &mut Svg, versions: &[(String, usize)]) {
    let mut x = 8.0;
    let mut entry = |name: &str, fill: &str| {
        svg.filled([x, 10.0], [11.0, 11.0], fill);
        svg.words([x + 15.0, 20.0], 11.0, Anchor::Start, name);
        x += 27.0 + 6.0 * name.chars().count() as f64;
    };
    for ((name, _), fill) in versions.iter().zip(fills(versions.len())) {
        entry(name, fill);
    }
}

/// The upper edge of each row.
fn places(tensors: &[&Tensor]) -> Vec<f64> {
    let part = |t: &Tensor| {
        let layer = t.name.trim_end_matches(".bias");
        layer.split_once('.').map(|(part, _)| part.to_string())
    };
    let mut y = TOP;
    let mut places = Vec::new();
    for (i, tensor) in tensors.iter().enumerate() {
        if i > 0 {
            let parted = part(tensor) != part(tensors[i - 1]);
            y += ROW + if parted { GAP } else { 0.0 };
        }
        places.push(y);
    }
    places
}

/// A power of ten in few letters.
fn power(decade: u32) -> String {
    let unit = ["", "k", "M", "G", "T"].get(decade as usize / 3);
    format!("{}{}", 10_usize.pow(decade % 3), unit.unwrap_or(&""))
}

/// Places to a tenth of a point, so that another machine's logarithm draws the same.
fn tenths(x: f64) -> f64 {
    (10.0 * x).round() / 10.0
}
