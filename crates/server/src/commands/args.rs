//! The arguments of one command: ranges into the bytes that were read.

use redkeep_resp::ArgRange;

/// Borrowed arguments; the command's name is argument 0.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    bytes: &'a [u8],
    ranges: &'a [ArgRange],
}

impl<'a> Args<'a> {
    /// `ranges` are relative to `bytes`, which hold the whole request.
    pub fn new(bytes: &'a [u8], ranges: &'a [ArgRange]) -> Self {
        Args { bytes, ranges }
    }

    /// The number of arguments, the name included.
    #[allow(clippy::len_without_is_empty)] // a command has at least its name
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Argument `i`. Panics when there is none: arity is checked before a handler runs.
    #[inline]
    pub fn get(&self, i: usize) -> &'a [u8] {
        let range = self.ranges[i];
        &self.bytes[range.start as usize..range.start as usize + range.len as usize]
    }

    /// The command's name as the client wrote it.
    pub fn name(&self) -> &'a [u8] {
        self.get(0)
    }

    /// The arguments from `first` on.
    pub fn from(self, first: usize) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + Clone {
        (first.min(self.len())..self.len()).map(move |i| self.get(i))
    }

    /// Whether argument `i` is `word`, in any case.
    pub fn is(&self, i: usize, word: &str) -> bool {
        self.get(i).eq_ignore_ascii_case(word.as_bytes())
    }

    /// The request as it came, when that is the multibulk form which can be passed on unchanged.
    #[inline]
    pub fn verbatim(&self) -> Option<&'a [u8]> {
        (self.bytes.first() == Some(&b'*')).then_some(self.bytes)
    }

    /// A copy that outlives the read buffer.
    pub fn to_owned(&self) -> OwnedArgs {
        OwnedArgs { bytes: self.bytes.into(), ranges: self.ranges.into() }
    }

    /// The same request without its first argument, for the subcommand of a container.
    pub fn to_vec(&self) -> Vec<Vec<u8>> {
        self.from(0).map(<[u8]>::to_vec).collect()
    }
}

/// The arguments of a request that is kept: a queued or parked one.
#[derive(Clone)]
pub struct OwnedArgs {
    bytes: Box<[u8]>,
    ranges: Box<[ArgRange]>,
}

impl OwnedArgs {
    /// Builds a request from its arguments.
    pub fn from_parts(args: &[&[u8]]) -> Self {
        let mut bytes = Vec::new();
        let mut ranges = Vec::with_capacity(args.len());
        bytes.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
        for arg in args {
            bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            ranges.push(ArgRange { start: bytes.len() as u32, len: arg.len() as u32 });
            bytes.extend_from_slice(arg);
            bytes.extend_from_slice(b"\r\n");
        }
        OwnedArgs { bytes: bytes.into(), ranges: ranges.into() }
    }

    /// A view of it.
    pub fn as_args(&self) -> Args<'_> {
        Args::new(&self.bytes, &self.ranges)
    }

    /// Bytes that it keeps in memory.
    pub fn memory(&self) -> usize {
        self.bytes.len() + std::mem::size_of_val(&*self.ranges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owned_arguments_are_a_request() {
        let owned = OwnedArgs::from_parts(&[b"SET", b"k", b""]);
        let args = owned.as_args();
        assert_eq!(args.verbatim(), Some(&b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n"[..]));
        assert_eq!((args.name(), args.get(1), args.get(2)), (&b"SET"[..], &b"k"[..], &b""[..]));
        assert_eq!(args.from(1).count(), 2);
    }
}
