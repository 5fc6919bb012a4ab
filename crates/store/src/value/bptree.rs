//! A counted B+tree: a sequence that is searched by order and by rank, both in logarithmic time.
//!
//! The tree knows no order of its own. [`CountedTree::partition_point`] finds the rank at which a predicate turns, and
//! [`CountedTree::insert`] and [`CountedTree::remove`] work at a rank: keeping the entries sorted is the caller's, as with
//! a sorted `Vec`, only that here no edit moves more than a leaf.
//!
//! All leaves are at the same depth. An inner node keeps, for each child, how many entries are below it and a copy of
//! the first of them, by which the search descends.
//!
//! Nodes are split when full and joined with a neighbour when nearly empty. A node that is full because entries come in
//! order, at its end or at its start, is not halved: it stays full, and a new one begins. So a sequence that was
//! written in order has no air in it.

use super::sample;
use std::ops::Range;

/// Most entries of a leaf. With entries of 16 bytes a leaf is 1 KiB.
const LEAF_MAX: usize = 64;
/// Most children of an inner node.
const INNER_MAX: usize = 32;
/// Nodes grow by so many entries or children at a time.
const STEP: usize = 8;
/// More inner levels than trees in memory have: nodes that are half full have at least sixteen children.
const TYPICAL_DEPTH: usize = 8;

/// A sequence of entries, found by order or by rank.
#[derive(Debug)]
pub(crate) struct CountedTree<E> {
    root: Node<E>,
    len: usize,
}

#[derive(Debug)]
enum Node<E> {
    Leaf(Vec<E>),
    Inner(Vec<Child<E>>),
}

#[derive(Debug)]
struct Child<E> {
    first: E,
    count: usize,
    node: Node<E>,
}

impl<E: Clone> Child<E> {
    fn new(node: Node<E>) -> Self {
        Self { first: node.first().clone(), count: node.count(), node }
    }

    fn refresh_first(&mut self) {
        self.first = self.node.first().clone();
    }
}

impl<E> Node<E> {
    fn first(&self) -> &E {
        match self {
            Self::Leaf(entries) => &entries[0],
            Self::Inner(children) => &children[0].first,
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Inner(children) => children.iter().map(|child| child.count).sum(),
        }
    }

    /// Entries of a leaf, children of an inner node.
    fn width(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Inner(children) => children.len(),
        }
    }

    fn max_width(&self) -> usize {
        match self {
            Self::Leaf(_) => LEAF_MAX,
            Self::Inner(_) => INNER_MAX,
        }
    }

    fn heap_size(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.capacity() * size_of::<E>(),
            Self::Inner(children) => {
                let below: usize = children.iter().map(|child| child.node.heap_size()).sum();
                children.capacity() * size_of::<Child<E>>() + below
            }
        }
    }

    /// Takes over all of the next node, which is of the same kind.
    fn join(&mut self, next: Self) {
        match (self, next) {
            (Self::Leaf(entries), Self::Leaf(more)) => entries.extend(more),
            (Self::Inner(children), Self::Inner(more)) => children.extend(more),
            _ => unreachable!("siblings are of the same depth"),
        }
    }
}

/// The child with the entry at a rank, and the entry's rank in there. A rank between two children is at the end of the
/// first of them if `at_end`, else at the start of the second.
fn locate<E>(children: &[Child<E>], mut rank: usize, at_end: bool) -> (usize, usize) {
    let last = children.len() - 1;
    for (i, child) in children[..last].iter().enumerate() {
        if rank < child.count || (at_end && rank == child.count) {
            return (i, rank);
        }
        rank -= child.count;
    }
    (last, rank)
}

/// Inserts into a vector of at most `max` at an index. If it is full, it is split, and the part behind is returned.
fn insert_or_split<T>(items: &mut Vec<T>, index: usize, item: T, max: usize) -> Option<Vec<T>> {
    if items.len() < max {
        insert(items, index, item);
        return None;
    }
    if index == items.len() {
        return Some(single(item));
    }
    if index == 0 {
        return Some(std::mem::replace(items, single(item)));
    }
    let half = items.len() / 2;
    let mut right = items.split_off(half);
    items.shrink_to_fit();
    if index <= half {
        insert(items, index, item);
    } else {
        insert(&mut right, index - half, item);
    }
    Some(right)
}

fn single<T>(item: T) -> Vec<T> {
    let mut items = Vec::with_capacity(STEP);
    items.push(item);
    items
}

/// Inserts without the doubling of `Vec`, which would leave much of a node unused.
fn insert<T>(items: &mut Vec<T>, index: usize, item: T) {
    if items.len() == items.capacity() {
        items.reserve_exact(STEP);
    }
    items.insert(index, item);
}

impl<E: Clone> Node<E> {
    /// Inserts at a rank; if that splits the node, the part behind is returned.
    fn insert(&mut self, rank: usize, entry: E) -> Option<Self> {
        match self {
            Self::Leaf(entries) => insert_or_split(entries, rank, entry, LEAF_MAX).map(Self::Leaf),
            Self::Inner(children) => {
                let (i, within) = locate(children, rank, true);
                let child = &mut children[i];
                let split = child.node.insert(within, entry);
                child.count += 1;
                if within == 0 {
                    child.refresh_first();
                }
                let right = Child::new(split?);
                children[i].count -= right.count;
                insert_or_split(children, i + 1, right, INNER_MAX).map(Self::Inner)
            }
        }
    }

    fn remove(&mut self, rank: usize) -> E {
        match self {
            Self::Leaf(entries) => entries.remove(rank),
            Self::Inner(children) => {
                let (i, within) = locate(children, rank, false);
                let child = &mut children[i];
                let removed = child.node.remove(within);
                child.count -= 1;
                if child.count == 0 {
                    children.remove(i);
                } else {
                    if within == 0 {
                        child.refresh_first();
                    }
                    join_if_small(children, i);
                }
                removed
            }
        }
    }
}

/// Joins a child that is nearly empty with a neighbour that has room for it, with some to spare.
fn join_if_small<E>(children: &mut Vec<Child<E>>, i: usize) {
    let (width, max) = (children[i].node.width(), children[i].node.max_width());
    if width > max / 4 {
        return;
    }
    let has_room = |child: &Child<E>| child.node.width() + width <= max / 4 * 3;
    let left = if i > 0 && has_room(&children[i - 1]) {
        i - 1
    } else if children.get(i + 1).is_some_and(has_room) {
        i
    } else {
        return;
    };
    let right = children.remove(left + 1);
    children[left].count += right.count;
    children[left].node.join(right.node);
}

impl<E: Clone> CountedTree<E> {
    pub(crate) fn new() -> Self {
        Self { root: Node::Leaf(Vec::new()), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of the tree's nodes, estimated from `samples` of the children of its root (0: all).
    pub(crate) fn heap_size(&self, samples: usize) -> usize {
        match &self.root {
            Node::Leaf(_) => self.root.heap_size(),
            Node::Inner(children) => {
                let size = |child: &Child<E>| child.node.heap_size();
                sample::estimate(children.iter(), children.len(), samples, size)
            }
        }
    }

    /// The rank of the first entry for which `before` is false; it must be true for those before and false for those
    /// behind.
    pub(crate) fn partition_point(&self, mut before: impl FnMut(&E) -> bool) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(entries) => return rank + entries.partition_point(&mut before),
                Node::Inner(children) => {
                    let after = children.partition_point(|child| before(&child.first));
                    let Some(i) = after.checked_sub(1) else { return rank };
                    rank += children[..i].iter().map(|child| child.count).sum::<usize>();
                    node = &children[i].node;
                }
            }
        }
    }

    /// The entry at a rank.
    pub(crate) fn get(&self, rank: usize) -> Option<&E> {
        if rank >= self.len {
            return None;
        }
        let (mut node, mut rank) = (&self.root, rank);
        loop {
            match node {
                Node::Leaf(entries) => return entries.get(rank),
                Node::Inner(children) => {
                    let (i, within) = locate(children, rank, false);
                    (node, rank) = (&children[i].node, within);
                }
            }
        }
    }

    /// Inserts before the entry at a rank, which may be the length.
    pub(crate) fn insert(&mut self, rank: usize, entry: E) {
        assert!(rank <= self.len, "an entry is inserted before or behind others");
        if let Some(right) = self.root.insert(rank, entry) {
            let left = std::mem::replace(&mut self.root, Node::Leaf(Vec::new()));
            self.root = Node::Inner(vec![Child::new(left), Child::new(right)]);
        }
        self.len += 1;
    }

    /// Takes the entry at a rank below the length out.
    pub(crate) fn remove(&mut self, rank: usize) -> E {
        assert!(rank < self.len, "only an entry that is there is removed");
        let removed = self.root.remove(rank);
        self.len -= 1;
        while let Node::Inner(children) = &mut self.root
            && children.len() <= 1
        {
            self.root = children.pop().map_or(Node::Leaf(Vec::new()), |child| child.node);
        }
        removed
    }

    /// The entries with these ranks, which are not above the length.
    pub(crate) fn range(&self, ranks: Range<usize>) -> Iter<'_, E> {
        Iter::forward(&self.root, ranks)
    }

    /// The entries with these ranks, the last one first.
    pub(crate) fn range_rev(&self, ranks: Range<usize>) -> Iter<'_, E> {
        Iter::backward(&self.root, ranks)
    }
}

/// Iterator over a range of ranks, in either direction.
#[derive(Debug)]
pub(crate) struct Iter<'a, E> {
    /// What is still to be visited of each inner node on the way down, the root's first.
    path: smallvec::SmallVec<[std::slice::Iter<'a, Child<E>>; TYPICAL_DEPTH]>,
    leaf: std::slice::Iter<'a, E>,
    remaining: usize,
    reverse: bool,
}

impl<E> Clone for Iter<'_, E> {
    fn clone(&self) -> Self {
        Self {
            path: self.path.clone(),
            leaf: self.leaf.clone(),
            remaining: self.remaining,
            reverse: self.reverse,
        }
    }
}

impl<'a, E> Iter<'a, E> {
    fn forward(root: &'a Node<E>, ranks: Range<usize>) -> Self {
        let mut iter =
            Self { path: Default::default(), leaf: [].iter(), remaining: ranks.len(), reverse: false };
        let (mut node, mut rank) = (root, ranks.start);
        loop {
            match node {
                Node::Leaf(entries) => {
                    iter.leaf = entries[rank..].iter();
                    return iter;
                }
                Node::Inner(children) => {
                    let (i, within) = locate(children, rank, false);
                    iter.path.push(children[i + 1..].iter());
                    (node, rank) = (&children[i].node, within);
                }
            }
        }
    }

    fn backward(root: &'a Node<E>, ranks: Range<usize>) -> Self {
        let mut iter =
            Self { path: Default::default(), leaf: [].iter(), remaining: ranks.len(), reverse: true };
        let (mut node, mut rank) = (root, ranks.end);
        loop {
            match node {
                Node::Leaf(entries) => {
                    iter.leaf = entries[..rank].iter();
                    return iter;
                }
                Node::Inner(children) => {
                    let (i, within) = locate(children, rank, true);
                    iter.path.push(children[..i].iter());
                    (node, rank) = (&children[i].node, within);
                }
            }
        }
    }

    /// Goes on to the next leaf in the iterator's direction.
    fn next_leaf(&mut self) -> Option<()> {
        let mut node = loop {
            let children = self.path.last_mut()?;
            match if self.reverse { children.next_back() } else { children.next() } {
                Some(child) => break &child.node,
                None => _ = self.path.pop(),
            }
        };
        loop {
            match node {
                Node::Leaf(entries) => {
                    self.leaf = entries.iter();
                    return Some(());
                }
                Node::Inner(children) => {
                    let mut children = children.iter();
                    let child = if self.reverse { children.next_back() } else { children.next() };
                    self.path.push(children);
                    node = &child?.node;
                }
            }
        }
    }
}

impl<'a, E> Iterator for Iter<'a, E> {
    type Item = &'a E;

    #[inline]
    fn next(&mut self) -> Option<&'a E> {
        self.remaining = self.remaining.checked_sub(1)?;
        loop {
            let entry = if self.reverse { self.leaf.next_back() } else { self.leaf.next() };
            if entry.is_some() {
                return entry;
            }
            self.next_leaf()?;
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Checks counts, copies of first entries, widths and depth; returns the depth.
    fn check(node: &Node<u32>, is_root: bool) -> usize {
        assert!(node.width() <= node.max_width());
        match node {
            Node::Leaf(entries) => {
                assert!(is_root || !entries.is_empty());
                0
            }
            Node::Inner(children) => {
                assert!(children.len() >= if is_root { 2 } else { 1 });
                let depths: Vec<_> = children.iter().map(|child| check(&child.node, false)).collect();
                assert!(depths.iter().all(|&depth| depth == depths[0]), "all leaves at the same depth");
                for child in children {
                    assert_eq!((child.count, child.first), (child.node.count(), *child.node.first()));
                }
                depths[0] + 1
            }
        }
    }

    fn leaf_capacity(node: &Node<u32>) -> usize {
        match node {
            Node::Leaf(entries) => entries.capacity(),
            Node::Inner(children) => children.iter().map(|child| leaf_capacity(&child.node)).sum(),
        }
    }

    #[test]
    fn what_comes_in_order_has_no_air() {
        let (mut up, mut down) = (CountedTree::new(), CountedTree::new());
        for i in 0..100_000 {
            up.insert(up.len(), i);
            down.insert(0, i);
        }
        for tree in [&up, &down] {
            check(&tree.root, true);
            assert!(leaf_capacity(&tree.root) < 101_000, "{}", leaf_capacity(&tree.root));
        }
        assert!(up.range(0..100_000).eq(down.range_rev(0..100_000)));
    }

    #[test]
    fn random_order_fills_the_leaves_well() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut tree = CountedTree::new();
        for _ in 0..50_000 {
            let entry = random.u32(..);
            tree.insert(tree.partition_point(|other| *other < entry), entry);
        }
        check(&tree.root, true);
        assert!(tree.range(0..50_000).is_sorted());
        assert!(leaf_capacity(&tree.root) < 60_000, "{}", leaf_capacity(&tree.root));
        for _ in 0..49_000 {
            tree.remove(random.usize(..tree.len()));
        }
        check(&tree.root, true);
        assert!(leaf_capacity(&tree.root) < 10_000, "{}", leaf_capacity(&tree.root));
        assert!(tree.range_rev(0..1000).is_sorted_by(|a, b| a >= b));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn edits_are_those_of_a_vec(
            edits in prop::collection::vec((0u8..4, any::<prop::sample::Index>(), 1usize..200), 1..60),
            from: prop::sample::Index,
            to: prop::sample::Index,
        ) {
            let (mut tree, mut model, mut next) = (CountedTree::new(), Vec::new(), 0u32);
            for (kind, at, times) in edits {
                for _ in 0..times {
                    if kind == 0 && !model.is_empty() {
                        let at = at.index(model.len());
                        prop_assert_eq!(tree.remove(at), model.remove(at));
                    } else if kind > 0 {
                        let at = at.index(model.len() + 1);
                        tree.insert(at, next);
                        model.insert(at, next);
                        next += 1;
                    }
                }
                check(&tree.root, true);
                prop_assert_eq!(tree.len(), model.len());
            }
            let (a, b) = (from.index(model.len() + 1), to.index(model.len() + 1));
            let range = a.min(b)..a.max(b);
            prop_assert!(tree.range(range.clone()).eq(&model[range.clone()]));
            prop_assert!(tree.range_rev(range.clone()).eq(model[range.clone()].iter().rev()));
            prop_assert_eq!(tree.get(a), model.get(a));
        }
    }
}
