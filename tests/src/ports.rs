//! Ports that nobody uses, from below the range in which the kernel gives ports to outgoing connections.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

const SINGLE: Range<u16> = 14_000..30_000;

/// `redkeep up` puts its sentinels 20000 ports above, which have to be below the kernel's range too.
const CLUSTERS: Range<u16> = 10_100..12_600;

const SENTINELS_ABOVE: u16 = 20_000;

/// More servers or sentinels than any test asks of a cluster.
const CLUSTER_WIDTH: u16 = 8;

/// A port that nothing listens on.
pub fn free_port() -> u16 {
    pick(SINGLE, is_free)
}

/// A port for `redkeep up --port`, with room behind it, and the same 20000 ports above.
pub fn cluster_ports() -> u16 {
    pick(CLUSTERS, |port| {
        (port..port + CLUSTER_WIDTH).all(|port| is_free(port) && is_free(port + SENTINELS_ABOVE))
    })
}

fn pick(range: Range<u16>, accept: impl Fn(u16) -> bool) -> u16 {
    std::iter::repeat_with(|| fastrand::u16(range.clone()))
        .take(1000)
        .find(|port| accept(*port))
        .expect("of a thousand ports one is free")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
