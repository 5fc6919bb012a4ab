//! SENTINEL subcommands that change what is monitored, or who is the master.

use redkeep_resp::glob;

use super::query::NO_SUCH_MASTER;
use super::{Call, Outcome};
use crate::api::pending::{Answer, Work};
use crate::core::ids::Addr;
use crate::core::topology::{Cause, Command, Settings};

pub(super) fn monitor(call: &mut Call<'_, '_>) -> Outcome {
    let Some(quorum) = redkeep_resp::parse_integer(call.args[5]) else {
        return call.error("ERR Invalid quorum");
    };
    let Some(port) = redkeep_resp::parse_integer(call.args[4]) else { return call.error("ERR Invalid port") };
    if quorum <= 0 {
        return call.error("ERR Quorum must be 1 or greater.");
    }
    let Ok(quorum) = u32::try_from(quorum) else { return call.error("ERR Invalid quorum") };
    let Ok(port) = u16::try_from(port) else { return call.error("ERR Invalid port number") };
    let timings = call.api.shared.node.lock().timings();
    let settings = Settings {
        down_after_ms: timings.default_down_after_ms,
        failover_timeout_ms: timings.default_failover_timeout_ms,
        ..Settings::new(quorum)
    };
    let (name, host) = (call.text(2).into_owned(), call.text(3).into_owned());
    Outcome::later(Work::Monitor { name, host, port, settings })
}

pub(super) fn remove(call: &mut Call<'_, '_>) -> Outcome {
    let by = call.api.shared.node.lock().identity().id;
    Outcome::later(Work::Commit(Command::Remove { by, name: call.text(2).into_owned() }, Answer::Ok))
}

pub(super) fn reset(call: &mut Call<'_, '_>) -> Outcome {
    let node = call.api.shared.node.lock();
    let names = node.topology().masters.keys().filter(|name| glob::matches(call.args[2], name.as_bytes()));
    let names: Vec<String> = names.cloned().collect();
    let voters = call.api.shared.group.status().voters.iter().map(|voter| voter.public_id).collect();
    let count = i64::try_from(names.len()).unwrap_or(i64::MAX);
    if names.is_empty() {
        call.reply.integer(0);
        return Outcome::Done;
    }
    Outcome::later(Work::Commit(Command::Reset { names, voters }, Answer::Integer(count)))
}

pub(super) fn failover(call: &mut Call<'_, '_>) -> Outcome {
    let name = call.text(2).into_owned();
    let node = call.api.shared.node.lock();
    let Some(master) = node.topology().masters.get(&name) else { return call.error(NO_SUCH_MASTER) };
    if master.failover.is_some() {
        return call.error("INPROG Failover already in progress");
    }
    if !node.has_good_replica(call.api.shared.now_ms(), &name) {
        return call.error("NOGOODSLAVE No suitable replica to promote");
    }
    if !call.api.shared.is_grouped() {
        return call.error("NOQUORUM the sentinels are still looking for each other");
    }
    let leader = call.api.shared.group.leader().map_or(node.identity().id, |member| member.public_id);
    let (base, cause) = (master.configuration.epoch, Cause::Forced);
    Outcome::later(Work::Commit(Command::StartFailover { name, base, cause, leader }, Answer::Ok))
}

pub(super) fn flush(call: &mut Call<'_, '_>) -> Outcome {
    call.ok()
}

/// `FORGET name ip port` a replica, `FORGET id` a sentinel.
pub(super) fn forget(call: &mut Call<'_, '_>) -> Outcome {
    match call.args.len() {
        3 => match call.text(2).parse() {
            Ok(id) => Outcome::later(Work::Forget(id)),
            Err(_) => call.error("ERR Invalid sentinel id"),
        },
        5 => {
            let Ok(port) = call.text(4).parse() else { return call.error("ERR Invalid port") };
            let replica = Addr::new(call.text(3), port);
            let name = call.text(2).into_owned();
            Outcome::later(Work::Commit(Command::Forget { name, replica }, Answer::Ok))
        }
        _ => call.wrong_arity("sentinel|forget"),
    }
}

pub(super) fn take_over(call: &mut Call<'_, '_>) -> Outcome {
    let taken_over = call.is(3, "on");
    if !taken_over && !call.is(3, "off") {
        return call.syntax_error();
    }
    let name = call.text(2).into_owned();
    Outcome::later(Work::Commit(Command::TakeOver { name, taken_over }, Answer::Ok))
}
