//! What the clients saw: one record for each write, with times of one clock.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

/// Microseconds since the round's history began.
pub type Micros = u64;

/// Which data node, by its place in the cluster.
pub type NodeIndex = usize;

/// How a write ended for the client that sent it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The server said that it is done: it must be there at the end.
    Acknowledged,
    /// The server said that it was not done; with the error's code. It must not be there.
    Refused(String),
    /// No answer, or one that leaves it open (`UNCERTAIN`): it may be there or not.
    Unknown,
}

/// One write of one client.
#[derive(Clone, Debug, Serialize)]
pub struct Write {
    /// Who wrote.
    pub client: usize,
    /// The client's own counter: no two writes of a client share it.
    pub value: u64,
    /// To which node.
    pub node: NodeIndex,
    /// When it was sent.
    pub invoked: Micros,
    /// When its outcome was known.
    pub completed: Micros,
    /// How it ended.
    pub outcome: Outcome,
}

impl Write {
    /// Whether the server acknowledged it.
    pub fn is_acknowledged(&self) -> bool {
        self.outcome == Outcome::Acknowledged
    }
}

/// The clock of a history.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that shows zero now.
    pub fn start() -> Clock {
        Clock(Instant::now())
    }

    /// Time since the start.
    pub fn now(&self) -> Micros {
        // A round lasts minutes; the conversion holds for half a million years.
        self.0.elapsed().as_micros() as Micros
    }
}

/// All that happened in a round.
#[derive(Debug, Default)]
pub struct History {
    /// Every write, each client's in the order in which it was sent.
    pub writes: Vec<Write>,
    /// What each client's key held at the end, in the order read.
    pub final_values: BTreeMap<usize, Vec<u64>>,
    /// When the fault began, and on which node.
    pub fault: Option<(Micros, NodeIndex)>,
}
