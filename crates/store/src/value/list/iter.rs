//! Walking over a range of a list.

use super::super::Scalar;
use super::node::{Node, NodeIter};
use std::collections::vec_deque;

/// Iterator over a range of a [`List`](super::List), in either direction.
#[derive(Clone)]
pub struct ListIter<'a> {
    current: NodeIter<'a>,
    rest: vec_deque::Iter<'a, Node>,
    remaining: usize,
    reverse: bool,
}

impl<'a> ListIter<'a> {
    pub(super) fn empty() -> Self {
        Self { current: NodeIter::Plain(None), rest: Default::default(), remaining: 0, reverse: false }
    }

    /// `len` elements, from that at `index` of a node on, then those of the nodes after it.
    pub(super) fn forward(
        node: &'a Node,
        index: usize,
        after: vec_deque::Iter<'a, Node>,
        len: usize,
    ) -> Self {
        Self { current: node.iter_from(index), rest: after, remaining: len, reverse: false }
    }

    /// `len` elements, from that before `index` of a node backwards, then those of the nodes before it.
    pub(super) fn backward(
        node: &'a Node,
        index: usize,
        before: vec_deque::Iter<'a, Node>,
        len: usize,
    ) -> Self {
        Self { current: node.iter_until(index), rest: before, remaining: len, reverse: true }
    }
}

impl<'a> Iterator for ListIter<'a> {
    type Item = Scalar<'a>;

    #[inline]
    fn next(&mut self) -> Option<Scalar<'a>> {
        self.remaining = self.remaining.checked_sub(1)?;
        loop {
            let element = if self.reverse { self.current.next_back() } else { self.current.next() };
            if element.is_some() {
                return element;
            }
            let node = if self.reverse { self.rest.next_back() } else { self.rest.next() };
            self.current = node?.iter();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for ListIter<'_> {}

impl std::fmt::Debug for ListIter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}
