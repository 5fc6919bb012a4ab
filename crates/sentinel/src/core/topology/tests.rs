use super::*;

fn id(n: u8) -> SentinelId {
    SentinelId::from_bytes([n; 20])
}

fn addr(port: u16) -> Addr {
    Addr::new("10.0.0.1", port)
}

fn monitored(by: u8, port: u16, quorum: u32) -> Monitored {
    Monitored::new(id(by), "m", addr(port), Settings::new(quorum))
}

fn name() -> String {
    "m".to_owned()
}

/// A master at port 1 with replicas at 2 and 3.
fn topology() -> Topology {
    let mut topology = Topology::default();
    topology.apply(Command::Monitor(monitored(1, 1, 2)));
    for port in [2, 3] {
        topology.apply(Command::ReplicaSeen { name: name(), replica: addr(port) });
    }
    topology
}

fn start(topology: &mut Topology) -> Epoch {
    let base = topology.masters["m"].configuration.epoch;
    let command = Command::StartFailover { name: name(), base, cause: Cause::Down, leader: id(1) };
    assert!(changed(topology.apply(command)));
    topology.epoch
}

fn promote(topology: &mut Topology, epoch: Epoch, port: u16) {
    let candidate = addr(port);
    assert!(changed(topology.apply(Command::Selected { name: name(), epoch, candidate: candidate.clone() })));
    assert!(changed(topology.apply(Command::Promoted { name: name(), epoch, candidate })));
}

fn changed(applied: Applied) -> bool {
    matches!(applied, Applied::Changed(changes) if !changes.is_empty())
}

fn holds_already(applied: Applied) -> bool {
    applied == Applied::Changed(Vec::new())
}

#[test]
fn monitor_given_to_each_sentinel_in_turn_is_one_entry() {
    let mut topology = Topology::default();
    assert!(changed(topology.apply(Command::Monitor(monitored(1, 1, 2)))));
    assert!(holds_already(topology.apply(Command::Monitor(monitored(2, 1, 2)))));
    for again in [monitored(1, 1, 2), monitored(3, 9, 2), monitored(3, 1, 9)] {
        assert_eq!(topology.apply(Command::Monitor(again)), Applied::Refused(Refusal::Duplicate));
    }
    assert_eq!(topology.masters["m"].told, BTreeSet::from([id(1), id(2)]));
}

#[test]
fn remove_given_to_each_sentinel_in_turn_is_one_removal() {
    let mut topology = topology();
    let mut remove = |by| topology.apply(Command::Remove { by: id(by), name: name() });
    assert!(changed(remove(1)));
    assert!(holds_already(remove(2)));
    assert_eq!(remove(2), Applied::Refused(Refusal::NoSuchMaster));
    assert_eq!(remove(1), Applied::Refused(Refusal::NoSuchMaster));
}

#[test]
fn an_old_file_does_not_bring_a_removed_master_back_but_monitor_does() {
    let mut topology = topology();
    topology.apply(Command::Remove { by: id(1), name: name() });
    assert!(holds_already(topology.apply(Command::Seed(monitored(2, 1, 2)))));
    assert!(topology.masters.is_empty());
    assert!(changed(topology.apply(Command::Monitor(monitored(2, 1, 2)))));
    assert!(topology.removed.is_empty());
}

#[test]
fn a_seed_does_not_touch_what_the_group_knows() {
    let mut topology = topology();
    let epoch = start(&mut topology);
    promote(&mut topology, epoch, 2);
    assert!(holds_already(topology.apply(Command::Seed(monitored(2, 1, 5)))));
    assert_eq!(topology.masters["m"].primary(), &addr(2));
    assert_eq!(topology.masters["m"].settings.quorum, 2);
}

#[test]
fn a_failover_goes_through_its_stages() {
    let mut topology = topology();
    let epoch = start(&mut topology);
    promote(&mut topology, epoch, 2);
    let master = &topology.masters["m"];
    assert_eq!(master.configuration, Configuration { epoch, primary: addr(2) });
    assert_eq!(master.replicas, BTreeSet::from([addr(1), addr(3)]));
    let sent = |progress| Command::Reconfigured { name: name(), epoch, replica: addr(3), progress };
    assert!(changed(topology.apply(sent(Reconfiguration::Sent))));
    assert!(changed(topology.apply(sent(Reconfiguration::Done))));
    assert!(holds_already(topology.apply(sent(Reconfiguration::InProgress))), "progress never goes back");
    assert!(changed(topology.apply(Command::End { name: name(), epoch, reason: EndReason::Complete })));
    assert_eq!(topology.masters["m"].failover, None);
}

#[test]
fn two_leaders_cannot_start_the_same_failover() {
    let mut topology = topology();
    let base = topology.masters["m"].configuration.epoch;
    let by = |leader| Command::StartFailover { name: name(), base, cause: Cause::Down, leader: id(leader) };
    assert!(changed(topology.apply(by(1))));
    assert_eq!(topology.apply(by(2)), Applied::Refused(Refusal::InProgress));
    let epoch = topology.epoch;
    promote(&mut topology, epoch, 2);
    topology.apply(Command::End { name: name(), epoch, reason: EndReason::Complete });
    assert_eq!(topology.apply(by(2)), Applied::Refused(Refusal::Stale), "it looked before the switch");
}

#[test]
fn commands_of_an_earlier_failover_are_refused() {
    let mut topology = topology();
    let old = start(&mut topology);
    topology.apply(Command::Abort { name: name(), epoch: old, reason: AbortReason::NoGoodReplica });
    let new = start(&mut topology);
    assert!(new > old);
    let before = topology.clone();
    for late in [
        Command::Selected { name: name(), epoch: old, candidate: addr(2) },
        Command::Promoted { name: name(), epoch: old, candidate: addr(2) },
        Command::Rejected { name: name(), epoch: old, candidate: addr(2) },
        Command::End { name: name(), epoch: old, reason: EndReason::Complete },
        Command::Abort { name: name(), epoch: old, reason: AbortReason::ReplicaTimeout },
    ] {
        assert_eq!(topology.apply(late), Applied::Refused(Refusal::Stale));
    }
    assert_eq!(topology, before);
}

#[test]
fn a_candidate_that_failed_is_not_chosen_again() {
    let mut topology = topology();
    let epoch = start(&mut topology);
    let select = |port| Command::Selected { name: name(), epoch, candidate: addr(port) };
    topology.apply(select(2));
    assert_eq!(topology.apply(select(3)), Applied::Refused(Refusal::Stale), "one at a time");
    assert!(changed(topology.apply(Command::Rejected { name: name(), epoch, candidate: addr(2) })));
    assert_eq!(topology.apply(select(2)), Applied::Refused(Refusal::Stale));
    assert!(changed(topology.apply(select(3))));
    assert_eq!(topology.apply(select(9)), Applied::Refused(Refusal::NoSuchReplica));
}

#[test]
fn a_promotion_cannot_be_taken_back() {
    let mut topology = topology();
    let epoch = start(&mut topology);
    promote(&mut topology, epoch, 2);
    let abort = Command::Abort { name: name(), epoch, reason: AbortReason::ReplicaTimeout };
    assert_eq!(topology.apply(abort), Applied::Refused(Refusal::Stale));
}

#[test]
fn reset_forgets_replicas_and_never_a_voter() {
    let mut topology = topology();
    for n in [1, 2] {
        let seen = Command::SentinelSeen { name: name(), id: id(n), address: addr(26000 + u16::from(n)) };
        assert!(changed(topology.apply(seen)));
    }
    let voters = BTreeSet::from([id(1)]);
    let reset = Command::Reset { names: vec![name()], voters };
    let epoch = start(&mut topology);
    assert_eq!(topology.apply(reset.clone()), Applied::Refused(Refusal::InProgress));
    topology.apply(Command::Abort { name: name(), epoch, reason: AbortReason::NoGoodReplica });
    assert!(changed(topology.apply(reset)));
    let master = &topology.masters["m"];
    assert!(master.replicas.is_empty() && master.failover.is_none());
    assert_eq!(master.sentinels.keys().collect::<Vec<_>>(), [&id(1)]);
}

#[test]
fn a_sentinel_is_its_id_and_not_its_address() {
    let mut topology = topology();
    let mut seen = |n, port| match topology.apply(Command::SentinelSeen {
        name: name(),
        id: id(n),
        address: addr(port),
    }) {
        Applied::Changed(changes) => changes,
        Applied::Refused(refusal) => panic!("{refusal}"),
    };
    assert_eq!(seen(1, 10), [Change::SentinelAdded { name: name(), id: id(1) }]);
    assert_eq!(seen(1, 10), []);
    assert_eq!(seen(1, 11), [Change::SentinelMoved { name: name(), id: id(1) }]);
    let lost = Change::SentinelAddressLost { name: name(), id: id(1), address: addr(11) };
    assert_eq!(seen(2, 11), [lost, Change::SentinelAdded { name: name(), id: id(2) }]);
    assert_eq!(topology.masters["m"].sentinels[&id(1)].port, 0);
    topology.apply(Command::SentinelGone { id: id(1) });
    assert_eq!(topology.masters["m"].sentinels.len(), 1);
}

#[test]
fn the_master_is_not_its_own_replica() {
    let mut topology = topology();
    assert!(holds_already(topology.apply(Command::ReplicaSeen { name: name(), replica: addr(1) })));
    let forget = |port| Command::Forget { name: name(), replica: addr(port) };
    assert!(changed(topology.apply(forget(3))));
    assert_eq!(topology.apply(forget(1)), Applied::Refused(Refusal::NoSuchReplica));
    let epoch = start(&mut topology);
    topology.apply(Command::Selected { name: name(), epoch, candidate: addr(2) });
    assert_eq!(topology.apply(forget(2)), Applied::Refused(Refusal::InProgress));
}

#[test]
fn foreign_sentinels_are_followed_forwards_only() {
    let mut topology = topology();
    let follow = |epoch, port| Command::Follow {
        name: name(),
        epoch: Epoch(epoch),
        primary: addr(port),
        by: id(9),
        at: addr(26379),
    };
    assert!(changed(topology.apply(follow(5, 3))));
    assert_eq!((topology.epoch, topology.masters["m"].primary()), (Epoch(5), &addr(3)));
    assert_eq!(topology.apply(follow(5, 2)), Applied::Refused(Refusal::Stale));
    assert!(holds_already(topology.apply(follow(6, 3))));
    assert_eq!(topology.masters["m"].configuration.epoch, Epoch(6));
    start(&mut topology);
    assert_eq!(topology.apply(follow(9, 2)), Applied::Refused(Refusal::InProgress));
    assert_eq!(topology.epoch, Epoch(7));
}

#[test]
fn what_strangers_can_fill_is_bounded() {
    let mut topology = topology();
    for port in 1..=u16::try_from(2 * apply::MAX_REPLICAS).unwrap() {
        topology.apply(Command::ReplicaSeen { name: name(), replica: addr(port) });
    }
    assert_eq!(topology.masters["m"].replicas.len(), apply::MAX_REPLICAS);
    for n in 0..2 * apply::MAX_SENTINELS {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        let address = addr(u16::try_from(n).unwrap());
        topology.apply(Command::SentinelSeen { name: name(), id: SentinelId::from_bytes(bytes), address });
    }
    assert_eq!(topology.masters["m"].sentinels.len(), apply::MAX_SENTINELS);
}

#[test]
fn an_epoch_that_was_made_up_is_refused() {
    let mut topology = topology();
    let follow = |epoch| Command::Follow {
        name: name(),
        epoch: Epoch(epoch),
        primary: addr(2),
        by: id(9),
        at: addr(9),
    };
    for epoch in [u64::MAX, (1 << 20) + 1] {
        assert_eq!(topology.apply(follow(epoch)), Applied::Refused(Refusal::ImplausibleEpoch));
    }
    let seed = Monitored { epoch: Epoch(u64::MAX), name: "other".into(), ..monitored(1, 1, 2) };
    assert_eq!(topology.apply(Command::Seed(seed)), Applied::Refused(Refusal::ImplausibleEpoch));
    assert!(changed(topology.apply(follow(1 << 20))));
}

#[test]
fn after_the_last_epoch_nothing_fails_over() {
    let mut topology = topology();
    topology.epoch = Epoch(u64::MAX);
    let command = Command::StartFailover { name: name(), base: Epoch(0), cause: Cause::Down, leader: id(1) };
    assert_eq!(topology.apply(command), Applied::Refused(Refusal::ImplausibleEpoch));
}

#[test]
fn a_promotion_under_an_old_epoch_changes_nothing() {
    let mut topology = topology();
    let epoch = start(&mut topology);
    let candidate = addr(2);
    topology.apply(Command::Selected { name: name(), epoch, candidate: candidate.clone() });
    topology.masters.get_mut("m").unwrap().configuration.epoch = epoch;
    let before = topology.clone();
    let promoted = Command::Promoted { name: name(), epoch, candidate };
    assert_eq!(topology.apply(promoted), Applied::Refused(Refusal::Stale));
    assert_eq!(topology, before);
}
