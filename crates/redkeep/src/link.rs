//! Short conversations with running instances, for the commands that ask rather than serve.

use anyhow::{Context as _, Result, anyhow, bail};
use redkeep_resp::{client::Client, frame::Frame, net::Address};
use std::{collections::HashMap, time::Duration};
use tokio::time::timeout;

/// Longest answer that is expected of an instance; SENTINEL REPLICAS of hundreds fits well.
const MAX_ANSWER: usize = 4 << 20;

/// The password for all instances, as redis-cli takes it.
const PASSWORD_VARIABLE: &str = "REDISCLI_AUTH";

/// A connection whose every step takes at most a given time.
pub(crate) struct Link {
    client: Client,
    patience: Duration,
}

impl Link {
    /// Connects, and authenticates where the environment has a password.
    pub(crate) async fn open(address: &Address, patience: Duration) -> Result<Self> {
        let connected = timeout(patience, Client::connect(address)).await;
        let client = connected.context("no answer")??.with_max_frame_len(MAX_ANSWER);
        let mut link = Link { client, patience };
        if let Ok(password) = std::env::var(PASSWORD_VARIABLE) {
            link.call(&["AUTH", &password]).await?;
        }
        Ok(link)
    }

    /// Sends a command. An error reply is an error.
    pub(crate) async fn call(&mut self, args: &[&str]) -> Result<Frame> {
        let reply = timeout(self.patience, self.client.call(args)).await.context("no answer")??;
        match reply.as_error() {
            Some(error) => Err(anyhow!("{error}")),
            None => Ok(reply),
        }
    }

    /// The connection itself, for what is no conversation.
    pub(crate) fn into_client(self) -> Client {
        self.client
    }

    /// PING, and the right answer to it.
    pub(crate) async fn ping(&mut self) -> Result<()> {
        match self.call(&["PING"]).await?.as_str() {
            Some("PONG") => Ok(()),
            _ => bail!("an answer that is not PONG"),
        }
    }

    /// Asks a sentinel where the master of a name is.
    pub(crate) async fn master_address(&mut self, name: &str) -> Result<Option<Address>> {
        let reply = self.call(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name]).await?;
        let Some(parts) = reply.into_array() else {
            return Ok(None);
        };
        let [host, port] = &parts[..] else {
            bail!("an address of {} parts", parts.len());
        };
        let port = port.as_int().and_then(|port| u16::try_from(port).ok()).context("a port that is none")?;
        Ok(Some(Address::tcp(host.as_str().context("a host that is no text")?, port)))
    }

    /// Asks a server whether it is a primary, or a replica whose primary serves it.
    pub(crate) async fn follows_if_told(&mut self) -> Result<bool> {
        let role = self.call(&["ROLE"]).await?.into_array().context("a role that is no list")?;
        let word = |index: usize| role.get(index).and_then(Frame::as_str);
        Ok(word(0) != Some("slave") || word(3) == Some("connected"))
    }

    /// Asks a Redkeep sentinel whether its group has a leader, without which nothing is failed over.
    pub(crate) async fn group_has_leader(&mut self) -> Result<bool> {
        let reply = self.call(&["INFO", "raft"]).await?;
        let text = reply.as_str().context("an answer that is no text")?;
        let leader = text.lines().find_map(|line| line.strip_prefix("raft_leader:"));
        Ok(leader.is_some_and(|id| !id.trim().is_empty()))
    }

    /// Asks a sentinel for a list of instances: `MASTERS`, `REPLICAS name` or `SENTINELS name`.
    pub(crate) async fn instances(&mut self, list: &[&str]) -> Result<Vec<Instance>> {
        let reply = self.call(&[&["SENTINEL"], list].concat()).await?;
        let items = reply.into_array().context("an answer that is no list")?;
        items.into_iter().map(Instance::from_frame).collect()
    }
}

/// What a sentinel says of an instance: field names and values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Instance(HashMap<String, String>);

impl Instance {
    fn from_frame(frame: Frame) -> Result<Self> {
        let pairs = frame.into_pairs().context("an instance that has no fields")?;
        let text = |frame: &Frame| frame.as_str().map(str::to_owned).context("a field that is no text");
        Ok(Instance(
            pairs.iter().map(|(name, value)| Ok((text(name)?, text(value)?))).collect::<Result<_>>()?,
        ))
    }

    /// A field's value, or nothing where the sentinel does not have it.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Where the instance is.
    pub(crate) fn address(&self) -> String {
        let host = self.field("ip");
        match self.field("port").parse() {
            Ok(port) => Address::tcp(host, port).to_string(),
            Err(_) => host.to_owned(),
        }
    }

    /// Whether the sentinel has set a flag, `s_down` for one.
    pub(crate) fn has_flag(&self, flag: &str) -> bool {
        self.field("flags").split(',').any(|set| set == flag)
    }

    #[cfg(test)]
    pub(crate) fn of(fields: &[(&str, &str)]) -> Self {
        Instance(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }
}
