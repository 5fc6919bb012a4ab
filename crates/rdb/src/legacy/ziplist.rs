//! Ziplist, what listpacks replaced: `<total bytes: u32> <offset of the last entry: u32> <count: u16> <entry>... <0xff>`.
//!
//! An entry is the length of the entry before it (one byte, or 254 and four bytes), its encoding byte, and its data.

use redkeep_store::value::Scalar;

use super::Rest;

const HEADER: usize = 10;
const END: u8 = 0xff;
const LONG_PREVIOUS: u8 = 0xfe;
const UNKNOWN_COUNT: u16 = u16::MAX;

/// The elements of a ziplist.
pub(crate) struct Elements<'a> {
    rest: Rest<'a>,
    total: usize,
    tail: usize,
    announced: u16,
    found: usize,
    /// Length in bytes of the entry read last.
    previous: usize,
}

/// Begins to read the ziplist that `blob` is.
pub(crate) fn read(blob: &[u8]) -> Result<Elements<'_>, &'static str> {
    let mut rest = Rest(blob);
    let (Some(total), Some(tail), Some(count)) = (rest.len_le(), rest.len_le(), rest.array::<2>()) else {
        return Err("ziplist: shorter than its header");
    };
    if total != blob.len() {
        return Err("ziplist: not as long as it says");
    }
    Ok(Elements { rest, total, tail, announced: u16::from_le_bytes(count), found: 0, previous: 0 })
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Scalar<'a>, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.0.first() == Some(&END) {
            return self.end();
        }
        let before = self.rest.0.len();
        let Some((previous, element)) = entry(&mut self.rest) else {
            return Some(Err("ziplist: an entry is cut off or of an unknown encoding"));
        };
        if previous != self.previous {
            return Some(Err("ziplist: the length before an entry is not that of the one before it"));
        }
        self.previous = before - self.rest.0.len();
        self.found += 1;
        Some(Ok(element))
    }
}

impl<'a> Elements<'a> {
    /// What the iterator gives at the end marker.
    fn end(&mut self) -> Option<Result<Scalar<'a>, &'static str>> {
        if self.rest.0.len() != 1 {
            return Some(Err("ziplist: bytes follow the end"));
        }
        let last = if self.found == 0 { HEADER } else { self.total - 1 - self.previous };
        if self.tail != last {
            return Some(Err("ziplist: the offset of the last entry is wrong"));
        }
        let right = self.announced == UNKNOWN_COUNT || usize::from(self.announced) == self.found;
        if right { None } else { Some(Err("ziplist: not as many entries as it says")) }
    }
}

/// The length of the entry before, and the element.
fn entry<'a>(rest: &mut Rest<'a>) -> Option<(usize, Scalar<'a>)> {
    let previous = match rest.u8()? {
        LONG_PREVIOUS => rest.len_le()?,
        short => usize::from(short),
    };
    let first = rest.u8()?;
    let low = usize::from(first & 0x3f);
    let element = match first {
        0x00..=0x3f => Scalar::Bytes(rest.take(low)?),
        0x40..=0x7f => {
            let len = low << 8 | usize::from(rest.u8()?);
            Scalar::Bytes(rest.take(len)?)
        }
        0x80..=0xbf => {
            let len = usize::try_from(u32::from_be_bytes(rest.array()?)).ok()?;
            Scalar::Bytes(rest.take(len)?)
        }
        0xc0 => Scalar::Int(rest.int_le::<2>()?),
        0xd0 => Scalar::Int(rest.int_le::<4>()?),
        0xe0 => Scalar::Int(rest.int_le::<8>()?),
        0xf0 => Scalar::Int(rest.int_le::<3>()?),
        0xfe => Scalar::Int(rest.int_le::<1>()?),
        0xf1..=0xfd => Scalar::Int(i64::from(first & 0x0f) - 1),
        _ => return None,
    };
    Some((previous, element))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A ziplist of entries whose encoding and data are given.
    pub(crate) fn build(entries: &[&[u8]]) -> Vec<u8> {
        let mut blob = vec![0; HEADER];
        let mut last = HEADER;
        for entry in entries {
            let previous = blob.len() - last;
            last = blob.len();
            if previous < 254 {
                blob.push(previous as u8);
            } else {
                blob.push(LONG_PREVIOUS);
                blob.extend_from_slice(&(previous as u32).to_le_bytes());
            }
            blob.extend_from_slice(entry);
        }
        blob.push(END);
        let total = blob.len() as u32;
        blob[..4].copy_from_slice(&total.to_le_bytes());
        blob[4..8].copy_from_slice(&(last as u32).to_le_bytes());
        blob[8..10].copy_from_slice(&(entries.len() as u16).to_le_bytes());
        blob
    }

    #[test]
    fn every_encoding() {
        let mut long = b"\x41\x2c".to_vec();
        long.extend_from_slice(&[b'y'; 300]);
        let mut huge = b"\x80\x00\x01\x00\x00".to_vec();
        huge.extend_from_slice(&[b'z'; 65536]);
        let blob = build(&[
            b"\x03abc",
            &long,
            &huge,
            b"\xc0\xff\x7f",
            b"\xd0\x00\x00\x00\x80",
            b"\xe0\x00\x00\x00\x00\x01\x00\x00\x00",
            b"\xf0\xff\xff\xff",
            b"\xfe\x80",
            b"\xf1",
            b"\xfd",
        ]);
        let elements: Result<Vec<_>, _> = read(&blob).unwrap().collect();
        assert_eq!(
            elements.unwrap(),
            [
                Scalar::Bytes(b"abc"),
                Scalar::Bytes(&[b'y'; 300]),
                Scalar::Bytes(&[b'z'; 65536]),
                Scalar::Int(32767),
                Scalar::Int(-2147483648),
                Scalar::Int(1 << 32),
                Scalar::Int(-1),
                Scalar::Int(-128),
                Scalar::Int(0),
                Scalar::Int(12),
            ]
        );
        assert_eq!(read(&build(&[])).unwrap().count(), 0);
    }

    #[test]
    fn contradictions_are_found() {
        let good = build(&[b"\x02ab", b"\xf3"]);
        let all = |blob: &[u8]| {
            read(blob).and_then(|elements| elements.collect::<Result<Vec<_>, _>>().map(|v| v.len()))
        };
        assert_eq!(all(&good), Ok(2));
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 0x81;
            assert_eq!(all(&bad).is_ok(), (12..=13).contains(&place), "byte {place}");
        }
        for len in 0..good.len() {
            assert!(all(&good[..len]).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut blob in proptest::collection::vec(any::<u8>(), 10..60)) {
            let total = blob.len() as u32;
            blob[..4].copy_from_slice(&total.to_le_bytes());
            let _ = read(&blob).unwrap().collect::<Result<Vec<_>, _>>();
        }
    }
}
