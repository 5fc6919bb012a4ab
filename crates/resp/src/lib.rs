//! The RESP wire protocol, from both ends.
//!
//! | module | what it does |
//! |---|---|
//! | [`request`] | cuts a client's bytes into arguments, as ranges into the read buffer; nothing is copied |
//! | [`inline`] | the telnet form of a request, and the quoting that configuration files share with it |
//! | [`reply`] | writes replies in RESP2 or RESP3 |
//! | [`client`], [`frame`] | the other end of a link: sends commands, reads replies |
//! | [`net`] | addresses, streams and listeners over TCP and unix sockets |
//!
//! What never happens here: a command is known by name, or a client's bytes cause a panic or an
//! allocation larger than what the client has already sent.
//!
//! ```
//! use redkeep_resp::{Limits, Parsed, Protocol, ReplyWriter, RequestReader};
//!
//! let mut input = b"*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n".to_vec();
//! let mut args = Vec::new();
//! let parsed = RequestReader::default().next(&mut input, 0, &Limits::default(), &mut args)?;
//! assert_eq!(parsed, Parsed::Request { len: input.len() });
//!
//! let mut output = Vec::new();
//! ReplyWriter::new(&mut output, Protocol::Resp2).bulk(args[1].of(&input));
//! assert_eq!(output, b"$5\r\nhello\r\n");
//! # Ok::<(), redkeep_resp::ProtocolError>(())
//! ```

pub mod client;
pub mod frame;
pub mod glob;
pub mod inline;
pub mod net;
pub mod reply;
pub mod request;

mod double;
mod number;
mod protocol_error;

pub use double::{DoubleBuf, format_double};
pub use number::parse_integer;
pub use protocol_error::ProtocolError;
pub use reply::{Deferred, Protocol, ReplyWriter};
pub use request::{ArgRange, Limits, Parsed, RequestReader};

/// The version of Redis whose protocol and behaviour is served, for HELLO, INFO and whoever else asks.
pub const REDIS_VERSION: &str = "7.2.0";
