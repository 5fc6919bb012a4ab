//! What a client writes: every value once, into a key of its own.
//!
//! Each write adds a value that was never used before, so that the final content says of each one whether it survived.
//! A write is never tried again; the next one has a new value. Lists show order and duplicates too; sets are what many
//! applications would use.

use anyhow::{Context, Result};

use crate::link::Link;

/// Elements of one LRANGE, so that no reply is large.
const CHUNK: usize = 10_000;

/// The kind of key that a client fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// `SADD`.
    Set,
    /// `RPUSH`.
    List,
}

impl Workload {
    /// Clients take turns.
    pub fn of_client(client: usize) -> Workload {
        if client.is_multiple_of(2) { Workload::Set } else { Workload::List }
    }

    /// The command that writes the value.
    pub fn write(self, client: usize, value: u64) -> [String; 3] {
        let command = match self {
            Workload::Set => "SADD",
            Workload::List => "RPUSH",
        };
        [command.to_owned(), self.key(client), element(value)]
    }

    /// All values that are there, in the order in which the server gives them.
    ///
    /// # Errors
    /// When the server does not answer, or holds something that no client wrote.
    pub async fn read(self, client: usize, link: &mut Link) -> Result<Vec<u64>> {
        match self {
            Workload::Set => read_set(&self.key(client), link).await,
            Workload::List => read_list(&self.key(client), link).await,
        }
    }

    fn key(self, client: usize) -> String {
        match self {
            Workload::Set => format!("jepsen:set:{client}"),
            Workload::List => format!("jepsen:list:{client}"),
        }
    }
}

/// Not a bare number: sets and lists would store those in an encoding that applications rarely meet.
fn element(value: u64) -> String {
    format!("v{value}")
}

fn value(element: &[u8]) -> Result<u64> {
    let text = std::str::from_utf8(element)?;
    let number = text.strip_prefix('v').with_context(|| format!("nobody wrote {text:?}"))?;
    Ok(number.parse()?)
}

async fn read_list(key: &str, link: &mut Link) -> Result<Vec<u64>> {
    let mut values = Vec::new();
    loop {
        let (from, to) = (values.len().to_string(), (values.len() + CHUNK - 1).to_string());
        let chunk =
            link.ask(&["LRANGE", key, &from, &to]).await?.into_array().context("LRANGE gave no array")?;
        if chunk.is_empty() {
            return Ok(values);
        }
        for element in chunk {
            values.push(value(element.as_bytes().context("an element is no string")?)?);
        }
    }
}

async fn read_set(key: &str, link: &mut Link) -> Result<Vec<u64>> {
    let mut values = Vec::new();
    let mut cursor = "0".to_owned();
    loop {
        let reply = link.ask(&["SSCAN", key, &cursor, "COUNT", "1000"]).await?;
        let mut parts = reply.into_array().context("SSCAN gave no array")?.into_iter();
        let next = parts.next().context("SSCAN gave no cursor")?;
        let members =
            parts.next().and_then(|members| members.into_array()).context("SSCAN gave no members")?;
        for member in members {
            values.push(value(member.as_bytes().context("a member is no string")?)?);
        }
        cursor = next.as_str().context("the cursor is no string")?.to_owned();
        if cursor == "0" {
            break;
        }
    }
    // A scan may give a member twice while the table grows or shrinks; a set has each once.
    values.sort_unstable();
    values.dedup();
    Ok(values)
}
