//! What comes in on links.

use super::links::Key;
use super::{Instance, LinkEvent, LinkId, Nature, Node, Output, Pong, Request};
use crate::core::event::{Event, Kind};
use crate::core::ids::{Addr, SentinelId};
use crate::core::info::{Info, Role};

impl Node {
    pub(super) fn heard(&mut self, now: u64, link: LinkId, event: LinkEvent) {
        self.note_link(now, link, &event);
        match self.links.get(&link).cloned() {
            Some(Key::Instance(name, addr)) => {
                self.heard_instance(now, &name, &addr, event);
                self.touched.insert(name);
            }
            Some(Key::Peer(id)) => self.heard_peer(now, id, event),
            None => {}
        }
    }

    fn instance_mut(&mut self, name: &str, addr: &Addr) -> Option<&mut Instance> {
        self.watches.get_mut(name)?.instances.get_mut(addr)
    }

    fn heard_instance(&mut self, now: u64, name: &str, addr: &Addr, event: LinkEvent) {
        match event {
            LinkEvent::Connected { .. } => {
                self.ping_instance(now, name, addr);
                self.ask_info(now, name, addr);
                self.hello_instance(now, name, addr);
            }
            LinkEvent::Pong(pong) => self.heard_pong(name, addr, pong),
            LinkEvent::Info(Some(text)) => self.heard_info(now, name, addr, &text),
            LinkEvent::Role(role) => self.heard_role(now, name, addr, role),
            LinkEvent::Hello(text) => self.hello(now, &text),
            LinkEvent::Followed(_) => self.ask_info(now, name, addr),
            LinkEvent::Info(None) | LinkEvent::Lost(_) | LinkEvent::Group(_) | LinkEvent::Acknowledged => {}
        }
    }

    fn heard_pong(&mut self, name: &str, addr: &Addr, pong: Pong) {
        let Some(instance) = self.instance_mut(name, addr) else { return };
        match pong {
            Pong::Pong => {
                instance.rebooted_at = None;
                instance.script_kill_sent = false;
            }
            Pong::Alive => instance.script_kill_sent = false,
            Pong::Busy if instance.verdict.is_down() && !instance.script_kill_sent => {
                instance.script_kill_sent = true;
                let link = instance.link.id;
                self.send(link, Request::KillScript);
            }
            Pong::Busy | Pong::Unacceptable => {}
        }
    }

    fn heard_info(&mut self, now: u64, name: &str, addr: &Addr, text: &str) {
        let info = Info::parse(text);
        let found = info.replicas.clone();
        let role = info.role;
        let reboots = self.topology.masters.get(name).is_some_and(|master| {
            master.primary() == addr && master.settings.master_reboot_down_after_ms != 0
        });
        let Some(instance) = self.instance_mut(name, addr) else { return };
        let rebooted =
            !instance.run_id.is_empty() && !info.run_id.is_empty() && instance.run_id != info.run_id;
        instance.restarted |= rebooted;
        if rebooted && reboots {
            instance.rebooted_at = Some(now);
        }
        if !info.run_id.is_empty() {
            instance.run_id.clone_from(&info.run_id);
        }
        instance.info = info;
        instance.info_at = Some(now);
        instance.info_text = Some(text.into());
        if rebooted {
            self.announce_instance(Kind::Reboot, name, addr);
        }
        if let Some(role) = role {
            self.heard_role(now, name, addr, role);
        }
        if role == Some(Role::Master) {
            self.found_replicas(now, name, addr, found);
        }
    }

    fn heard_role(&mut self, now: u64, name: &str, addr: &Addr, role: Role) {
        let Some(master) = self.topology.masters.get(name) else { return };
        let configured = if master.primary() == addr { Role::Master } else { Role::Replica };
        let Some(instance) = self.instance_mut(name, addr) else { return };
        instance.role_heard_at = Some(now);
        if instance.role == role {
            return;
        }
        instance.role = role;
        instance.role_since = now;
        let kind = if role == configured { Kind::RoleChange } else { Kind::RoleMismatch };
        if let Some(described) = self.describe(name, addr) {
            let note = format!("new reported role is {}", role.as_str());
            self.out.push(Output::Announce(Event::noted(kind, described, note)));
        }
    }

    fn heard_peer(&mut self, now: u64, id: SentinelId, event: LinkEvent) {
        match event {
            LinkEvent::Connected { .. } => {
                self.ask_group(now, id);
                self.hello_peer(now, id);
                self.report_to(id);
                self.ping_peer(now, id);
            }
            LinkEvent::Group(answer) => {
                let Some(peer) = self.peers.get_mut(&id) else { return };
                peer.nature = answer.map_or(Nature::Foreign, Nature::Kin);
                self.sight(id);
            }
            LinkEvent::Pong(_) | LinkEvent::Lost(_) => {
                let masters = self.topology.masters.iter();
                let watching = masters.filter(|(_, master)| master.sentinels.contains_key(&id));
                self.touched.extend(watching.map(|(name, _)| name.clone()));
            }
            LinkEvent::Info(_)
            | LinkEvent::Role(_)
            | LinkEvent::Followed(_)
            | LinkEvent::Acknowledged
            | LinkEvent::Hello(_) => {}
        }
    }
}
