//! Both ends of a replication link, each alone and together, through the crate's public face.

mod link;
mod pair;
mod script;
mod scripts;
mod session;
