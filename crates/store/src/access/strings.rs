//! Strings, which lie in their entries and so are changed through the access.

use super::{Access, Expire, Found};
use crate::entry::{EntryPtr, Owned};
use crate::key::{Key, KeyHash};
use crate::value::ValueType;

impl<A: Default + Send> Access<'_, A> {
    /// Sets `key` to the string `value`, whatever it was before. A value of about the same length is
    /// overwritten where it lies; else what was there is returned: it may be a large aggregate, and
    /// dropped elsewhere.
    #[inline]
    pub fn set_string(&mut self, key: Key<'_>, value: &[u8], expire: Expire) -> Option<Owned> {
        let found = self.look_up(key);
        let expire_ms = match found {
            Found::Nothing => {
                let meta = self.meta(expire.resolve(None), &found);
                self.put_new(key.hash, Owned::string(key.bytes, value, meta));
                return None;
            }
            Found::Hidden(_) => expire.resolve(None),
            // SAFETY: we hold its shard and are borrowed mutably.
            Found::Live(entry) => expire.resolve(unsafe { entry.get() }.expire_ms()),
        };
        if let Found::Live(entry) = found {
            self.save(key.hash, entry);
            if self.locked.shard_of(key.hash).overwrite(key.hash, entry, value, expire_ms) {
                self.touch(key.hash, entry);
                return None;
            }
        }
        let meta = self.meta(expire_ms, &found);
        self.put(key.hash, found, Owned::string(key.bytes, value, meta))
    }

    /// Appends to the string at `key`, which is created if absent, and answers its new length; `None` if
    /// the key holds another type. Costs constant time a byte on average. The time to live stays.
    pub fn append(&mut self, key: Key<'_>, tail: &[u8]) -> Option<usize> {
        let (mut entry, len) = match self.string_entry(key)? {
            StringEntry::There(entry, len) => (entry, len),
            StringEntry::Absent => {
                self.set_string(key, tail, Expire::None);
                return Some(tail.len());
            }
        };
        let grown = len + tail.len();
        // SAFETY: we hold its shard and are borrowed mutably.
        if !unsafe { entry.get_mut() }.try_append(tail) {
            entry = self.make_room(key.hash, entry, grown);
            // SAFETY: as above.
            let appended = unsafe { entry.get_mut() }.try_append(tail);
            assert!(appended, "there is the room that was asked for");
        }
        Some(grown)
    }

    /// The bytes of the string at `key`, to be changed in place, and first extended with zero bytes to
    /// `min_len` if they are fewer. An absent key is created; `None` if it holds another type. Growing
    /// little by little costs constant time a byte on average. The time to live stays.
    pub fn string_mut(&mut self, key: Key<'_>, min_len: usize) -> Option<&mut [u8]> {
        let mut entry = match self.string_entry(key)? {
            StringEntry::There(entry, _) => entry,
            StringEntry::Absent => {
                self.set_string(key, b"", Expire::None);
                self.live(key)?
            }
        };
        // SAFETY: we hold its shard and are borrowed mutably.
        if !unsafe { entry.get_mut() }.try_extend(min_len) {
            entry = self.make_room(key.hash, entry, min_len);
            // SAFETY: as above.
            let extended = unsafe { entry.get_mut() }.try_extend(min_len);
            assert!(extended, "there is the room that was asked for");
        }
        // SAFETY: we hold its shard, and are borrowed mutably as long as the bytes are used.
        unsafe { entry.get_mut() }.into_string()
    }

    /// The string at `key`, saved for a running snapshot and stamped; `None` if it is another type.
    fn string_entry(&mut self, key: Key<'_>) -> Option<StringEntry> {
        let entry = match self.look_up(key) {
            Found::Live(entry) => entry,
            Found::Hidden(_) | Found::Nothing => return Some(StringEntry::Absent),
        };
        // SAFETY: we hold its shard and are borrowed mutably.
        let value = unsafe { entry.get() }.value();
        if value.value_type() != ValueType::String {
            return None;
        }
        let len = value.len();
        self.save(key.hash, entry);
        self.touch(key.hash, entry);
        Some(StringEntry::There(entry, len))
    }

    fn make_room(&mut self, hash: KeyHash, entry: EntryPtr, len: usize) -> EntryPtr {
        self.locked.shard_of(hash).make_room(hash, entry, len)
    }
}

/// A key that is to be changed as a string.
enum StringEntry {
    Absent,
    /// The entry and the string's length.
    There(EntryPtr, usize),
}
