//! Do enough sentinels see the master down?
//!
//! Every sentinel tells every other which masters it sees down, at each change and again every second. So whoever
//! leads when the master dies, or comes to lead because the old leader died with it, has the views already and
//! asks nobody. A view counts for the address that it names, and only for a while: a sentinel that fell silent
//! has no opinion.

use std::collections::BTreeMap;

use super::ids::{Addr, SentinelId};

/// How long a view counts, ms: five of the periods at which it is told again.
pub const VIEW_VALID_MS: u64 = 5000;

/// What the other sentinels last said of one master.
#[derive(Clone, Debug, Default)]
pub struct Views {
    down: BTreeMap<SentinelId, (Addr, u64)>,
}

impl Views {
    /// `sentinel` said that the master at `address` is down.
    pub fn down(&mut self, now: u64, sentinel: SentinelId, address: Addr) {
        self.down.insert(sentinel, (address, now));
    }

    /// `sentinel` said that the master is not down, or is not a sentinel of this master any more.
    pub fn up(&mut self, sentinel: &SentinelId) {
        self.down.remove(sentinel);
    }

    /// Whether `sentinel` says that the master at `address` is down.
    #[must_use]
    pub fn says_down(&self, now: u64, sentinel: &SentinelId, address: &Addr) -> bool {
        let view = self.down.get(sentinel);
        view.is_some_and(|(of, at)| of == address && now.saturating_sub(*at) < VIEW_VALID_MS)
    }

    /// How many of `sentinels` say that the master at `address` is down, with our own view.
    pub fn tally<'a>(
        &self,
        now: u64,
        address: &Addr,
        ours: bool,
        sentinels: impl Iterator<Item = &'a SentinelId>,
    ) -> u32 {
        let down = sentinels.filter(|sentinel| self.says_down(now, sentinel, address)).count();
        u32::from(ours) + u32::try_from(down).unwrap_or(u32::MAX - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> SentinelId {
        SentinelId::from_bytes([n; 20])
    }

    #[test]
    fn counts_known_sentinels_with_a_fresh_view_of_this_address() {
        let (here, there) = (Addr::new("h", 1), Addr::new("h", 2));
        let all = [id(1), id(2), id(3)];
        let mut views = Views::default();
        let tally = |views: &Views, now, ours| views.tally(now, &here, ours, all.iter());
        assert_eq!(tally(&views, 0, true), 1);
        views.down(0, id(1), here.clone());
        views.down(0, id(2), there);
        views.down(0, id(9), here.clone());
        assert_eq!(tally(&views, 0, true), 2, "another address and a stranger do not count");
        assert_eq!(tally(&views, VIEW_VALID_MS, true), 1, "too old");
        views.down(3000, id(2), here.clone());
        assert_eq!(tally(&views, 3000, false), 2);
        views.up(&id(2));
        assert_eq!(tally(&views, 3000, false), 1);
    }
}
