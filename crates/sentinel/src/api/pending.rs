//! What a handler cannot answer at once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redkeep_resp::ReplyWriter;
use tokio::time::timeout;

use super::Api;
use crate::core::event::Event;
use crate::core::ids::{Addr, Epoch, SentinelId};
use crate::core::topology::{Applied, Command, Monitored, Refusal, Settings};
use crate::core::vote::Vote;
use crate::local::Local;
use crate::raft::GroupError;

/// A name that does not resolve in this time does not resolve.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Work that a client waits for.
pub(super) enum Work {
    /// A message of another member of the group.
    Raft(Bytes),
    /// Have the group commit a command; then the answer, unless it is refused.
    Commit(Command, Answer),
    /// Resolve the address of a new master, then monitor it.
    Monitor { name: String, host: String, port: u16, settings: Settings },
    /// Take private settings over, announce them, and have the group commit the others.
    Set { local: Option<Box<Local>>, told: Vec<Event>, command: Option<Command> },
    /// A foreign sentinel asks whether the master is down, and for our vote.
    Vote { name: String, down: bool, epoch: Epoch, candidate: SentinelId },
    /// Remove a sentinel from the group.
    Forget(SentinelId),
    /// Stop the sentinel.
    Shutdown,
}

/// The reply to a client that waited.
pub(super) enum Answer {
    Ok,
    Integer(i64),
    Bulk(Bytes),
    /// Whether a master is down, and for whom we voted.
    View(bool, Option<Vote>),
    /// An error line with its code.
    Error(String),
    /// The connection ends without a reply.
    Nothing,
}

impl Answer {
    /// Writes the reply; false if it is an error.
    pub(super) fn write(&self, reply: &mut ReplyWriter<'_>) -> bool {
        match self {
            Self::Ok => reply.ok(),
            Self::Integer(value) => reply.integer(*value),
            Self::Bulk(bytes) => reply.bulk(bytes),
            Self::View(down, vote) => {
                reply.array(3);
                reply.integer(i64::from(*down));
                reply.bulk_str(&vote.map_or_else(|| "*".to_owned(), |vote| vote.leader.to_string()));
                reply.integer(vote.map_or(0, |vote| i64::try_from(vote.epoch.0).unwrap_or(i64::MAX)));
            }
            Self::Error(line) => {
                reply.error(line);
                return false;
            }
            Self::Nothing => {}
        }
        true
    }
}

/// Does the work.
pub(super) async fn finish(api: &Arc<Api>, work: Work) -> Answer {
    match work {
        Work::Raft(message) => Answer::Bulk(api.shared.group.handle(message).await),
        Work::Commit(command, answer) => commit(api, command, answer).await,
        Work::Monitor { name, host, port, settings } => monitor(api, name, host, port, settings).await,
        Work::Set { local, told, command } => {
            if let Some(local) = local
                && let Err(error) = keep(api, *local).await
            {
                return Answer::Error(format!("ERR {error}"));
            }
            for event in told {
                tracing::info!(target: "redkeep_sentinel::event", "{event}");
                // An error only says that nobody listens.
                drop(api.shared.events.send(Arc::new(event)));
            }
            match command {
                Some(command) => commit(api, command, Answer::Ok).await,
                None => Answer::Ok,
            }
        }
        Work::Vote { name, down, epoch, candidate } => vote(api, name, down, epoch, candidate).await,
        Work::Forget(id) => forget(api, id).await,
        Work::Shutdown => {
            api.shared.stop.send_replace(true);
            Answer::Nothing
        }
    }
}

async fn commit(api: &Api, command: Command, answer: Answer) -> Answer {
    match api.shared.change(command).await {
        Ok(Applied::Changed(_)) => answer,
        Ok(Applied::Refused(refusal)) => Answer::Error(refused(refusal)),
        Err(error) => Answer::Error(failed(&error)),
    }
}

fn refused(refusal: Refusal) -> String {
    match refusal {
        Refusal::InProgress => format!("INPROG {refusal}"),
        Refusal::NoSuchMaster
        | Refusal::Duplicate
        | Refusal::Stale
        | Refusal::NoSuchReplica
        | Refusal::TooMany
        | Refusal::ImplausibleEpoch => format!("ERR {refusal}"),
    }
}

/// The error line of a request that the group did not take.
fn failed(error: &GroupError) -> String {
    match error {
        GroupError::NoLeader | GroupError::NoQuorum => format!("NOQUORUM {error}"),
        GroupError::Timeout => format!("UNCERTAIN {error}"),
        GroupError::Busy => format!("TRYAGAIN {error}"),
        GroupError::Refused(_) | GroupError::Stopped(_) => format!("ERR {error}"),
    }
}

async fn monitor(api: &Api, name: String, host: String, port: u16, settings: Settings) -> Answer {
    let (resolve, keep_name) = {
        let local = api.shared.local.read();
        (local.resolve_hostnames, local.announce_hostnames)
    };
    let Some(resolved) = resolve_host(&host, resolve).await else {
        return Answer::Error("ERR Invalid IP address or hostname specified".to_owned());
    };
    let by = api.shared.node.lock().identity().id;
    let host = if keep_name { host } else { resolved };
    let monitored = Monitored::new(by, name, Addr::new(host, port), settings);
    commit(api, Command::Monitor(monitored), Answer::Ok).await
}

/// The IP address of a host; names are resolved only if that is allowed.
async fn resolve_host(host: &str, names: bool) -> Option<String> {
    if let Ok(ip) = host.parse::<std::net::IpAddr>() {
        return Some(ip.to_string());
    }
    if !names {
        return None;
    }
    let mut found = timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((host, 0))).await.ok()?.ok()?;
    found.next().map(|addr| addr.ip().to_string())
}

/// Private settings hold when they are on disk.
async fn keep(api: &Arc<Api>, local: Local) -> std::io::Result<()> {
    let writer = Arc::clone(api);
    let to_write = local.clone();
    let written = tokio::task::spawn_blocking(move || writer.private.write(&to_write)).await;
    written.map_err(std::io::Error::other)??;
    api.shared.node.lock().set_announced(local.announce_ip.clone(), local.announce_port);
    *api.shared.local.write() = local;
    Ok(())
}

async fn vote(api: &Arc<Api>, name: String, down: bool, epoch: Epoch, candidate: SentinelId) -> Answer {
    let current = api.shared.node.lock().topology().epoch;
    let voter = Arc::clone(api);
    let voted =
        tokio::task::spawn_blocking(move || voter.private.vote(&name, epoch, candidate, current)).await;
    match voted.map_err(std::io::Error::other).and_then(|vote| vote) {
        Ok(vote) => Answer::View(down, vote),
        Err(error) => {
            tracing::error!(%error, "a vote could not be kept, and so was not given");
            Answer::View(down, None)
        }
    }
}

async fn forget(api: &Api, id: SentinelId) -> Answer {
    match api.shared.group.forget(id).await {
        Ok(()) => {
            api.shared.group.unsighted(id);
            commit(api, Command::SentinelGone { id }, Answer::Ok).await
        }
        Err(error) => Answer::Error(failed(&error)),
    }
}
