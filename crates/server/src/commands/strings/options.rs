//! The options that SET and GETEX share: when the key expires, and under which conditions it is set.

use crate::commands::Args;
use crate::commands::parse::{ExpiryUnit, expiry_at, integer};
use crate::error::CommandError;

/// Whose options they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Taker {
    /// SET, which also takes NX, XX, GET and KEEPTTL.
    Set,
    /// GETEX, which also takes PERSIST.
    GetEx,
}

/// Whether a key has to be there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Condition {
    /// It may or may not.
    #[default]
    Any,
    /// NX: it must not.
    Absent,
    /// XX: it must.
    Present,
}

/// What becomes of the time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Ttl<'a> {
    /// Nothing was said.
    #[default]
    Unsaid,
    /// KEEPTTL.
    Keep,
    /// PERSIST.
    Persist,
    /// EX, PX, EXAT or PXAT, with the argument.
    Expire(ExpiryUnit, &'a [u8]),
}

/// The options of one command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options<'a> {
    pub(super) condition: Condition,
    pub(super) ttl: Ttl<'a>,
    /// GET: the old value is the reply.
    pub(super) get: bool,
}

impl<'a> Options<'a> {
    /// Reads the options from argument `first` on. An option may be said twice, but not against another.
    ///
    /// # Errors
    /// Where they do not parse.
    pub(super) fn parse(args: Args<'a>, first: usize, taker: Taker) -> Result<Self, CommandError> {
        let mut options = Options::default();
        let is_set = taker == Taker::Set;
        let mut at = first;
        while at < args.len() {
            let ttl = options.ttl;
            if let Some(unit) = expiry_unit(args.get(at)) {
                let same = matches!(ttl, Ttl::Expire(other, _) if other == unit);
                if at + 1 == args.len() || !(same || ttl == Ttl::Unsaid) {
                    return Err(CommandError::SYNTAX);
                }
                at += 1;
                options.ttl = Ttl::Expire(unit, args.get(at));
            } else if args.is(at, "nx") && is_set && options.condition != Condition::Present {
                options.condition = Condition::Absent;
            } else if args.is(at, "xx") && is_set && options.condition != Condition::Absent {
                options.condition = Condition::Present;
            } else if args.is(at, "get") && is_set {
                options.get = true;
            } else if args.is(at, "keepttl") && is_set && matches!(ttl, Ttl::Unsaid | Ttl::Keep) {
                options.ttl = Ttl::Keep;
            } else if args.is(at, "persist") && !is_set && matches!(ttl, Ttl::Unsaid | Ttl::Persist) {
                options.ttl = Ttl::Persist;
            } else {
                return Err(CommandError::SYNTAX);
            }
            at += 1;
        }
        Ok(options)
    }

    /// When the key is to expire, if that was said: milliseconds since 1970.
    ///
    /// # Errors
    /// Where the argument is no positive integer, or the time is out of range; `command` is named then.
    pub(super) fn expire_ms(&self, now_ms: u64, command: &str) -> Result<Option<u64>, CommandError> {
        match self.ttl {
            Ttl::Expire(unit, word) => positive_expiry(word, unit, now_ms, command).map(Some),
            Ttl::Unsaid | Ttl::Keep | Ttl::Persist => Ok(None),
        }
    }
}

fn expiry_unit(word: &[u8]) -> Option<ExpiryUnit> {
    const UNITS: [(&str, ExpiryUnit); 4] = [
        ("ex", ExpiryUnit::Seconds),
        ("px", ExpiryUnit::Millis),
        ("exat", ExpiryUnit::UnixSeconds),
        ("pxat", ExpiryUnit::UnixMillis),
    ];
    UNITS.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word)).map(|(_, unit)| *unit)
}

/// An expiry that must be positive before and after it was added to the time.
///
/// # Errors
/// Where it is not; `command` is named then.
pub(super) fn positive_expiry(
    word: &[u8],
    unit: ExpiryUnit,
    now_ms: u64,
    command: &str,
) -> Result<u64, CommandError> {
    let value = integer(word)?;
    if value <= 0 {
        return Err(CommandError::invalid_expire(command));
    }
    let expire_ms = expiry_at(value, unit, now_ms, command)?;
    u64::try_from(expire_ms).map_err(|_| CommandError::invalid_expire(command))
}
