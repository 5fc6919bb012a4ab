//! Periodic work: expiry, save points, pings to replicas, idle clients, rates.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redkeep_replication::core::keepalive::{PING, PingTimer};
use redkeep_store::{AccessContext, ExpireCursor, ExpiryMode, Stamp};

use crate::client::ClientKind;
use crate::config::Settings;
use crate::dispatch::deletion;
use crate::engine::{Background, Engine, policy};
use crate::notify;
use crate::persist;
use crate::repl::monotonic_ms;

/// Keys with a time to live that one slice of the expiry cycle looks at: well under a millisecond of work.
const EXPIRY_SLICE: usize = 200;

/// A slice that finds this share expired (one in so many) is followed by another at once.
const EXPIRY_AGAIN: usize = 10;

/// The part of a period that expiry may take, one in so many.
const EXPIRY_SHARE: u32 = 4;

/// What periodic work remembers from one time to the next.
struct Cron {
    engine: Arc<Engine>,
    cursors: Vec<ExpireCursor>,
    pings: PingTimer,
    last_second: Instant,
    commands_then: u64,
}

/// Does periodic work until the server ends.
pub(crate) async fn run(engine: Arc<Engine>) {
    let databases = engine.keyspace.databases();
    let mut cron = Cron {
        cursors: vec![ExpireCursor::default(); databases],
        pings: PingTimer::default(),
        last_second: Instant::now(),
        commands_then: 0,
        engine,
    };
    loop {
        let settings = cron.engine.config.settings();
        let period = Duration::from_secs(1) / settings.hz.clamp(1, 500) as u32;
        tokio::time::sleep(period).await;
        cron.expire(&settings, period / EXPIRY_SHARE).await;
        cron.replication(&settings).await;
        cron.save_if_due(&settings);
        if cron.last_second.elapsed() >= Duration::from_secs(1) {
            cron.every_second(&settings);
        }
    }
}

impl Cron {
    /// Removes expired keys, database by database, as long as many are found and time is left.
    async fn expire(&mut self, settings: &Settings, budget: Duration) {
        let engine = self.engine.clone();
        // A replica waits for its primary to say which keys are gone.
        if engine.replication.is_replica() {
            return;
        }
        let started = Instant::now();
        for db in 0..self.cursors.len() {
            loop {
                let report = self.expire_slice(db, settings).await;
                let again = report.expired * EXPIRY_AGAIN > report.examined;
                if !again || started.elapsed() > budget {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
    }

    async fn expire_slice(&mut self, db: usize, settings: &Settings) -> redkeep_store::SliceReport {
        let engine = &*self.engine;
        let slot = engine.background_slot(Background::Cron);
        let pass = engine.enter(slot).await;
        if engine.replication.is_replica() {
            return redkeep_store::SliceReport::default();
        }
        let now_ms = Engine::now_ms();
        let context =
            AccessContext { now_ms, stamp: Stamp::Keep(Default::default()), expiry: ExpiryMode::Delete };
        let stats = engine.stats.slot(slot);
        engine.keyspace.expire_slice(&pass, db, &mut self.cursors[db], EXPIRY_SLICE, context, &mut |access| {
            for owned in access.take_expired() {
                stats.expired.add(1);
                stats.dirty.add(1);
                let key = engine.keyspace.key(owned.key());
                access.attachment(key).touch_expired(key.bytes);
                if engine.log.is_active() {
                    engine.log.append(slot, db, &deletion(key.bytes));
                }
                engine.publish_event(settings, db, key.bytes, notify::EXPIRED, "expired");
            }
        })
    }

    /// Pings to replicas, `min-replicas-to-write`, and a log that nobody needs any more.
    async fn replication(&mut self, settings: &Settings) {
        let engine = &self.engine;
        let is_primary = !engine.replication.is_replica();
        let period_ms = settings.repl_ping_replica_period.max(1) as u64 * 1000;
        let has_replicas = is_primary && engine.log.is_active() && engine.replication.has_replicas();
        if self.pings.due(monotonic_ms(engine), period_ms, has_replicas) {
            let slot = engine.background_slot(Background::Links);
            let _pass = engine.enter(slot).await;
            // The role may have changed while the gate was waited for.
            if !engine.replication.is_replica() {
                engine.log.append_link(slot, PING);
            }
        }
        engine.replication.refresh_policy(engine, settings);
        if engine.log.is_active() && engine.replication.is_log_idle(settings.repl_backlog_ttl) {
            let claim = engine.claim().await;
            if engine.replication.is_log_idle(settings.repl_backlog_ttl) {
                engine.replication.deactivate_log(&engine.log);
            }
            engine.release(claim);
        }
    }

    fn every_second(&mut self, settings: &Settings) {
        let engine = &self.engine;
        let elapsed = self.last_second.elapsed();
        self.last_second = Instant::now();
        let commands = engine.stats.commands_processed();
        let rate = commands.saturating_sub(self.commands_then) as f64 / elapsed.as_secs_f64();
        self.commands_then = commands;
        engine.stats.instantaneous_ops.store(rate as u64, Ordering::Relaxed);
        engine.used_memory();
        close_idle_clients(engine, settings.timeout.max(0) as u64);
    }

    fn save_if_due(&self, settings: &Settings) {
        let persistence = &self.engine.persistence;
        let loading = self.engine.policy.load(Ordering::Acquire) & policy::LOADING != 0;
        if persistence.is_writing() || loading {
            return;
        }
        if persistence.take_schedule() || persist::is_save_due(&self.engine, settings) {
            let engine = self.engine.clone();
            // Its failure is logged, and shown by INFO.
            tokio::spawn(async move { persist::save(&engine).await });
        }
    }
}

fn close_idle_clients(engine: &Engine, timeout_seconds: u64) {
    if timeout_seconds == 0 {
        return;
    }
    for client in engine.clients.list() {
        let age_ms = client.created.elapsed().as_millis() as u64;
        let idle_ms = age_ms.saturating_sub(client.last_active_ms.load(Ordering::Relaxed));
        if client.kind() == ClientKind::Normal && !client.is_blocked() && idle_ms >= timeout_seconds * 1000 {
            client.close();
        }
    }
}
