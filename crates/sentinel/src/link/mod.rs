//! The way to instances and other sentinels: one task for each link, which keeps it connected.
//!
//! A link to an instance is two connections, as Redis Sentinel has them: one for commands, and one that listens on the
//! hello channel. A link to another sentinel is one. A task connects, says who we are, then sends what it is given and
//! reports what comes back; when the connection is lost it says how, and connects again, at first after
//! [`FIRST_PAUSE`]. It never gives up and never decides anything: that is the node's business.
//!
//! Links are not touched by a switch of roles: the instance is the same one, whatever it is called now.

mod connection;
mod listen;
mod replies;
mod requests;
mod transport;

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use redkeep_resp::client::{Client, ClientError};
use redkeep_resp::net::{Address, Stream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::core::detector::Loss;
use crate::core::ids::{Addr, SentinelId};
use crate::core::node::{LinkEvent, LinkId, MAX_PENDING, Request, Target};
use crate::local::SharedLocal;

pub(crate) use transport::PeerTransport;

/// An attempt to connect is given up after this long.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1000);
/// The pause after a connection was lost; it doubles while attempts fail.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(1000);
/// A connection that lived for this long was a good one: the next pause is the first again.
const GOOD_CONNECTION: Duration = Duration::from_millis(1000);
/// Requests that wait for a link's task. The node never has more without reply, so it is never full.
const REQUEST_QUEUE: usize = MAX_PENDING as usize + 8;
/// What instances may answer: an INFO of some thousand replicas has room.
const MAX_REPLY_LEN: usize = 4 << 20;

/// What is told to a link's task.
#[derive(Debug)]
enum Order {
    Send(Request),
    Reconnect,
}

/// What a link's task needs to know.
#[derive(Clone)]
pub(crate) struct LinkContext {
    /// Our public id.
    pub(crate) me: SentinelId,
    /// Credentials and renamed commands.
    pub(crate) local: SharedLocal,
    /// Where to report.
    pub(crate) events: mpsc::Sender<(LinkId, LinkEvent)>,
}

/// The tasks of all links. Dropping it ends them.
pub(crate) struct Links {
    context: LinkContext,
    open: HashMap<LinkId, Link>,
}

struct Link {
    orders: mpsc::Sender<Order>,
    tasks: Vec<AbortHandle>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Links {
    pub(crate) fn new(context: LinkContext) -> Self {
        Self { context, open: HashMap::new() }
    }

    /// Starts a link's tasks: the only place where they are spawned.
    pub(crate) fn open(&mut self, id: LinkId, target: Target) {
        let (orders, receiver) = mpsc::channel(REQUEST_QUEUE);
        let mut tasks = Vec::new();
        if let Target::Instance { .. } = target {
            let listening = listen::run(id, target.clone(), self.context.clone());
            tasks.push(tokio::spawn(listening).abort_handle());
        }
        let commanding = connection::run(id, target, receiver, self.context.clone());
        tasks.push(tokio::spawn(commanding).abort_handle());
        self.open.insert(id, Link { orders, tasks });
    }

    pub(crate) fn close(&mut self, id: LinkId) {
        self.open.remove(&id);
    }

    pub(crate) fn send(&self, id: LinkId, request: Request) {
        self.order(id, Order::Send(request));
    }

    pub(crate) fn reconnect(&self, id: LinkId) {
        self.order(id, Order::Reconnect);
    }

    fn order(&self, id: LinkId, order: Order) {
        if let Some(link) = self.open.get(&id)
            && link.orders.try_send(order).is_err()
        {
            tracing::debug!(link = id.0, "a request was dropped: the link's queue is full");
        }
    }
}

fn addr_of(target: &Target) -> &Addr {
    match target {
        Target::Instance { addr, .. } | Target::Sentinel { addr } => addr,
    }
}

/// The words that authenticate us at `target`, if it wants any.
fn credentials(target: &Target, local: &SharedLocal) -> Option<Vec<String>> {
    let local = local.read();
    let (user, password) = match target {
        Target::Instance { master, .. } => {
            let master = local.masters.get(master)?;
            (master.auth_user.clone(), master.auth_pass.clone())
        }
        Target::Sentinel { .. } => sentinel_credentials(&local),
    };
    let auth = ["AUTH".to_owned()].into_iter().chain(user);
    password.map(|password| auth.chain([password]).collect())
}

fn sentinel_credentials(local: &crate::local::Local) -> (Option<String>, Option<String>) {
    match &local.sentinel_pass {
        Some(password) => (local.sentinel_user.clone(), Some(password.clone())),
        None => (None, local.requirepass.clone()),
    }
}

/// Connects and says who we are. How many replies are to be skipped comes with the connection.
async fn connect(
    target: &Target,
    context: &LinkContext,
    purpose: &str,
) -> Result<(Client, usize), ClientError> {
    let addr = addr_of(target);
    let address = Address::tcp(addr.host.clone(), addr.port);
    let connecting = timeout(CONNECT_TIMEOUT, Stream::connect(&address)).await;
    let stream = connecting.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let mut client = Client::from_stream(stream).with_max_frame_len(MAX_REPLY_LEN);
    let mut skipped = 1;
    if let Some(auth) = credentials(target, &context.local) {
        client.send(&auth).await?;
        skipped += 1;
    }
    let id = context.me.to_string();
    let name = format!("sentinel-{}-{purpose}", &id[..8]);
    let renamed = command_of(target, &context.local, "CLIENT");
    client.send(&[renamed.as_str(), "SETNAME", &name]).await?;
    Ok((client, skipped))
}

fn command_of(target: &Target, local: &SharedLocal, command: &str) -> String {
    match target {
        Target::Instance { master, .. } => {
            let local = local.read();
            local.masters.get(master).map_or(command, |master| master.command(command)).to_owned()
        }
        Target::Sentinel { .. } => command.to_owned(),
    }
}

/// What a failed connection says about the other side.
fn loss_of(error: &ClientError) -> Loss {
    match error {
        ClientError::Closed => Loss::Reset,
        ClientError::Protocol(_) => Loss::Silent,
        ClientError::Io(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => Loss::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                Loss::Reset
            }
            _ => Loss::Silent,
        },
    }
}

/// The pauses between attempts to connect.
struct Backoff {
    pause: Duration,
}

impl Backoff {
    fn new() -> Self {
        Self { pause: FIRST_PAUSE }
    }

    /// Waits before the next attempt. `connected_at` is when the connection that ended was made, if one was.
    async fn wait(&mut self, connected_at: Option<Instant>) {
        if connected_at.is_some_and(|at| at.elapsed() >= GOOD_CONNECTION) {
            self.pause = FIRST_PAUSE;
        }
        let jitter = 0.75 + fastrand::f64() / 2.0;
        tokio::time::sleep(self.pause.mul_f64(jitter)).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}
