//! `redkeep status`: who is primary, who follows, who watches, as the sentinels see it.

use crate::{
    cli::StatusArgs,
    link::{Instance, Link},
};
use anyhow::{Context as _, Result, bail};
use redkeep_resp::net::Address;
use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

/// Prints a table for each master that the first sentinel to answer watches.
///
/// Fails when no sentinel answers, or one of the masters has no primary that works.
pub(crate) async fn run(args: &StatusArgs) -> Result<()> {
    let (sentinel, mut link) = first_to_answer(args).await?;
    let masters = link.instances(&["MASTERS"]).await.context("SENTINEL MASTERS")?;
    if masters.is_empty() {
        bail!("the sentinel at {sentinel} watches no master");
    }
    let mut down = Vec::new();
    for master in masters {
        let group = Group::ask(&mut link, master).await?;
        io::stdout().write_all(group.table(&sentinel.to_string()).as_bytes())?;
        if !group.has_primary() {
            down.push(group.name().to_owned());
        }
    }
    if !down.is_empty() {
        bail!("no primary for {}", down.join(", "));
    }
    Ok(())
}

async fn first_to_answer(args: &StatusArgs) -> Result<(Address, Link)> {
    let mut failures = String::new();
    for address in &args.sentinels {
        match Link::open(address, args.timeout).await {
            Ok(link) => return Ok((address.clone(), link)),
            Err(error) => write!(failures, "\n  {address}: {error:#}").expect("a string takes everything"),
        }
    }
    bail!("no sentinel answers{failures}")
}

/// A master and who belongs to it.
struct Group {
    master: Instance,
    replicas: Vec<Instance>,
    sentinels: Vec<Instance>,
}

impl Group {
    async fn ask(link: &mut Link, master: Instance) -> Result<Self> {
        let name = master.field("name").to_owned();
        let replicas = link.instances(&["REPLICAS", &name]).await.context("SENTINEL REPLICAS")?;
        let sentinels = link.instances(&["SENTINELS", &name]).await.context("SENTINEL SENTINELS")?;
        Ok(Group { master, replicas, sentinels })
    }

    fn name(&self) -> &str {
        self.master.field("name")
    }

    fn has_primary(&self) -> bool {
        !is_down(&self.master) && self.master.has_flag("master")
    }

    fn table(&self, asked: &str) -> String {
        let mut rows = vec![["primary".to_owned(), self.master.address(), state(&self.master)]];
        rows.extend(self.replicas.iter().map(|it| ["replica".to_owned(), it.address(), replica_state(it)]));
        rows.push(["sentinel".to_owned(), asked.to_owned(), "ok, asked for this".to_owned()]);
        rows.extend(self.sentinels.iter().map(|it| ["sentinel".to_owned(), it.address(), state(it)]));
        let width = rows.iter().map(|row| row[1].len()).max().unwrap_or(0);

        let watching = self.sentinels.len() + 1;
        let mut table = format!("{}: quorum {} of {watching}\n", self.name(), self.master.field("quorum"));
        for [role, address, state] in rows {
            writeln!(table, "  {role:<8}  {address:<width$}  {state}").expect("a string takes everything");
        }
        table
    }
}

fn is_down(instance: &Instance) -> bool {
    ["s_down", "o_down", "disconnected"].iter().any(|flag| instance.has_flag(flag))
}

fn state(instance: &Instance) -> String {
    let known = [
        ("o_down", "DOWN, the sentinels agree"),
        ("s_down", "DOWN"),
        ("disconnected", "not connected"),
        ("failover_in_progress", "ok, failover in progress"),
    ];
    let flagged = known.iter().find(|(flag, _)| instance.has_flag(flag));
    flagged.map_or("ok", |(_, text)| text).to_owned()
}

fn replica_state(replica: &Instance) -> String {
    if is_down(replica) {
        return state(replica);
    }
    match replica.field("master-link-status") {
        "ok" => format!("ok, at offset {}", replica.field("slave-repl-offset")),
        _ => "ok, but its link to the primary is down".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(master_flags: &str) -> Group {
        let at = |port| [("ip", "127.0.0.1"), ("port", port)];
        let master = [("name", "mymaster"), ("quorum", "2"), ("flags", master_flags)];
        let replica = [("flags", "slave"), ("master-link-status", "ok"), ("slave-repl-offset", "42")];
        Group {
            master: Instance::of(&[&at("6379")[..], &master].concat()),
            replicas: vec![
                Instance::of(&[&at("6380")[..], &replica].concat()),
                Instance::of(&[&at("6381")[..], &[("flags", "s_down,slave")]].concat()),
                Instance::of(
                    &[&at("6382")[..], &[("flags", "slave"), ("master-link-status", "err")]].concat(),
                ),
            ],
            sentinels: vec![Instance::of(&[&at("26380")[..], &[("flags", "sentinel")]].concat())],
        }
    }

    #[test]
    fn a_table_a_person_can_read() {
        let expected = "\
mymaster: quorum 2 of 2
  primary   127.0.0.1:6379   ok
  replica   127.0.0.1:6380   ok, at offset 42
  replica   127.0.0.1:6381   DOWN
  replica   127.0.0.1:6382   ok, but its link to the primary is down
  sentinel  127.0.0.1:26379  ok, asked for this
  sentinel  127.0.0.1:26380  ok
";
        assert_eq!(group("master").table("127.0.0.1:26379"), expected);
    }

    #[test]
    fn a_primary_that_is_down_is_none() {
        assert!(group("master").has_primary());
        assert!(group("master,failover_in_progress").has_primary());
        for flags in ["master,s_down", "s_down,o_down,master", "master,disconnected"] {
            assert!(!group(flags).has_primary(), "{flags}");
        }
    }
}
