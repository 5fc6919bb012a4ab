//! Which history a log belongs to, and who may go on from where.
//!
//! A log's bytes have meaning only together with the *replication id* of the history that they belong to. A promoted
//! replica begins a new history but knows that it shares the old one up to the point of the promotion, so it remembers
//! that id too (PSYNC2): replicas of the old primary then need only what is new.
//!
//! Pure: what the log still holds is an argument.

use crate::ids::{ReplId, ReplOffset};
use crate::log::Available;

/// The id of this node's history and, after a promotion, the one it grew out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    id: ReplId,
    previous: Option<Previous>,
}

/// The history that the present one grew out of (INFO's `master_replid2` and `second_repl_offset`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Previous {
    /// Its id.
    pub id: ReplId,
    /// Where the two part: everything before is common.
    pub shared_until: ReplOffset,
}

/// What a replica asks for with `PSYNC <id> <first byte wanted>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `PSYNC ? -1`.
    Everything,
    /// A history whose id is none of Redis's: no log here can belong to it.
    Foreign(String),
    /// The bytes from a position on, of a history by its id. The number of the first byte is as the replica sent it:
    /// anything may come over the wire.
    From {
        /// The history that the replica holds.
        id: ReplId,
        /// The first byte it wants, counted from one.
        first_byte: i64,
    },
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The log holds all that follows; it goes on from here.
    Continue(ReplOffset),
    /// It takes a snapshot.
    FullResync(Refusal),
}

/// Why a replica cannot continue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It asked for everything.
    Asked,
    /// It holds another history.
    OtherHistory {
        /// The id it gave.
        asked: String,
        /// The ids known here.
        known: History,
    },
    /// It holds the previous history, but beyond the point where this one left it.
    PastThePromotion {
        /// The first byte it wants, counted from one.
        first_byte: i64,
        /// The last byte that could have been answered to, counted from one.
        answerable: u64,
    },
    /// The bytes are no longer (or not yet) in the backlog.
    NotInBacklog {
        /// The first byte it wants, counted from one.
        first_byte: i64,
        /// It wants bytes that were never written here.
        beyond_end: bool,
    },
}

impl History {
    /// A history of its own, related to no other.
    pub fn new(id: ReplId) -> History {
        History { id, previous: None }
    }

    /// A history as it was stored.
    pub fn restored(id: ReplId, previous: Option<Previous>) -> History {
        History { id, previous }
    }

    /// The present id (INFO's `master_replid`).
    pub fn id(&self) -> ReplId {
        self.id
    }

    /// The history before this one, while replicas of it may still continue.
    pub fn previous(&self) -> Option<Previous> {
        self.previous
    }

    /// Goes on under a new id from `at`, the log's end: at a promotion, and when the master says (`+CONTINUE <id>`)
    /// that it goes on under another id itself.
    pub fn branch(&mut self, id: ReplId, at: ReplOffset) {
        self.previous = Some(Previous { id: self.id, shared_until: at });
        self.id = id;
    }

    /// Starts over under an unrelated id: the log's content no longer says what happened (a full resync, or writes that
    /// were not logged while nobody followed).
    pub fn restart(&mut self, id: ReplId) {
        *self = History::new(id);
    }

    /// Whether a replica with this request can continue from what `backlog` holds (`None`: there is no backlog).
    ///
    /// ```
    /// use redkeep_replication::{Available, Decision, History, ReplId, ReplOffset, Request};
    /// let (old, new) = (ReplId::from_random([1; 20]), ReplId::from_random([2; 20]));
    /// let mut history = History::new(old);
    /// history.branch(new, ReplOffset(100));
    /// let backlog = Some(Available { first: ReplOffset(50), end: ReplOffset(200) });
    /// let ask = |id, first_byte| history.decide(Request::From { id, first_byte }, backlog);
    /// assert_eq!(ask(old, 81), Decision::Continue(ReplOffset(80)));
    /// assert!(matches!(ask(old, 150), Decision::FullResync(_)));
    /// assert_eq!(ask(new, 150), Decision::Continue(ReplOffset(149)));
    /// ```
    pub fn decide(&self, request: Request, backlog: Option<Available>) -> Decision {
        match request {
            Request::Everything => Decision::FullResync(Refusal::Asked),
            Request::Foreign(asked) => Decision::FullResync(Refusal::OtherHistory { asked, known: *self }),
            Request::From { id, first_byte } => {
                let held = self.check_history(id, first_byte).and_then(|()| find(first_byte, backlog));
                held.map_or_else(Decision::FullResync, Decision::Continue)
            }
        }
    }

    fn check_history(&self, id: ReplId, first_byte: i64) -> Result<(), Refusal> {
        if id == self.id {
            return Ok(());
        }
        match self.previous {
            Some(previous) if previous.id == id => {
                let answerable = previous.shared_until.next_byte();
                let shared = i128::from(first_byte) <= i128::from(answerable);
                if shared { Ok(()) } else { Err(Refusal::PastThePromotion { first_byte, answerable }) }
            }
            Some(_) | None => Err(Refusal::OtherHistory { asked: id.to_string(), known: *self }),
        }
    }
}

fn find(first_byte: i64, backlog: Option<Available>) -> Result<ReplOffset, Refusal> {
    let beyond_end = backlog.is_some_and(|held| i128::from(first_byte) > i128::from(held.end.next_byte()));
    let refusal = Refusal::NotInBacklog { first_byte, beyond_end };
    let (Some(held), Some(offset)) = (backlog, ReplOffset::before_byte(first_byte)) else {
        return Err(refusal);
    };
    if held.contains(offset) { Ok(offset) } else { Err(refusal) }
}

impl Request {
    /// Reads the arguments of `PSYNC`. `None`: the offset is not an integer.
    pub fn parse(id: &[u8], first_byte: &[u8]) -> Option<Request> {
        let first_byte = parse_integer(first_byte)?;
        Some(match ReplId::parse(id) {
            Some(id) => Request::From { id, first_byte },
            None if id.starts_with(b"?") => Request::Everything,
            None => Request::Foreign(String::from_utf8_lossy(id).into_owned()),
        })
    }

    /// The position that the replica stands at, if it named one.
    pub fn offset(&self) -> Option<ReplOffset> {
        match self {
            Request::Everything | Request::Foreign(_) => None,
            Request::From { first_byte, .. } => ReplOffset::before_byte(*first_byte),
        }
    }
}

/// An integer as Redis reads it in a command: no sign but a minus, no leading zeros.
pub(crate) fn parse_integer(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(seed: u8) -> ReplId {
        ReplId::from_random([seed; 20])
    }

    #[test]
    fn psync_arguments() {
        let digits = id(7).to_string();
        let ask = |id: &str, first: &str| Request::parse(id.as_bytes(), first.as_bytes());
        assert_eq!(ask("?", "-1"), Some(Request::Everything));
        assert_eq!(ask(&digits, "12"), Some(Request::From { id: id(7), first_byte: 12 }));
        assert_eq!(ask("nonsense", "12"), Some(Request::Foreign("nonsense".into())));
        for wrong in ["", "x", "1.5", "+1", "01", "-0", "9223372036854775808", " 1"] {
            assert_eq!(ask("?", wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn reasons_for_a_full_resync() {
        let mut history = History::new(id(1));
        history.branch(id(2), ReplOffset(100));
        let backlog = Some(Available { first: ReplOffset(50), end: ReplOffset(200) });
        let refusal = |request, backlog| match history.decide(request, backlog) {
            Decision::FullResync(refusal) => refusal,
            Decision::Continue(from) => panic!("it continues from {from}"),
        };
        let from = |seed, first_byte| Request::From { id: id(seed), first_byte };
        let missing = |first_byte, beyond_end| Refusal::NotInBacklog { first_byte, beyond_end };
        assert_eq!(refusal(Request::Everything, backlog), Refusal::Asked);
        assert_eq!(
            refusal(from(3, 60), backlog),
            Refusal::OtherHistory { asked: id(3).to_string(), known: history }
        );
        let past = Refusal::PastThePromotion { first_byte: 102, answerable: 101 };
        assert_eq!(refusal(from(1, 102), backlog), past);
        assert_eq!(refusal(from(2, 50), backlog), missing(50, false));
        assert_eq!(refusal(from(2, 202), backlog), missing(202, true));
        assert_eq!(refusal(from(2, 0), backlog), missing(0, false));
        assert_eq!(refusal(from(2, i64::MIN), backlog), missing(i64::MIN, false));
        assert_eq!(refusal(from(2, i64::MAX), backlog), missing(i64::MAX, true));
        assert_eq!(refusal(from(2, 60), None), missing(60, false));
    }

    /// A node as a plain list of the bytes it wrote, each under the id it was written under.
    #[derive(Clone, Default)]
    struct Twin {
        bytes: Vec<ReplId>,
        ids: Vec<ReplId>,
    }

    proptest! {
        /// Who is told to continue really holds a prefix of what the answering node holds.
        #[test]
        fn who_continues_holds_the_same_bytes(
            steps in proptest::collection::vec((0..3usize, 0..3usize, 1..5usize), 1..30),
            asker in 0..3usize,
            answerer in 0..3usize,
        ) {
            // Three nodes which write, get promoted under a fresh id, or follow another one in full.
            let mut nodes: Vec<(History, Twin)> =
                (0..3).map(|n| (History::new(id(n)), Twin { bytes: vec![], ids: vec![id(n)] })).collect();
            for (step, (node, other, count)) in steps.into_iter().enumerate() {
                match step % 3 {
                    0 => {
                        let under = nodes[node].0.id();
                        nodes[node].1.bytes.extend(std::iter::repeat_n(under, count));
                    }
                    1 => nodes[node] = nodes[other].clone(),
                    _ => {
                        let (history, twin) = &mut nodes[node];
                        history.branch(id(10 + step as u8), ReplOffset(twin.bytes.len() as u64));
                        twin.ids.push(history.id());
                    }
                }
            }
            let (asker, answerer) = (&nodes[asker], &nodes[answerer]);
            let first_byte = asker.1.bytes.len() as i64 + 1;
            let end = ReplOffset(answerer.1.bytes.len() as u64);
            let request = Request::From { id: asker.0.id(), first_byte };
            if let Decision::Continue(from) =
                answerer.0.decide(request, Some(Available { first: ReplOffset(0), end }))
            {
                prop_assert_eq!(from.0, asker.1.bytes.len() as u64);
                prop_assert!(answerer.1.bytes.starts_with(&asker.1.bytes));
            }
        }
    }
}
