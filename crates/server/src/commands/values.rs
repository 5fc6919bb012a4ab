//! What the families of aggregates share: finding a value of the type that a command is about, making it,
//! storing a result, removing what became empty, and writing elements into replies.
//!
//! Lookups are of two kinds, as in Redis: those of reading commands count as hits and misses of the keyspace,
//! those of writing commands do not.

use std::ops::Range;

use redkeep_resp::{Protocol, ReplyWriter};
use redkeep_store::value::Scalar;
use redkeep_store::{Access, Hash, Key, List, Set, SortedSet, Value, ValueMut, ValueRef};

use super::parse::{bounded, integer};
use super::{Args, CommandResult, Keyed, Outcome};
use crate::error::CommandError;
use crate::notify;
use crate::observers::Observers;

/// Random picks with repetition end with an error when their reply has got longer than this, in bytes: what a client
/// can ask for in one word would else fill the memory.
const MAX_REPEATED_REPLY: usize = 1 << 29;

/// A type of aggregate.
pub(super) trait Aggregate: Into<Value> {
    /// The value, if it is of this type.
    fn of(value: ValueRef<'_>) -> Option<&Self>;
    /// The value, if it is of this type, to be changed.
    fn of_mut(value: ValueMut<'_>) -> Option<&mut Self>;
    /// Whether it has no element.
    fn is_empty(&self) -> bool;
}

macro_rules! aggregates {
    ($($type:ident)*) => {$(
        impl Aggregate for $type {
            #[inline]
            fn of(value: ValueRef<'_>) -> Option<&Self> {
                if let ValueRef::$type(value) = value { Some(value) } else { None }
            }

            #[inline]
            fn of_mut(value: ValueMut<'_>) -> Option<&mut Self> {
                if let ValueMut::$type(value) = value { Some(value) } else { None }
            }

            #[inline]
            fn is_empty(&self) -> bool {
                $type::is_empty(self)
            }
        }
    )*};
}

aggregates!(List Set SortedSet Hash);

/// The value at `key` for a reading command, and the reply to write it to.
///
/// # Errors
/// If the key holds another type.
#[inline]
pub(super) fn read<'c, 'a, T: Aggregate>(
    cx: &'c mut Keyed<'a, '_>,
    key: Key<'_>,
) -> Result<Option<(&'c T, &'c mut ReplyWriter<'a>)>, CommandError> {
    let (entry, reply) = cx.read(key);
    match entry {
        None => Ok(None),
        Some(entry) => T::of(entry.value()).map(|value| Some((value, reply))).ok_or(CommandError::WRONG_TYPE),
    }
}

/// The value at a key that was looked up already; several can be held side by side.
///
/// # Errors
/// If the key holds another type.
pub(super) fn peek<'c, T: Aggregate>(
    access: &'c Access<'_, Observers>,
    key: Key<'_>,
) -> Result<Option<&'c T>, CommandError> {
    match access.peek(key) {
        None => Ok(None),
        Some(entry) => T::of(entry.value()).map(Some).ok_or(CommandError::WRONG_TYPE),
    }
}

/// The value at `key`, to be changed in place.
///
/// # Errors
/// If the key holds another type.
#[inline]
pub(super) fn edit<'c, T: Aggregate>(
    access: &'c mut Access<'_, Observers>,
    key: Key<'_>,
) -> Result<Option<&'c mut T>, CommandError> {
    match access.find_mut(key) {
        None => Ok(None),
        Some(entry) => T::of_mut(entry.into_value_mut()).map(Some).ok_or(CommandError::WRONG_TYPE),
    }
}

/// Changes the value at `key`, or one made by `new` if there is none. What is then still empty is not kept.
///
/// # Errors
/// If the key holds another type.
#[inline]
pub(super) fn edit_or_insert<T: Aggregate, R>(
    cx: &mut Keyed<'_, '_>,
    key: Key<'_>,
    new: impl FnOnce() -> T,
    change: impl FnOnce(&mut T) -> R,
) -> Result<R, CommandError> {
    if let Some(value) = edit(cx.access, key)? {
        return Ok(change(value));
    }
    let mut value = new();
    let result = change(&mut value);
    if !value.is_empty() {
        insert_new(cx, key, value);
    }
    Ok(result)
}

/// Puts a value at a key that does not exist.
pub(super) fn insert_new(cx: &mut Keyed<'_, '_>, key: Key<'_>, value: impl Into<Value>) {
    cx.access.insert(key, value.into(), None);
    cx.notify(key, notify::NEW, "new");
}

/// What is left of a value after elements were taken from it.
pub(super) struct Taken {
    /// How many elements were taken.
    pub(super) count: usize,
    /// Whether none is left.
    pub(super) all: bool,
}

/// Ends a command that took elements away: says so, and removes the key if none is left.
#[inline]
pub(super) fn taken(cx: &mut Keyed<'_, '_>, key: Key<'_>, (class, event): (u32, &str), taken: Taken) {
    cx.changed(key, class, event);
    cx.count_more_changes(taken.count.saturating_sub(1));
    if taken.all {
        let removed = cx.access.remove(key);
        cx.discard(removed);
        cx.notify(key, notify::GENERIC, "del");
    }
}

/// Ends a command that stores what it made at `key`, in place of whatever is there: replies with its length,
/// `len`, and removes the key if that is 0.
pub(super) fn store<T: Aggregate>(
    cx: &mut Keyed<'_, '_>,
    key: Key<'_>,
    value: T,
    len: usize,
    (class, event): (u32, &str),
) -> CommandResult {
    cx.reply.integer(len as i64);
    let is_empty = value.is_empty();
    let old = if is_empty { cx.access.remove(key) } else { cx.access.insert(key, value.into(), None) };
    match (is_empty, old.is_some()) {
        (true, false) => return Ok(Outcome::Unchanged),
        (true, true) => cx.changed(key, notify::GENERIC, "del"),
        (false, existed) => {
            if !existed {
                cx.notify(key, notify::NEW, "new");
            }
            cx.changed(key, class, event);
        }
    }
    cx.discard(old);
    Ok(Outcome::Changed)
}

/// Writes an element as a bulk string.
#[inline]
pub(super) fn write_scalar(reply: &mut ReplyWriter<'_>, element: Scalar<'_>) {
    match element {
        Scalar::Bytes(bytes) => reply.bulk(bytes),
        Scalar::Int(int) => reply.bulk_integer(int),
    }
}

/// Opens an array of `len` elements. Where they are `paired` with a second one, RESP2 has all in one array, and RESP3
/// an array for each pair: see [`open_pair`].
pub(super) fn open_pairs(reply: &mut ReplyWriter<'_>, len: usize, paired: bool) {
    let flat = paired && reply.protocol() == Protocol::Resp2;
    reply.array(if flat { len.saturating_mul(2) } else { len });
}

/// Opens one pair of an array that was opened by [`open_pairs`].
#[inline]
pub(super) fn open_pair(reply: &mut ReplyWriter<'_>) {
    if reply.protocol() == Protocol::Resp3 {
        reply.array(2);
    }
}

/// A uniform number below `n`, as the values want it for their random picks.
pub(super) fn below(random: &mut fastrand::Rng) -> impl FnMut(usize) -> usize {
    |n| random.usize(..n)
}

/// How many random elements a command is to pick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Picks {
    /// Up to so many different ones.
    Distinct(usize),
    /// So many, each from all: asked for by a negative count.
    Repeated(usize),
}

impl Picks {
    /// Reads a count.
    ///
    /// # Errors
    /// If it is no integer, or has no opposite.
    pub(super) fn parse(word: &[u8]) -> Result<Self, CommandError> {
        let count = integer(word)?;
        if count == i64::MIN {
            let (min, max) = (-i64::MAX, i64::MAX);
            return Err(CommandError::new(format!(
                "ERR value is out of range, value must between {min} and {max}"
            )));
        }
        let picks = count.unsigned_abs() as usize;
        Ok(if count < 0 { Picks::Repeated(picks) } else { Picks::Distinct(picks) })
    }

    /// The same for picks of pairs: a count whose double is no longer in range is refused.
    ///
    /// # Errors
    /// If it is.
    pub(super) fn of_pairs(self) -> Result<Self, CommandError> {
        let (Picks::Distinct(picks) | Picks::Repeated(picks)) = self;
        if picks > i64::MAX as usize / 2 { Err(CommandError::OUT_OF_RANGE) } else { Ok(self) }
    }
}

/// Writes `count` times what `write` writes.
///
/// # Errors
/// When the reply gets longer than a server can hold.
pub(super) fn repeat(
    reply: &mut ReplyWriter<'_>,
    count: usize,
    write: impl FnMut(&mut ReplyWriter<'_>),
) -> Result<(), CommandError> {
    repeat_within(reply, count, MAX_REPEATED_REPLY, write)
}

fn repeat_within(
    reply: &mut ReplyWriter<'_>,
    count: usize,
    max_len: usize,
    mut write: impl FnMut(&mut ReplyWriter<'_>),
) -> Result<(), CommandError> {
    let start = reply.len();
    for _ in 0..count {
        if reply.len() - start > max_len {
            return Err(CommandError::OUT_OF_RANGE);
        }
        write(reply);
    }
    Ok(())
}

/// The positions of the keys of LMPOP and ZMPOP, whose number is argument `count`. An argument follows them.
///
/// # Errors
/// If the number is not positive, or if nothing follows so many keys.
pub(super) fn leading_keys(args: Args<'_>, count: usize) -> Result<Range<usize>, CommandError> {
    let keys = bounded(args.get(count), 1, i64::MAX, CommandError::NUMKEYS)? as usize;
    let first = count + 1;
    match first.checked_add(keys) {
        Some(end) if end < args.len() => Ok(first..end),
        _ => Err(CommandError::SYNTAX),
    }
}

/// The option `COUNT` of LMPOP and ZMPOP, from argument `at` on; 1 without it.
///
/// # Errors
/// If there is anything else.
pub(super) fn pop_count(args: Args<'_>, at: usize) -> Result<usize, CommandError> {
    match args.len() - at {
        0 => Ok(1),
        2.. if args.is(at, "count") => {
            let count = bounded(args.get(at + 1), 1, i64::MAX, CommandError::COUNT)?;
            if args.len() > at + 2 { Err(CommandError::SYNTAX) } else { Ok(count as usize) }
        }
        _ => Err(CommandError::SYNTAX),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::testing::Harness;

    fn members(reply: &str) -> BTreeSet<String> {
        let words = reply.trim_matches(['[', ']']).split(", ");
        words.map(|word| word.trim_matches('"').to_string()).filter(|word| !word.is_empty()).collect()
    }

    #[test]
    fn what_is_popped_at_random_is_what_is_propagated() {
        for directive in ["set-max-intset-entries 512", "set-max-intset-entries 0"] {
            let mut server = Harness::new();
            server.run(&format!("CONFIG SET {directive}"));
            let all: Vec<String> = (0..3000).map(|n| n.to_string()).collect();
            server.run(&format!("SADD s {}", all.join(" ")));
            let one = server.run("SPOP s");
            server.effects();
            let popped = members(&server.run("SPOP s 2500"));
            assert_eq!(popped.len(), 2500);
            assert!(popped.is_disjoint(&members(&one)));
            let effects = server.effects();
            assert_eq!((effects.first(), effects.last()), (Some(&"MULTI".into()), Some(&"EXEC".into())));
            let removals = effects.iter().filter_map(|effect| effect.strip_prefix("SREM s "));
            let removed: BTreeSet<String> =
                removals.flat_map(|words| words.split(' ').map(String::from)).collect();
            assert_eq!(removed, popped);
            assert_eq!(server.run("SCARD s"), ":499");
            assert!(members(&server.run("SMEMBERS s")).is_disjoint(&popped));
        }
    }

    #[test]
    fn distinct_picks_are_distinct_and_repeated_ones_are_as_many_as_wanted() {
        let mut server = Harness::new();
        for n in 0..1000 {
            server.run(&format!("SADD s {n}"));
            server.run(&format!("HSET h {n} v"));
            server.run(&format!("ZADD z {n} {n}"));
        }
        for command in ["SRANDMEMBER s", "HRANDFIELD h", "ZRANDMEMBER z"] {
            for count in [1, 100, 900, 1000] {
                assert_eq!(members(&server.run(&format!("{command} {count}"))).len(), count, "{command}");
            }
            assert_eq!(server.run(&format!("{command} -5000")).split(", ").count(), 5000, "{command}");
        }
    }

    #[test]
    fn steps_of_a_scan_meet_every_element() {
        let mut server = Harness::new();
        for n in 0..1000 {
            server.run(&format!("SADD s {n}x"));
            server.run(&format!("HSET h {n}x v"));
            server.run(&format!("ZADD z 1.5 {n}x"));
        }
        for command in ["SSCAN s", "HSCAN h", "ZSCAN z"] {
            let (mut cursor, mut seen, mut steps) = ("0".to_string(), BTreeSet::new(), 0);
            loop {
                let reply = server.run(&format!("{command} {cursor} COUNT 20"));
                let (next, elements) = reply[1..].split_once(", ").expect("a cursor comes first");
                seen.extend(members(elements).into_iter().filter(|element| element.ends_with('x')));
                cursor = next.trim_matches('"').to_string();
                steps += 1;
                if cursor == "0" {
                    break;
                }
            }
            assert_eq!(seen.len(), 1000, "{command}");
            assert!(steps > 10, "{command} took {steps} steps");
        }
    }

    #[test]
    fn repetition_is_bounded() {
        let mut out = Vec::new();
        let mut reply = ReplyWriter::new(&mut out, Protocol::Resp2);
        let mut repeat = |count| repeat_within(&mut reply, count, 100, |reply| reply.bulk(&[b'x'; 50]));
        assert_eq!(repeat(2), Ok(()));
        assert_eq!(repeat(usize::MAX), Err(CommandError::OUT_OF_RANGE));
    }
}
