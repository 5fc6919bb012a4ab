//! The clients: they write through the sentinels, as an application with a Sentinel-aware library does.
//!
//! ```text
//!   ask a sentinel ──> connect, check ROLE ──> write, write, write … ──error, timeout──> ask a sentinel
//! ```
//!
//! The same client serves every system, since what libraries do on errors differs more than the systems do. Half of the
//! clients have a short timeout for writes, as careful applications do. The other half wait as long as TCP lets them, which
//! is the default of most libraries: such a client stays with a stopped primary and is there when it goes on.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use redkeep_resp::frame::Frame;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::history::{Clock, NodeIndex, Outcome, Write};
use crate::link::{self, Link};
use crate::workload::Workload;

/// Between two attempts to find the primary.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// What a client without a timeout is given: longer than any round.
const PATIENT: Duration = Duration::from_secs(3600);

/// What all clients of a round share.
#[derive(Clone)]
pub struct Shared {
    /// Where the sentinels are.
    pub sentinels: Vec<SocketAddr>,
    /// Where the data nodes are; a node's index is its place here.
    pub nodes: Vec<SocketAddr>,
    /// Time between two writes of a client.
    pub pace: Duration,
    /// How long the impatient half waits for the reply to a write.
    pub op_timeout: Duration,
    /// The round's clock.
    pub clock: Clock,
    /// Set to the node of every acknowledged write.
    pub acknowledged_by: watch::Sender<Option<NodeIndex>>,
    /// Becomes true when the clients shall end.
    pub stop: watch::Receiver<bool>,
}

/// One client.
pub struct Writer {
    id: usize,
    shared: Shared,
    workload: Workload,
    op_timeout: Duration,
    /// The sentinel that answered last; the next question goes there first.
    sentinel: usize,
    writes: Vec<Write>,
}

impl Writer {
    /// The client with this number. The number decides what it writes and how patient it is.
    pub fn new(id: usize, shared: Shared) -> Writer {
        let patient = (id / 2) % 2 == 1;
        Writer {
            id,
            workload: Workload::of_client(id),
            op_timeout: if patient { PATIENT } else { shared.op_timeout },
            sentinel: id % shared.sentinels.len(),
            writes: Vec::new(),
            shared,
        }
    }

    /// Writes until told to stop, and returns what it did, in order.
    pub async fn run(mut self) -> Vec<Write> {
        let mut stop = self.shared.stop.clone();
        tokio::select! {
            // Fails only when the round is gone, which is as good a reason to end.
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.write_for_ever() => {}
        }
        self.writes
    }

    async fn write_for_ever(&mut self) {
        loop {
            if let Ok((node, mut link)) = self.find_primary().await {
                while self.write(node, &mut link).await {
                    sleep(self.shared.pace).await;
                }
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    /// One write. False when this connection should not be used any more.
    async fn write(&mut self, node: NodeIndex, link: &mut Link) -> bool {
        let value = self.writes.len() as u64;
        let invoked = self.shared.clock.now();
        // Recorded before it is sent: if the client is stopped in between, the write is as open as a lost reply.
        self.writes.push(Write {
            client: self.id,
            value,
            node,
            invoked,
            completed: invoked,
            outcome: Outcome::Unknown,
        });
        let reply = link.call(&self.workload.write(self.id, value), self.op_timeout).await;
        let outcome = outcome(reply.ok().as_ref());
        let record = self.writes.last_mut().expect("just pushed");
        record.completed = self.shared.clock.now();
        record.outcome = outcome;
        let acknowledged = record.is_acknowledged();
        if acknowledged {
            self.shared.acknowledged_by.send_replace(Some(node));
        }
        acknowledged
    }

    /// Asks the sentinels in turn and connects to what the first that answers names, if that is a primary.
    async fn find_primary(&mut self) -> Result<(NodeIndex, Link)> {
        let address = self.ask_sentinels().await?;
        let node = self.shared.nodes.iter().position(|node| *node == address);
        let node = node.with_context(|| format!("{address} is no node of this cluster"))?;
        let mut link = Link::open(address).await?;
        let role = link.ask(&["ROLE"]).await?.into_array().context("ROLE gave no array")?;
        if role.first().and_then(Frame::as_str) != Some("master") {
            bail!("{address} is not the primary any more");
        }
        Ok((node, link))
    }

    async fn ask_sentinels(&mut self) -> Result<SocketAddr> {
        for _ in 0..self.shared.sentinels.len() {
            match link::primary_address(self.shared.sentinels[self.sentinel]).await {
                Ok(address) => return Ok(address),
                Err(_) => self.sentinel = (self.sentinel + 1) % self.shared.sentinels.len(),
            }
        }
        bail!("no sentinel answers")
    }
}

/// What a reply, or none, means for the write.
fn outcome(reply: Option<&Frame>) -> Outcome {
    match reply {
        None => Outcome::Unknown,
        Some(Frame::Error(text)) => {
            let code = text.split(' ').next().unwrap_or_default();
            if code == "UNCERTAIN" { Outcome::Unknown } else { Outcome::Refused(code.to_owned()) }
        }
        Some(_) => Outcome::Acknowledged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_a_refusal_but_uncertain_leaves_it_open() {
        let error = |text: &str| Frame::Error(text.to_owned());
        assert_eq!(
            outcome(Some(&error("READONLY You can't write"))),
            Outcome::Refused("READONLY".to_owned())
        );
        assert_eq!(outcome(Some(&error("UNCERTAIN the write may be lost"))), Outcome::Unknown);
        assert_eq!(outcome(Some(&Frame::Integer(1))), Outcome::Acknowledged);
        assert_eq!(outcome(None), Outcome::Unknown);
    }
}
