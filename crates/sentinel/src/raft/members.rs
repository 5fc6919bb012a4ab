//! Who belongs to the group: every change is committed, one after the other, by the leader.
//!
//! A sentinel comes in as a learner, which receives the log without a vote, and becomes a voter when it has caught up. If
//! it is the successor of one that lost its directory (the same public id, another node), one change puts it in the place
//! of the old: so the number of voters, and the majority, stay what they were. An old one that still answers is not
//! replaced: two sentinels with one public id are a mistake of configuration.

use std::collections::{BTreeMap, BTreeSet};

use openraft::{ChangeMembers, Membership};
use tokio::time::{Instant, timeout_at};

use super::engine::{Engine, Outcome, write_error};
use super::wire::Change;
use super::{GroupError, Member, NodeId, PublicId};

/// A group has no more members than this, learners included. Raft's heartbeats go from one to all.
pub const MAX_MEMBERS: usize = 32;

impl Engine {
    /// Changes the membership as the leader.
    pub(super) async fn lead_change(&self, change: Change, deadline: Instant) -> Result<(), Outcome> {
        let _permit = self.changing.try_acquire().map_err(|_| GroupError::Busy)?;
        self.check_quorum()?;
        let work = async {
            self.finish_change().await?;
            match change {
                Change::Join(member) => self.join(member).await,
                Change::Readdress(member) => self.readdress(member).await,
                Change::Remove(node) => self.remove(BTreeSet::from([node])).await,
                Change::Forget(public_id) => self.forget(public_id).await,
            }
        };
        timeout_at(deadline, work).await.unwrap_or_else(|_| Err(GroupError::Timeout.into()))
    }

    /// Finishes what a leader before this one left half done: two sets of voters at once.
    pub(super) async fn finish_change(&self) -> Result<(), Outcome> {
        if self.membership().get_joint_config().len() < 2 {
            return Ok(());
        }
        self.commit(ChangeMembers::AddVoterIds(BTreeSet::new())).await
    }

    fn membership(&self) -> Membership<NodeId, Member> {
        self.raft.metrics().borrow().membership_config.membership().clone()
    }

    async fn commit(&self, change: ChangeMembers<NodeId, Member>) -> Result<(), Outcome> {
        self.raft.change_membership(change, false).await.map(|_| ()).map_err(write_error)
    }

    async fn join(&self, member: Member) -> Result<(), Outcome> {
        let membership = self.membership();
        match membership.get_node(&member.node) {
            Some(known) if known.public_id != member.public_id => {
                return Err(refused(format!("node {} is sentinel {}", member.node, known.public_id)));
            }
            Some(_) => self.readdress(member.clone()).await?,
            None => self.admit(&membership, &member)?,
        }
        if membership.voter_ids().any(|node| node == member.node) {
            return Ok(());
        }
        self.raft.add_learner(member.node, member.clone(), true).await.map_err(write_error)?;
        let membership = self.membership();
        let replaced = predecessors(&membership, &member);
        let voters: BTreeSet<NodeId> =
            membership.voter_ids().filter(|node| !replaced.contains(node)).collect();
        let voters = voters.into_iter().chain([member.node]).collect();
        self.commit(ChangeMembers::ReplaceAllVoters(voters)).await?;
        self.remove_learners(&replaced).await
    }

    /// Whether a sentinel that is no member may become one.
    fn admit(&self, membership: &Membership<NodeId, Member>, member: &Member) -> Result<(), Outcome> {
        let replaced = predecessors(membership, member);
        if replaced.iter().any(|&node| node == self.links.me || self.links.is_alive(node)) {
            return Err(refused(format!(
                "sentinel {} is a member under another node, and alive",
                member.public_id
            )));
        }
        if membership.nodes().count() - replaced.len() >= MAX_MEMBERS {
            return Err(refused(format!("the group has {MAX_MEMBERS} members already")));
        }
        Ok(())
    }

    async fn readdress(&self, member: Member) -> Result<(), Outcome> {
        match self.membership().get_node(&member.node) {
            None => Err(refused(format!("node {} is no member", member.node))),
            Some(known) if *known == member => Ok(()),
            Some(known) if known.public_id != member.public_id => {
                Err(refused(format!("node {} is sentinel {}", member.node, known.public_id)))
            }
            Some(_) => self.commit(ChangeMembers::SetNodes(BTreeMap::from([(member.node, member)]))).await,
        }
    }

    async fn forget(&self, public_id: PublicId) -> Result<(), Outcome> {
        let membership = self.membership();
        let named = membership.nodes().filter(|(_, member)| member.public_id == public_id);
        let nodes: BTreeSet<NodeId> = named.map(|(node, _)| *node).collect();
        match nodes.is_empty() {
            true => Err(refused(format!("sentinel {public_id} is no member of the group"))),
            false => self.remove(nodes).await,
        }
    }

    async fn remove(&self, nodes: BTreeSet<NodeId>) -> Result<(), Outcome> {
        let membership = self.membership();
        let voters: BTreeSet<NodeId> = membership.voter_ids().collect();
        if voters.is_subset(&nodes) {
            return Err(refused("the last voter cannot be removed".to_owned()));
        }
        let leaving: BTreeSet<NodeId> = voters.intersection(&nodes).copied().collect();
        if !leaving.is_empty() {
            self.commit(ChangeMembers::RemoveVoters(leaving)).await?;
        }
        self.remove_learners(&nodes).await
    }

    /// Removes those of `nodes` that are still in the membership, which can only be as learners.
    async fn remove_learners(&self, nodes: &BTreeSet<NodeId>) -> Result<(), Outcome> {
        let membership = self.membership();
        let learners: BTreeSet<NodeId> =
            nodes.iter().copied().filter(|node| membership.get_node(node).is_some()).collect();
        match learners.is_empty() {
            true => Ok(()),
            false => self.commit(ChangeMembers::RemoveNodes(learners)).await,
        }
    }
}

/// The other nodes that this sentinel has been.
fn predecessors(membership: &Membership<NodeId, Member>, member: &Member) -> BTreeSet<NodeId> {
    let others = membership.nodes().filter(|(node, _)| **node != member.node);
    others.filter(|(_, other)| other.public_id == member.public_id).map(|(node, _)| *node).collect()
}

fn refused(why: String) -> Outcome {
    GroupError::Refused(why).into()
}
