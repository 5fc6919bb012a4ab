//! Walking a table piece by piece, and picking from it at random.

use super::bucket::{Bucket, SLOTS};
use super::{NONE, Table, each_in_chain};
use crate::entry::EntryPtr;
use crate::recency::mix;

/// How often [`Table::pick`] tries its luck. A table at rest has at least one entry a bucket, and then all
/// tries fail once in a hundred times; the choice is a little less even then.
const TRIES: u64 = 64;

impl Table {
    /// Visits the entries at `cursor` (0 at first) and answers the next cursor, 0 at the end.
    ///
    /// An entry that is in the table during the whole walk is visited at least once, however the table
    /// grows and shrinks in between. Any number is a valid cursor.
    pub(crate) fn scan(&self, cursor: u64, visit: &mut dyn FnMut(EntryPtr)) -> u64 {
        let main = (self.main, u64::from(self.main_mask));
        if self.old.is_null() {
            self.visit_bucket(main, cursor, visit);
            return next_cursor(cursor, main.1);
        }
        let old = (self.old, u64::from(self.old_mask));
        let (small, large) = if main.1 < old.1 { (main, old) } else { (old, main) };
        // One bucket of the smaller array, and all those of the larger that it corresponds to.
        self.visit_bucket(small, cursor, visit);
        let mut cursor = cursor;
        loop {
            self.visit_bucket(large, cursor, visit);
            cursor = next_cursor(cursor, large.1);
            if cursor & (small.1 ^ large.1) == 0 {
                return cursor;
            }
        }
    }

    fn visit_bucket(&self, (array, mask): (*mut Bucket, u64), cursor: u64, visit: &mut dyn FnMut(EntryPtr)) {
        let index = cursor & mask;
        if array == self.main && !self.is_written(index as u32) {
            return;
        }
        // SAFETY: the mask keeps the index within the array, whose written buckets are chains of ours; we
        // are borrowed.
        unsafe { each_in_chain(array.add(index as usize), &mut |_, entry| visit(entry)) };
    }

    /// An entry chosen by a random number, each about equally likely; `None` if there are none.
    pub(crate) fn pick(&self, random: u64) -> Option<EntryPtr> {
        if self.len == 0 {
            return None;
        }
        let buckets = u64::from(self.main_mask) + 1;
        let all = buckets + if self.old.is_null() { 0 } else { u64::from(self.old_mask) + 1 };
        for attempt in 0..TRIES {
            let draw = mix(random.wrapping_add(attempt));
            // A place in a chain of up to two buckets, taken or not: so a long chain does not make its
            // entries less likely than a short one.
            let place = (draw >> 32) as usize % (2 * SLOTS);
            let found = self.chain(draw % all).nth(place);
            if found.is_some() {
                return found;
            }
        }
        let start = random % all;
        (start..all).chain(0..start).find_map(|index| self.chain(index).next())
    }

    /// The entries of one chain; the buckets of the old array follow those of the main one.
    fn chain(&self, index: u64) -> Chain<'_> {
        let buckets = u64::from(self.main_mask) + 1;
        let (array, index) = if index < buckets { (self.main, index) } else { (self.old, index - buckets) };
        let home = if array == self.main && !self.is_written(index as u32) {
            &NONE.0
        } else {
            // SAFETY: the callers' indices are within the two arrays; we are borrowed.
            unsafe { &*array.add(index as usize) }
        };
        Chain { bucket: home, slots: home.occupied() }
    }
}

/// The entries of a chain.
struct Chain<'a> {
    bucket: &'a Bucket,
    slots: super::tags::Slots,
}

impl Iterator for Chain<'_> {
    type Item = EntryPtr;

    fn next(&mut self) -> Option<EntryPtr> {
        loop {
            if let Some(slot) = self.slots.next() {
                return Some(self.bucket.entry(slot));
            }
            // SAFETY: a child is a bucket of the same chain, borrowed for as long.
            self.bucket = unsafe { &*self.bucket.child()? };
            self.slots = self.bucket.occupied();
        }
    }
}

/// The cursor after `cursor`: counts the bits under `mask` up with their order reversed.
fn next_cursor(cursor: u64, mask: u64) -> u64 {
    (cursor | !mask).reverse_bits().wrapping_add(1).reverse_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_passes_through_all_buckets_and_ends_at_zero() {
        let mut seen = Vec::new();
        let mut cursor = 0;
        loop {
            seen.push(cursor);
            cursor = next_cursor(cursor, 7);
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(seen, [0, 4, 2, 6, 1, 5, 3, 7]);
        assert_eq!(next_cursor(0, 0), 0);
        assert_eq!(next_cursor(u64::MAX, 7), 0);
    }
}
