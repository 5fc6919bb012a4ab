//! The other end of a link: sends commands, reads replies.
//!
//! Sentinels watch instances with it, a replica shakes hands with it, and the command line asks with it.
//! There is no pool, no reconnecting and no timeout here: whoever holds a link knows what a lost one means,
//! and wraps a call in `tokio::time::timeout`.

use crate::{
    Protocol,
    frame::{Frame, FrameError, FrameReader, MAX_FRAME_LEN},
    net::{Address, Stream},
};
use bytes::{Buf as _, BytesMut};
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// How much is asked for in one read; a longer reply grows the buffer as it arrives.
const READ_SIZE: usize = 16 * 1024;

/// Why a link is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection could not be made, or broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer closed the connection.
    #[error("connection closed by the server")]
    Closed,
    /// The peer does not speak the protocol.
    #[error(transparent)]
    Protocol(#[from] FrameError),
}

/// Appends a command as a server reads it: an array of strings.
///
/// ```
/// let mut out = Vec::new();
/// redkeep_resp::client::encode_command(&mut out, &["GET", "key"]);
/// assert_eq!(out, b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n");
/// ```
pub fn encode_command<A: AsRef<[u8]>>(out: &mut Vec<u8>, args: &[A]) {
    let mut request = crate::ReplyWriter::new(out, Protocol::Resp2);
    request.array(args.len());
    for arg in args {
        request.bulk(arg.as_ref());
    }
}

/// A connection to a server.
///
/// Dropping the future of any call loses nothing: what was not sent is sent by the next call, and what
/// was received stays for the next [`receive`](Self::receive). But the reply of a dropped
/// [`call`](Self::call) is still to come, and would be taken for that of the next one.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    frames: FrameReader,
    input: BytesMut,
    output: Vec<u8>,
    sent: usize,
}

impl Client {
    /// Connects to a server.
    ///
    /// # Errors
    /// When the address cannot be resolved or reached.
    pub async fn connect(address: &Address) -> Result<Self, ClientError> {
        Ok(Client::from_stream(Stream::connect(address).await?))
    }

    /// Speaks RESP2 over a connection that is already there.
    pub fn from_stream(stream: Stream) -> Self {
        Client {
            stream,
            frames: FrameReader::new(Protocol::Resp2, MAX_FRAME_LEN),
            input: BytesMut::new(),
            output: Vec::new(),
            sent: 0,
        }
    }

    /// Refuses replies longer than `bytes` from now on, for a peer that has no reason to send long ones.
    #[must_use]
    pub fn with_max_frame_len(mut self, bytes: usize) -> Self {
        self.frames = FrameReader::new(Protocol::Resp2, bytes);
        self
    }

    /// Sends one command and waits for its reply, which may be an error reply. Pushed messages that come
    /// before it are dropped; to see them, use [`send`](Self::send) and [`receive`](Self::receive).
    ///
    /// # Errors
    /// When the link is of no more use.
    pub async fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<Frame, ClientError> {
        self.send(args).await?;
        self.reply().await
    }

    /// Sends all commands at once, then waits for their replies. The peer has to hold the replies while
    /// the commands are sent, so this is for some hundred of them, not for a bulk load.
    ///
    /// # Errors
    /// When the link is of no more use.
    pub async fn pipeline<C, A>(&mut self, commands: &[C]) -> Result<Vec<Frame>, ClientError>
    where
        C: AsRef<[A]>,
        A: AsRef<[u8]>,
    {
        for command in commands {
            encode_command(&mut self.output, command.as_ref());
        }
        self.flush().await?;
        let mut replies = Vec::with_capacity(commands.len());
        for _ in commands {
            replies.push(self.reply().await?);
        }
        Ok(replies)
    }

    /// Switches the protocol with HELLO. An error reply, from a server that does not know it or wants a
    /// password first, leaves the protocol as it was.
    ///
    /// # Errors
    /// When the link is of no more use.
    pub async fn hello(&mut self, protocol: Protocol) -> Result<Frame, ClientError> {
        let version = match protocol {
            Protocol::Resp2 => "2",
            Protocol::Resp3 => "3",
        };
        self.send(&["HELLO", version]).await?;
        // The answer already comes in the new protocol; error lines are alike in both.
        let before = self.frames.set_protocol(protocol);
        let reply = self.reply().await?;
        if reply.as_error().is_some() {
            self.frames.set_protocol(before);
        }
        Ok(reply)
    }

    /// Sends one command without waiting for an answer.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn send<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<(), ClientError> {
        encode_command(&mut self.output, args);
        self.flush().await
    }

    /// Waits for the next reply or pushed message.
    ///
    /// # Errors
    /// When the link is of no more use.
    pub async fn receive(&mut self) -> Result<Frame, ClientError> {
        loop {
            if let Some(frame) = self.frames.next(&mut self.input)? {
                return Ok(frame);
            }
            self.input.reserve(READ_SIZE);
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(ClientError::Closed);
            }
        }
    }

    /// The connection itself.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Gives the connection back, with the bytes that were received and not read as replies.
    pub fn into_parts(self) -> (Stream, BytesMut) {
        (self.stream, self.input)
    }

    async fn reply(&mut self) -> Result<Frame, ClientError> {
        loop {
            match self.receive().await? {
                Frame::Push(_) => {}
                reply => return Ok(reply),
            }
        }
    }

    async fn flush(&mut self) -> Result<(), ClientError> {
        while self.sent < self.output.len() {
            let mut unsent = &self.output[self.sent..];
            let before = unsent.remaining();
            self.stream.write_buf(&mut unsent).await?;
            self.sent += before - unsent.remaining();
        }
        self.output.clear();
        self.sent = 0;
        Ok(())
    }
}
