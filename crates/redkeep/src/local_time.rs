//! The time of day where the machine stands. The standard library knows only UTC.
#![allow(unsafe_code)] // C's localtime_r knows the time zone.

use std::{fmt, mem, time::SystemTime};

/// A local time, shown as `23 Nov 2026 14:43:05.042`.
pub(crate) struct Stamp {
    day: i32,
    month: usize,
    year: i32,
    hour: i32,
    minute: i32,
    second: i32,
    millis: u32,
}

/// The local time at `instant`.
pub(crate) fn stamp(instant: SystemTime) -> Stamp {
    let since_1970 = instant.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = since_1970.as_secs() as libc::time_t;
    // SAFETY: all zeros is a valid `tm`: integers, and a pointer that may be null.
    let mut local: libc::tm = unsafe { mem::zeroed() };
    // SAFETY: both pointers are to live values of the right types, for the length of the call.
    unsafe { libc::localtime_r(&seconds, &mut local) };
    Stamp {
        day: local.tm_mday,
        month: usize::try_from(local.tm_mon).unwrap_or(0) % MONTHS.len(),
        year: local.tm_year + 1900,
        hour: local.tm_hour,
        minute: local.tm_min,
        second: local.tm_sec,
        millis: since_1970.subsec_millis(),
    }
}

impl Stamp {
    /// Hours, minutes and seconds, `14:43:05`.
    pub(crate) fn time_of_day(&self) -> String {
        format!("{:02}:{:02}:{:02}", self.hour, self.minute, self.second)
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stamp { day, month, year, hour, minute, second, millis } = self;
        let month = MONTHS[*month];
        write!(f, "{day:02} {month} {year} {hour:02}:{minute:02}:{second:02}.{millis:03}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn stamps_are_fixed_width() {
        let instant = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_444_985_042);
        let stamp = stamp(instant);
        let text = stamp.to_string();
        assert!(text.contains(&stamp.time_of_day()));
        assert!(text.ends_with(".042") && text.contains(" Nov 2026 "), "{text}");
        assert_eq!(text.len(), "23 Nov 2026 14:43:05.042".len());
    }
}
