//! Sends one command and prints the reply: `cargo run -p redkeep-resp --example ask -- 127.0.0.1:6379 GET key`.

use redkeep_resp::client::Client;
use redkeep_resp::net::Address;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let address: Address = args.next().ok_or("usage: ask HOST:PORT COMMAND [ARGUMENT...]")?.parse()?;
    let command: Vec<String> = args.collect();
    let reply = Client::connect(&address).await?.call(&command).await?;
    println!("{reply:?}");
    Ok(())
}
