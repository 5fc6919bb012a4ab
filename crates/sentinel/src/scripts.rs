//! Running the operator's scripts: told of events, and of every switch of a master.
//!
//! Redis's rules: at most [`MAX_RUNNING`] at once and [`MAX_QUEUED`] waiting; one that runs for longer than
//! [`MAX_RUNTIME`] is killed; one that exits with 1 or dies of a signal is run again, after [`RETRY_DELAY`] and then twice
//! as long each time, at most [`MAX_TRIES`] times; one that exits with 2 or more has failed for good.
//!
//! A script is waited for on a blocking thread, since waiting for children the asynchronous way would need a signal
//! handler, which is not ours to install.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::core::event::{Event, Kind, Level, Subject};
use crate::local::SharedLocal;

/// Most scripts that wait; when the queue is full the oldest that does not run is dropped.
const MAX_QUEUED: usize = 256;
/// Most scripts that run at once.
const MAX_RUNNING: usize = 16;
/// Longest time that a script may run.
const MAX_RUNTIME: Duration = Duration::from_secs(60);
/// Pause before the first retry.
const RETRY_DELAY: Duration = Duration::from_secs(30);
/// Most attempts.
const MAX_TRIES: u32 = 10;
/// How often a running script is looked after.
const LOOK_PERIOD: Duration = Duration::from_millis(20);

/// A script to run.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) argv: Vec<String>,
    tries: u32,
    not_before: Instant,
    /// Set while it runs: since when, and as which process.
    pub(crate) running: Option<(Instant, u32)>,
    number: u64,
}

impl Job {
    /// How often it was tried before.
    pub(crate) fn retries(&self) -> u32 {
        self.tries
    }

    /// How long until it runs.
    pub(crate) fn delay(&self) -> Duration {
        self.not_before.saturating_duration_since(Instant::now())
    }
}

/// The scripts that run or wait.
#[derive(Clone, Default)]
pub(crate) struct Queue(Arc<Mutex<VecDeque<Job>>>);

impl Queue {
    /// A look at all of them.
    pub(crate) fn snapshot(&self) -> Vec<Job> {
        self.0.lock().iter().cloned().collect()
    }

    fn add(&self, number: u64, argv: Vec<String>) {
        let mut jobs = self.0.lock();
        if jobs.len() >= MAX_QUEUED {
            let oldest = jobs.iter().position(|job| job.running.is_none());
            oldest.map(|index| jobs.remove(index));
        }
        jobs.push_back(Job { argv, tries: 0, not_before: Instant::now(), running: None, number });
    }

    /// Takes the next script to start, if one is due and fewer than the most run.
    fn next(&self) -> Option<(u64, Vec<String>)> {
        let mut jobs = self.0.lock();
        if jobs.iter().filter(|job| job.running.is_some()).count() >= MAX_RUNNING {
            return None;
        }
        let now = Instant::now();
        let job = jobs.iter_mut().find(|job| job.running.is_none() && job.not_before <= now)?;
        job.running = Some((now, 0));
        Some((job.number, job.argv.clone()))
    }

    fn started(&self, number: u64, pid: u32) {
        if let Some(job) = self.0.lock().iter_mut().find(|job| job.number == number) {
            job.running = job.running.map(|(since, _)| (since, pid));
        }
    }

    /// When the next script that waits is due.
    fn due(&self) -> Option<Instant> {
        self.0.lock().iter().filter(|job| job.running.is_none()).map(|job| job.not_before).min()
    }

    /// Takes a script out, or puts it back to be tried again.
    fn ended(&self, number: u64, end: &End) -> Option<Event> {
        let mut jobs = self.0.lock();
        let index = jobs.iter().position(|job| job.number == number)?;
        let job = &mut jobs[index];
        let path = job.argv.first().cloned().unwrap_or_default();
        job.tries += 1;
        job.running = None;
        match end {
            End::Again if job.tries < MAX_TRIES => {
                job.not_before = Instant::now() + RETRY_DELAY * 2u32.pow(job.tries - 1);
                return None;
            }
            End::Done | End::Again | End::Failed(_) | End::TimedOut(_) => {}
        }
        jobs.remove(index);
        let told = |kind, text| Some(Event { kind, subject: Subject::Text(text) });
        match end {
            End::Done => None,
            End::Again => told(Kind::ScriptError, format!("{path} 0 1")),
            End::Failed(code) => told(Kind::ScriptError, format!("{path} 0 {code}")),
            End::TimedOut(pid) => told(Kind::ScriptTimeout, format!("{path} {pid}")),
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    /// It asks to be tried again.
    Again,
    /// It has failed for good, with this exit code.
    Failed(i32),
    /// It was killed, being this process.
    TimedOut(u32),
}

/// Runs scripts until the events end. Those that still run then are left alone.
pub(crate) async fn run(
    mut events: mpsc::Receiver<Vec<String>>,
    queue: Queue,
    announce: broadcast::Sender<Arc<Event>>,
) {
    let mut running: JoinSet<(u64, End)> = JoinSet::new();
    let mut last_number = 0;
    loop {
        while let Some((number, argv)) = queue.next() {
            let queue = queue.clone();
            running.spawn_blocking(move || (number, attempt(&argv, |pid| queue.started(number, pid))));
        }
        let far = Instant::now() + RETRY_DELAY;
        let due = if running.len() < MAX_RUNNING { queue.due().unwrap_or(far) } else { far };
        tokio::select! {
            argv = events.recv() => match argv {
                Some(argv) => {
                    last_number += 1;
                    queue.add(last_number, argv);
                }
                None => return running.detach_all(),
            },
            Some(Ok((number, end))) = running.join_next() => {
                if let Some(event) = queue.ended(number, &end) {
                    tracing::warn!(target: "redkeep_sentinel::event", "{event}");
                    // An error only says that nobody listens.
                    drop(announce.send(Arc::new(event)));
                }
            }
            () = sleep_until(due) => {}
        }
    }
}

fn attempt(argv: &[String], started: impl FnOnce(u32)) -> End {
    let Some((path, args)) = argv.split_first() else { return End::Done };
    let mut command = Command::new(path);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return End::Failed(2) };
    started(child.id());
    let since = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return end_of(status),
            Ok(None) if since.elapsed() < MAX_RUNTIME => std::thread::sleep(LOOK_PERIOD),
            Ok(None) | Err(_) => {
                // It may have ended meanwhile, which is all that is wanted.
                drop(child.kill());
                drop(child.wait());
                return End::TimedOut(child.id());
            }
        }
    }
}

fn end_of(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(0), _) => End::Done,
        (Some(1), _) | (None, _) => End::Again,
        (Some(code), _) => End::Failed(code),
    }
}

/// The scripts that an event calls for, as their arguments.
pub(crate) fn called_for(event: &Event, leading: bool, local: &SharedLocal) -> Vec<Vec<String>> {
    let local = local.read();
    let Some(master) = event.master_name().and_then(|name| local.masters.get(name)) else {
        return Vec::new();
    };
    let mut calls = Vec::new();
    if let (Some(path), Level::Warning) = (&master.notification_script, event.kind.level()) {
        calls.push(vec![path.display().to_string(), event.channel().to_owned(), event.payload()]);
    }
    if let (Some(path), Subject::Switch { name, from, to }) = (&master.client_reconfig_script, &event.subject)
    {
        let role = if leading { "leader" } else { "observer" };
        let addresses = [from, to].map(|addr| [addr.host.clone(), addr.port.to_string()]).concat();
        let mut call = vec![path.display().to_string(), name.clone(), role.to_owned(), "start".to_owned()];
        call.extend(addresses);
        calls.push(call);
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::Addr;
    use crate::local::{Local, LocalMaster};

    #[test]
    fn the_exit_code_says_whether_to_try_again() {
        let ends = |code: i32| attempt(&["/bin/sh".into(), "-c".into(), format!("exit {code}")], |_| {});
        assert_eq!(ends(0), End::Done);
        assert_eq!(ends(1), End::Again);
        assert_eq!(ends(2), End::Failed(2));
        assert_eq!(attempt(&["/bin/sh".into(), "-c".into(), "kill -9 $$".into()], |_| {}), End::Again);
        assert_eq!(attempt(&["/does/not/exist".into()], |_| {}), End::Failed(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_script_is_tried_again_later_and_later() {
        let queue = Queue::default();
        queue.add(1, vec!["script".into()]);
        for tries in 1..MAX_TRIES {
            assert_eq!(queue.next().map(|(number, _)| number), Some(1));
            assert!(queue.next().is_none(), "it runs once at a time");
            assert_eq!(queue.ended(1, &End::Again), None);
            assert_eq!(queue.snapshot()[0].delay(), RETRY_DELAY * 2u32.pow(tries - 1));
            assert!(queue.next().is_none(), "not yet");
            tokio::time::advance(queue.snapshot()[0].delay()).await;
        }
        assert!(queue.next().is_some());
        let last = queue.ended(1, &End::Again).unwrap();
        assert_eq!(last.to_string(), "-script-error script 0 1");
        assert!(queue.snapshot().is_empty());
    }

    #[tokio::test]
    async fn what_waits_and_runs_is_bounded() {
        let queue = Queue::default();
        for number in 0..2 * MAX_QUEUED as u64 {
            queue.add(number, vec!["script".into()]);
        }
        assert_eq!(queue.snapshot().len(), MAX_QUEUED);
        let started = std::iter::from_fn(|| queue.next()).count();
        assert_eq!(started, MAX_RUNNING);
    }

    #[test]
    fn scripts_get_the_arguments_that_redis_gives() {
        let mut local = Local::default();
        let scripts = LocalMaster {
            notification_script: Some("/notify".into()),
            client_reconfig_script: Some("/reconfig".into()),
            ..LocalMaster::default()
        };
        local.masters.insert("m".to_owned(), scripts);
        let local: SharedLocal = Arc::new(parking_lot::RwLock::new(local));
        let (from, to) = (Addr::new("10.0.0.1", 1), Addr::new("10.0.0.2", 2));
        let switch = Subject::Switch { name: "m".to_owned(), from: from.clone(), to };
        let calls = called_for(&Event { kind: Kind::SwitchMaster, subject: switch }, true, &local);
        assert_eq!(calls[0], ["/notify", "+switch-master", "m 10.0.0.1 1 10.0.0.2 2"]);
        assert_eq!(calls[1], ["/reconfig", "m", "leader", "start", "10.0.0.1", "1", "10.0.0.2", "2"]);
        let quiet = crate::core::event::Instance::replica(&from, "m", &from);
        assert!(called_for(&Event::of(Kind::Replica, quiet.clone()), true, &local).is_empty());
        assert_eq!(called_for(&Event::of(Kind::SubjectivelyDown, quiet), true, &local).len(), 1);
    }
}
