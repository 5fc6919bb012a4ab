//! Instances as clients see them: maps of fields, in Redis's order.

use crate::core::detector::Verdict;
use crate::core::ids::{Addr, SentinelId};
use crate::core::node::{Instance, LinkState, Node, Peer, Watch};
use crate::core::topology::{Cause, Failover, Master, Reconfiguration, Stage};

/// What Redis shows of a replica that never linked: its -1 seconds as ms.
const NEVER_LINKED: &str = "-1000";

/// Fields of an instance.
pub(super) type Fields = Vec<(&'static str, String)>;

/// What a map is made of.
pub(super) struct View<'a> {
    pub(super) node: &'a Node,
    pub(super) now: u64,
    pub(super) name: &'a str,
    pub(super) master: &'a Master,
    pub(super) watch: &'a Watch,
}

impl<'a> View<'a> {
    /// `None` if there is no such master.
    pub(super) fn of(node: &'a Node, now: u64, name: &'a str) -> Option<Self> {
        let master = node.topology().masters.get(name)?;
        Some(Self { node, now, name, master, watch: node.watch(name)? })
    }

    /// The map of the master.
    pub(super) fn master(&self) -> Option<Fields> {
        let instance = self.watch.instances.get(self.master.primary())?;
        let settings = &self.master.settings;
        let head = Head {
            name: self.name.to_owned(),
            addr: self.master.primary(),
            run_id: instance.run_id.clone(),
            flags: self.master_flags(instance),
            failover_state: self.master.failover.as_ref().map(failover_state),
            o_down_since: self.watch.odown_since,
        };
        let mut fields = self.head(head, &instance.link, &instance.verdict);
        self.roles(&mut fields, instance);
        fields.extend([
            ("config-epoch", self.master.configuration.epoch.to_string()),
            ("num-slaves", self.master.replicas.len().to_string()),
            ("num-other-sentinels", self.others().count().to_string()),
            ("quorum", settings.quorum.to_string()),
            ("failover-timeout", settings.failover_timeout_ms.to_string()),
            ("parallel-syncs", settings.parallel_syncs.to_string()),
        ]);
        Some(fields)
    }

    /// The maps of the replicas.
    pub(super) fn replicas(&self) -> Vec<Fields> {
        let known = self.master.replicas.iter();
        known.filter_map(|addr| Some(self.replica(addr, self.watch.instances.get(addr)?))).collect()
    }

    fn replica(&self, addr: &Addr, instance: &Instance) -> Fields {
        let head = Head {
            name: addr.to_string(),
            addr,
            run_id: instance.run_id.clone(),
            flags: self.replica_flags(addr, instance),
            failover_state: None,
            o_down_since: None,
        };
        let mut fields = self.head(head, &instance.link, &instance.verdict);
        self.roles(&mut fields, instance);
        let info = &instance.info;
        let (host, port) =
            info.master.as_ref().map_or(("?", 0), |master| (master.host.as_str(), master.port));
        fields.extend([
            (
                "master-link-down-time",
                info.link_down_ms.map_or_else(|| NEVER_LINKED.to_owned(), |ms| ms.to_string()),
            ),
            ("master-link-status", if info.link_up { "ok" } else { "err" }.to_owned()),
            ("master-host", host.to_owned()),
            ("master-port", port.to_string()),
            ("slave-priority", info.priority.to_string()),
            ("slave-repl-offset", info.offset.to_string()),
            ("replica-announced", u8::from(info.announced).to_string()),
        ]);
        fields
    }

    /// The other sentinels of this master.
    pub(super) fn others(&self) -> impl Iterator<Item = (&'a SentinelId, &'a Addr)> {
        let me = self.node.identity().id;
        self.master.sentinels.iter().filter(move |(id, _)| **id != me)
    }

    /// The maps of the other sentinels.
    pub(super) fn sentinels(&self) -> Vec<Fields> {
        self.others()
            .filter_map(|(id, addr)| Some(self.sentinel(id, addr, self.node.peers().get(id)?)))
            .collect()
    }

    fn sentinel(&self, id: &SentinelId, addr: &Addr, peer: &Peer) -> Fields {
        let verdict = self.watch.sentinels.get(id).copied().unwrap_or_default();
        let mut flags = Flags::default();
        flags.set(verdict.is_down(), "s_down");
        flags.set(true, "sentinel");
        flags.set(!peer.link.detector.is_connected(), "disconnected");
        flags.set(self.watch.says_down(self.now, id, self.master.primary()), "master_down");
        let head = Head {
            name: id.to_string(),
            addr,
            run_id: id.to_string(),
            flags,
            failover_state: None,
            o_down_since: None,
        };
        let mut fields = self.head(head, &peer.link, &verdict);
        let vote = self.master.failover.as_ref();
        fields.extend([
            ("last-hello-message", self.ago(peer.hello_heard_at)),
            ("voted-leader", vote.map_or_else(|| "?".to_owned(), |failover| failover.leader.to_string())),
            ("voted-leader-epoch", vote.map_or(0, |failover| failover.epoch.0).to_string()),
        ]);
        fields
    }

    fn ago(&self, at: u64) -> String {
        self.now.saturating_sub(at).to_string()
    }

    fn head(&self, head: Head<'_>, link: &LinkState, verdict: &Verdict) -> Fields {
        let detector = &link.detector;
        let mut fields = vec![
            ("name", head.name),
            ("ip", head.addr.host.clone()),
            ("port", head.addr.port.to_string()),
            ("runid", head.run_id),
            ("flags", head.flags.0),
            ("link-pending-commands", link.pending.to_string()),
            ("link-refcount", "1".to_owned()),
        ];
        fields.extend(head.failover_state.map(|state| ("failover-state", state.to_owned())));
        fields.extend([
            ("last-ping-sent", detector.ping_pending_ms(self.now).to_string()),
            ("last-ok-ping-reply", detector.acceptable_ago_ms(self.now).to_string()),
            ("last-ping-reply", detector.reply_ago_ms(self.now).to_string()),
        ]);
        fields.extend(verdict.down_since().map(|since| ("s-down-time", self.ago(since))));
        fields.extend(head.o_down_since.map(|since| ("o-down-time", self.ago(since))));
        fields.push(("down-after-milliseconds", self.master.settings.down_after_ms.to_string()));
        fields
    }

    fn roles(&self, fields: &mut Fields, instance: &Instance) {
        fields.extend([
            ("info-refresh", instance.info_age_ms(self.now).unwrap_or(0).to_string()),
            ("role-reported", instance.role.as_str().to_owned()),
            ("role-reported-time", self.ago(instance.role_since)),
        ]);
    }

    fn master_flags(&self, instance: &Instance) -> Flags {
        let mut flags = Flags::default();
        flags.set(instance.verdict.is_down(), "s_down");
        flags.set(self.watch.odown_since.is_some(), "o_down");
        flags.set(true, "master");
        flags.set(!instance.link.detector.is_connected(), "disconnected");
        let failover = self.master.failover.as_ref();
        flags.set(failover.is_some(), "failover_in_progress");
        flags.set(failover.is_some_and(|failover| failover.cause == Cause::Forced), "force_failover");
        flags.set(instance.is_script_kill_sent(), "script_kill_sent");
        flags.set(instance.rebooted_at.is_some(), "master_reboot");
        flags
    }

    fn replica_flags(&self, addr: &Addr, instance: &Instance) -> Flags {
        let mut flags = Flags::default();
        flags.set(instance.verdict.is_down(), "s_down");
        flags.set(true, "slave");
        flags.set(!instance.link.detector.is_connected(), "disconnected");
        flags.set(self.master.candidate() == Some(addr), "promoted");
        match self.master.reconfiguration(addr) {
            Some(Reconfiguration::Sent) => flags.set(true, "reconf_sent"),
            Some(Reconfiguration::InProgress) => flags.set(true, "reconf_inprog"),
            Some(Reconfiguration::Done | Reconfiguration::GivenUp) => flags.set(true, "reconf_done"),
            None => {}
        }
        flags.set(instance.is_script_kill_sent(), "script_kill_sent");
        flags
    }
}

/// What all maps begin with.
struct Head<'a> {
    name: String,
    addr: &'a Addr,
    run_id: String,
    flags: Flags,
    failover_state: Option<&'static str>,
    o_down_since: Option<u64>,
}

/// Flags with commas between.
#[derive(Default)]
struct Flags(String);

impl Flags {
    fn set(&mut self, holds: bool, flag: &str) {
        if holds {
            if !self.0.is_empty() {
                self.0.push(',');
            }
            self.0.push_str(flag);
        }
    }
}

fn failover_state(failover: &Failover) -> &'static str {
    match failover.stage {
        Stage::Elected => "select_slave",
        Stage::WaitingPromotion { .. } => "wait_promotion",
        Stage::Reconfiguring { .. } => "reconf_slaves",
    }
}
