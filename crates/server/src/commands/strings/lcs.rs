//! LCS: the longest common subsequence of two strings, by the table of all pairs of prefixes.

use redkeep_resp::ReplyWriter;

use crate::commands::parse::integer;
use crate::commands::{
    Args, CommandResult, CommandSpec, Group, KeySpec, KeyUse, Keyed, Outcome, command, flag,
};
use crate::error::CommandError;

use super::string;

pub(in crate::commands) const COMMANDS: &[CommandSpec] = &[command("lcs", -3, Group::String)
    .flags(flag::READONLY)
    .keys(&[KeySpec { first: 1, last: 2, step: 1, usage: KeyUse::ReadAccess }])
    .doc("7.0.0", "Finds the longest subsequence that two strings have in common.")
    .keyed(lcs)];

#[derive(Default)]
struct Options {
    len: bool,
    idx: bool,
    min_match_len: usize,
    with_match_len: bool,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let mut options = Options::default();
        let mut at = 3;
        while at < args.len() {
            if args.is(at, "idx") {
                options.idx = true;
            } else if args.is(at, "len") {
                options.len = true;
            } else if args.is(at, "withmatchlen") {
                options.with_match_len = true;
            } else if args.is(at, "minmatchlen") && at + 1 < args.len() {
                at += 1;
                options.min_match_len = usize::try_from(integer(args.get(at))?).unwrap_or(0);
            } else {
                return Err(CommandError::SYNTAX);
            }
            at += 1;
        }
        if options.idx && options.len {
            return Err(CommandError::new(
                "ERR If you want both the length and indexes, please just use IDX.",
            ));
        }
        Ok(options)
    }
}

fn lcs(cx: &mut Keyed<'_, '_>, args: Args<'_>) -> CommandResult {
    let keys = [cx.key(args, 1), cx.key(args, 2)];
    keys.iter().for_each(|key| {
        cx.look(*key);
    });
    let [a, b] = keys.map(|key| string(cx.access.peek(key)).map(Option::unwrap_or_default));
    let (Ok(a), Ok(b)) = (a, b) else {
        return Err(CommandError::new("ERR The specified keys must contain string values"));
    };
    let options = Options::parse(args)?;
    let table = Table::build(a, b, cx.settings.proto_max_bulk_len)?;
    if options.len {
        cx.reply.integer(i64::from(table.len()));
    } else if options.idx {
        table.write_matches(&mut cx.reply, &options);
    } else {
        cx.reply.bulk(&table.subsequence());
    }
    Ok(Outcome::Unchanged)
}

/// For each pair of prefixes of the two strings, the length of what they have in common.
struct Table<'a> {
    a: &'a [u8],
    b: &'a [u8],
    /// Row after row, one row for each prefix of `a`, the empty one included.
    cells: Vec<u32>,
}

/// A stretch that is the same in both strings: where it starts in each, and its length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Match {
    a: usize,
    b: usize,
    len: usize,
}

impl<'a> Table<'a> {
    /// Fills the table, which may take `max_bytes` of memory.
    fn build(a: &'a [u8], b: &'a [u8], max_bytes: u64) -> Result<Self, CommandError> {
        let longest = (u32::MAX - 1) as usize;
        if a.len() >= longest || b.len() >= longest {
            return Err(CommandError::new("ERR String too long for LCS"));
        }
        let size = (a.len() as u64 + 1) * (b.len() as u64 + 1);
        if size.saturating_mul(size_of::<u32>() as u64) > max_bytes {
            return Err(CommandError::new(
                "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
            ));
        }
        let mut cells = Vec::new();
        cells.try_reserve_exact(size as usize).map_err(|_| {
            CommandError::new("ERR Insufficient memory, failed allocating transient memory for LCS")
        })?;
        cells.resize(size as usize, 0);
        let mut table = Table { a, b, cells };
        table.fill();
        Ok(table)
    }

    fn fill(&mut self) {
        let width = self.b.len() + 1;
        for (i, byte) in self.a.iter().enumerate() {
            let (above, row) = self.cells[i * width..].split_at_mut(width);
            for (j, other) in self.b.iter().enumerate() {
                row[j + 1] = if byte == other { above[j] + 1 } else { above[j + 1].max(row[j]) };
            }
        }
    }

    /// What the first `i` and the first `j` bytes have in common.
    fn cell(&self, i: usize, j: usize) -> u32 {
        self.cells[i * (self.b.len() + 1) + j]
    }

    fn len(&self) -> u32 {
        self.cell(self.a.len(), self.b.len())
    }

    /// The pairs of equal bytes that make up the subsequence, the last first. Where there is a choice, it is Redis's.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let (mut i, mut j) = (self.a.len(), self.b.len());
        std::iter::from_fn(move || {
            while i > 0 && j > 0 {
                if self.a[i - 1] == self.b[j - 1] {
                    (i, j) = (i - 1, j - 1);
                    return Some((i, j));
                }
                if self.cell(i - 1, j) > self.cell(i, j - 1) {
                    i -= 1;
                } else {
                    j -= 1;
                }
            }
            None
        })
    }

    fn subsequence(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.pairs().map(|(i, _)| self.a[i]).collect();
        bytes.reverse();
        bytes
    }

    /// The stretches of pairs that follow each other in both strings, the last first.
    fn matches(&self) -> Vec<Match> {
        let mut matches: Vec<Match> = Vec::new();
        for (a, b) in self.pairs() {
            match matches.last_mut() {
                Some(last) if (last.a, last.b) == (a + 1, b + 1) => *last = Match { a, b, len: last.len + 1 },
                _ => matches.push(Match { a, b, len: 1 }),
            }
        }
        matches
    }

    fn write_matches(&self, reply: &mut ReplyWriter<'_>, options: &Options) {
        let mut matches = self.matches();
        matches.retain(|found| found.len >= options.min_match_len);
        reply.map(2);
        reply.bulk_str("matches");
        reply.array(matches.len());
        for found in matches {
            reply.array(if options.with_match_len { 3 } else { 2 });
            for start in [found.a, found.b] {
                reply.array(2);
                reply.integer(start as i64);
                reply.integer((start + found.len - 1) as i64);
            }
            if options.with_match_len {
                reply.integer(found.len as i64);
            }
        }
        reply.bulk_str("len");
        reply.integer(i64::from(self.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subsequence_is_found_with_its_stretches() {
        let table = Table::build(b"ohmytext", b"mynewtext", 1 << 20).unwrap();
        assert_eq!((table.len(), table.subsequence()), (6, b"mytext".to_vec()));
        assert_eq!(table.matches(), [Match { a: 4, b: 5, len: 4 }, Match { a: 2, b: 0, len: 2 }]);
        assert_eq!(Table::build(b"", b"abc", 1 << 20).unwrap().subsequence(), b"");
        assert!(Table::build(b"aaaa", b"bbbb", 99).is_err());
    }
}
