//! Waiting until a cluster is up: every process answers, and the sentinels could replace the primary.

use super::{
    directory::MASTER_NAME,
    layout::{Layout, Member},
};
use crate::link::Link;
use anyhow::{Context as _, Result, ensure};
use redkeep_resp::net::Address;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long one member may take, loading its data included.
const START_PATIENCE: Duration = Duration::from_secs(120);

/// How long replicas may take to find their primary. After that the sentinels are started nevertheless: which
/// server follows which may be for them to put in order.
const LINK_PATIENCE: Duration = Duration::from_secs(3);

/// Between two questions to a member that is not ready.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// How long a member may take for one answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);

/// Waits until all servers answer, and for a while until those that follow another one have found it.
///
/// # Errors
/// When one of them does not answer in time; the error names it and its last answer.
pub(crate) async fn servers(layout: Layout) -> Result<()> {
    for server in layout.servers() {
        until_ready(server, START_PATIENCE, async || open(server).await?.ping().await).await?;
    }
    for server in layout.servers() {
        let follows = async || {
            ensure!(open(server).await?.follows_if_told().await?, "it has not found its primary");
            Ok(())
        };
        if until_ready(server, LINK_PATIENCE, follows).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Waits until all sentinels could fail over, and returns where they say the primary is.
///
/// # Errors
/// As [`servers`].
pub(crate) async fn sentinels(layout: Layout) -> Result<Address> {
    let mut primary = None;
    for sentinel in layout.sentinels() {
        let ask = async || primary_of(sentinel, layout).await;
        primary = Some(until_ready(sentinel, START_PATIENCE, ask).await?);
    }
    primary.context("there is no sentinel")
}

async fn open(member: Member) -> Result<Link> {
    Link::open(&member.address(), ANSWER_PATIENCE).await
}

async fn primary_of(sentinel: Member, layout: Layout) -> Result<Address> {
    let mut link = open(sentinel).await?;
    let primary = link.master_address(MASTER_NAME).await?.context("it knows no primary")?;
    ensure!(link.group_has_leader().await?, "the sentinels have no leader yet");
    let known = link.instances(&["REPLICAS", MASTER_NAME]).await?.len();
    ensure!(known >= usize::from(layout.replicas), "it knows {known} of {} replicas", layout.replicas);
    Ok(primary)
}

/// Asks a member until it answers as it should.
async fn until_ready<T>(member: Member, patience: Duration, ask: impl AsyncFn() -> Result<T>) -> Result<T> {
    let mut last_error = None;
    let until_ready = async {
        loop {
            match ask().await {
                Ok(answer) => return answer,
                Err(error) => last_error = Some(error),
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
    };
    let ready = timeout(patience, until_ready).await;
    ready.map_err(|late| {
        let why = last_error.map_or_else(|| late.to_string(), |error| format!("{error:#}"));
        anyhow::anyhow!("{member} is not ready after {} seconds: {why}", patience.as_secs())
    })
}
