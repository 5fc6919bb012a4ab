//! Classes of keyspace events, the letters of `notify-keyspace-events`.

/// `K`: publish to `__keyspace@<db>__:<key>`.
pub const KEYSPACE: u32 = 1;
/// `E`: publish to `__keyevent@<db>__:<event>`.
pub const KEYEVENT: u32 = 1 << 1;
/// `g`: commands of keys of any type.
pub const GENERIC: u32 = 1 << 2;
/// `$`: strings.
pub const STRING: u32 = 1 << 3;
/// `l`: lists.
pub const LIST: u32 = 1 << 4;
/// `s`: sets.
pub const SET: u32 = 1 << 5;
/// `h`: hashes.
pub const HASH: u32 = 1 << 6;
/// `z`: sorted sets.
pub const ZSET: u32 = 1 << 7;
/// `x`: keys that expired.
pub const EXPIRED: u32 = 1 << 8;
/// `e`: keys that were evicted.
pub const EVICTED: u32 = 1 << 9;
/// `t`: streams.
pub const STREAM: u32 = 1 << 10;
/// `m`: reads of keys that are not there.
pub const KEY_MISS: u32 = 1 << 11;
/// `d`: module keys.
pub const MODULE: u32 = 1 << 12;
/// `n`: keys that are new.
pub const NEW: u32 = 1 << 13;
/// `A`: all but `m` and `n`.
pub const ALL: u32 = GENERIC | STRING | LIST | SET | HASH | ZSET | EXPIRED | EVICTED | STREAM | MODULE;

const LETTERS: &[(u8, u32)] = &[
    (b'g', GENERIC),
    (b'$', STRING),
    (b'l', LIST),
    (b's', SET),
    (b'h', HASH),
    (b'z', ZSET),
    (b'x', EXPIRED),
    (b'e', EVICTED),
    (b't', STREAM),
    (b'd', MODULE),
    (b'n', NEW),
    (b'K', KEYSPACE),
    (b'E', KEYEVENT),
    (b'm', KEY_MISS),
];

/// Reads the letters; `None` where one is unknown.
pub fn parse_classes(letters: &str) -> Option<u32> {
    letters.bytes().try_fold(0, |classes, letter| match letter {
        b'A' => Some(classes | ALL),
        _ => LETTERS.iter().find(|(l, _)| *l == letter).map(|(_, class)| classes | class),
    })
}

/// The letters of a set of classes, in Redis's order.
pub fn show_classes(classes: u32) -> String {
    let mut shown = String::new();
    let rest = if classes & ALL == ALL {
        shown.push('A');
        classes & !ALL
    } else {
        classes
    };
    shown.extend(LETTERS.iter().filter(|(_, class)| rest & class != 0).map(|(letter, _)| *letter as char));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_read_as_they_are_shown() {
        for letters in ["", "AKE", "g$lKE", "AKEm", "xE"] {
            assert_eq!(show_classes(parse_classes(letters).unwrap()), letters);
        }
        assert_eq!(show_classes(parse_classes("Eg$lshzxetdK").unwrap()), "AKE");
        assert_eq!(parse_classes("q"), None);
    }
}
