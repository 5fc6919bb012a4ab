//! The two files that say who this directory is: its Raft identity, written once, and the group that it is bound to.

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::dir::{self, DataDir, io_error};
use super::frame::{self, Kind};
use crate::raft::bootstrap::Binding;
use crate::raft::{NodeId, OpenError, codec};

const IDENTITY_FILE: &str = "identity";
const BINDING_FILE: &str = "binding";

/// The directory's Raft identity, drawn at random and written when the directory is new. A directory that has other
/// files but no identity was tampered with, and is refused.
pub fn node_id(dir: &DataDir) -> Result<NodeId, OpenError> {
    let path = dir.file(IDENTITY_FILE);
    if let Some(node) = read_one(&path, Kind::Identity)? {
        return Ok(node);
    }
    for other in [BINDING_FILE, super::LOG_FILE, super::SNAPSHOT_FILE] {
        if dir.file(other).exists() {
            return Err(frame::corrupt(&path, 0, format!("it is missing, but there is a file '{other}'")));
        }
    }
    // Zero is what a default value would be, and never anybody's identity.
    let node = fastrand::u64(1..);
    write_one(&path, Kind::Identity, &node)?;
    Ok(node)
}

/// The file that binds the directory to one group.
#[derive(Debug, Clone)]
pub struct BindingFile {
    path: PathBuf,
}

impl BindingFile {
    /// The binding file of this directory.
    pub fn new(dir: &DataDir) -> Self {
        Self { path: dir.file(BINDING_FILE) }
    }

    /// What it says, if it is there.
    pub fn read(&self) -> Result<Option<Binding>, OpenError> {
        read_one(&self.path, Kind::Binding)
    }

    /// Binds the directory. Blocks for an fsync.
    ///
    /// # Panics
    /// If it is bound in a way that cannot become this: a promise is given once.
    pub fn write(&self, binding: &Binding) -> Result<(), OpenError> {
        let now = self.read()?;
        assert!(Binding::may_become(now.as_ref(), binding), "the directory is bound: {now:?}");
        write_one(&self.path, Kind::Binding, binding)
    }
}

fn read_one<T: DeserializeOwned>(path: &std::path::Path, kind: Kind) -> Result<Option<T>, OpenError> {
    let Some(bytes) = dir::read(path)? else { return Ok(None) };
    let payload = frame::scan_whole(path, kind, &bytes, 1)?.remove(0);
    let value = codec::decode(&bytes[payload.clone()])
        .map_err(|error| frame::corrupt(path, payload.start, error.to_string()))?;
    Ok(Some(value))
}

fn write_one<T: Serialize>(path: &std::path::Path, kind: Kind, value: &T) -> Result<(), OpenError> {
    let payload = codec::encode(value).map_err(|error| frame::corrupt(path, 0, error.to_string()))?;
    dir::replace(path, &frame::file(kind, [payload.as_slice()])).map_err(|error| io_error(path, error))?;
    Ok(())
}
