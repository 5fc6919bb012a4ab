//! When and how often a key was used: the 24 bits that every entry spends on it.
//!
//! As in Redis the bits have one of two readings, and the server's eviction policy says which. Under
//! an LRU policy (and when nothing is ever evicted) they are the clock of the last use, in seconds
//! modulo 2^24. Under an LFU policy the high 16 bits are the minute of the last decay, modulo 2^16, and
//! the low 8 bits a logarithmic counter of uses.

/// The bits of an entry that [`AccessBits`] may use.
pub(crate) const BITS: u32 = 0x00ff_ffff;

/// The counter of a new key: not the least, lest it be evicted before it is used a second time.
const LFU_INITIAL: u8 = 5;

/// How a command stamps the keys it looks up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// Not at all: the command is not a use (`OBJECT`, `DEBUG`, a client with `NO-TOUCH`). New keys
    /// are stamped with the given bits.
    Keep(AccessBits),
    /// With the clock of last use: seconds, of which 24 bits are kept.
    Lru {
        /// The clock.
        clock: u32,
    },
    /// With the counter of uses.
    Lfu(Lfu),
}

/// What counting uses needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lfu {
    /// The time in minutes, of which 16 bits are kept.
    pub minute: u16,
    /// `lfu-log-factor`: how many uses it takes to saturate the counter.
    pub log_factor: u32,
    /// `lfu-decay-time`: the counter loses one for each so many minutes; 0 for never.
    pub decay_minutes: u32,
    /// A random number, fresh for each batch of commands: the counter counts by chance.
    pub random: u64,
}

/// The 24 bits of recency of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessBits(pub u32);

impl AccessBits {
    /// The bits of a key last used at `clock` seconds.
    pub fn lru(clock: u32) -> Self {
        Self(clock & BITS)
    }

    /// The bits of a key with counter `counter`, decayed last at `minute`.
    pub fn lfu(minute: u16, counter: u8) -> Self {
        Self(u32::from(minute) << 8 | u32::from(counter))
    }

    /// Seconds since the last use, seen from `clock` seconds: the LRU reading.
    pub fn idle_seconds(self, clock: u32) -> u32 {
        clock.wrapping_sub(self.0) & BITS
    }

    /// The counter with what it has lost since its last decay: the LFU reading.
    pub fn frequency(self, minute: u16, decay_minutes: u32) -> u8 {
        let [counter, low, high, _] = self.0.to_le_bytes();
        let elapsed = minute.wrapping_sub(u16::from_le_bytes([low, high]));
        let periods = u32::from(elapsed).checked_div(decay_minutes).unwrap_or(0);
        counter.saturating_sub(u8::try_from(periods).unwrap_or(u8::MAX))
    }
}

impl Stamp {
    /// The bits of a key that is created now.
    #[inline]
    pub(crate) fn fresh(self) -> AccessBits {
        match self {
            Stamp::Keep(bits) => AccessBits(bits.0 & BITS),
            Stamp::Lru { clock } => AccessBits::lru(clock),
            Stamp::Lfu(lfu) => AccessBits::lfu(lfu.minute, LFU_INITIAL),
        }
    }

    /// The bits of a key that had `old` and is used now. `salt` tells keys of one batch apart.
    #[inline]
    pub(crate) fn touched(self, old: AccessBits, salt: u64) -> AccessBits {
        match self {
            Stamp::Keep(_) => old,
            Stamp::Lru { clock } => AccessBits::lru(clock),
            Stamp::Lfu(lfu) => lfu.count(old, salt),
        }
    }
}

impl Lfu {
    /// Decays, then counts one more use with a chance of 1 in `(counter - 5) * log_factor + 1`.
    fn count(self, old: AccessBits, salt: u64) -> AccessBits {
        let counter = old.frequency(self.minute, self.decay_minutes);
        let base = u64::from(counter.saturating_sub(LFU_INITIAL));
        let odds = base * u64::from(self.log_factor) + 1;
        let draw = mix(self.random ^ salt ^ u64::from(old.0));
        let counted = if draw.is_multiple_of(odds) { counter.saturating_add(1) } else { counter };
        AccessBits::lfu(self.minute, counted)
    }
}

/// A bijection of 64-bit numbers in which every input bit reaches every output bit (splitmix64's).
#[inline]
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lru_clock_wraps() {
        assert_eq!(AccessBits::lru(100).idle_seconds(130), 30);
        assert_eq!(AccessBits::lru(BITS).idle_seconds(BITS + 3), 3);
        assert_eq!(AccessBits::lru(5).idle_seconds(5), 0);
    }

    #[test]
    fn the_counter_decays_with_time_and_never_below_zero() {
        let bits = AccessBits::lfu(u16::MAX, 10);
        assert_eq!(bits.frequency(u16::MAX, 1), 10);
        assert_eq!(bits.frequency(2, 1), 7);
        assert_eq!(bits.frequency(2, 0), 10);
        assert_eq!(bits.frequency(1000, 1), 0);
    }

    #[test]
    fn the_counter_grows_with_the_logarithm_of_uses() {
        let uses = |count: u64| {
            let lfu = |random| Lfu { minute: 0, log_factor: 10, decay_minutes: 1, random };
            let start = Stamp::Lfu(lfu(0)).fresh();
            (0..count).fold(start, |bits, n| lfu(mix(n)).count(bits, 0)).frequency(0, 1)
        };
        // Redis's documentation of lfu-log-factor 10: 10 after 100 uses, 18 after 1000, 142 after 100K.
        assert!((7..=14).contains(&uses(100)), "{}", uses(100));
        assert!((14..=24).contains(&uses(1000)), "{}", uses(1000));
        assert!((130..=155).contains(&uses(100_000)), "{}", uses(100_000));
    }
}
