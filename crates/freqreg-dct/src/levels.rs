//! How many indices of a box share a key: counting, without visiting them.

use alloc::vec;
use alloc::vec::Vec;

/// The keys of a box, counted. All axes but the longest are held as a sorted list of
/// (key, how many indices have it); the longest is an arithmetic progression and needs no list.
pub(crate) struct Levels {
    others: Vec<(u64, usize)>,
    longest: usize,
    weight: u64,
}

impl Levels {
    /// The levels of a box up to `limit`: larger keys are not counted. No axes at all is a box with one
    /// index, of key 0.
    pub(crate) fn new(shape: &[usize], weights: &[u64], limit: u64) -> Self {
        let mut axes: Vec<(usize, u64)> =
            shape.iter().copied().zip(weights.iter().copied()).collect();
        axes.sort_unstable();
        let (longest, weight) = axes.pop().unwrap_or((1, 1));
        let others = axes.into_iter().fold(vec![(0, 1)], |levels, (n, w)| {
            with_axis(&levels, n, w, limit)
        });
        Self {
            others,
            longest,
            weight,
        }
    }

    /// The number of indices whose key is at most `key`.
    pub(crate) fn at_most(&self, key: u64) -> usize {
        let along = |rest: u64| {
            self.longest.min(
                usize::try_from(rest / self.weight)
                    .unwrap_or(usize::MAX)
                    .saturating_add(1),
            )
        };
        self.up_to(key)
            .map(|(level, count)| count * along(key - level))
            .sum()
    }

    /// The number of indices whose key is `key`.
    pub(crate) fn exactly(&self, key: u64) -> usize {
        let hit = |rest: u64| {
            rest.is_multiple_of(self.weight) && rest / self.weight < self.longest as u64
        };
        self.up_to(key)
            .filter(|&(level, _)| hit(key - level))
            .map(|(_, count)| count)
            .sum()
    }

    fn up_to(&self, key: u64) -> impl Iterator<Item = (u64, usize)> {
        self.others
            .iter()
            .copied()
            .take_while(move |&(level, _)| level <= key)
    }
}

/// The levels of a box extended by one axis.
fn with_axis(levels: &[(u64, usize)], length: usize, weight: u64, limit: u64) -> Vec<(u64, usize)> {
    if length == 1 {
        return levels.to_vec();
    }
    let mut all = Vec::new();
    for i in 0..length as u64 {
        let room = match limit.checked_sub(i * weight) {
            Some(room) => room,
            None => break,
        };
        let within = levels.iter().take_while(|&&(key, _)| key <= room);
        all.extend(within.map(|&(key, count)| (key + i * weight, count)));
    }
    all.sort_unstable();
    all.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    all
}

#[cfg(test)]
mod tests {
    use super::Levels;

    #[test]
    fn counts_by_hand() {
        // Keys i + 2 j of a 3 x 2 box: 0 1 2 / 2 3 4.
        let levels = Levels::new(&[3, 2], &[1, 2], 9);
        assert_eq!(
            (0..6).map(|key| levels.exactly(key)).collect::<Vec<_>>(),
            [1, 1, 2, 1, 1, 0]
        );
        assert_eq!(
            (0..6).map(|key| levels.at_most(key)).collect::<Vec<_>>(),
            [1, 2, 4, 5, 6, 6]
        );
    }

    #[test]
    fn keys_up_to_a_limit() {
        let (all, some) = (
            Levels::new(&[3, 2, 4], &[1, 2, 5], 20),
            Levels::new(&[3, 2, 4], &[1, 2, 5], 3),
        );
        assert!(
            (0..=3).all(|key| all.exactly(key) == some.exactly(key)
                && all.at_most(key) == some.at_most(key))
        );
        assert!(some.others.len() < all.others.len());
    }

    #[test]
    fn no_axes_is_one_index() {
        let levels = Levels::new(&[], &[], 0);
        assert_eq!(
            (levels.at_most(0), levels.exactly(0), levels.exactly(1)),
            (1, 1, 0)
        );
    }

    #[test]
    fn a_long_axis_costs_nothing() {
        let n = 1 << 40;
        let levels = Levels::new(&[n, 2], &[3, 1], u64::MAX);
        assert_eq!(levels.at_most(u64::MAX), 2 * n);
        assert_eq!(levels.exactly(3 * (n as u64 - 1) + 1), 1);
    }
}
