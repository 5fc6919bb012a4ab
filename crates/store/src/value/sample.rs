//! Picking some of many at random, and whether any are the same.

use super::{Below, Scalar};
use std::collections::HashSet;
use std::hash::Hash;

/// Picks `count` of `all` at random, in random order; all of them, if there are no more.
pub(super) fn pick<T>(mut all: Vec<T>, count: usize, below: Below<'_>) -> Vec<T> {
    let count = count.min(all.len());
    for i in 0..count {
        let from = i + below(all.len() - i);
        all.swap(i, from);
    }
    all.truncate(count);
    all
}

/// Draws until there are `count` with different keys; what is drawn from has many more: see [`is_sparse`].
pub(super) fn draw_distinct<T: Copy, K: Eq + Hash>(
    count: usize,
    mut draw: impl FnMut() -> Option<T>,
    key: impl Fn(T) -> K,
) -> Vec<T> {
    let mut seen = HashSet::with_capacity(count);
    let mut drawn = Vec::with_capacity(count);
    while drawn.len() < count
        && let Some(next) = draw()
    {
        if seen.insert(key(next)) {
            drawn.push(next);
        }
    }
    drawn
}

/// The sum of `size` over all `len` elements, estimated from the first `samples` of them; exact for 0.
pub(super) fn estimate<T>(
    elements: impl Iterator<Item = T>,
    len: usize,
    samples: usize,
    size: impl Fn(T) -> usize,
) -> usize {
    if samples == 0 || samples >= len {
        return elements.map(size).sum();
    }
    let sampled: usize = elements.take(samples).map(size).sum();
    (sampled as f64 / samples as f64 * len as f64) as usize
}

/// Whether so few of `len` are wanted that drawing and throwing doubles away beats a walk over all.
pub(super) fn is_sparse(count: usize, len: usize) -> bool {
    count < len / 3
}

/// Whether two of the elements are equal.
pub(super) fn has_duplicates<'a>(elements: impl Iterator<Item = Scalar<'a>>) -> bool {
    let mut seen = HashSet::new();
    // Integers that were stored as text count as the integers they are.
    let canonical = |element: Scalar<'a>| match element.as_int() {
        Some(int) => Ok(int),
        None => match element {
            Scalar::Bytes(bytes) => Err(bytes),
            Scalar::Int(_) => unreachable!("an integer is one"),
        },
    };
    !elements.map(canonical).all(|element| seen.insert(element))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_are_distinct_and_about_uniform() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut hits = [0; 10];
        for _ in 0..10_000 {
            let picked = pick((0..10).collect(), 3, &mut |n| random.usize(..n));
            assert_eq!(picked.iter().collect::<HashSet<_>>().len(), 3);
            picked.into_iter().for_each(|i: usize| hits[i] += 1);
        }
        assert!(hits.iter().all(|hits| (2700..3300).contains(hits)), "{hits:?}");
        assert_eq!(pick(vec![1], 5, &mut |_| 0), [1]);
    }

    #[test]
    fn an_integer_equals_its_text() {
        let duplicates = |elements: &[Scalar<'_>]| has_duplicates(elements.iter().copied());
        assert!(duplicates(&[Scalar::Int(1), Scalar::Bytes(b"x"), Scalar::Bytes(b"1")]));
        assert!(!duplicates(&[Scalar::Int(1), Scalar::Bytes(b"01"), Scalar::Bytes(b"")]));
    }
}
