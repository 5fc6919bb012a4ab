//! A server inside another program: `cargo run -p redkeep-server --example embedded -- 6390`.

use redkeep_server::Server;
use redkeep_server::config::{Settings, parse_lines};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "0".into());
    let mut settings = Settings::default();
    parse_lines(&mut settings, &format!("port {port}\nbind 127.0.0.1\nsave \"\""))?;
    let server = Server::builder(settings).start()?;
    println!("redis-cli -p {} SHUTDOWN ends this server", server.port());
    server.stopped().await;
    Ok(())
}
