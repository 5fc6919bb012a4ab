//! The deque of nodes behind a long list. No node in it is empty.

use super::super::scalar::Needle;
use super::super::{End, Scalar};
use super::iter::ListIter;
use super::node::{Node, NodeLimit};
use std::collections::VecDeque;
use std::ops::Range;

#[derive(Clone, Debug)]
pub(super) struct Quicklist {
    nodes: VecDeque<Node>,
    len: usize,
}

impl From<Node> for Quicklist {
    fn from(node: Node) -> Self {
        let mut quick = Self { nodes: VecDeque::new(), len: 0 };
        if !node.is_empty() {
            quick.append(node);
        }
        quick
    }
}

impl Quicklist {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn nodes(&self) -> &VecDeque<Node> {
        &self.nodes
    }

    /// Adds a node that is not empty at the tail.
    pub(super) fn append(&mut self, node: Node) {
        self.len += node.len();
        self.nodes.push_back(node);
    }

    /// Takes the only node out, if there is one only (or none, which is as good as an empty one) and it is `wanted`.
    pub(super) fn take_single(&mut self, wanted: impl FnOnce(&Node) -> bool) -> Option<Node> {
        match self.nodes.len() {
            0 => Some(Node::packed(Default::default())),
            1 if wanted(&self.nodes[0]) => self.nodes.pop_front(),
            _ => None,
        }
    }

    pub(super) fn push(&mut self, end: End, element: &[u8], limit: NodeLimit) {
        let node = match end {
            End::Front => self.nodes.front_mut(),
            End::Back => self.nodes.back_mut(),
        };
        match node {
            Some(node) if node.accepts(element.len(), limit) => node.push(end, element),
            _ => {
                let node = Node::single(element, limit);
                match end {
                    End::Front => self.nodes.push_front(node),
                    End::Back => self.nodes.push_back(node),
                }
            }
        }
        self.len += 1;
    }

    pub(super) fn pop<R>(&mut self, end: End, read: impl FnOnce(Scalar<'_>) -> R) -> Option<R> {
        let index = match end {
            End::Front => 0,
            End::Back => self.nodes.len().checked_sub(1)?,
        };
        let node = self.nodes.get_mut(index)?;
        let result = node.pop(end, read);
        if node.is_empty() {
            self.nodes.remove(index);
        }
        self.len -= 1;
        result
    }

    pub(super) fn get(&self, index: usize) -> Scalar<'_> {
        let (node, within) = self.locate(index);
        self.nodes[node].get(within)
    }

    pub(super) fn replace(&mut self, index: usize, element: &[u8], limit: NodeLimit) {
        let (at, within) = self.locate(index);
        let node = &mut self.nodes[at];
        if node.accepts_in_place_of(within, element.len(), limit) {
            return node.replace(within, element);
        }
        node.remove(within);
        if node.is_empty() {
            self.nodes.remove(at);
        }
        self.len -= 1;
        self.insert(index, element, limit);
    }

    /// Inserts before an index, which may be the length.
    pub(super) fn insert(&mut self, index: usize, element: &[u8], limit: NodeLimit) {
        if index == 0 || index == self.len {
            let end = if index == 0 { End::Front } else { End::Back };
            return self.push(end, element, limit);
        }
        let (at, within) = self.locate(index);
        if self.nodes[at].accepts(element.len(), limit) {
            self.nodes[at].insert(within, element);
        } else if within == 0 {
            self.insert_between(at, element, limit);
        } else {
            let right = self.nodes[at].split_off(within);
            self.nodes.insert(at + 1, right);
            self.insert_between(at + 1, element, limit);
        }
        self.len += 1;
    }

    /// Adds an element between the node at `at` and the one before it: to one of them, or as a node of its own. Then
    /// joins what is small around it.
    fn insert_between(&mut self, at: usize, element: &[u8], limit: NodeLimit) {
        if self.nodes[at - 1].accepts(element.len(), limit) {
            self.nodes[at - 1].push(End::Back, element);
        } else if self.nodes[at].accepts(element.len(), limit) {
            self.nodes[at].push(End::Front, element);
        } else {
            self.nodes.insert(at, Node::single(element, limit));
        }
        self.merge_with_next(at, limit);
        if let Some(before) = at.checked_sub(2) {
            self.merge_with_next(before, limit);
        }
    }

    fn merge_with_next(&mut self, at: usize, limit: NodeLimit) {
        if at + 1 >= self.nodes.len() {
            return;
        }
        let mut pair = self.nodes.range_mut(at..at + 2);
        if let (Some(node), Some(next)) = (pair.next(), pair.next())
            && node.merge(next, limit)
        {
            self.nodes.remove(at + 1);
        }
    }

    /// See [`Node::remove_matching`].
    pub(super) fn remove_matching(&mut self, needle: Needle<'_>, most: usize, from: End) -> usize {
        let mut left = most;
        let mut remove_from = |node: &mut Node| {
            left -= node.remove_matching(needle, left, from);
            left > 0
        };
        // Each stops at the node in which the last one was removed.
        match from {
            End::Front => _ = self.nodes.iter_mut().all(&mut remove_from),
            End::Back => _ = self.nodes.iter_mut().rev().all(&mut remove_from),
        }
        self.nodes.retain(|node| !node.is_empty());
        self.len -= most - left;
        most - left
    }

    /// Cuts off what is behind the first `len` elements.
    pub(super) fn truncate_back(&mut self, len: usize) {
        while self.len > len
            && let Some(node) = self.nodes.back_mut()
        {
            let surplus = self.len - len;
            if node.len() > surplus {
                node.truncate_back(node.len() - surplus);
                self.len = len;
            } else {
                self.len -= node.len();
                self.nodes.pop_back();
            }
        }
    }

    /// Cuts off what is before the last `len` elements.
    pub(super) fn truncate_front(&mut self, len: usize) {
        while self.len > len
            && let Some(node) = self.nodes.front_mut()
        {
            let surplus = self.len - len;
            if node.len() > surplus {
                node.truncate_front(node.len() - surplus);
                self.len = len;
            } else {
                self.len -= node.len();
                self.nodes.pop_front();
            }
        }
    }

    pub(super) fn range(&self, range: Range<usize>) -> ListIter<'_> {
        if range.is_empty() {
            return ListIter::empty();
        }
        let (at, within) = self.locate(range.start);
        ListIter::forward(&self.nodes[at], within, self.nodes.range(at + 1..), range.len())
    }

    pub(super) fn range_rev(&self, range: Range<usize>) -> ListIter<'_> {
        if range.is_empty() {
            return ListIter::empty();
        }
        let (at, within) = self.locate(range.end - 1);
        ListIter::backward(&self.nodes[at], within + 1, self.nodes.range(..at), range.len())
    }

    /// The node with the element at an index below the length, and its index there; counted from the nearer end.
    fn locate(&self, index: usize) -> (usize, usize) {
        if index < self.len / 2 {
            let mut first = 0;
            for (at, node) in self.nodes.iter().enumerate() {
                if index < first + node.len() {
                    return (at, index - first);
                }
                first += node.len();
            }
        } else {
            let mut end = self.len;
            for (at, node) in self.nodes.iter().enumerate().rev() {
                let first = end - node.len();
                if index >= first {
                    return (at, index - first);
                }
                end = first;
            }
        }
        unreachable!("the index is below the sum of the nodes' lengths")
    }
}
