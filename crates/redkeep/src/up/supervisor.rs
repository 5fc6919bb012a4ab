//! Keeps the processes of the cluster running, and stops them.
//!
//! One task for each member: start, wait for its end, report it, start again. All tasks watch one
//! [`Phase`], which only moves forward; shutting down is moving it.

use super::{
    directory::Directory,
    layout::{Kind, Member},
    spawn::spawn,
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};
use tokio::{
    process::Child,
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// How long a server that ended stays away: longer than a failover takes, so that a primary with an older
/// state on disk does not come back as primary.
const SERVER_RESTART_DELAY: Duration = Duration::from_secs(5);

/// The same for a sentinel, whose return changes nothing for the data.
const SENTINEL_RESTART_DELAY: Duration = Duration::from_secs(1);

/// Whoever ends sooner than this after its start is failing rather than failed: its delay doubles each
/// time, up to [`LONGEST_RESTART_DELAY`].
const HEALTHY_AFTER: Duration = Duration::from_secs(10);

/// See [`HEALTHY_AFTER`].
const LONGEST_RESTART_DELAY: Duration = Duration::from_secs(30);

/// How long a process may take to stop after SIGTERM. A server waits for its replicas (10 s, as
/// `shutdown-timeout` has it) and saves its data in this time.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// Reports that wait to be printed; a task whose report finds no room waits.
const REPORTS: usize = 64;

/// Where the cluster is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    /// First the sentinels go, so that none of them sees a primary go.
    StoppingSentinels,
    StoppingServers,
    /// No more patience.
    Killing,
}

impl Phase {
    fn stops(self, kind: Kind) -> bool {
        match kind {
            Kind::Sentinel => self >= Phase::StoppingSentinels,
            Kind::Server => self >= Phase::StoppingServers,
        }
    }
}

/// What happened to a member.
#[derive(Debug)]
pub(crate) enum Report {
    /// It could not be started, and will be tried again.
    NotStarted(Member, io::Error, Duration),
    /// It ended, and will be started again after this time.
    Ended(Member, ExitStatus, Duration),
    /// It was started again.
    Restarted(Member),
}

/// The running cluster.
pub(crate) struct Supervisor {
    executable: PathBuf,
    directory: Directory,
    phase: watch::Sender<Phase>,
    report: mpsc::Sender<Report>,
    reports: mpsc::Receiver<Report>,
    sentinels: JoinSet<()>,
    servers: JoinSet<()>,
}

impl Supervisor {
    /// Keeps nobody yet. What it will keep is started from `executable`.
    pub(crate) fn new(executable: &Path, directory: &Directory) -> Self {
        let (phase, _) = watch::channel(Phase::Running);
        let (report, reports) = mpsc::channel(REPORTS);
        Supervisor {
            executable: executable.to_owned(),
            directory: directory.clone(),
            phase,
            report,
            reports,
            sentinels: JoinSet::new(),
            servers: JoinSet::new(),
        }
    }

    /// Starts these members. Must be called on a current-thread runtime: the processes live no longer than
    /// the thread that started them.
    pub(crate) fn keep(&mut self, members: impl Iterator<Item = Member>) {
        for member in members {
            let keeper = Keeper {
                executable: self.executable.clone(),
                directory: self.directory.clone(),
                member,
                phase: self.phase.subscribe(),
                report: self.report.clone(),
            };
            match member.kind {
                Kind::Server => self.servers.spawn(keeper.keep()),
                Kind::Sentinel => self.sentinels.spawn(keeper.keep()),
            };
        }
    }

    /// Waits for the next report.
    pub(crate) async fn report(&mut self) -> Report {
        match self.reports.recv().await {
            Some(report) => report,
            // Every task has ended, which they do only when told to.
            None => std::future::pending().await,
        }
    }

    /// Stops all members and waits until they are gone, which takes [`STOP_PATIENCE`] for each kind at
    /// most, or until `impatience` is ready.
    pub(crate) async fn stop(mut self, impatience: impl Future<Output = ()>) {
        // From now on ends are no news, and a task with a report must not wait for room.
        self.reports.close();
        let phase = &self.phase;
        let in_order = async {
            phase.send_replace(Phase::StoppingSentinels);
            while self.sentinels.join_next().await.is_some() {}
            phase.send_replace(Phase::StoppingServers);
            while self.servers.join_next().await.is_some() {}
        };
        let kill_when_impatient = async {
            impatience.await;
            phase.send_replace(Phase::Killing);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = in_order => {}
            () = kill_when_impatient => {}
        }
    }
}

/// Keeps one member running.
struct Keeper {
    executable: PathBuf,
    directory: Directory,
    member: Member,
    phase: watch::Receiver<Phase>,
    report: mpsc::Sender<Report>,
}

impl Keeper {
    async fn keep(mut self) {
        let first_delay = match self.member.kind {
            Kind::Server => SERVER_RESTART_DELAY,
            Kind::Sentinel => SENTINEL_RESTART_DELAY,
        };
        let mut delay = first_delay;
        loop {
            let started = Instant::now();
            let report = match spawn(&self.executable, &self.directory, self.member) {
                Err(error) => Report::NotStarted(self.member, error, delay),
                Ok(child) => match self.run(child).await {
                    Some(status) => Report::Ended(self.member, status, delay),
                    None => return,
                },
            };
            if started.elapsed() >= HEALTHY_AFTER {
                delay = first_delay;
            }
            self.tell(report).await;
            if self.stopped_within(delay).await {
                return;
            }
            delay = (delay * 2).min(LONGEST_RESTART_DELAY);
            self.tell(Report::Restarted(self.member)).await;
        }
    }

    /// Waits until the process ends by itself; `None` when it was stopped.
    async fn run(&mut self, mut child: Child) -> Option<ExitStatus> {
        let ended = tokio::select! {
            status = child.wait() => Some(status.unwrap_or_default()),
            () = self.told_to_stop() => None,
        };
        if ended.is_none() {
            self.stop(&mut child).await;
        }
        ended
    }

    /// Waits until the member is not to run any more. When the supervisor is gone, that is so too.
    async fn told_to_stop(&mut self) {
        let kind = self.member.kind;
        let _ = self.phase.wait_for(|phase| phase.stops(kind)).await;
    }

    async fn stop(&mut self, child: &mut Child) {
        if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            // It fails only when the process is gone, which is what is wanted.
            let _ = kill_process(pid, Signal::TERM);
        }
        let ended = tokio::select! {
            ended = timeout(STOP_PATIENCE, child.wait()) => ended.is_ok(),
            _ = self.phase.wait_for(|phase| *phase == Phase::Killing) => false,
        };
        if !ended {
            let _ = child.kill().await;
        }
    }

    async fn tell(&self, report: Report) {
        // Nobody listens any more when the cluster is being stopped.
        let _ = self.report.send(report).await;
    }

    /// Waits for `delay`; returns early, and true, when the member is not to run any more.
    async fn stopped_within(&mut self, delay: Duration) -> bool {
        tokio::select! {
            () = sleep(delay) => false,
            () = self.told_to_stop() => true,
        }
    }
}

#[cfg(test)]
mod tests;
