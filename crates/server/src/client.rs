//! What the rest of the server knows of a connection: its identity, its mailbox, and whether it is to end.
//!
//! The connection itself is owned by its worker. Others reach it only through its [`Client`]: they put
//! pushes into its mailbox, or tell it to close. The mailbox is bounded by `client-output-buffer-limit`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use atomic_waker::AtomicWaker;
use hashbrown::HashMap;
use parking_lot::Mutex;
use redkeep_replication::ReplOffset;
use redkeep_resp::Protocol;

use crate::config::OutputLimit;

/// What kind of client it is, for `CLIENT LIST`, `CLIENT KILL TYPE` and output limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ClientKind {
    /// An ordinary client.
    Normal,
    /// A client in subscriber mode.
    Pubsub,
    /// A replica of this server.
    Replica,
}

/// Pushes that wait for a connection.
#[derive(Default)]
struct Mailbox {
    bytes: Vec<u8>,
    over_soft_since: Option<Instant>,
}

/// A connection as others see it. Written by its worker; read by anybody.
pub struct Client {
    /// Unique for the life of the server.
    pub id: u64,
    /// Address of the other end, as `CLIENT LIST` shows it.
    pub addr: String,
    /// Address of this end.
    pub laddr: String,
    /// When it connected.
    pub created: Instant,
    /// Milliseconds since `created` of the last request.
    pub last_active_ms: AtomicU64,
    /// Number of the selected database.
    pub db: AtomicUsize,
    /// Subscriptions to channels.
    pub channels: AtomicU32,
    /// Subscriptions to patterns.
    pub patterns: AtomicU32,
    /// Commands queued by MULTI, or -1 outside of one (stored as `u32::MAX`).
    pub queued: AtomicU32,
    /// Name, library name and version.
    pub labels: Mutex<Labels>,
    kind: AtomicU8,
    resp3: AtomicBool,
    blocked: AtomicBool,
    closing: AtomicBool,
    /// How far the log reached with its last write.
    pub written_up_to: Arc<WrittenUpTo>,
    has_mail: AtomicBool,
    mailbox: Mutex<Mailbox>,
    waker: AtomicWaker,
}

/// What a client says of itself.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    /// `CLIENT SETNAME`.
    pub name: String,
    /// `CLIENT SETINFO LIB-NAME`.
    pub lib_name: String,
    /// `CLIENT SETINFO LIB-VER`.
    pub lib_ver: String,
    /// The last command, with its subcommand.
    pub last_command: &'static str,
}

impl Client {
    /// A client that has just connected.
    pub fn new(id: u64, addr: String, laddr: String, now: Instant) -> Arc<Self> {
        Arc::new(Client {
            id,
            addr,
            laddr,
            created: now,
            last_active_ms: AtomicU64::new(0),
            db: AtomicUsize::new(0),
            channels: AtomicU32::new(0),
            patterns: AtomicU32::new(0),
            queued: AtomicU32::new(u32::MAX),
            labels: Mutex::default(),
            kind: AtomicU8::new(ClientKind::Normal as u8),
            resp3: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            written_up_to: Arc::default(),
            has_mail: AtomicBool::new(false),
            mailbox: Mutex::default(),
            waker: AtomicWaker::new(),
        })
    }

    /// Says that it sent a request, or got a late reply, at `now`.
    pub(crate) fn note_use(&self, now: Instant) {
        let since = now.saturating_duration_since(self.created).as_millis() as u64;
        self.last_active_ms.store(since, Ordering::Relaxed);
    }

    /// What kind of client it is.
    pub fn kind(&self) -> ClientKind {
        match self.kind.load(Ordering::Relaxed) {
            kind if kind == ClientKind::Replica as u8 => ClientKind::Replica,
            kind if kind == ClientKind::Pubsub as u8 => ClientKind::Pubsub,
            _ => ClientKind::Normal,
        }
    }

    /// Changes its kind.
    pub fn set_kind(&self, kind: ClientKind) {
        self.kind.store(kind as u8, Ordering::Relaxed);
    }

    /// The protocol that pushes to it are written in.
    pub fn protocol(&self) -> Protocol {
        if self.resp3.load(Ordering::Relaxed) { Protocol::Resp3 } else { Protocol::Resp2 }
    }

    /// Changes the protocol.
    pub fn set_protocol(&self, protocol: Protocol) {
        self.resp3.store(protocol == Protocol::Resp3, Ordering::Relaxed);
    }

    /// Whether it waits in a command that blocks.
    pub fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    /// Says that it waits in a command that blocks, or no longer.
    pub fn set_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
    }

    /// Puts a push into the mailbox. A client that lets more wait than its class may is told to close.
    pub fn deliver(&self, push: &[u8], limit: &OutputLimit, now: Instant) {
        let mut mailbox = self.mailbox.lock();
        mailbox.bytes.extend_from_slice(push);
        let waiting = mailbox.bytes.len() as u64;
        let over = |bound: u64| bound != 0 && waiting > bound;
        if over(limit.soft) {
            let since = *mailbox.over_soft_since.get_or_insert(now);
            if now.duration_since(since).as_secs() >= limit.soft_seconds {
                self.closing.store(true, Ordering::Release);
            }
        } else {
            mailbox.over_soft_since = None;
        }
        if over(limit.hard) {
            mailbox.bytes = Vec::new();
            self.closing.store(true, Ordering::Release);
        }
        drop(mailbox);
        self.has_mail.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Moves the mail to the end of `out`.
    pub fn take_mail(&self, out: &mut Vec<u8>) {
        if self.has_mail.load(Ordering::Acquire) {
            let mut mailbox = self.mailbox.lock();
            self.has_mail.store(false, Ordering::Release);
            out.append(&mut mailbox.bytes);
            mailbox.over_soft_since = None;
        }
    }

    /// Bytes that wait in the mailbox.
    pub fn mail_len(&self) -> usize {
        self.mailbox.lock().bytes.len()
    }

    /// Tells it to close, without waiting for it.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether it was told to close.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Ready when the client was told to close, or there is mail and the caller `takes_mail`.
    pub fn poll_event(&self, cx: &mut Context<'_>, takes_mail: bool) -> Poll<()> {
        let ready = || (takes_mail && self.has_mail.load(Ordering::Acquire)) || self.is_closing();
        if ready() {
            return Poll::Ready(());
        }
        self.waker.register(cx.waker());
        if ready() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// How far the log reached with a connection's last write; 0 if it has written nothing in the present role of the
/// server. Both its connection and a change of role set it, inside the gate, which is what orders them.
#[derive(Debug, Default)]
pub struct WrittenUpTo(AtomicU64);

impl WrittenUpTo {
    /// The offset.
    pub fn get(&self) -> ReplOffset {
        ReplOffset(self.0.load(Ordering::Relaxed))
    }

    /// Takes another offset.
    #[inline]
    pub fn set(&self, offset: ReplOffset) {
        self.0.store(offset.0, Ordering::Relaxed);
    }
}

/// All connections, by id.
#[derive(Default)]
pub struct Clients {
    next_id: AtomicU64,
    by_id: Mutex<HashMap<u64, Arc<Client>, foldhash::fast::RandomState>>,
}

impl Clients {
    /// An id for a new connection.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Adds a connection, unless `max` are there already.
    pub fn admit(&self, client: &Arc<Client>, max: usize) -> bool {
        let mut by_id = self.by_id.lock();
        let admitted = by_id.len() < max;
        if admitted {
            by_id.insert(client.id, client.clone());
        }
        admitted
    }

    /// Forgets a connection that has ended.
    pub fn remove(&self, id: u64) {
        self.by_id.lock().remove(&id);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.lock().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, by rising id.
    pub fn list(&self) -> Vec<Arc<Client>> {
        let mut all: Vec<_> = self.by_id.lock().values().cloned().collect();
        all.sort_unstable_by_key(|client| client.id);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_over_the_hard_limit_closes_the_client() {
        let now = Instant::now();
        let client = Client::new(1, String::new(), String::new(), now);
        let limit = OutputLimit { hard: 10, soft: 0, soft_seconds: 0 };
        client.deliver(b"12345", &limit, now);
        let mut out = Vec::new();
        client.take_mail(&mut out);
        assert_eq!(out, b"12345");
        client.deliver(b"123456", &limit, now);
        assert!(!client.is_closing());
        client.deliver(b"123456", &limit, now);
        assert!(client.is_closing());
        assert_eq!(client.mail_len(), 0);
    }

    #[test]
    fn mail_over_the_soft_limit_closes_the_client_after_a_while() {
        let now = Instant::now();
        let client = Client::new(1, String::new(), String::new(), now);
        let limit = OutputLimit { hard: 0, soft: 4, soft_seconds: 10 };
        client.deliver(b"12345", &limit, now);
        client.deliver(b"6", &limit, now + std::time::Duration::from_secs(9));
        assert!(!client.is_closing());
        client.deliver(b"7", &limit, now + std::time::Duration::from_secs(10));
        assert!(client.is_closing());
    }

    #[test]
    fn no_more_than_the_maximum_is_admitted() {
        let clients = Clients::default();
        let client = |_| Client::new(clients.next_id(), String::new(), String::new(), Instant::now());
        let all: Vec<_> = (0..3).map(client).collect();
        assert_eq!(all.iter().map(|c| clients.admit(c, 2)).collect::<Vec<_>>(), [true, true, false]);
        clients.remove(1);
        assert_eq!(clients.list().iter().map(|c| c.id).collect::<Vec<_>>(), [2]);
    }
}
