//! A connection to a server or sentinel on which nothing takes longer than the caller allows.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use redkeep_resp::client::Client;
use redkeep_resp::frame::Frame;
use redkeep_resp::net::Address;
use tokio::time::timeout;

use crate::system::MASTER_NAME;

/// For questions to sentinels and for connecting: long on one machine, short beside any failover.
pub const SHORT: Duration = Duration::from_millis(300);

/// A connection. After an error it is of no more use: a late reply would answer the wrong question.
pub struct Link(Client);

impl Link {
    /// Connects within [`SHORT`].
    ///
    /// # Errors
    /// When nobody listens there, or nobody answers in time.
    pub async fn open(address: SocketAddr) -> Result<Link> {
        let client = timeout(SHORT, Client::connect(&Address::from(address)))
            .await
            .context("no connection in time")?;
        Ok(Link(client?))
    }

    /// Sends a command and waits for its reply, an error reply included.
    ///
    /// # Errors
    /// When the connection breaks or the reply takes longer than `limit`.
    pub async fn call<A: AsRef<[u8]>>(&mut self, arguments: &[A], limit: Duration) -> Result<Frame> {
        Ok(timeout(limit, self.0.call(arguments)).await.context("no reply in time")??)
    }

    /// As [`Link::call`] within [`SHORT`], where an error reply is an error.
    ///
    /// # Errors
    /// As [`Link::call`], and for error replies.
    pub async fn ask<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> Result<Frame> {
        match self.call(arguments, SHORT).await? {
            Frame::Error(text) => bail!("{text}"),
            reply => Ok(reply),
        }
    }

    /// INFO, all sections, by field.
    ///
    /// # Errors
    /// As [`Link::ask`].
    pub async fn info(&mut self) -> Result<HashMap<String, String>> {
        let reply = self.ask(&["INFO"]).await?;
        let text = reply.as_str().context("INFO is no text")?;
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        Ok(fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
    }
}

/// The primary's address, as this sentinel knows it.
///
/// # Errors
/// When the sentinel does not answer in time or knows no primary.
pub async fn primary_address(sentinel: SocketAddr) -> Result<SocketAddr> {
    let mut link = Link::open(sentinel).await?;
    let reply = link.ask(&["SENTINEL", "get-master-addr-by-name", MASTER_NAME]).await?;
    let parts = reply.into_array().context("the sentinel knows no such master")?;
    let [ip, port] = parts.as_slice() else { bail!("an address of {} parts", parts.len()) };
    let (ip, port) = (ip.as_str().context("no ip")?, port.as_int().context("no port")?);
    Ok(SocketAddr::new(ip.parse()?, u16::try_from(port)?))
}
