//! Cutting a batch: requests out of bytes, commands for their names, hashes for their keys. Nothing executes here;
//! what will is found out, so that its memory can be fetched meanwhile.

use redkeep_resp::{Parsed, RequestReader};
use redkeep_store::KeyHash;

use super::{Executor, MAX_BATCH, Pass, Request, resolve};
use crate::commands::{Args, Command};
use crate::engine::Engine;
use crate::session::Session;

/// Most keys of commands with several that are prefetched for a batch: what is fetched has to stay in the cache
/// until it is used.
pub(super) const MAX_SEVERAL: usize = 512;

/// Why no more requests were cut.
pub(super) enum Stop {
    /// At least so many bytes are missing.
    Incomplete(usize),
    /// These bytes are no request.
    Refused(redkeep_resp::ProtocolError),
}

impl Executor {
    /// Cuts up to a batch of requests from `buf`, beginning at `at`, and starts to fetch their keys'
    /// buckets. Returns where it stopped, and why if not for the size of the batch.
    pub(super) fn cut(
        &mut self,
        engine: &Engine,
        session: &Session,
        reader: &mut RequestReader,
        buf: &mut [u8],
        mut at: usize,
        pass: &Pass<'_>,
    ) -> (usize, Option<Stop>) {
        self.batch.clear();
        self.ranges.clear();
        self.several.clear();
        self.limits.authenticated = session.authenticated;
        // What follows AUTH is cut under other limits.
        let most = if session.authenticated { MAX_BATCH } else { 1 };
        let prefetcher = pass.as_ref().map(|pass| engine.keyspace.prefetcher(pass, session.db));
        while self.batch.len() < most {
            let first = self.ranges.len();
            // An inline request is unquoted where it stands and cannot be cut a second time, so it is a batch alone.
            let inline = buf.get(at).is_some_and(|&byte| byte != b'*');
            if inline && !self.batch.is_empty() {
                break;
            }
            match reader.next(buf, at, &self.limits, &mut self.ranges) {
                Ok(Parsed::Request { len }) if self.ranges.len() == first => at += len,
                Ok(Parsed::Request { len }) => {
                    let request = self.look_up(buf, (at, at + len), first);
                    if let Some(prefetcher) = &prefetcher {
                        match request.key {
                            Some(hash) => prefetcher.bucket(hash),
                            None => {
                                let hashes = self.hash_several(&request, buf);
                                hashes.iter().for_each(|hash| prefetcher.bucket(*hash));
                            }
                        }
                    }
                    self.batch.push(request);
                    at += len;
                    if inline {
                        break;
                    }
                }
                Ok(Parsed::Incomplete { want }) => return (at, Some(Stop::Incomplete(want))),
                Err(error) => return (at, Some(Stop::Refused(error))),
            }
        }
        (at, None)
    }

    #[inline]
    fn look_up(&self, buf: &[u8], (start, end): (usize, usize), first: usize) -> Request {
        let ranges = &self.ranges[first..];
        let args = Args::new(&buf[start..end], ranges);
        let command = resolve(args);
        let key = match command {
            Some(Command { single_key: Some((key, _)), spec, .. }) if spec.accepts(args.len()) => Some(*key),
            _ => None,
        };
        Request {
            command,
            start,
            end,
            args: (first as u32, self.ranges.len() as u32),
            key: key.map(|i| self.engine.keyspace.key(args.get(i)).hash),
        }
    }

    /// Hashes the keys of a command that may have several.
    fn hash_several(&mut self, request: &Request, buf: &[u8]) -> &[KeyHash] {
        let known = self.several.len();
        let (first, last) = request.args;
        let args = Args::new(&buf[request.start..request.end], &self.ranges[first as usize..last as usize]);
        if let Some(Command { spec, .. }) = request.command
            && spec.accepts(args.len())
        {
            // A wrong count of keys is for the handler to report.
            let _ = spec.for_each_key(args, |i| {
                if self.several.len() < MAX_SEVERAL {
                    self.several.push(self.engine.keyspace.key(args.get(i)).hash);
                }
            });
        }
        &self.several[known..]
    }
}
