//! SENTINEL subcommands that only look.

use std::fmt::Write as _;

use super::{Call, Outcome};
use crate::api::maps::{Fields, View};
use crate::api::pending::{Answer, Work};
use crate::core::ids::Epoch;
use crate::core::node::{Nature, Node};

pub(super) const NO_SUCH_MASTER: &str = "ERR No such master with that name";

pub(super) fn my_id(call: &mut Call<'_, '_>) -> Outcome {
    let id = call.api.shared.node.lock().identity().id;
    call.reply.bulk_str(&id.to_string());
    Outcome::Done
}

fn write_map(call: &mut Call<'_, '_>, fields: &Fields) {
    call.reply.map(fields.len());
    for (field, value) in fields {
        call.reply.bulk_str(field);
        call.reply.bulk_str(value);
    }
}

fn write_maps(call: &mut Call<'_, '_>, maps: &[Fields]) -> Outcome {
    call.reply.array(maps.len());
    maps.iter().for_each(|fields| write_map(call, fields));
    Outcome::Done
}

/// The fields of a master, with the scripts that this sentinel runs for it.
fn master_fields(call: &Call<'_, '_>, node: &Node, name: &str) -> Option<Fields> {
    let mut fields = View::of(node, call.api.shared.now_ms(), name)?.master()?;
    let local = call.api.shared.local.read();
    let scripts = local.masters.get(name);
    let notification = scripts.and_then(|scripts| scripts.notification_script.as_ref());
    let reconfig = scripts.and_then(|scripts| scripts.client_reconfig_script.as_ref());
    fields.extend(notification.map(|path| ("notification-script", path.display().to_string())));
    fields.extend(reconfig.map(|path| ("client-reconfig-script", path.display().to_string())));
    Some(fields)
}

pub(super) fn masters(call: &mut Call<'_, '_>) -> Outcome {
    let node = call.api.shared.node.lock();
    let maps: Vec<Fields> =
        node.topology().masters.keys().filter_map(|name| master_fields(call, &node, name)).collect();
    write_maps(call, &maps)
}

pub(super) fn master(call: &mut Call<'_, '_>) -> Outcome {
    let node = call.api.shared.node.lock();
    match master_fields(call, &node, &call.text(2)) {
        Some(fields) => write_map(call, &fields),
        None => return call.error(NO_SUCH_MASTER),
    }
    Outcome::Done
}

pub(super) fn replicas(call: &mut Call<'_, '_>) -> Outcome {
    maps_of(call, |view| view.replicas())
}

pub(super) fn sentinels(call: &mut Call<'_, '_>) -> Outcome {
    maps_of(call, |view| view.sentinels())
}

fn maps_of(call: &mut Call<'_, '_>, maps: impl Fn(&View<'_>) -> Vec<Fields>) -> Outcome {
    let node = call.api.shared.node.lock();
    let name = call.text(2);
    match View::of(&node, call.api.shared.now_ms(), &name) {
        Some(view) => write_maps(call, &maps(&view)),
        None => call.error(NO_SUCH_MASTER),
    }
}

pub(super) fn address(call: &mut Call<'_, '_>) -> Outcome {
    let node = call.api.shared.node.lock();
    match node.topology().masters.get(&*call.text(2)) {
        Some(master) => {
            call.reply.array(2);
            call.reply.bulk_str(&master.primary().host);
            call.reply.bulk_str(&master.primary().port.to_string());
        }
        None => call.reply.null_array(),
    }
    Outcome::Done
}

/// Our own view of an address; and our vote, if a foreign sentinel asks for it and the master is one that this group only
/// observes. In the group Raft votes.
pub(super) fn is_down(call: &mut Call<'_, '_>) -> Outcome {
    let port = redkeep_resp::parse_integer(call.args[3]);
    let epoch = redkeep_resp::parse_integer(call.args[4]);
    let (Some(port), Some(epoch)) = (port, epoch) else { return call.not_an_integer() };
    let host = call.text(2);
    let node = call.api.shared.node.lock();
    let asked = node
        .topology()
        .masters
        .iter()
        .find(|(_, master)| master.primary().host == host && i64::from(master.primary().port) == port);
    let instance = asked.and_then(|(name, master)| node.watch(name)?.instances.get(master.primary()));
    let down = instance.is_some_and(|instance| instance.verdict.is_down());
    let candidate = call.text(5).to_ascii_lowercase().parse();
    if let (Some((name, _)), Ok(candidate), Ok(epoch)) = (asked, candidate, u64::try_from(epoch))
        && node.is_observing(call.api.shared.now_ms(), name)
    {
        let (name, epoch) = (name.clone(), Epoch(epoch));
        return Outcome::later(Work::Vote { name, down, epoch, candidate });
    }
    Answer::View(down, None).write(&mut call.reply);
    Outcome::Done
}

/// The quorum is counted among the sentinels of this master, the majority among the voters of the group.
pub(super) fn check_quorum(call: &mut Call<'_, '_>) -> Outcome {
    let voters = call.api.shared.group.status().voters;
    let node = call.api.shared.node.lock();
    let Some(master) = node.topology().masters.get(&*call.text(2)) else { return call.error(NO_SUCH_MASTER) };
    let Some(watch) = node.watch(&call.text(2)) else { return call.error(NO_SUCH_MASTER) };
    let me = node.identity().id;
    let is_usable = |id| {
        let peer = node.peers().get(id);
        let answers =
            peer.is_some_and(|peer| peer.link.detector.is_connected() && peer.nature != Nature::Foreign);
        *id == me || (answers && !watch.sentinels.get(id).is_some_and(|verdict| verdict.is_down()))
    };
    let others = master.sentinels.keys().filter(|id| **id != me);
    let usable = 1 + others.filter(|id| is_usable(id)).count();
    let voting = voters.iter().filter(|voter| is_usable(&voter.public_id)).count();
    let mut problems = Vec::new();
    if usable < master.settings.quorum as usize {
        problems.push("Not enough available Sentinels to reach the specified quorum for this master");
    }
    if voting < voters.len() / 2 + 1 {
        problems.push("Not enough available Sentinels to reach the majority and authorize a failover");
    }
    if problems.is_empty() {
        call.reply.simple(&format!(
            "OK {usable} usable Sentinels. Quorum and failover authorization can be reached"
        ));
        return Outcome::Done;
    }
    call.error(format!("NOQUORUM {usable} usable Sentinels. {}", problems.join(". ")))
}

pub(super) fn info_cache(call: &mut Call<'_, '_>) -> Outcome {
    let now = call.api.shared.now_ms();
    let node = call.api.shared.node.lock();
    let asked: Vec<String> = (2..call.args.len()).map(|index| call.text(index).into_owned()).collect();
    let known = node.topology().masters.iter().filter(|(name, _)| asked.contains(name));
    let known: Vec<_> = known.filter_map(|(name, master)| Some((name, master, node.watch(name)?))).collect();
    call.reply.array(known.len() * 2);
    for (name, master, watch) in known {
        call.reply.bulk_str(name);
        let addrs = || [master.primary()].into_iter().chain(&master.replicas);
        call.reply.array(addrs().filter(|addr| watch.instances.contains_key(*addr)).count());
        for instance in addrs().filter_map(|addr| watch.instances.get(addr)) {
            call.reply.array(2);
            call.reply.integer(i64::try_from(instance.info_age_ms(now).unwrap_or(0)).unwrap_or(i64::MAX));
            match &instance.info_text {
                Some(text) => call.reply.bulk_str(text),
                None => call.reply.null(),
            }
        }
    }
    Outcome::Done
}

pub(super) fn pending_scripts(call: &mut Call<'_, '_>) -> Outcome {
    let jobs = call.api.scripts.snapshot();
    call.reply.array(jobs.len());
    for job in jobs {
        let (flags, pid, time, millis) = match job.running {
            Some((since, pid)) => ("running", pid, "run-time", since.elapsed().as_millis()),
            None => ("scheduled", 0, "run-delay", job.delay().as_millis()),
        };
        call.reply.map(5);
        call.reply.bulk_str("argv");
        call.reply.array(job.argv.len());
        job.argv.iter().for_each(|arg| call.reply.bulk_str(arg));
        for (field, value) in [
            ("flags", flags.to_owned()),
            ("pid", pid.to_string()),
            (time, millis.to_string()),
            ("retry-num", job.retries().to_string()),
        ] {
            call.reply.bulk_str(field);
            call.reply.bulk_str(&value);
        }
    }
    Outcome::Done
}

/// The lines `masterN:` of INFO.
pub(super) fn master_lines(node: &Node) -> String {
    let mut lines = String::new();
    for (index, (name, master)) in node.topology().masters.iter().enumerate() {
        let watch = node.watch(name);
        let instance = watch.and_then(|watch| watch.instances.get(master.primary()));
        let status = if watch.is_some_and(|watch| watch.odown_since.is_some()) {
            "odown"
        } else if instance.is_some_and(|instance| instance.verdict.is_down()) {
            "sdown"
        } else {
            "ok"
        };
        let me = node.identity().id;
        let sentinels = 1 + master.sentinels.keys().filter(|id| **id != me).count();
        // Writing to a String cannot fail.
        let _ = write!(
            lines,
            "master{index}:name={name},status={status},address={},slaves={},sentinels={sentinels}\r\n",
            master.primary(),
            master.replicas.len(),
        );
    }
    lines
}
