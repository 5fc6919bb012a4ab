//! Errors that clients see, and errors that stop a server from starting.

use std::borrow::Cow;

/// An error reply: the whole line without its leading `-`, code first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CommandError(Cow<'static, str>);

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $line:literal;)*) => {
        impl CommandError {
            $($(#[$doc])* pub const $name: CommandError = CommandError(Cow::Borrowed($line));)*
        }
    };
}

errors! {
    /// The key holds a value of another type.
    WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value";
    /// The options do not parse.
    SYNTAX = "ERR syntax error";
    /// An argument is not a 64-bit integer.
    NOT_INTEGER = "ERR value is not an integer or out of range";
    /// An argument is not a floating point number.
    NOT_FLOAT = "ERR value is not a valid float";
    /// An argument is outside of what is allowed.
    OUT_OF_RANGE = "ERR value is out of range";
    /// An argument must not be negative.
    NOT_POSITIVE = "ERR value is out of range, must be positive";
    /// An index is outside of the value.
    INDEX_OUT_OF_RANGE = "ERR index out of range";
    /// There is no such key, and the command needs one.
    NO_SUCH_KEY = "ERR no such key";
    /// A key would be copied or moved to itself.
    SAME_OBJECT = "ERR source and destination objects are the same";
    /// RESTORE without REPLACE of a key that exists.
    BUSY_KEY = "BUSYKEY Target key name already exists.";
    /// An increment would leave the range of 64-bit integers.
    OVERFLOW = "ERR increment or decrement would overflow";
    /// A result would be infinite or not a number.
    NOT_FINITE = "ERR increment would produce NaN or Infinity";
    /// A string would grow over `proto-max-bulk-len`.
    STRING_TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    /// The cursor of a SCAN is no number.
    INVALID_CURSOR = "ERR invalid cursor";
    /// A count of keys that has to come first is not positive.
    NUMKEYS = "ERR numkeys should be greater than 0";
    /// A count of elements is not positive.
    COUNT = "ERR count should be greater than 0";
    /// A limit is negative.
    LIMIT = "ERR LIMIT can't be negative";
    /// A database number outside of `databases`.
    DB_INDEX = "ERR DB index is out of range";
    /// The client has not authenticated.
    NO_AUTH = "NOAUTH Authentication required.";
    /// Wrong user or password.
    WRONG_PASS = "WRONGPASS invalid username-password pair or user is disabled.";
    /// Writes are not accepted by a read-only replica.
    READ_ONLY = "READONLY You can't write against a read only replica.";
    /// The data set is being loaded.
    LOADING = "LOADING Redis is loading the dataset in memory";
    /// The replica's data is stale, and it was told not to serve it.
    MASTER_DOWN = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
    /// Memory is over `maxmemory`.
    OOM = "OOM command not allowed when used memory > 'maxmemory'.";
    /// Fewer good replicas than `min-replicas-to-write`.
    NO_REPLICAS = "NOREPLICAS Not enough good replicas to write.";
    /// A command that cannot be part of a transaction.
    NOT_IN_TRANSACTION = "ERR Command not allowed inside a transaction";
    /// EXEC of a transaction in which a command was refused.
    EXEC_ABORT = "EXECABORT Transaction discarded because of previous errors.";
    /// An expiry that is no positive number of milliseconds in range.
    KEY_COUNT = "ERR Number of keys can't be greater than number of args";
}

impl CommandError {
    /// `line` is the whole error line with its code, without the leading `-`.
    pub fn new(line: impl Into<Cow<'static, str>>) -> Self {
        CommandError(line.into())
    }

    /// The line, code first.
    pub fn line(&self) -> &str {
        &self.0
    }

    /// The first word: `ERR`, `WRONGTYPE`, …
    pub fn code(&self) -> &str {
        self.0.split(' ').next().unwrap_or_default()
    }

    /// The arity is wrong; `name` is the full name (`set`, `client|kill`).
    pub fn wrong_arity(name: &str) -> Self {
        CommandError(format!("ERR wrong number of arguments for '{name}' command").into())
    }

    /// EXEC was refused, and its transaction is gone; `why` without its code where that is `ERR`.
    pub fn exec_refused(why: &CommandError) -> Self {
        let why = why.line().strip_prefix("ERR ").unwrap_or(why.line());
        CommandError(format!("EXECABORT Transaction discarded because of: {why}").into())
    }

    /// The expire time of `command` is not one that can be stored.
    pub fn invalid_expire(command: &str) -> Self {
        CommandError(format!("ERR invalid expire time in '{command}' command").into())
    }
}

/// Why a server could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address could not be listened on.
    #[error("Could not create server TCP listening socket {address}: {source}")]
    Listen {
        /// What was to be bound.
        address: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The configuration is not usable.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// A file of the data directory could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The RDB file is damaged or of an unknown kind.
    #[error("{path}: {reason}")]
    Data {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused a thread or a runtime.
    #[error("cannot start a worker: {0}")]
    Thread(#[from] std::io::Error),
}
