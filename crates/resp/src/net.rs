//! Where the bytes come from: TCP and unix sockets behind one address, one stream and one listener.

mod address;
mod listener;
mod stream;

pub use address::{Address, AddressError};
pub use listener::{Accepted, Listener};
pub use stream::Stream;

#[cfg(test)]
mod tests;
