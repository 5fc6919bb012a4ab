//! What a reader hands out.

use std::borrow::Cow;

use crate::Loaded;

/// One thing that an RDB file says. It may borrow from the input.
#[derive(Clone, Debug)]
pub enum Item<'a> {
    /// A field of information about the file, such as `redis-ver` or `repl-id`.
    Aux {
        /// The name of the field.
        key: Cow<'a, [u8]>,
        /// Its value; numbers are in decimal.
        value: Cow<'a, [u8]>,
    },
    /// The following entries belong to this database.
    SelectDb(u64),
    /// How many entries follow in this database. A hint, which may be wrong.
    ResizeDb {
        /// Number of keys.
        keys: u64,
        /// Number of keys among them that expire.
        expires: u64,
    },
    /// A key with its value.
    Entry(Entry<'a>),
    /// The source of a function library.
    Function(Cow<'a, [u8]>),
    /// The end; the checksum was right. Nothing follows.
    End,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The key.
    pub key: Cow<'a, [u8]>,
    /// When it expires and how it was used.
    pub attributes: Attributes,
    /// The value.
    pub value: Loaded<'a>,
}

/// What stands beside a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// When the key expires, in milliseconds since 1970. A time before that is read as 0.
    pub expire_ms: Option<u64>,
    /// Seconds since the key was last used, if the file has it (an LRU policy was in force).
    pub idle_seconds: Option<u64>,
    /// The counter of uses, if the file has it (an LFU policy was in force).
    pub freq: Option<u8>,
}

impl Item<'_> {
    /// The same item, independent of the input.
    pub fn into_owned(self) -> Item<'static> {
        match self {
            Item::Aux { key, value } => Item::Aux { key: owned(key), value: owned(value) },
            Item::SelectDb(db) => Item::SelectDb(db),
            Item::ResizeDb { keys, expires } => Item::ResizeDb { keys, expires },
            Item::Entry(entry) => Item::Entry(entry.into_owned()),
            Item::Function(source) => Item::Function(owned(source)),
            Item::End => Item::End,
        }
    }
}

impl Entry<'_> {
    /// The same entry, independent of the input.
    pub fn into_owned(self) -> Entry<'static> {
        Entry { key: owned(self.key), attributes: self.attributes, value: self.value.into_owned() }
    }
}

fn owned(bytes: Cow<'_, [u8]>) -> Cow<'static, [u8]> {
    Cow::Owned(bytes.into_owned())
}
