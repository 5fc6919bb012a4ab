//! REPLICAOF, ROLE, WAIT, and what replicas say: REPLCONF, PSYNC, SYNC.

use redkeep_replication::Request;
use redkeep_replication::core::replica_link::Master;
use redkeep_replication::core::replica_session::{Input, Output, Session as ReplicaSession};

use super::parse::{integer, text};
use super::{
    Args, CommandResult, CommandSpec, Exclusive, Group, Outcome, Sessional, Suspension, command, flag,
};
use crate::error::CommandError;
use crate::repl::{ReplicaRequest, RoleChange, monotonic_ms};

const ADMIN: u32 = flag::ADMIN | flag::NOSCRIPT | flag::STALE;
const LINK: u32 = ADMIN | flag::NO_MULTI;

pub(super) const COMMANDS: &[CommandSpec] = &[
    command("replicaof", 3, Group::Server)
        .flags(ADMIN)
        .doc("5.0.0", "Configures a server as replica of another, or promotes it to a master.")
        .exclusive(replicaof),
    command("slaveof", 3, Group::Server)
        .flags(ADMIN)
        .doc("1.0.0", "Sets a Redis server as a replica of another, or promotes it to being a master.")
        .exclusive(replicaof),
    command("role", 1, Group::Server)
        .flags(flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::ADMIN)
        .doc("2.8.12", "Returns the replication role.")
        .sessional(role),
    command("wait", 3, Group::Generic)
        .flags(flag::BLOCKING)
        .doc("3.0.0", "Blocks until the asynchronous replication of all preceding write commands sent by the connection is completed.")
        .sessional(wait),
    command("replconf", -1, Group::Server)
        .flags(ADMIN | flag::LOADING | flag::ALLOW_BUSY)
        .doc("3.0.0", "An internal command for configuring the replication stream.")
        .sessional(replconf),
    command("psync", -3, Group::Server)
        .flags(LINK)
        .doc("2.8.0", "An internal command used in replication.")
        .sessional(psync),
    command("sync", 1, Group::Server)
        .flags(LINK)
        .doc("1.0.0", "An internal command used in replication.")
        .sessional(sync),
];

fn replicaof(cx: &mut Exclusive<'_>, args: Args<'_>) -> CommandResult {
    let master = if args.is(1, "no") && args.is(2, "one") {
        None
    } else {
        let port = integer(args.get(2)).ok().and_then(|port| u16::try_from(port).ok());
        let port = port.ok_or(CommandError::new("ERR Invalid master port"))?;
        Some(Master { host: text(args.get(1)), port })
    };
    let followed = master.as_ref().map(|master| (master.host.clone(), master.port));
    match cx.engine.replication.change_role(cx.engine, cx.settings, master) {
        RoleChange::Changed => {}
        RoleChange::Already => {
            match followed {
                Some(_) => cx.reply.simple("OK Already connected to specified master"),
                None => cx.reply.ok(),
            }
            return Ok(Outcome::Unchanged);
        }
        RoleChange::Unavailable => {
            return Err(CommandError::new("ERR The role cannot be changed at the moment, please try again"));
        }
    }
    match &followed {
        Some((host, port)) => {
            tracing::info!(
                "REPLICAOF {host}:{port} enabled (user request from '{}')",
                cx.session.client.addr
            );
        }
        None => tracing::info!("MASTER MODE enabled (user request from '{}')", cx.session.client.addr),
    }
    cx.engine.config.update(|settings| settings.replicaof = followed);
    cx.reply.ok();
    Ok(Outcome::Unchanged)
}

fn role(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    let replication = &cx.engine.replication;
    let reply = &mut cx.reply;
    let Some(master) = replication.master() else {
        let online: Vec<_> =
            replication.replicas().into_iter().filter(|replica| replica.state == "online").collect();
        reply.array(3);
        reply.bulk_str("master");
        reply.integer(cx.engine.log.end().0 as i64);
        reply.array(online.len());
        for replica in online {
            reply.array(3);
            reply.bulk_str(&replica.ip);
            reply.bulk_str(&replica.port.to_string());
            reply.bulk_str(&replica.acked.0.to_string());
        }
        return Ok(Outcome::Unchanged);
    };
    let link = replication.link();
    reply.array(5);
    reply.bulk_str("slave");
    reply.bulk_str(&master.host);
    reply.integer(master.port.into());
    reply.bulk_str(link.map_or("connect", |link| link.role_state));
    // What this node holds, which after a lost link is not nothing.
    reply.integer(if cx.engine.log.is_active() { cx.engine.log.end().0 as i64 } else { -1 });
    Ok(Outcome::Unchanged)
}

fn wait(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    if cx.engine.replication.is_replica() {
        return Err(CommandError::new(
            "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is \
             configured to be writable (which is not the default) writes to replicas are just local and are not \
             propagated.",
        ));
    }
    let count = integer(args.get(1))?;
    let count = usize::try_from(count).map_err(|_| CommandError::NOT_INTEGER)?;
    let timeout_ms = timeout(args.get(2))?;
    let offset = cx.session.written_up_to.get();
    let epoch = cx.engine.replication.epoch();
    let in_transaction = cx.session.transaction.is_some();
    let have = cx.engine.replication.acknowledged(offset);
    if have >= count || in_transaction || cx.hold.is_exclusive() {
        cx.reply.integer(have as i64);
        return Ok(Outcome::Unchanged);
    }
    Ok(Outcome::Suspend(Suspension::Replicas { count, offset, epoch, timeout_ms }))
}

fn timeout(word: &[u8]) -> Result<u64, CommandError> {
    match integer(word) {
        Ok(ms) => u64::try_from(ms).map_err(|_| CommandError::new("ERR timeout is negative")),
        Err(_) => Err(CommandError::new("ERR timeout is not an integer or out of range")),
    }
}

fn machine<'s>(cx: &'s mut Sessional<'_>) -> &'s mut ReplicaSession {
    let client = &cx.session.client;
    let ip = client.addr.rsplit_once(':').map(|(ip, _)| ip.to_owned());
    let (id, timeout_ms) = (client.id, cx.settings.repl_timeout.max(1) as u64 * 1000);
    cx.session.replica.get_or_insert_with(|| Box::new(ReplicaSession::new(ip, id, timeout_ms)))
}

fn replconf(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    let now_ms = monotonic_ms(cx.engine);
    let words: Vec<&[u8]> = args.from(1).collect();
    let outputs = machine(cx).step(now_ms, Input::Replconf(&words));
    let mut outcome = Outcome::Unchanged;
    for output in outputs {
        match output {
            Output::Send(bytes) => cx.reply.raw(&bytes),
            Output::AckRequested => cx.engine.replication.request_own_ack(),
            Output::Close => outcome = Outcome::Close,
            Output::Log(event) => tracing::debug!("{event}"),
            Output::WantSnapshot | Output::SendPayload | Output::StartStream(_) | Output::Acked(_) => {
                unreachable!("a connection that has not asked to be a replica only tells about itself")
            }
        }
    }
    Ok(outcome)
}

fn psync(cx: &mut Sessional<'_>, args: Args<'_>) -> CommandResult {
    let request = Request::parse(args.get(1), args.get(2)).ok_or(CommandError::NOT_INTEGER)?;
    machine(cx);
    Ok(Outcome::BecomeReplica(ReplicaRequest::Psync(request)))
}

fn sync(cx: &mut Sessional<'_>, _: Args<'_>) -> CommandResult {
    machine(cx);
    Ok(Outcome::BecomeReplica(ReplicaRequest::Sync))
}
