//! `redkeep up`: a whole cluster on this machine, each process a child of this one.
//!
//! [`layout`] decides who runs where, [`directory`] writes it down, [`supervisor`] starts the processes and
//! keeps them running, [`ready`] waits until they are a cluster, [`events`] tells what happens to it. This
//! file puts these together and is the only one that prints.
//!
//! Everything runs on one thread, which the children's lives hang on (see [`spawn`]).

mod directory;
mod events;
mod layout;
mod ready;
mod spawn;
mod supervisor;

use crate::{
    cli::UpArgs,
    local_time,
    signals::{StopSignal, StopSignals},
};
use anyhow::{Context as _, Result};
use directory::{Directory, MASTER_NAME};
use layout::{Kind, Layout, Member};
use redkeep_resp::net::Address;
use std::{
    io::{self, Write as _},
    path::Path,
    time::SystemTime,
};
use supervisor::{Report, Supervisor};

/// Runs the cluster until it is told to stop. The members are started from `executable`, which takes the
/// commands `server FILE` and `sentinel FILE`.
///
/// # Errors
/// When the cluster cannot be started. Nothing is left running then.
pub(crate) async fn run(args: &UpArgs, executable: &Path) -> Result<()> {
    let layout = Layout::new(args)?;
    layout.check_ports_are_free()?;
    let directory = Directory::open(&args.dir, layout)?;
    let mut signals = StopSignals::listen().context("cannot listen to signals")?;
    let mut supervisor = Supervisor::new(executable, &directory);

    let outcome = match start(layout, &directory, &mut supervisor, &mut signals).await {
        Ok(Some(primary)) => {
            introduce(layout, &args.dir, &primary);
            let signal = narrate(layout, &mut supervisor, &mut signals).await;
            say(&format!("{}, stopping", signal.name()));
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    let impatience = async {
        signals.next().await;
        say("killing what has not stopped");
    };
    supervisor.stop(impatience).await;
    outcome
}

/// Starts all members. Servers come first, so that the sentinels find a whole group at their first look and not at
/// their next, ten seconds later. Returns where the primary is; nothing when a signal came before.
async fn start(
    layout: Layout,
    directory: &Directory,
    supervisor: &mut Supervisor,
    signals: &mut StopSignals,
) -> Result<Option<Address>> {
    supervisor.keep(layout.servers());
    let servers = tokio::select! {
        ready = ready::servers(layout) => ready,
        report = supervisor.report() => Err(failed_start(&report, directory)),
        _ = signals.next() => return Ok(None),
    };
    servers?;
    supervisor.keep(layout.sentinels());
    tokio::select! {
        primary = ready::sentinels(layout) => primary.map(Some),
        report = supervisor.report() => Err(failed_start(&report, directory)),
        _ = signals.next() => Ok(None),
    }
}

fn failed_start(report: &Report, directory: &Directory) -> anyhow::Error {
    let (member, what) = match report {
        Report::NotStarted(member, error, _) => (*member, format!("cannot be started: {error}")),
        Report::Ended(member, status, _) => (*member, format!("ended at once: {status}")),
        Report::Restarted(member) => (*member, "had to be started twice".to_owned()),
    };
    let log = directory.log(member);
    anyhow::anyhow!("{member} {what}\n{}\n(from {})", directory.log_end(member), log.display())
}

/// Prints what happens until a signal comes.
async fn narrate(layout: Layout, supervisor: &mut Supervisor, signals: &mut StopSignals) -> StopSignal {
    let mut events = events::listen(layout.sentinels().map(Member::address).collect());
    loop {
        tokio::select! {
            signal = signals.next() => return signal,
            report = supervisor.report() => say(&describe(&report)),
            Some(line) = events.recv() => say(&line),
        }
    }
}

fn describe(report: &Report) -> String {
    match report {
        Report::NotStarted(member, error, delay) => {
            format!("the {member} cannot be started: {error}; trying again in {} s", delay.as_secs())
        }
        Report::Ended(member, status, delay) => {
            format!("the {member} ended ({status}), starting it again in {} s", delay.as_secs())
        }
        Report::Restarted(member) => format!("the {member} has been started again"),
    }
}

/// Prints who is where and how to connect.
fn introduce(layout: Layout, dir: &Path, primary: &Address) {
    let mut text = format!("Redkeep is up: {layout}.\n\n");
    for member in layout.members() {
        let role = match member.kind {
            Kind::Sentinel => "sentinel",
            Kind::Server if member.address() == *primary => "primary",
            Kind::Server => "replica",
        };
        let folder = dir.join(member.folder_name());
        text += &format!("  {role:<8}  {:<15}  {}\n", member.address().to_string(), folder.display());
    }
    let sentinels: Vec<String> = layout.sentinels().map(|sentinel| sentinel.address().to_string()).collect();
    if let Address::Tcp { host, port } = primary {
        text += &format!("\nConnect to the primary:    redis-cli -h {host} -p {port}\n");
    }
    text += &format!("Clients that use Sentinel: master {MASTER_NAME}, sentinels {}\n", sentinels.join(","));
    text += &format!("Look at it:                redkeep status --sentinel {}\n\n", sentinels[0]);
    text += &format!("Ctrl-C stops everything. The data stays in {} for the next time.\n", dir.display());
    print(&text);
}

/// Prints a line with the time.
fn say(line: &str) {
    print(&format!("{} {line}", local_time::stamp(SystemTime::now()).time_of_day()));
}

/// Prints a line. A cluster does not end because nobody reads what it prints.
fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
