//! A budget shared out so that little is lost.

use std::vec::Vec;

/// One way to store a thing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// What it takes, in bytes or numbers or whatever the budget is of.
    pub cost: f64,
    /// What it loses, in whatever is summed up over all things.
    pub loss: f64,
}

/// For each of several things one of the ways to store it, such that all together lose as little as can be had within a budget.
///
/// At a *price* for a unit of cost each thing is stored in the way of which loss and price together are least, which for every price is the best
/// choice at the cost that it comes to (Everett 1963; for quantisers Shoham and Gersho 1988). The least price is looked for whose choice
/// `fits`; what is left of the budget then goes to single things. So `fits` is asked some dozens of times.
///
/// `None` where not even the cheapest way of everything fits, or a thing has no way.
///
/// # Errors
/// Those of `fits`.
///
/// ```
/// use freqreg_file::{Point, allocate};
/// // Each takes 1, 2 or 3; the first gains much from the second unit, the second little.
/// let curves = [[9.0, 1.0, 0.9], [3.0, 2.9, 2.8]]
///     .map(|losses| (1..).zip(losses).map(|(n, loss)| Point { cost: f64::from(n), loss }).collect::<Vec<_>>());
/// let cost = |choice: &[usize]| choice.iter().zip(&curves).map(|(&i, c)| c[i].cost).sum::<f64>();
/// let choice = allocate(&curves, |choice| Ok::<_, ()>(cost(choice) <= 3.0));
/// assert_eq!(choice, Ok(Some(vec![1, 0])));
/// ```
pub fn allocate<E>(
    curves: &[Vec<Point>],
    mut fits: impl FnMut(&[usize]) -> Result<bool, E>,
) -> Result<Option<Vec<usize>>, E> {
    if curves.iter().any(Vec::is_empty) {
        return Ok(None);
    }
    // Prices so low and so high that nothing but loss, or cost, counts.
    let (mut low, mut high) = (-200.0_f64, 200.0_f64);
    let free = choose(curves, low.exp2());
    if fits(&free)? {
        return Ok(Some(free));
    }
    let mut best = choose(curves, high.exp2());
    if !fits(&best)? {
        return Ok(None);
    }
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        let choice = choose(curves, middle.exp2());
        if fits(&choice)? {
            (best, high) = (choice, middle);
        } else {
            low = middle;
        }
    }
    // No price leads to what lies between two choices: several things may change at one, and a curve may have a straight part, all of
    // which changes at once. So things go on from the last choice that fits, one after the other; first those that change next.
    let next = choose(curves, low.exp2());
    let mut order: Vec<usize> = (0..curves.len()).collect();
    order.sort_by_key(|&i| next[i] == best[i]);
    for i in order {
        let mut better = front(&curves[i], best[i]);
        while !better.is_empty() {
            let middle = better.len() / 2;
            let before = std::mem::replace(&mut best[i], better[middle]);
            if fits(&best)? {
                better.drain(..=middle);
            } else {
                best[i] = before;
                better.truncate(middle);
            }
        }
    }
    Ok(Some(best))
}

/// The points that lose less than point `from` and for which nothing better is to be had at their cost, the cheapest first.
fn front(curve: &[Point], from: usize) -> Vec<usize> {
    let mut by_cost: Vec<usize> = (0..curve.len()).collect();
    by_cost.sort_by(|&a, &b| {
        let (a, b) = (curve[a], curve[b]);
        a.cost.total_cmp(&b.cost).then(a.loss.total_cmp(&b.loss))
    });
    let mut least = curve[from].loss;
    by_cost.retain(|&i| {
        let less = curve[i].loss < least;
        least = least.min(curve[i].loss);
        less
    });
    by_cost
}

/// For each curve the point where loss and cost at that price are least; of equal ones the cheapest.
fn choose(curves: &[Vec<Point>], price: f64) -> Vec<usize> {
    let total = |p: &Point| p.loss + price * p.cost;
    let least = |curve: &Vec<Point>| {
        let better = |a: &(usize, &Point), b: &(usize, &Point)| {
            let (a, b) = (a.1, b.1);
            total(a)
                .total_cmp(&total(b))
                .then(a.cost.total_cmp(&b.cost))
        };
        curve
            .iter()
            .enumerate()
            .min_by(better)
            .map_or(0, |(i, _)| i)
    };
    curves.iter().map(least).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sums(curves: &[Vec<Point>], choice: &[usize]) -> (f64, f64) {
        let chosen = choice.iter().zip(curves).map(|(&i, c)| c[i]);
        chosen.fold((0.0, 0.0), |(cost, loss), p| (cost + p.cost, loss + p.loss))
    }

    proptest! {
        /// On curves as they are in practice, falling ever more slowly, hardly anything is better that fits, every choice tried.
        #[test]
        fn next_to_nothing_is_better(
            scales in proptest::collection::vec((0.1_f64..10.0, 0.2_f64..3.0), 1..4),
            share in 0.05_f64..1.2,
        ) {
            let curve = |&(scale, power): &(f64, f64)| -> Vec<Point> {
                (1..12).map(|n| Point { cost: f64::from(n), loss: scale * f64::from(n).powf(-power) }).collect()
            };
            let curves: Vec<Vec<Point>> = scales.iter().map(curve).collect();
            let budget = share * 11.0 * curves.len() as f64;
            let found = allocate(&curves, |c| Ok::<_, ()>(sums(&curves, c).0 <= budget)).unwrap();
            let mut all = vec![vec![]];
            for curve in &curves {
                all = all.into_iter().flat_map(|head: Vec<usize>| {
                    (0..curve.len()).map(move |i| [head.clone(), vec![i]].concat())
                }).collect();
            }
            let fitting = all.iter().map(|c| sums(&curves, c)).filter(|(cost, _)| *cost <= budget);
            let best = fitting.map(|(_, loss)| loss).min_by(f64::total_cmp);
            match (found, best) {
                (None, None) => {}
                (Some(choice), Some(best)) => {
                    let (cost, loss) = sums(&curves, &choice);
                    prop_assert!(cost <= budget);
                    prop_assert!(loss <= 1.1 * best, "{loss} instead of {best}");
                }
                (found, best) => prop_assert!(false, "{found:?}, the best is {best:?}"),
            }
        }
    }

    #[test]
    fn a_budget_that_is_too_small_or_large() {
        let curves = vec![vec![
            Point {
                cost: 2.0,
                loss: 1.0,
            },
            Point {
                cost: 5.0,
                loss: 0.5,
            },
        ]];
        let within =
            |budget: f64| allocate(&curves, |c| Ok::<_, ()>(sums(&curves, c).0 <= budget)).unwrap();
        assert_eq!(within(1.0), None);
        assert_eq!(within(4.9), Some(vec![0]));
        assert_eq!(within(1e9), Some(vec![1]));
        assert_eq!(allocate(&[vec![]], |_| Ok::<_, ()>(true)), Ok(None));
        assert_eq!(allocate(&[], |_| Ok::<_, ()>(true)), Ok(Some(vec![])));
        assert_eq!(allocate(&curves, |_| Err("full")), Err("full"));
    }
}
