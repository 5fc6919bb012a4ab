//! The little of RESP that filling a server and asking for its memory needs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use anyhow::{Context, Result, bail};

/// Requests of one write, then as many replies are read: both fit into socket buffers.
const BATCH: u64 = 500;
/// Steps through all keys in an order that is not theirs; coprime to every power of ten.
const STRIDE: u64 = 7919;

/// Sets `<prefix><12 digits>` to the value, for 0 up to `keys`: the names that redis-benchmark draws from.
pub(super) fn fill(port: u16, prefix: &str, keys: u64, value: &[u8]) -> Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    let (mut requests, mut replies) = (Vec::new(), Vec::new());
    for start in (0..keys).step_by(BATCH as usize) {
        let batch = BATCH.min(keys - start);
        requests.clear();
        for index in start..start + batch {
            let key = format!("{prefix}{:012}", index * STRIDE % keys);
            write!(requests, "*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n", key.len(), value.len())?;
            requests.extend_from_slice(value);
            requests.extend_from_slice(b"\r\n");
        }
        stream.write_all(&requests)?;
        let expected = b"+OK\r\n".repeat(batch as usize);
        replies.resize(expected.len(), 0);
        stream.read_exact(&mut replies)?;
        if replies != expected {
            bail!("SET was answered with {:?}", String::from_utf8_lossy(&replies[..replies.len().min(80)]));
        }
    }
    Ok(())
}

/// `used_memory` of INFO, in bytes.
pub(super) fn used_memory(port: u16) -> Result<Option<u64>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.write_all(b"*2\r\n$4\r\nINFO\r\n$6\r\nmemory\r\n")?;
    let mut reader = BufReader::new(stream);
    let mut header = String::new();
    reader.read_line(&mut header)?;
    let Some(length) = header.trim_end().strip_prefix('$') else {
        bail!("INFO memory was answered with {header:?}");
    };
    let mut info = vec![0; length.parse().context("length of INFO")?];
    reader.read_exact(&mut info)?;
    Ok(field(&String::from_utf8_lossy(&info), "used_memory"))
}

fn field(info: &str, name: &str) -> Option<u64> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let info = "# Memory\r\nused_memory_human:1M\r\nused_memory:1048576\r\n";
        assert_eq!(field(info, "used_memory"), Some(1_048_576));
        assert_eq!(field(info, "used_memory_rss"), None);
    }

    #[test]
    fn the_stride_reaches_every_key() {
        let keys = 1000;
        let mut seen: Vec<u64> = (0..keys).map(|index| index * STRIDE % keys).collect();
        seen.sort_unstable();
        assert!(seen.iter().copied().eq(0..keys));
    }
}
