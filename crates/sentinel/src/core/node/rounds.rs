//! What is sent from time to time: PING, INFO, hello, and our views to the other sentinels.

use super::{LinkId, MAX_REPORTED, Nature, Node, Output, Request, STALL_MS, TICK_MS};
use crate::core::event::{Event, Kind, Subject};
use crate::core::hello::Hello;
use crate::core::ids::{Addr, SentinelId};

/// INFO of replicas while the master is down, is being replaced, or cannot be reached by one of them, ms.
const INFO_PERIOD_IN_TROUBLE_MS: u64 = 1000;

impl Node {
    /// Time during which this process stood still counts for nobody's silence.
    pub(super) fn notice_stall(&mut self, now: u64) {
        let gap = now.saturating_sub(self.last_step);
        self.last_step = now;
        if gap > STALL_MS {
            let ms = gap - TICK_MS;
            let instances = self.watches.values_mut().flat_map(|watch| watch.instances.values_mut());
            instances.for_each(|instance| instance.link.detector.stalled(now, ms));
            self.peers.values_mut().for_each(|peer| peer.link.detector.stalled(now, ms));
        }
        let text = |text: &str| Subject::Text(text.to_owned());
        if gap > self.timings.tilt_trigger_ms {
            if self.tilt_since.replace(now).is_none() {
                let subject = text("#tilt mode entered");
                self.out.push(Output::Announce(Event { kind: Kind::Tilt, subject }));
            }
        } else if self.tilt_since.is_some_and(|since| now.saturating_sub(since) > self.timings.tilt_period_ms)
        {
            self.tilt_since = None;
            let subject = text("#tilt mode exited");
            self.out.push(Output::Announce(Event { kind: Kind::TiltOver, subject }));
        }
    }

    pub(super) fn rounds(&mut self, now: u64) {
        let instances = self
            .watches
            .iter()
            .flat_map(|(name, watch)| watch.instances.keys().map(move |addr| (name.clone(), addr.clone())));
        for (name, addr) in instances.collect::<Vec<_>>() {
            self.round_of_instance(now, &name, &addr);
        }
        let peers: Vec<SentinelId> = self.peers.keys().copied().collect();
        let hello = now.saturating_sub(self.last_hello_to_peers) >= self.timings.hello_period_ms;
        if hello {
            self.last_hello_to_peers = now;
        }
        for id in peers {
            self.round_of_peer(now, id, hello);
        }
        if now.saturating_sub(self.last_report) >= self.timings.report_period_ms {
            self.report(now);
        }
    }

    fn round_of_instance(&mut self, now: u64, name: &str, addr: &Addr) {
        let down_after_ms = self.topology.masters[name].settings.down_after_ms;
        let (ping_period, info_period) = (self.ping_period(down_after_ms), self.info_period(name, addr));
        let Some(instance) = self.watches[name].instances.get(addr) else { return };
        let link = &instance.link;
        if link.detector.wants_reconnect(now, down_after_ms, self.timings.min_link_reconnect_ms) {
            return self.out.push(Output::Reconnect(link.id));
        }
        let due = |at: Option<u64>, period: u64| at.is_none_or(|at| now.saturating_sub(at) >= period);
        let info_due = due(link.info_asked_at, info_period);
        let hello_due = due(link.hello_at, self.timings.hello_period_ms);
        if link.detector.wants_ping(now, ping_period) {
            self.ping_instance(now, name, addr);
        }
        if info_due {
            self.ask_info(now, name, addr);
        }
        if hello_due {
            self.hello_instance(now, name, addr);
        }
    }

    fn ping_period(&self, down_after_ms: u64) -> u64 {
        down_after_ms.min(self.timings.ping_period_ms)
    }

    fn info_period(&self, name: &str, addr: &Addr) -> u64 {
        let (master, watch) = (&self.topology.masters[name], &self.watches[name]);
        let trouble = master.failover.is_some() || watch.odown_since.is_some();
        let cut_off = watch.instances.get(addr).is_some_and(|replica| replica.info.link_down_ms != Some(0));
        if master.primary() != addr && (trouble || cut_off) {
            self.timings.info_period_ms.min(INFO_PERIOD_IN_TROUBLE_MS)
        } else {
            self.timings.info_period_ms
        }
    }

    fn round_of_peer(&mut self, now: u64, id: SentinelId, hello: bool) {
        let masters = self.topology.masters.values().filter(|master| master.sentinels.contains_key(&id));
        let Some(down_after_ms) = masters.map(|master| master.settings.down_after_ms).min() else { return };
        let period = self.ping_period(down_after_ms);
        let Some(peer) = self.peers.get(&id) else { return };
        let detector = &peer.link.detector;
        if detector.wants_reconnect(now, down_after_ms, self.timings.min_link_reconnect_ms) {
            return self.out.push(Output::Reconnect(peer.link.id));
        }
        let unsettled = match peer.nature {
            Nature::Unknown | Nature::Kin(None) => true,
            Nature::Kin(Some(_)) | Nature::Foreign => false,
        };
        let asked_lately =
            peer.group_asked_at.is_some_and(|at| now.saturating_sub(at) < self.timings.hello_period_ms);
        if detector.wants_ping(now, period) {
            self.ping_peer(now, id);
        }
        if unsettled && !asked_lately {
            self.ask_group(now, id);
        }
        if hello {
            self.hello_peer(now, id);
        }
    }

    pub(super) fn ping_instance(&mut self, now: u64, name: &str, addr: &Addr) {
        if let Some(link) = self.instance_link(name, addr) {
            self.ping(now, link);
        }
    }

    pub(super) fn ping_peer(&mut self, now: u64, id: SentinelId) {
        if let Some(link) = self.peers.get(&id).map(|peer| peer.link.id) {
            self.ping(now, link);
        }
    }

    fn ping(&mut self, now: u64, link: LinkId) {
        if self.send(link, Request::Ping)
            && let Some(state) = self.link_mut(link)
        {
            state.detector.pinged(now);
        }
    }

    /// Asks for INFO, unless an answer is under way.
    pub(super) fn ask_info(&mut self, now: u64, name: &str, addr: &Addr) {
        let Some(link) = self.instance_link(name, addr) else { return };
        let pending = self.link_mut(link).is_none_or(|state| state.info_pending);
        if !pending
            && self.send(link, Request::Info)
            && let Some(state) = self.link_mut(link)
        {
            state.info_pending = true;
            state.info_asked_at = Some(now);
        }
    }

    pub(super) fn ask_group(&mut self, now: u64, id: SentinelId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.group_asked_at = Some(now);
        let link = peer.link.id;
        self.send(link, Request::Group);
    }

    pub(super) fn hello_instance(&mut self, now: u64, name: &str, addr: &Addr) {
        let Some(link) = self.instance_link(name, addr) else { return };
        if let Some(text) = self.hello_text(link, name)
            && self.send(link, Request::Hello(text))
            && let Some(state) = self.link_mut(link)
        {
            state.hello_at = Some(now);
        }
    }

    pub(super) fn hello_peer(&mut self, _now: u64, id: SentinelId) {
        let Some(link) = self.peers.get(&id).map(|peer| peer.link.id) else { return };
        let masters = self.topology.masters.iter().filter(|(_, master)| master.sentinels.contains_key(&id));
        let names: Vec<String> = masters.map(|(name, _)| name.clone()).collect();
        for name in names {
            if let Some(text) = self.hello_text(link, &name) {
                self.send(link, Request::Hello(text));
            }
        }
    }

    fn hello_text(&mut self, link: LinkId, name: &str) -> Option<String> {
        let local_host = self.link_mut(link)?.local_host.clone()?;
        let master = self.topology.masters.get(name)?;
        let identity = &self.identity;
        let host = identity.announce_host.clone().unwrap_or(local_host);
        let hello = Hello {
            from: Addr::new(host, identity.announce_port.unwrap_or(identity.port)),
            id: identity.id,
            epoch: self.topology.epoch,
            master: name.to_owned(),
            address: master.primary().clone(),
            config_epoch: master.configuration.epoch,
        };
        Some(hello.to_string())
    }

    /// Tells all other sentinels which masters we see down.
    pub(super) fn report(&mut self, now: u64) {
        self.last_report = now;
        let peers: Vec<SentinelId> = self.peers.keys().copied().collect();
        peers.into_iter().for_each(|id| self.report_to(id));
    }

    pub(super) fn report_to(&mut self, id: SentinelId) {
        let Some(peer) = self.peers.get(&id) else { return };
        if peer.nature == Nature::Foreign {
            return;
        }
        let link = peer.link.id;
        let down = self.topology.masters.iter().filter_map(|(name, master)| {
            let instance = self.watches.get(name)?.instances.get(master.primary())?;
            instance.verdict.is_down().then(|| (name.clone(), master.primary().clone()))
        });
        let down = down.take(MAX_REPORTED).collect();
        self.send(link, Request::Report(down));
    }

    pub(super) fn instance_link(&self, name: &str, addr: &Addr) -> Option<LinkId> {
        Some(self.watches.get(name)?.instances.get(addr)?.link.id)
    }
}
