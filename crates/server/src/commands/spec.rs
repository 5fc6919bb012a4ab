//! What a command is: one table entry beside its handler.
//!
//! `COMMAND`, ACL categories, key extraction, the read-only and out-of-memory policies and the documents
//! are all derived from these entries, so a command is added in one place.

use super::{Args, Exclusive, Keyed, Outcome, Scanning, Sessional};
use crate::error::CommandError;

/// What every handler returns.
pub type CommandResult = Result<Outcome, CommandError>;

/// A handler that runs under the locks of its declared keys.
pub type KeyedHandler = fn(&mut Keyed<'_, '_>, Args<'_>) -> CommandResult;

/// Flags of a command, with Redis's names (`COMMAND INFO`).
pub mod flag {
    /// May change the keyspace.
    pub const WRITE: u32 = 1;
    /// Only reads keys.
    pub const READONLY: u32 = 1 << 1;
    /// Refused when memory is over `maxmemory` and nothing can be evicted.
    pub const DENYOOM: u32 = 1 << 2;
    /// For operators.
    pub const ADMIN: u32 = 1 << 3;
    /// About publish and subscribe.
    pub const PUBSUB: u32 = 1 << 4;
    /// Not from scripts.
    pub const NOSCRIPT: u32 = 1 << 5;
    /// May wait.
    pub const BLOCKING: u32 = 1 << 6;
    /// Allowed while a data set is loaded.
    pub const LOADING: u32 = 1 << 7;
    /// Allowed on a replica whose data is stale.
    pub const STALE: u32 = 1 << 8;
    /// Not shown to MONITOR.
    pub const SKIP_MONITOR: u32 = 1 << 9;
    /// Not recorded in the slow log.
    pub const SKIP_SLOWLOG: u32 = 1 << 10;
    /// O(1) or O(log n).
    pub const FAST: u32 = 1 << 11;
    /// Allowed before authentication.
    pub const NO_AUTH: u32 = 1 << 12;
    /// Refused inside MULTI.
    pub const NO_MULTI: u32 = 1 << 13;
    /// Its keys are found by a function, not by positions alone.
    pub const MOVABLEKEYS: u32 = 1 << 14;
    /// Allowed while the server is busy with a script.
    pub const ALLOW_BUSY: u32 = 1 << 15;
    /// Touches every key of a database or of all.
    pub const ALL_KEYS: u32 = 1 << 16;
    /// Said to be dangerous by its ACL category.
    pub const DANGEROUS: u32 = 1 << 17;
    /// Executed at once inside MULTI, not queued.
    pub const UNQUEUED: u32 = 1 << 18;

    /// Bits that `COMMAND INFO` shows, with the names it gives them.
    pub const NAMES: &[(u32, &str)] = &[
        (WRITE, "write"),
        (READONLY, "readonly"),
        (DENYOOM, "denyoom"),
        (ADMIN, "admin"),
        (PUBSUB, "pubsub"),
        (NOSCRIPT, "noscript"),
        (BLOCKING, "blocking"),
        (LOADING, "loading"),
        (STALE, "stale"),
        (SKIP_MONITOR, "skip_monitor"),
        (SKIP_SLOWLOG, "skip_slowlog"),
        (FAST, "fast"),
        (NO_AUTH, "no_auth"),
        (MOVABLEKEYS, "movablekeys"),
        (ALLOW_BUSY, "allow_busy"),
        (NO_MULTI, "no_multi"),
    ];
}

/// The family that a command belongs to, as `COMMAND DOCS` names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// Connections.
    Connection,
    /// Keys of any type.
    Generic,
    /// Hashes.
    Hash,
    /// Lists.
    List,
    /// Publish and subscribe.
    Pubsub,
    /// The server itself.
    Server,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// Strings.
    String,
    /// Transactions.
    Transactions,
}

impl Group {
    /// The ACL category of the group, without `@`.
    pub fn category(self) -> Option<&'static str> {
        match self {
            Group::Connection => Some("connection"),
            Group::Generic => Some("keyspace"),
            Group::Hash => Some("hash"),
            Group::List => Some("list"),
            Group::Pubsub => Some("pubsub"),
            Group::Server => None,
            Group::Set => Some("set"),
            Group::SortedSet => Some("sortedset"),
            Group::String => Some("string"),
            Group::Transactions => Some("transaction"),
        }
    }
}

/// What a command does with the keys of one [`KeySpec`], as `COMMAND INFO` shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyUse {
    /// Reads the value and returns it.
    ReadAccess,
    /// Reads metadata only (type, length, existence).
    ReadOnly,
    /// Reads and changes the value.
    ReadWriteUpdate,
    /// Reads, returns and changes the value.
    ReadWriteAccessUpdate,
    /// Adds to the value.
    ReadWriteInsert,
    /// Deletes from the value.
    ReadWriteDelete,
    /// Reads, returns and deletes from the value.
    ReadWriteAccessDelete,
    /// Overwrites whatever is there.
    OverwriteUpdate,
    /// Makes the key, which must not be there.
    OverwriteInsert,
    /// Removes the key.
    Remove,
}

impl KeyUse {
    /// The flags of the key specification, with Redis's names.
    pub fn flags(self) -> &'static [&'static str] {
        match self {
            KeyUse::ReadAccess => &["RO", "access"],
            KeyUse::ReadOnly => &["RO"],
            KeyUse::ReadWriteUpdate => &["RW", "update"],
            KeyUse::ReadWriteAccessUpdate => &["RW", "access", "update"],
            KeyUse::ReadWriteInsert => &["RW", "insert"],
            KeyUse::ReadWriteDelete => &["RW", "delete"],
            KeyUse::ReadWriteAccessDelete => &["RW", "access", "delete"],
            KeyUse::OverwriteUpdate => &["OW", "update"],
            KeyUse::OverwriteInsert => &["OW", "insert"],
            KeyUse::Remove => &["RM", "delete"],
        }
    }
}

/// Where a command's keys are among its arguments. Argument 0 is the command's name.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    /// Position of the first key.
    pub first: u16,
    /// Position of the last key; negative counts from the end (-1 is the last argument).
    pub last: i16,
    /// Distance between keys.
    pub step: u16,
    /// What is done with them.
    pub usage: KeyUse,
}

/// The keys of a command.
#[derive(Clone, Copy, Debug)]
pub enum Keys {
    /// It has none.
    None,
    /// Found by position.
    At(&'static [KeySpec]),
    /// One fixed key, then a count of further keys and these keys (`ZUNIONSTORE dst numkeys key …`).
    /// `fixed` is the position of the fixed key, or 0 where there is none; `count` that of the count.
    Counted {
        /// Position of a fixed key before the count, 0 for none.
        fixed: u16,
        /// Position of the argument that holds the number of keys.
        count: u16,
        /// What is done with the counted keys.
        usage: KeyUse,
    },
}

/// A handler, by what it touches. The type says which locks the dispatcher takes before it calls.
#[derive(Clone, Copy)]
pub enum Handler {
    /// Runs under the locks of its declared keys.
    Keyed(KeyedHandler),
    /// Goes over the keyspace shard by shard, without a lock of its own (KEYS, SCAN, DBSIZE).
    Scanning(fn(&mut Scanning<'_>, Args<'_>) -> CommandResult),
    /// Owns the whole keyspace while it runs (FLUSHALL).
    Exclusive(fn(&mut Exclusive<'_>, Args<'_>) -> CommandResult),
    /// Touches no key: the connection, the server.
    Sessional(fn(&mut Sessional<'_>, Args<'_>) -> CommandResult),
    /// EXEC, which the dispatcher itself carries out.
    Transaction,
    /// Only a container of subcommands.
    Container,
}

/// One command.
pub struct CommandSpec {
    /// Its name in lower case; a subcommand's is the word after the container's.
    pub name: &'static str,
    /// Number of arguments with the name itself; negative: at least so many.
    pub arity: i16,
    /// See [`flag`].
    pub flags: u32,
    /// Where its keys are.
    pub keys: Keys,
    /// Its family.
    pub group: Group,
    /// The version of Redis that brought it.
    pub since: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// What runs.
    pub handler: Handler,
    /// Commands under this name (`CLIENT LIST`).
    pub subcommands: &'static [CommandSpec],
}

/// Begins a table entry: name and arity, as in Redis's documentation.
pub const fn command(name: &'static str, arity: i16, group: Group) -> CommandSpec {
    CommandSpec {
        name,
        arity,
        flags: 0,
        keys: Keys::None,
        group,
        since: "1.0.0",
        summary: "",
        handler: Handler::Container,
        subcommands: &[],
    }
}

impl CommandSpec {
    /// Adds flags.
    pub const fn flags(mut self, flags: u32) -> Self {
        self.flags |= flags;
        self
    }

    /// Its keys are at these positions.
    pub const fn keys(mut self, keys: &'static [KeySpec]) -> Self {
        self.keys = Keys::At(keys);
        self
    }

    /// Its keys are counted by an argument.
    pub const fn counted_keys(mut self, fixed: u16, count: u16, usage: KeyUse) -> Self {
        self.keys = Keys::Counted { fixed, count, usage };
        self.flags |= flag::MOVABLEKEYS;
        self
    }

    /// The version of Redis that brought it, and a summary.
    pub const fn doc(mut self, since: &'static str, summary: &'static str) -> Self {
        self.since = since;
        self.summary = summary;
        self
    }

    /// Its handler runs under the locks of its keys.
    pub const fn keyed(mut self, handler: KeyedHandler) -> Self {
        self.handler = Handler::Keyed(handler);
        self
    }

    /// Its handler goes over the keyspace shard by shard.
    pub const fn scanning(mut self, handler: fn(&mut Scanning<'_>, Args<'_>) -> CommandResult) -> Self {
        self.handler = Handler::Scanning(handler);
        self
    }

    /// Its handler owns the keyspace.
    pub const fn exclusive(mut self, handler: fn(&mut Exclusive<'_>, Args<'_>) -> CommandResult) -> Self {
        self.handler = Handler::Exclusive(handler);
        self
    }

    /// Its handler touches no key.
    pub const fn sessional(mut self, handler: fn(&mut Sessional<'_>, Args<'_>) -> CommandResult) -> Self {
        self.handler = Handler::Sessional(handler);
        self
    }

    /// It is EXEC.
    pub const fn transaction(mut self) -> Self {
        self.handler = Handler::Transaction;
        self
    }

    /// It is a container of these.
    pub const fn subcommands(mut self, subcommands: &'static [CommandSpec]) -> Self {
        self.subcommands = subcommands;
        self
    }

    /// Whether `argc` arguments (the name included) suit its arity.
    #[inline]
    pub fn accepts(&self, argc: usize) -> bool {
        let least = usize::from(self.arity.unsigned_abs());
        argc == least || (argc > least && self.arity < 0)
    }

    /// Calls `each` with the position of every key among `args`.
    ///
    /// # Errors
    /// When a count of keys among the arguments is not one that fits them.
    pub fn for_each_key(&self, args: Args<'_>, mut each: impl FnMut(usize)) -> Result<(), BadKeyCount> {
        match self.keys {
            Keys::None => {}
            Keys::At(specs) => {
                for spec in specs {
                    let last = if spec.last < 0 {
                        args.len().saturating_sub(spec.last.unsigned_abs() as usize)
                    } else {
                        (spec.last as usize).min(args.len() - 1)
                    };
                    (spec.first as usize..=last).step_by(spec.step as usize).for_each(&mut each);
                }
            }
            Keys::Counted { fixed, count, .. } => {
                if fixed != 0 {
                    each(fixed as usize);
                }
                let first = count as usize + 1;
                let n =
                    std::str::from_utf8(args.get(count as usize)).ok().and_then(|n| n.parse::<usize>().ok());
                match n {
                    Some(n) if n <= args.len() - first.min(args.len()) => (first..first + n).for_each(each),
                    _ => return Err(BadKeyCount),
                }
            }
        }
        Ok(())
    }

    /// The ACL categories, without `@`, implied ones included.
    pub fn categories(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = self.group.category().into_iter().collect();
        let mut add = |when: bool, name| {
            if when && !names.contains(&name) {
                names.push(name);
            }
        };
        let has = |flag| self.flags & flag != 0;
        add(has(flag::ALL_KEYS), "keyspace");
        add(has(flag::WRITE), "write");
        add(has(flag::READONLY), "read");
        add(has(flag::ADMIN), "admin");
        add(has(flag::ADMIN | flag::DANGEROUS), "dangerous");
        add(has(flag::PUBSUB), "pubsub");
        add(has(flag::FAST), "fast");
        add(!has(flag::FAST), "slow");
        add(has(flag::BLOCKING), "blocking");
        names
    }
}

/// A count of keys that its arguments do not bear out.
#[derive(Debug, Clone, Copy)]
pub struct BadKeyCount;

/// One key, the first argument, used so.
pub const fn first(usage: KeyUse) -> KeySpec {
    KeySpec { first: 1, last: 1, step: 1, usage }
}

/// One key at `position`.
pub const fn at(position: u16, usage: KeyUse) -> KeySpec {
    KeySpec { first: position, last: position as i16, step: 1, usage }
}

/// Keys from `first` to the last argument.
pub const fn from(first: u16, usage: KeyUse) -> KeySpec {
    KeySpec { first, last: -1, step: 1, usage }
}
