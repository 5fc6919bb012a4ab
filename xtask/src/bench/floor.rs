//! The responder that does nothing: the floor under every server.
//!
//! One epoll loop reads what is there, counts the requests without understanding them and writes as many `+OK`. What it
//! costs is the price of the system calls alone. A request of redis-benchmark holds exactly one `*` (keys and values are
//! digits, letters and a few signs beside it), so counting that byte counts requests, wherever a read may cut them.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use anyhow::Result;
use rustix::buffer::spare_capacity;
use rustix::event::epoll;

const REPLY: &[u8] = b"+OK\r\n";
/// Bytes of one read; also bounds the replies of one write, since no request is shorter than its reply.
const READ_BYTES: usize = 16 * 1024;
const EVENTS: usize = 64;
const LISTENER: u64 = 0;

/// Answers on this port of 127.0.0.1 until the process is ended.
pub(crate) fn serve(port: u16) -> Result<()> {
    respond(&TcpListener::bind((Ipv4Addr::LOCALHOST, port))?)
}

fn respond(listener: &TcpListener) -> Result<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
    let mut connections: HashMap<u64, TcpStream> = HashMap::new();
    let mut next = LISTENER + 1;
    let mut events = Vec::with_capacity(EVENTS);
    let mut buffer = vec![0; READ_BYTES];
    let replies = REPLY.repeat(READ_BYTES);
    loop {
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let id = event.data.u64();
            if id == LISTENER {
                let (connection, _) = listener.accept()?;
                connection.set_nodelay(true)?;
                epoll::add(&epoll, &connection, epoll::EventData::new_u64(next), epoll::EventFlags::IN)?;
                connections.insert(next, connection);
                next += 1;
            } else if let Some(connection) = connections.get_mut(&id) {
                // Closing the descriptor also takes it out of the epoll set.
                if !answer(connection, &mut buffer, &replies) {
                    connections.remove(&id);
                }
            }
        }
    }
}

/// One read and one write. False when the connection is over.
fn answer(connection: &mut TcpStream, buffer: &mut [u8], replies: &[u8]) -> bool {
    match connection.read(buffer) {
        Ok(0) | Err(_) => false,
        Ok(length) => {
            let requests = buffer[..length].iter().filter(|byte| **byte == b'*').count();
            connection.write_all(&replies[..requests * REPLY.len()]).is_ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_gets_one_reply_however_it_is_cut() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        std::thread::spawn(move || respond(&listener));
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the floor listens");
        client.write_all(b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPI").expect("writes");
        client.write_all(b"NG\r\n").expect("writes");
        let mut replies = [0; 10];
        client.read_exact(&mut replies).expect("two replies");
        assert_eq!(&replies, b"+OK\r\n+OK\r\n");
    }
}
