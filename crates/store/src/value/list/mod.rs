//! Lists: one listpack, or a quicklist, which is a deque of nodes, each a listpack of bounded size.
//!
//! A list becomes a quicklist when it outgrows one node, and one listpack again when removals leave a single node at half
//! the limit, so that it does not go to and fro. An element that is larger than a node may be is a *plain* node of its
//! own. All operations below find their node by the counts alone and then walk within it, so the limit of a node
//! (`list-max-listpack-size`) bounds what an edit moves.

mod iter;
mod node;
mod quicklist;

pub use iter::ListIter;
use node::{Node, NodeLimit};
use quicklist::Quicklist;

use super::scalar::Needle;
use super::{EncodingLimits, End, Listpack, Scalar, sample};
use std::ops::Range;

/// A list of elements.
///
/// ```
/// use redkeep_store::value::{EncodingLimits, End, List, Scalar};
/// let (mut list, limits) = (List::new(), EncodingLimits::default());
/// list.push(End::Back, b"b", &limits);
/// list.push(End::Front, b"a", &limits);
/// assert_eq!(list.get(-1), Some(Scalar::Bytes(b"b")));
/// assert_eq!(list.pop(End::Front, &limits, |element| element.to_vec()), Some(b"a".to_vec()));
/// ```
#[derive(Clone, Debug)]
pub struct List {
    repr: Repr,
}

#[derive(Clone, Debug)]
enum Repr {
    /// Never a plain node.
    Packed(Node),
    Quick(Box<Quicklist>),
}

/// On which side of the pivot `LINSERT` puts the element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before the pivot.
    Before,
    /// After the pivot.
    After,
}

/// What `LPOS` asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionQuery {
    /// The match to start with: 1 is the first from the head, -1 the first from the tail. 0 counts as 1.
    pub rank: i64,
    /// Most matches to report; 0 for all.
    pub count: usize,
    /// Most elements to compare; 0 for all.
    pub max_len: usize,
}

/// One node of a list, as RDB writes it.
#[derive(Clone, Copy, Debug)]
pub enum NodeRef<'a> {
    /// Several elements.
    Packed(&'a Listpack),
    /// One element that is too large for a listpack.
    Plain(&'a [u8]),
}

impl Default for List {
    fn default() -> Self {
        Self::new()
    }
}

impl List {
    /// An empty list.
    pub fn new() -> Self {
        Self { repr: Repr::Packed(Node::packed(Listpack::new())) }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.repr {
            Repr::Packed(node) => node.len(),
            Repr::Quick(quick) => quick.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `"listpack"` or `"quicklist"`.
    pub fn encoding(&self) -> &'static str {
        match self.repr {
            Repr::Packed(_) => "listpack",
            Repr::Quick(_) => "quicklist",
        }
    }

    /// Number of nodes; a list that is one listpack has one.
    pub fn node_count(&self) -> usize {
        match &self.repr {
            Repr::Packed(_) => 1,
            Repr::Quick(quick) => quick.nodes().len(),
        }
    }

    /// Bytes of heap memory, estimated from `samples` nodes (0: all).
    pub fn heap_size(&self, samples: usize) -> usize {
        match &self.repr {
            Repr::Packed(node) => node.heap_size(),
            Repr::Quick(quick) => {
                let nodes = quick.nodes();
                let bodies = sample::estimate(nodes.iter(), nodes.len(), samples, Node::heap_size);
                size_of_val(&**quick) + nodes.capacity() * size_of::<Node>() + bodies
            }
        }
    }

    /// Adds an element at one end.
    pub fn push(&mut self, end: End, element: &[u8], limits: &EncodingLimits) {
        let limit = NodeLimit::of(limits);
        self.grow(element.len(), limit);
        match &mut self.repr {
            Repr::Packed(node) => node.push(end, element),
            Repr::Quick(quick) => quick.push(end, element, limit),
        }
    }

    /// Takes an element from one end and gives it to `read`; `None` if the list is empty.
    pub fn pop<R>(
        &mut self,
        end: End,
        limits: &EncodingLimits,
        read: impl FnOnce(Scalar<'_>) -> R,
    ) -> Option<R> {
        match &mut self.repr {
            Repr::Packed(node) => node.pop(end, read),
            Repr::Quick(quick) => {
                let result = quick.pop(end, read);
                self.shrink(NodeLimit::of(limits));
                result
            }
        }
    }

    /// The element at an index; negative ones count from the tail.
    pub fn get(&self, index: i64) -> Option<Scalar<'_>> {
        let index = self.resolve(index)?;
        Some(match &self.repr {
            Repr::Packed(node) => node.get(index),
            Repr::Quick(quick) => quick.get(index),
        })
    }

    /// Replaces the element at an index (`LSET`); false if there is none.
    pub fn set(&mut self, index: i64, element: &[u8], limits: &EncodingLimits) -> bool {
        let Some(index) = self.resolve(index) else { return false };
        let limit = NodeLimit::of(limits);
        self.grow(element.len(), limit);
        match &mut self.repr {
            Repr::Packed(node) => node.replace(index, element),
            Repr::Quick(quick) => quick.replace(index, element, limit),
        }
        self.shrink(limit);
        true
    }

    /// Inserts beside the first element equal to `pivot` (`LINSERT`); false if there is none.
    pub fn insert(&mut self, place: Place, pivot: &[u8], element: &[u8], limits: &EncodingLimits) -> bool {
        let needle = Needle::new(pivot);
        let Some(found) = self.iter().position(|element| needle.matches(element)) else { return false };
        let index = match place {
            Place::Before => found,
            Place::After => found + 1,
        };
        let limit = NodeLimit::of(limits);
        self.grow(element.len(), limit);
        match &mut self.repr {
            Repr::Packed(node) => node.insert(index, element),
            Repr::Quick(quick) => quick.insert(index, element, limit),
        }
        true
    }

    /// Removes elements equal to `element`: all for a `count` of 0, else at most `|count|`, from the tail if negative.
    /// Returns how many went (`LREM`).
    pub fn remove(&mut self, element: &[u8], count: i64, limits: &EncodingLimits) -> usize {
        let needle = Needle::new(element);
        let from = if count < 0 { End::Back } else { End::Front };
        let most = match count {
            0 => usize::MAX,
            _ => usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX),
        };
        match &mut self.repr {
            Repr::Packed(node) => node.remove_matching(needle, most, from),
            Repr::Quick(quick) => {
                let removed = quick.remove_matching(needle, most, from);
                self.shrink(NodeLimit::of(limits));
                removed
            }
        }
    }

    /// Keeps only these indices (`LTRIM`, see [`resolve_range`](super::resolve_range)); none of them empties the list.
    pub fn trim(&mut self, keep: Range<usize>, limits: &EncodingLimits) {
        let end = keep.end.min(self.len());
        let start = keep.start.min(end);
        match &mut self.repr {
            Repr::Packed(node) => {
                node.truncate_back(end);
                node.truncate_front(end - start);
            }
            Repr::Quick(quick) => {
                quick.truncate_back(end);
                quick.truncate_front(end - start);
                self.shrink(NodeLimit::of(limits));
            }
        }
    }

    /// All elements from head to tail.
    pub fn iter(&self) -> ListIter<'_> {
        self.range(0..self.len())
    }

    /// The elements at these indices, in order. Indices past the end are cut off.
    pub fn range(&self, range: Range<usize>) -> ListIter<'_> {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        match &self.repr {
            Repr::Packed(node) => ListIter::forward(node, start, Default::default(), end - start),
            Repr::Quick(quick) => quick.range(start..end),
        }
    }

    /// The elements at these indices, the last one first. Indices past the end are cut off.
    pub fn range_rev(&self, range: Range<usize>) -> ListIter<'_> {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        match &self.repr {
            Repr::Packed(node) => ListIter::backward(node, end, Default::default(), end - start),
            Repr::Quick(quick) => quick.range_rev(start..end),
        }
    }

    /// Calls `found` with the index of each match, in the order of the search (`LPOS`).
    pub fn positions(&self, element: &[u8], query: PositionQuery, found: &mut dyn FnMut(usize)) {
        let needle = Needle::new(element);
        let len = self.len();
        let backward = query.rank < 0;
        let unlimited = |limit: usize| if limit == 0 { usize::MAX } else { limit };
        let skipped = query.rank.unsigned_abs().saturating_sub(1);
        let elements = if backward { self.range_rev(0..len) } else { self.iter() };
        elements
            .take(unlimited(query.max_len))
            .enumerate()
            .filter(|(_, element)| needle.matches(*element))
            .skip(usize::try_from(skipped).unwrap_or(usize::MAX))
            .take(unlimited(query.count))
            .for_each(|(i, _)| found(if backward { len - 1 - i } else { i }));
    }

    /// The nodes from head to tail, for RDB.
    pub fn nodes(&self) -> impl Iterator<Item = NodeRef<'_>> {
        let (packed, quick) = match &self.repr {
            Repr::Packed(node) => (Some(node), None),
            Repr::Quick(quick) => (None, Some(quick.nodes())),
        };
        packed.into_iter().chain(quick.into_iter().flatten()).map(Node::as_ref)
    }

    /// Adds a whole node at the tail, for RDB; an empty one is dropped. [`List::normalize`] comes after the last.
    pub fn append_packed(&mut self, pack: Listpack) {
        self.append(Node::packed(pack));
    }

    /// Adds a node of one large element at the tail, for RDB. [`List::normalize`] comes after the last.
    pub fn append_plain(&mut self, element: Vec<u8>) {
        self.append(Node::plain(element));
    }

    /// Chooses the encoding, after nodes were appended.
    pub fn normalize(&mut self, limits: &EncodingLimits) {
        let limit = NodeLimit::of(limits);
        if let Repr::Quick(quick) = &mut self.repr
            && let Some(node) = quick.take_single(|node| !node.exceeds(limit))
        {
            self.repr = Repr::Packed(node);
        }
    }

    fn append(&mut self, node: Node) {
        if !node.is_empty() {
            self.as_quick().append(node);
        }
    }

    fn resolve(&self, index: i64) -> Option<usize> {
        let len = self.len();
        let index = match usize::try_from(index) {
            Ok(index) => index,
            Err(_) => len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
        };
        (index < len).then_some(index)
    }

    /// Makes it a quicklist if an element of this length does not fit beside the others in one node.
    fn grow(&mut self, added: usize, limit: NodeLimit) {
        if let Repr::Packed(node) = &self.repr
            && limit.exceeded(node.byte_len().saturating_add(added), node.len() + 1)
        {
            self.as_quick();
        }
    }

    /// Makes it one listpack again if it has become small enough.
    fn shrink(&mut self, limit: NodeLimit) {
        if let Repr::Quick(quick) = &mut self.repr
            && let Some(node) = quick.take_single(|node| node.is_half_empty(limit))
        {
            self.repr = Repr::Packed(node);
        }
    }

    fn as_quick(&mut self) -> &mut Quicklist {
        if let Repr::Packed(node) = &mut self.repr {
            let node = std::mem::replace(node, Node::packed(Listpack::new()));
            self.repr = Repr::Quick(Box::new(Quicklist::from(node)));
        }
        match &mut self.repr {
            Repr::Quick(quick) => quick,
            Repr::Packed(_) => unreachable!("it was just replaced"),
        }
    }
}

impl<'a> IntoIterator for &'a List {
    type Item = Scalar<'a>;
    type IntoIter = ListIter<'a>;

    fn into_iter(self) -> ListIter<'a> {
        self.iter()
    }
}

#[cfg(test)]
mod tests;
