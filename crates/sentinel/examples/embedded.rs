//! A sentinel inside another program: it watches a master and says what happens to it.
//!
//! ```text
//! cargo run -p redkeep-sentinel --example embedded -- mymaster 127.0.0.1:6379 1
//! ```
//!
//! Run it three times, with quorum 2, to see the three find each other and replace the master when it is killed.

use std::error::Error;
use std::time::Duration;

use redkeep_sentinel::{Addr, Sentinel, Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_else(|| "mymaster".to_owned());
    let address: Addr = args.next().unwrap_or_else(|| "127.0.0.1:6379".to_owned()).parse()?;
    let quorum = args.next().map_or(Ok(2), |arg| arg.parse())?;

    let settings = Settings { down_after_ms: 1000, ..Settings::new(quorum) };
    let sentinel = Sentinel::builder()
        .listen("127.0.0.1:0".parse()?)
        .dir(std::env::temp_dir())
        .settle(Duration::from_secs(2))
        .monitor(name.as_str(), address, settings)
        .start()
        .await?;
    let mut events = sentinel.events();
    if let Some(port) = sentinel.local_addr().map(|addr| addr.port()) {
        println!("sentinel {} on port {port}, SHUTDOWN ends it", sentinel.id());
    }
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => println!("{event}"),
                None => break,
            },
            () = sentinel.stopped() => break,
        }
    }
    if let Some(address) = sentinel.master_addr(&name) {
        println!("at the end {name} is at {address}");
    }
    sentinel.shutdown().await;
    Ok(())
}
