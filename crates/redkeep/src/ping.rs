//! `redkeep ping`: whether a server or sentinel answers, for health checks.

use crate::{cli::PingArgs, link::Link};
use anyhow::{Context as _, Result};
use std::io::{self, Write as _};

/// Says PONG, or fails with the reason.
pub(crate) async fn run(args: &PingArgs) -> Result<()> {
    let answered = async { Link::open(&args.address, args.timeout).await?.ping().await };
    answered.await.with_context(|| args.address.to_string())?;
    writeln!(io::stdout(), "PONG")?;
    Ok(())
}
