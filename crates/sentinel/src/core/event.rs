//! What subscribers, scripts and embedders are told: Redis's events, name for name.
//!
//! An event is published on the channel of its own name. Most payloads begin with the instance that it is about:
//! `<type> <name> <ip> <port>`, followed by ` @ <master> <ip> <port>` unless the instance is the master itself.

use std::fmt;

use super::ids::{Addr, Epoch, SentinelId};

/// How loud an event is. Notification scripts hear warnings only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Redis's `verbose`
    Verbose,
    /// Redis's `notice`
    Notice,
    /// Redis's `warning`
    Warning,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $channel:literal $level:ident,)+) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[$doc])* $kind,)+
        }

        impl Kind {
            /// The channel of the event.
            #[must_use]
            pub fn channel(self) -> &'static str {
                match self { $(Self::$kind => $channel,)+ }
            }

            /// How loud it is.
            #[must_use]
            pub fn level(self) -> Level {
                match self { $(Self::$kind => Level::$level,)+ }
            }
        }
    };
}

kinds! {
    /// A master is monitored.
    Monitor "+monitor" Warning,
    /// A master is not monitored any more.
    Unmonitor "-monitor" Warning,
    /// A setting has a new value.
    Set "+set" Warning,
    /// Replicas and sentinels of a master were forgotten.
    ResetMaster "+reset-master" Warning,
    /// A replica was found.
    Replica "+slave" Notice,
    /// A replica was forgotten.
    ReplicaForgotten "-slave" Notice,
    /// A sentinel was found.
    Sentinel "+sentinel" Notice,
    /// A sentinel was forgotten.
    SentinelForgotten "-sentinel" Notice,
    /// An instance has another run id.
    Reboot "+reboot" Notice,
    /// A sentinel listens elsewhere.
    SentinelAddressSwitch "+sentinel-address-switch" Notice,
    /// A sentinel's address was taken by another sentinel.
    SentinelInvalidAddress "+sentinel-invalid-addr" Notice,
    /// The role that an instance reports is the configured one again.
    RoleChange "+role-change" Verbose,
    /// The role that an instance reports is not the configured one.
    RoleMismatch "-role-change" Verbose,
    /// This sentinel sees an instance down.
    SubjectivelyDown "+sdown" Warning,
    /// This sentinel sees an instance up again.
    SubjectivelyUp "-sdown" Warning,
    /// A quorum sees the master down.
    ObjectivelyDown "+odown" Warning,
    /// No quorum sees the master down any more.
    ObjectivelyUp "-odown" Warning,
    /// The clock or this process stood still.
    Tilt "+tilt" Warning,
    /// It has been steady again.
    TiltOver "-tilt" Warning,
    /// A failover has taken the next epoch.
    NewEpoch "+new-epoch" Warning,
    /// A failover begins.
    TryFailover "+try-failover" Warning,
    /// The group agreed on who leads a failover.
    VoteForLeader "+vote-for-leader" Warning,
    /// This sentinel leads the failover.
    ElectedLeader "+elected-leader" Warning,
    /// A replica is being chosen.
    StateSelectReplica "+failover-state-select-slave" Warning,
    /// No replica can take over.
    AbortNoGoodReplica "-failover-abort-no-good-slave" Warning,
    /// A replica was chosen.
    SelectedReplica "+selected-slave" Warning,
    /// The chosen replica is about to be told.
    StateSendPromotion "+failover-state-send-slaveof-noone" Notice,
    /// The chosen replica was told.
    StateWaitPromotion "+failover-state-wait-promotion" Notice,
    /// The chosen replica did not become master in time.
    AbortReplicaTimeout "-failover-abort-slave-timeout" Warning,
    /// The master answered before a replica was chosen. Redis has no such event: it never looks back.
    AbortMasterReturned "-failover-abort-master-returned" Warning,
    /// The chosen replica failed and another is chosen. Redis has no such event: it gives up.
    CandidateFailed "-selected-slave" Warning,
    /// The chosen replica is a master.
    PromotedReplica "+promoted-slave" Warning,
    /// The other replicas are being pointed to it.
    StateReconfigureReplicas "+failover-state-reconf-slaves" Warning,
    /// A replica was sent the new master's address.
    ReconfigurationSent "+slave-reconf-sent" Notice,
    /// The same, at the end of a failover that took too long.
    ReconfigurationSentAtEnd "+slave-reconf-sent-be" Notice,
    /// A replica knows the new master.
    ReconfigurationInProgress "+slave-reconf-inprog" Notice,
    /// A replica follows the new master.
    ReconfigurationDone "+slave-reconf-done" Notice,
    /// A replica did not take the new address in time.
    ReconfigurationTimeout "-slave-reconf-sent-timeout" Notice,
    /// A failover ends before all replicas follow.
    FailoverEndForTimeout "+failover-end-for-timeout" Warning,
    /// A failover ends.
    FailoverEnd "+failover-end" Warning,
    /// Clients should use another address.
    SwitchMaster "+switch-master" Warning,
    /// The new address was learned from another sentinel.
    ConfigUpdateFrom "+config-update-from" Warning,
    /// An old master is told to be a replica.
    ConvertToReplica "+convert-to-slave" Notice,
    /// A replica of somebody else is told whom to follow.
    FixReplicaConfig "+fix-slave-config" Notice,
    /// A script failed for good.
    ScriptError "-script-error" Warning,
    /// A script ran for too long.
    ScriptTimeout "-script-timeout" Warning,
    /// The decision over a master was given to this group, although foreign sentinels watch it. Not in Redis.
    TakeOver "+takeover" Warning,
    /// The decision over a master was given back to foreign sentinels. Not in Redis.
    GiveBack "-takeover" Warning,
}

/// The kinds of instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceKind {
    /// A monitored master.
    Master,
    /// A replica.
    Replica,
    /// Another sentinel.
    Sentinel,
}

impl InstanceKind {
    /// Redis's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Replica => "slave",
            Self::Sentinel => "sentinel",
        }
    }
}

/// An instance as events name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// What it is.
    pub kind: InstanceKind,
    /// The master's name, a replica's `host:port`, a sentinel's id.
    pub name: String,
    /// Where it is.
    pub addr: Addr,
    /// Name and address of the master that it belongs to; for the master its own.
    pub master: (String, Addr),
}

impl Instance {
    /// The master itself.
    #[must_use]
    pub fn master(name: &str, addr: &Addr) -> Self {
        let (name, addr) = (name.to_owned(), addr.clone());
        Self { kind: InstanceKind::Master, name: name.clone(), addr: addr.clone(), master: (name, addr) }
    }

    /// A replica of `master`, which is at `primary`.
    #[must_use]
    pub fn replica(replica: &Addr, master: &str, primary: &Addr) -> Self {
        Self {
            kind: InstanceKind::Replica,
            name: replica.to_string(),
            addr: replica.clone(),
            master: (master.to_owned(), primary.clone()),
        }
    }

    /// A sentinel of `master`, which is at `primary`.
    #[must_use]
    pub fn sentinel(id: &SentinelId, addr: &Addr, master: &str, primary: &Addr) -> Self {
        Self {
            kind: InstanceKind::Sentinel,
            name: id.to_string(),
            addr: addr.clone(),
            master: (master.to_owned(), primary.clone()),
        }
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.kind.as_str(), self.name, self.addr.host, self.addr.port)?;
        match self.kind {
            InstanceKind::Master => Ok(()),
            InstanceKind::Replica | InstanceKind::Sentinel => {
                let (name, at) = &self.master;
                write!(f, " @ {name} {} {}", at.host, at.port)
            }
        }
    }
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An instance, and what there is to say of it.
    Instance(Instance, Option<String>),
    /// A master's new address.
    Switch {
        /// The master's name.
        name: String,
        /// The old address.
        from: Addr,
        /// The new one.
        to: Addr,
    },
    /// The epoch of a failover.
    Epoch {
        /// The master's name.
        name: String,
        /// The epoch.
        epoch: Epoch,
    },
    /// The group agreed on who leads a failover.
    Vote {
        /// The master's name.
        name: String,
        /// For whom.
        leader: SentinelId,
        /// In which epoch.
        epoch: Epoch,
    },
    /// Plain words.
    Text(String),
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub kind: Kind,
    /// To whom.
    pub subject: Subject,
}

impl Event {
    /// An event of which its instance says everything.
    #[must_use]
    pub fn of(kind: Kind, instance: Instance) -> Self {
        Self { kind, subject: Subject::Instance(instance, None) }
    }

    /// An event of an instance with a remark.
    #[must_use]
    pub fn noted(kind: Kind, instance: Instance, note: String) -> Self {
        Self { kind, subject: Subject::Instance(instance, Some(note)) }
    }

    /// The channel on which it is published.
    #[must_use]
    pub fn channel(&self) -> &'static str {
        self.kind.channel()
    }

    /// The name of the master that it concerns.
    #[must_use]
    pub fn master_name(&self) -> Option<&str> {
        match &self.subject {
            Subject::Instance(instance, _) => Some(&instance.master.0),
            Subject::Switch { name, .. } | Subject::Epoch { name, .. } | Subject::Vote { name, .. } => {
                Some(name)
            }
            Subject::Text(_) => None,
        }
    }

    /// The message that is published.
    ///
    /// ```
    /// use redkeep_sentinel::core::event::{Event, Instance, Kind};
    /// use redkeep_sentinel::core::ids::Addr;
    ///
    /// let (primary, replica) = (Addr::new("10.0.0.1", 6379), Addr::new("10.0.0.2", 6379));
    /// let event = Event::of(Kind::Replica, Instance::replica(&replica, "mymaster", &primary));
    /// assert_eq!(event.channel(), "+slave");
    /// assert_eq!(event.payload(), "slave 10.0.0.2:6379 10.0.0.2 6379 @ mymaster 10.0.0.1 6379");
    /// ```
    #[must_use]
    pub fn payload(&self) -> String {
        match &self.subject {
            Subject::Instance(instance, None) => instance.to_string(),
            Subject::Instance(instance, Some(note)) => format!("{instance} {note}"),
            Subject::Switch { name, from, to } => {
                format!("{name} {} {} {} {}", from.host, from.port, to.host, to.port)
            }
            Subject::Epoch { epoch, .. } => epoch.to_string(),
            Subject::Vote { leader, epoch, .. } => format!("{leader} {epoch}"),
            Subject::Text(text) => text.clone(),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.channel(), self.payload())
    }
}
