//! What is observed of another sentinel.

use super::{LinkId, LinkState};
use crate::core::ids::Addr;
use crate::raft::GroupId;

/// What kind of sentinel it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nature {
    /// It has not been asked yet.
    #[default]
    Unknown,
    /// One of ours, with the group that it belongs to.
    Kin(Option<GroupId>),
    /// It does not know what a group is: a Redis or Valkey sentinel.
    Foreign,
}

/// Another sentinel.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it listens.
    pub addr: Addr,
    /// The link to it.
    pub link: LinkState,
    /// What kind it is.
    pub nature: Nature,
    /// When its last hello came.
    pub hello_heard_at: u64,
    pub(super) group_asked_at: Option<u64>,
}

impl Peer {
    pub(super) fn new(now: u64, link: LinkId, addr: Addr) -> Self {
        Self {
            addr,
            link: LinkState::new(now, link),
            nature: Nature::Unknown,
            hello_heard_at: now,
            group_asked_at: None,
        }
    }
}
