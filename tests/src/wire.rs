//! A bare connection, for what well-behaved clients never send.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::PATIENCE;

/// A connection that sends bytes as they are.
pub struct Wire(TcpStream);

impl Wire {
    /// Connects to a port of this machine.
    ///
    /// # Panics
    /// When nobody listens there.
    #[track_caller]
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("sockets have timeouts");
        stream.set_nodelay(true).expect("sockets can be told not to wait");
        Wire(stream)
    }

    /// Sends all of it.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).expect("the other end reads");
    }

    /// Reads exactly what is expected.
    ///
    /// # Panics
    /// When something else comes, or too little.
    #[track_caller]
    pub fn expect(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let mut got = vec![0; expected.len()];
        let mut filled = 0;
        while filled < got.len() {
            match self.0.read(&mut got[filled..]) {
                Ok(0) | Err(_) => break,
                Ok(n) => filled += n,
            }
            // A difference is told at once, not when the rest has not come for too long.
            if got[..filled] != expected[..filled] {
                break;
            }
        }
        let text = String::from_utf8_lossy;
        assert_eq!(text(&got[..filled]), text(expected));
    }

    /// Reads one line, and returns it without its end.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).expect("a whole line");
            line.extend(byte);
        }
        line.truncate(line.len() - 2);
        String::from_utf8_lossy(&line).into_owned()
    }

    /// Reads until the other end closes the connection; fails if it does not.
    #[track_caller]
    pub fn read_to_end(&mut self) -> String {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            Ok(_) => {}
            // It closed before it had read all that we sent.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the connection stays open: {error}; {:?}", String::from_utf8_lossy(&bytes)),
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The socket itself.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.0
    }
}
