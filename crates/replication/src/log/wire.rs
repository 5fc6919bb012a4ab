//! The bytes that the log itself writes into the stream, exactly as Redis writes them.

use super::Effect;

pub(super) const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
pub(super) const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

/// `SELECT <db>` as a request.
pub(super) struct Select {
    bytes: [u8; Select::MAX_LEN],
    len: usize,
}

impl Select {
    const HEAD: &[u8] = b"*2\r\n$6\r\nSELECT\r\n$";
    /// The head, two digits of length, twenty digits of number, two line ends.
    const MAX_LEN: usize = Select::HEAD.len() + 2 + 20 + 4;

    pub(super) fn new(db: usize) -> Select {
        use std::io::Write;
        let mut bytes = [0; Select::MAX_LEN];
        let digits = db.checked_ilog10().unwrap_or(0) + 1;
        let mut rest = &mut bytes[..];
        rest.write_all(Select::HEAD)
            .and_then(|()| write!(rest, "{digits}\r\n{db}\r\n"))
            .expect("the longest number fits");
        let len = Select::MAX_LEN - rest.len();
        Select { bytes, len }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Hands the bytes of a transaction after its first SELECT to `write`, piece by piece: MULTI, the effects with SELECTs
/// between them where the database changes, EXEC.
pub(super) fn transaction(effects: &[Effect<'_>], mut write: impl FnMut(&[u8])) {
    let Some(first) = effects.first() else { return };
    write(MULTI);
    let mut db = first.db;
    for effect in effects {
        if effect.db != db {
            db = effect.db;
            write(Select::new(db).as_bytes());
        }
        write(effect.bytes);
    }
    write(EXEC);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn select_is_what_redis_sends() {
        assert_eq!(Select::new(0).as_bytes(), b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n");
        assert_eq!(Select::new(9).as_bytes(), b"*2\r\n$6\r\nSELECT\r\n$1\r\n9\r\n");
        assert_eq!(Select::new(10).as_bytes(), b"*2\r\n$6\r\nSELECT\r\n$2\r\n10\r\n");
        assert_eq!(
            Select::new(usize::MAX).as_bytes(),
            b"*2\r\n$6\r\nSELECT\r\n$20\r\n18446744073709551615\r\n"
        );
    }
}
