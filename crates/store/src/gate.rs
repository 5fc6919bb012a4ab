//! The gate: a big-reader lock over all shards of all databases.
//!
//! Ordinary work enters with its own slot, on a cache line that nobody else writes, so entering costs
//! one atomic swap however many cores there are. Exclusive work (a transaction over many keys, a
//! flush, the start of a snapshot) claims the gate and waits until every slot is empty; from then on
//! it owns every shard, at a cost that grows with the slots and not with the shards.
//!
//! Nobody waits on entering: [`Gate::enter`] answers `None` while the gate is claimed, and the caller
//! puts its request aside. What holds the claim is a token that may be moved between threads, so that
//! a long script can run in slices.
//!
//! Invariant: while an [`Exclusive`] is alive no [`Shared`] is, and at most one of them is alive.
//! Entering publishes the slot, then looks at the claim; claiming publishes the claim, then looks at
//! the slots. Both sides are sequentially consistent, so at least one of two that meet sees the other.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_utils::{Backoff, CachePadded};

struct Core {
    claimed: CachePadded<AtomicBool>,
    slots: Box<[CachePadded<AtomicBool>]>,
}

/// The big-reader lock of a [`Keyspace`](crate::Keyspace). A clone is the same gate.
///
/// ```
/// let keyspace: redkeep_store::Keyspace<()> = redkeep_store::Keyspace::new(16, 1, 2);
/// let gate = keyspace.gate();
/// let worker = gate.enter(0).expect("nobody has claimed the gate");
/// drop(worker);
/// let owner = gate.try_claim().expect("nobody else claims it");
/// assert!(gate.enter(0).is_none());
/// drop(owner);
/// assert!(gate.enter(0).is_some());
/// ```
#[derive(Clone)]
pub struct Gate {
    core: Arc<Core>,
}

impl Gate {
    /// A gate with `slots` slots, numbered from 0.
    pub(crate) fn new(slots: usize) -> Self {
        let slots = (0..slots).map(|_| CachePadded::new(AtomicBool::new(false))).collect();
        Self { core: Arc::new(Core { claimed: CachePadded::new(AtomicBool::new(false)), slots }) }
    }

    /// How many slots there are.
    pub fn slots(&self) -> usize {
        self.core.slots.len()
    }

    /// Enters with slot `slot`, or answers `None` if the gate is claimed: then put the work aside and
    /// try again when the claim has ended.
    ///
    /// # Panics
    /// If there is no such slot or it is inside already: a slot has one user at a time.
    #[inline]
    pub fn enter(&self, slot: usize) -> Option<Shared<'_>> {
        let slot = &*self.core.slots[slot];
        let inside = slot.swap(true, Ordering::SeqCst);
        assert!(!inside, "a gate slot has one user at a time, and this one is inside already");
        let entered = Shared { core: &self.core, slot };
        // Dropping `entered` leaves again.
        (!self.core.claimed.load(Ordering::SeqCst)).then_some(entered)
    }

    /// Claims the gate, or answers `None` if somebody else has. Having claimed it, waits for those
    /// inside to leave: at most as long as their longest stay, since nobody enters any more.
    ///
    /// The caller must not hold a [`Shared`], or it waits for itself for ever.
    pub fn try_claim(&self) -> Option<Exclusive> {
        self.core.claimed.compare_exchange(false, true, Ordering::SeqCst, Ordering::SeqCst).ok()?;
        let claim = Exclusive { core: Arc::clone(&self.core) };
        for slot in &self.core.slots {
            let backoff = Backoff::new();
            while slot.load(Ordering::SeqCst) {
                backoff.snooze();
            }
        }
        Some(claim)
    }

    /// Whether somebody has claimed the gate. Only a hint: it may change at once.
    #[inline]
    pub fn is_claimed(&self) -> bool {
        self.core.claimed.load(Ordering::Relaxed)
    }

    /// Stops a program that uses the pass of another keyspace, which would prove nothing here.
    #[inline]
    pub(crate) fn check(&self, pass: &impl Pass) {
        let ours = std::ptr::from_ref::<Core>(&self.core) == pass.core();
        assert!(ours, "this pass belongs to the gate of another keyspace");
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("slots", &self.slots()).field("claimed", &self.is_claimed()).finish()
    }
}

/// Proof that its holder is inside the gate with a slot. Dropping it leaves.
#[must_use = "dropping it leaves the gate"]
pub struct Shared<'g> {
    core: &'g Core,
    slot: &'g AtomicBool,
}

impl Drop for Shared<'_> {
    #[inline]
    fn drop(&mut self) {
        self.slot.store(false, Ordering::Release);
    }
}

impl fmt::Debug for Shared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

/// Proof that its holder owns the gate and nobody is inside. Dropping it releases the gate.
#[must_use = "dropping it releases the gate"]
pub struct Exclusive {
    core: Arc<Core>,
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        self.core.claimed.store(false, Ordering::SeqCst);
    }
}

impl fmt::Debug for Exclusive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exclusive")
    }
}

/// What lets its holder look at databases: a [`Shared`] or an [`Exclusive`]. While one is held, no
/// database is flushed or swapped by anybody else.
pub trait Pass: sealed::Sealed {}

impl Pass for Shared<'_> {}
impl Pass for Exclusive {}

mod sealed {
    use super::{Core, Exclusive, Shared};

    pub trait Sealed {
        #[doc(hidden)]
        #[allow(private_interfaces, reason = "outside this module it serves as an address only")]
        fn core(&self) -> *const Core;
    }

    impl Sealed for Shared<'_> {
        #[inline]
        #[allow(private_interfaces, reason = "outside this module it serves as an address only")]
        fn core(&self) -> *const Core {
            self.core
        }
    }

    impl Sealed for Exclusive {
        #[inline]
        #[allow(private_interfaces, reason = "outside this module it serves as an address only")]
        fn core(&self) -> *const Core {
            &*self.core
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    /// The two numbers are only ever different while somebody owns the gate. They are read and written
    /// without ordering of their own: what orders them is the gate.
    #[test]
    fn an_owner_is_alone_and_readers_see_what_it_wrote() {
        const READERS: usize = 3;
        const ROUNDS: u64 = 300;
        let gate = Gate::new(READERS);
        let (left, right) = (AtomicU64::new(0), AtomicU64::new(0));
        let read = |slot| {
            while left.load(Ordering::Relaxed) < 2 * ROUNDS {
                let Some(_inside) = gate.enter(slot) else {
                    std::thread::yield_now();
                    continue;
                };
                assert_eq!(left.load(Ordering::Relaxed), right.load(Ordering::Relaxed));
            }
        };
        let write = || {
            let mut rounds = 0;
            while rounds < ROUNDS {
                let Some(_owner) = gate.try_claim() else {
                    std::thread::yield_now();
                    continue;
                };
                let next = left.load(Ordering::Relaxed) + 1;
                left.store(next, Ordering::Relaxed);
                std::thread::yield_now();
                right.store(next, Ordering::Relaxed);
                rounds += 1;
            }
        };
        std::thread::scope(|scope| {
            for slot in 0..READERS {
                scope.spawn(move || read(slot));
            }
            scope.spawn(write);
            scope.spawn(write);
        });
        assert_eq!(right.load(Ordering::Relaxed), 2 * ROUNDS);
    }

    #[test]
    fn a_claim_waits_for_those_inside_and_keeps_others_out() {
        let gate = Gate::new(2);
        let left = AtomicBool::new(false);
        let inside = gate.enter(1);
        assert!(inside.is_some());
        std::thread::scope(|scope| {
            let claimer = scope.spawn(|| {
                let owner = gate.try_claim();
                assert!(left.load(Ordering::Relaxed), "it owns the gate with somebody inside");
                owner.is_some()
            });
            while !gate.is_claimed() && !claimer.is_finished() {
                std::thread::yield_now();
            }
            assert!(gate.enter(0).is_none());
            assert!(gate.try_claim().is_none());
            left.store(true, Ordering::Relaxed);
            drop(inside);
            assert!(claimer.join().expect("the claimer does not panic"));
        });
        assert!(gate.enter(0).is_some());
    }

    #[test]
    #[should_panic(expected = "one user at a time")]
    fn a_slot_is_not_entered_twice() {
        let gate = Gate::new(1);
        let _first = gate.enter(0);
        let _second = gate.enter(0);
    }

    #[test]
    #[should_panic(expected = "another keyspace")]
    fn a_foreign_pass_is_refused() {
        let (ours, theirs) = (Gate::new(1), Gate::new(1));
        let pass = theirs.enter(0).expect("unclaimed");
        ours.check(&pass);
    }
}
