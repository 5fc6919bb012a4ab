//! One node of a list and the limit on its size.

use super::super::scalar::Needle;
use super::super::{EncodingLimits, End, Listpack, ListpackIter, Scalar};
use super::NodeRef;

/// Most bytes of a node at `list-max-listpack-size -1`; each step below doubles them.
const SMALLEST_BYTE_LIMIT: usize = 4096;
/// The last of these steps.
const LAST_STEP: u32 = 5;
/// Most bytes of a node that is limited by its count.
const SAFETY_BYTES: usize = 8192;
/// What an entry takes at most beside the bytes of a short element.
const ENTRY_OVERHEAD: usize = 8;

/// How large a node may grow, from `list-max-listpack-size`.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeLimit {
    bytes: usize,
    count: Option<usize>,
}

impl NodeLimit {
    pub(super) fn of(limits: &EncodingLimits) -> Self {
        match limits.list_max_listpack_size {
            size @ ..0 => {
                let step = size.unsigned_abs().min(LAST_STEP) - 1;
                Self { bytes: SMALLEST_BYTE_LIMIT << step, count: None }
            }
            count => Self { bytes: SAFETY_BYTES, count: Some(count.max(1) as usize) },
        }
    }

    pub(super) fn exceeded(self, bytes: usize, count: usize) -> bool {
        bytes > self.bytes || self.count.is_some_and(|limit| count > limit)
    }

    /// Whether an element of this length has to be a plain node.
    pub(super) fn is_huge(self, element_len: usize) -> bool {
        element_len > self.bytes
    }
}

/// Some elements in one listpack, or one large element.
#[derive(Clone, Debug)]
pub(super) struct Node {
    body: Body,
    len: usize,
}

#[derive(Clone, Debug)]
enum Body {
    Packed(Listpack),
    Plain(Box<[u8]>),
}

impl Node {
    pub(super) fn packed(pack: Listpack) -> Self {
        Self { len: pack.len(), body: Body::Packed(pack) }
    }

    pub(super) fn plain(element: Vec<u8>) -> Self {
        Self { len: 1, body: Body::Plain(element.into()) }
    }

    /// A node of this element.
    pub(super) fn single(element: &[u8], limit: NodeLimit) -> Self {
        if limit.is_huge(element.len()) {
            return Self::plain(element.to_vec());
        }
        let mut pack = Listpack::new();
        pack.push_back(element);
        Self::packed(pack)
    }

    pub(super) fn as_ref(&self) -> NodeRef<'_> {
        match &self.body {
            Body::Packed(pack) => NodeRef::Packed(pack),
            Body::Plain(element) => NodeRef::Plain(element),
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn byte_len(&self) -> usize {
        match &self.body {
            Body::Packed(pack) => pack.byte_len(),
            Body::Plain(element) => element.len(),
        }
    }

    pub(super) fn heap_size(&self) -> usize {
        match &self.body {
            Body::Packed(pack) => pack.heap_size(),
            Body::Plain(element) => element.len(),
        }
    }

    /// Whether it cannot be the only listpack of a list: too large, or plain.
    pub(super) fn exceeds(&self, limit: NodeLimit) -> bool {
        matches!(self.body, Body::Plain(_)) || limit.exceeded(self.byte_len(), self.len)
    }

    /// Whether it is a listpack that uses at most half of what limits it.
    pub(super) fn is_half_empty(&self, limit: NodeLimit) -> bool {
        let half = NodeLimit { bytes: limit.bytes / 2, count: limit.count.map(|count| count / 2) };
        !self.exceeds(half)
    }

    /// Whether an element of this length may be added.
    pub(super) fn accepts(&self, element_len: usize, limit: NodeLimit) -> bool {
        let bytes = self.byte_len() + ENTRY_OVERHEAD;
        matches!(self.body, Body::Packed(_))
            && !limit.is_huge(element_len)
            && !limit.exceeded(bytes.saturating_add(element_len), self.len + 1)
    }

    /// Whether the element at an index may be replaced by one of this length. A lone element always may, unless one is
    /// huge.
    pub(super) fn accepts_in_place_of(&self, index: usize, element_len: usize, limit: NodeLimit) -> bool {
        match &self.body {
            Body::Plain(_) => limit.is_huge(element_len),
            Body::Packed(_) if limit.is_huge(element_len) => false,
            Body::Packed(pack) => {
                let bytes = pack.byte_len() + element_len + ENTRY_OVERHEAD;
                self.len == 1 || !limit.exceeded(bytes - self.get(index).len(), self.len)
            }
        }
    }

    pub(super) fn get(&self, index: usize) -> Scalar<'_> {
        match &self.body {
            Body::Packed(pack) => pack.get(seek(pack, index)),
            Body::Plain(element) => Scalar::Bytes(element),
        }
    }

    pub(super) fn push(&mut self, end: End, element: &[u8]) {
        let pack = self.pack_mut();
        match end {
            End::Front => pack.push_front(element),
            End::Back => pack.push_back(element),
        }
        self.len += 1;
    }

    pub(super) fn pop<R>(&mut self, end: End, read: impl FnOnce(Scalar<'_>) -> R) -> Option<R> {
        if self.is_empty() {
            return None;
        }
        let index = match end {
            End::Front => 0,
            End::Back => self.len - 1,
        };
        let result = read(self.get(index));
        self.remove(index);
        Some(result)
    }

    pub(super) fn insert(&mut self, index: usize, element: &[u8]) {
        let pack = self.pack_mut();
        pack.insert_at(seek(pack, index), element);
        self.len += 1;
    }

    pub(super) fn replace(&mut self, index: usize, element: &[u8]) {
        match &mut self.body {
            Body::Packed(pack) => {
                pack.replace_at(seek(pack, index), element);
            }
            Body::Plain(plain) => *plain = element.into(),
        }
    }

    pub(super) fn remove(&mut self, index: usize) {
        if let Body::Packed(pack) = &mut self.body {
            pack.remove_at(seek(pack, index));
        }
        self.len -= 1;
    }

    /// Removes up to `most` matches, counted from one end, and returns how many.
    pub(super) fn remove_matching(&mut self, needle: Needle<'_>, most: usize, from: End) -> usize {
        let matches = self.iter().filter(|element| needle.matches(*element)).count();
        let removed = matches.min(most);
        if removed > 0
            && let Body::Packed(pack) = &mut self.body
        {
            let first = match from {
                End::Front => 0,
                End::Back => matches - removed,
            };
            let mut seen = 0;
            pack.retain(|element| {
                let matches = needle.matches(element);
                seen += usize::from(matches);
                !matches || seen <= first || seen > first + removed
            });
        }
        self.len -= removed;
        removed
    }

    /// Cuts off what is behind the first `len` elements.
    pub(super) fn truncate_back(&mut self, len: usize) {
        if len < self.len {
            if let Body::Packed(pack) = &mut self.body {
                pack.remove_span(seek(pack, len), pack.end(), self.len - len);
            }
            self.len = len;
        }
    }

    /// Cuts off what is before the last `len` elements.
    pub(super) fn truncate_front(&mut self, len: usize) {
        if len < self.len {
            let removed = self.len - len;
            if let Body::Packed(pack) = &mut self.body {
                pack.remove_span(pack.first(), seek(pack, removed), removed);
            }
            self.len = len;
        }
    }

    /// Cuts the node in two before an index.
    pub(super) fn split_off(&mut self, index: usize) -> Self {
        let right = Self::packed(self.pack_mut().split_off(index));
        self.len = index;
        right
    }

    /// Takes over the elements of the next node, if both are listpacks and they fit into one.
    pub(super) fn merge(&mut self, next: &Self, limit: NodeLimit) -> bool {
        let (Body::Packed(pack), Body::Packed(more)) = (&mut self.body, &next.body) else { return false };
        let (bytes, len) = (pack.byte_len() + more.byte_len(), self.len + next.len);
        if limit.exceeded(bytes, len) {
            return false;
        }
        pack.append(more);
        self.len = len;
        true
    }

    pub(super) fn iter(&self) -> NodeIter<'_> {
        self.iter_from(0)
    }

    /// The elements from an index on.
    pub(super) fn iter_from(&self, index: usize) -> NodeIter<'_> {
        match &self.body {
            Body::Packed(pack) => NodeIter::Packed(pack.iter_from(seek(pack, index))),
            Body::Plain(element) => NodeIter::Plain((index == 0).then_some(&**element)),
        }
    }

    /// The elements before an index.
    pub(super) fn iter_until(&self, index: usize) -> NodeIter<'_> {
        match &self.body {
            Body::Packed(pack) => NodeIter::Packed(pack.iter_until(seek(pack, index))),
            Body::Plain(element) => NodeIter::Plain((index > 0).then_some(&**element)),
        }
    }

    fn pack_mut(&mut self) -> &mut Listpack {
        match &mut self.body {
            Body::Packed(pack) => pack,
            Body::Plain(_) => unreachable!("a plain node accepts no element and is not split"),
        }
    }
}

fn seek(pack: &Listpack, index: usize) -> usize {
    pack.seek(index).expect("indices are checked against the node's length")
}

/// Iterator over the elements of a node, from either end.
#[derive(Clone, Debug)]
pub(super) enum NodeIter<'a> {
    Packed(ListpackIter<'a>),
    Plain(Option<&'a [u8]>),
}

impl<'a> Iterator for NodeIter<'a> {
    type Item = Scalar<'a>;

    #[inline]
    fn next(&mut self) -> Option<Scalar<'a>> {
        match self {
            Self::Packed(elements) => elements.next(),
            Self::Plain(element) => element.take().map(Scalar::Bytes),
        }
    }
}

impl DoubleEndedIterator for NodeIter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        match self {
            Self::Packed(elements) => elements.next_back(),
            Self::Plain(element) => element.take().map(Scalar::Bytes),
        }
    }
}
