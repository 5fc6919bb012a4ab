//! Outputs, as scripts show them.

use crate::core::ids::{Addr, SentinelId};
use crate::core::node::{Output, Request, Target};
use crate::core::topology::{Command, Monitored};

/// `s1` for the sentinel of twenty bytes 1.
pub(super) fn sentinel(id: &SentinelId) -> String {
    format!("s{}", id.as_bytes()[0])
}

/// Addresses of scripts are `10.0.0.n:6379`, shown as `n`.
pub(super) fn addr(addr: &Addr) -> String {
    match (addr.host.strip_prefix("10.0.0."), addr.port) {
        (Some(n), 6379) => n.to_owned(),
        _ => addr.to_string(),
    }
}

/// Ids of scripts are long and all alike.
fn shorten(text: &str) -> String {
    let mut text = text.to_owned();
    for n in 1..10 {
        text = text.replace(&format!("0{n}").repeat(20), &format!("s{n}"));
    }
    text
}

/// What is done from time to time, whatever happens.
pub(super) fn is_routine(output: &Output) -> bool {
    match output {
        Output::Send(_, request) => match request {
            Request::Ping | Request::Info | Request::Hello(_) | Request::Report(_) | Request::Group => true,
            Request::Follow(_) | Request::KillScript => false,
        },
        Output::Sighted { .. } => true,
        Output::Open(..)
        | Output::Close(_)
        | Output::Reconnect(_)
        | Output::Propose(_)
        | Output::Announce(_) => false,
    }
}

pub(super) fn target(target: &Target) -> String {
    match target {
        Target::Instance { addr: at, .. } => addr(at),
        Target::Sentinel { addr } => format!("sentinel at {addr}"),
    }
}

pub(super) fn request(request: &Request) -> String {
    match request {
        Request::Ping => "PING".to_owned(),
        Request::Info => "INFO".to_owned(),
        Request::Hello(text) => format!("hello {}", shorten(text)),
        Request::Follow(Some(primary)) => format!("follow {}", addr(primary)),
        Request::Follow(None) => "be master".to_owned(),
        Request::KillScript => "SCRIPT KILL".to_owned(),
        Request::Group => "which group?".to_owned(),
        Request::Report(down) => {
            let down: Vec<String> = down.iter().map(|(name, at)| format!("{name}@{}", addr(at))).collect();
            format!("report down [{}]", down.join(" "))
        }
    }
}

pub(super) fn event(event: &crate::core::event::Event) -> String {
    shorten(&event.to_string())
}

pub(super) fn command(command: &Command) -> String {
    match command {
        Command::Seed(Monitored { name, address, .. }) => format!("seed {name}@{}", addr(address)),
        Command::Monitor(Monitored { name, address, .. }) => format!("monitor {name}@{}", addr(address)),
        Command::Remove { name, .. } => format!("remove {name}"),
        Command::Set { name, settings } => format!("set {name} {settings:?}"),
        Command::Reset { names, .. } => format!("reset {names:?}"),
        Command::ReplicaSeen { replica, .. } => format!("replica {}", addr(replica)),
        Command::SentinelSeen { id, address, .. } => format!("sentinel {} at {address}", sentinel(id)),
        Command::Forget { replica, .. } => format!("forget {}", addr(replica)),
        Command::SentinelGone { id } => format!("sentinel {} gone", sentinel(id)),
        Command::StartFailover { base, cause, leader, .. } => {
            format!("start failover of epoch {base}, {cause:?}, led by {}", sentinel(leader))
        }
        Command::Selected { epoch, candidate, .. } => format!("{epoch}: selected {}", addr(candidate)),
        Command::Rejected { epoch, candidate, .. } => format!("{epoch}: rejected {}", addr(candidate)),
        Command::Promoted { epoch, candidate, .. } => format!("{epoch}: promoted {}", addr(candidate)),
        Command::Reconfigured { epoch, replica, progress, .. } => {
            format!("{epoch}: replica {} {progress:?}", addr(replica))
        }
        Command::End { epoch, reason, .. } => format!("{epoch}: end, {reason:?}"),
        Command::Abort { epoch, reason, .. } => format!("{epoch}: abort, {reason:?}"),
        Command::Follow { epoch, primary, by, .. } => {
            format!("follow {} to {} at epoch {epoch}", sentinel(by), addr(primary))
        }
        Command::TakeOver { taken_over, .. } => format!("take over: {taken_over}"),
    }
}
