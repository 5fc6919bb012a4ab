//! Zipmap, the small hash of Redis before 2.6: `<count: u8> (<len> field <len> <free: u8> value <free bytes>)... <0xff>`.
//!
//! A length is one byte, or 254 and four bytes little-endian. A count of 254 or more stands for "not known".

use super::Rest;

const LONG: u8 = 254;
const END: u8 = 255;

/// The fields and values of a zipmap.
pub(crate) struct Pairs<'a> {
    rest: Rest<'a>,
    announced: u8,
    found: usize,
}

/// Begins to read the zipmap that `blob` is.
pub(crate) fn read(blob: &[u8]) -> Result<Pairs<'_>, &'static str> {
    let mut rest = Rest(blob);
    let announced = rest.u8().ok_or("zipmap: no bytes at all")?;
    Ok(Pairs { rest, announced, found: 0 })
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.rest.0 {
            [END] if self.announced >= LONG || usize::from(self.announced) == self.found => return None,
            [END] => return Some(Err("zipmap: not as many fields as it says")),
            [END, ..] => return Some(Err("zipmap: bytes follow the end")),
            _ => {}
        }
        self.found += 1;
        Some(pair(&mut self.rest).ok_or("zipmap: a field or a value is cut off"))
    }
}

fn pair<'a>(rest: &mut Rest<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let len = length(rest)?;
    let field = rest.take(len)?;
    let len = length(rest)?;
    let free = usize::from(rest.u8()?);
    let value = rest.take(len)?;
    rest.take(free)?;
    Some((field, value))
}

fn length(rest: &mut Rest<'_>) -> Option<usize> {
    match rest.u8()? {
        END => None,
        LONG => rest.len_le(),
        short => Some(usize::from(short)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Found<'a> = Vec<(&'a [u8], &'a [u8])>;

    fn all(blob: &[u8]) -> Result<Found<'_>, &'static str> {
        read(blob)?.collect()
    }

    #[test]
    fn short_and_long_parts_and_free_bytes() {
        let mut blob = b"\x02\x01a\x02\x03bc...\xfe\x03\0\0\0def\xfe\x2c\x01\0\0\x00".to_vec();
        blob.extend_from_slice(&[b'v'; 300]);
        blob.push(END);
        assert_eq!(all(&blob), Ok(vec![(&b"a"[..], &b"bc"[..]), (b"def", &[b'v'; 300])]));
        assert_eq!(all(b"\x00\xff"), Ok(vec![]));
    }

    #[test]
    fn contradictions_are_found() {
        let good = b"\x01\x01a\x01\x00b\xff";
        assert!(all(good).is_ok());
        for len in 0..good.len() {
            assert!(all(&good[..len]).is_err());
        }
        assert!(all(b"\x02\x01a\x01\x00b\xff").is_err());
        assert!(all(b"\x01\x01a\x01\x00b\xff\xff").is_err());
        assert!(all(b"\x01\x01a\xff\x00b\xff").is_err());
    }
}
