//! What a cluster keeps on disk: a folder for each process, and a marker that says what cluster it is.
//!
//! The marker is written first and each configuration only where there is none, so that a start which was
//! interrupted is completed by the next, and what servers and sentinels have rewritten stays.

use super::layout::{Kind, Layout, Member};
use anyhow::{Context as _, Result, bail};
use redkeep_resp::inline::push_quoted;
use std::{
    fs,
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// The file that holds the layout.
const MARKER: &str = "redkeep-cluster";

/// The name under which the sentinels watch the primary.
pub(crate) const MASTER_NAME: &str = "mymaster";

/// A sentinel holds the primary for down when it is silent for so long, in milliseconds.
const DOWN_AFTER_MS: u32 = 1000;

/// How long a failover may take before another is tried, in milliseconds.
const FAILOVER_TIMEOUT_MS: u32 = 10_000;

/// The cluster's directory, ready for use.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Opens the directory of the cluster with this layout, and makes what is missing in it.
    ///
    /// # Errors
    /// When it cannot be written, holds something else, or belongs to a cluster of another layout.
    pub(crate) fn open(path: &Path, layout: Layout) -> Result<Self> {
        let shown = path.display();
        fs::create_dir_all(path).with_context(|| format!("cannot create the directory {shown}"))?;
        let path = path.canonicalize().with_context(|| format!("cannot enter the directory {shown}"))?;
        let directory = Directory { path };
        directory.claim(layout).with_context(|| format!("cannot use the directory {shown}"))?;
        for member in layout.members() {
            directory
                .prepare(member, layout)
                .with_context(|| format!("cannot write in the directory {shown}"))?;
        }
        Ok(directory)
    }

    /// The folder of one process.
    pub(crate) fn folder(&self, member: Member) -> PathBuf {
        self.path.join(member.folder_name())
    }

    /// The configuration of one process.
    pub(crate) fn config(&self, member: Member) -> PathBuf {
        self.folder(member).join(match member.kind {
            Kind::Server => "redis.conf",
            Kind::Sentinel => "sentinel.conf",
        })
    }

    /// What one process prints.
    pub(crate) fn log(&self, member: Member) -> PathBuf {
        self.folder(member).join("log.txt")
    }

    /// The end of what one process has printed, for a report of its failure.
    pub(crate) fn log_end(&self, member: Member) -> String {
        const SHOWN: u64 = 2000;
        let read = || -> io::Result<String> {
            let mut file = fs::File::open(self.log(member))?;
            let len = file.metadata()?.len();
            file.seek(SeekFrom::Start(len.saturating_sub(SHOWN)))?;
            let mut end = Vec::new();
            file.read_to_end(&mut end)?;
            Ok(String::from_utf8_lossy(&end).trim().to_owned())
        };
        read().unwrap_or_default()
    }

    fn claim(&self, layout: Layout) -> Result<()> {
        let marker = self.path.join(MARKER);
        match fs::read_to_string(&marker) {
            Ok(text) => match read_marker(&text) {
                Some(found) if found == layout => Ok(()),
                Some(found) => {
                    bail!("it belongs to another cluster, of {found}; this one is to have {layout}")
                }
                None => bail!("its file {MARKER} is damaged"),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if self.path.read_dir()?.next().is_some() {
                    bail!("it is not empty, and what it holds is no cluster");
                }
                fs::write(marker, marker_text(layout))?;
                Ok(())
            }
            Err(error) => Err(error).context(MARKER),
        }
    }

    fn prepare(&self, member: Member, layout: Layout) -> Result<()> {
        let folder = self.folder(member);
        fs::create_dir_all(&folder)?;
        let config = self.config(member);
        if config.exists() {
            return Ok(());
        }
        // Renamed into place, so that a file that exists is a whole one.
        let unfinished = folder.join("unfinished.conf");
        fs::write(&unfinished, config_text(member, layout, &folder))?;
        fs::rename(unfinished, config)?;
        Ok(())
    }
}

fn config_text(member: Member, layout: Layout, folder: &Path) -> Vec<u8> {
    let mut text = format!("port {}\nbind 127.0.0.1\ndir ", member.port).into_bytes();
    push_quoted(&mut text, folder.as_os_str().as_bytes());
    text.push(b'\n');
    let more = match member.kind {
        Kind::Sentinel => format!(
            "sentinel peers {}\n\
             sentinel monitor {MASTER_NAME} 127.0.0.1 {} {}\n\
             sentinel down-after-milliseconds {MASTER_NAME} {DOWN_AFTER_MS}\n\
             sentinel failover-timeout {MASTER_NAME} {FAILOVER_TIMEOUT_MS}\n",
            layout.sentinels().map(|peer| peer.address().to_string()).collect::<Vec<_>>().join(" "),
            layout.port,
            layout.quorum(),
        ),
        Kind::Server if member.port == layout.port => String::new(),
        Kind::Server => format!("replicaof 127.0.0.1 {}\n", layout.port),
    };
    text.extend_from_slice(more.as_bytes());
    text
}

fn marker_text(layout: Layout) -> String {
    let Layout { port, replicas, sentinel_port, sentinels } = layout;
    format!(
        "# The cluster that `redkeep up` keeps in this directory.\n\
         port {port}\nreplicas {replicas}\nsentinel-port {sentinel_port}\nsentinels {sentinels}\n"
    )
}

fn read_marker(text: &str) -> Option<Layout> {
    let value = |name: &str| -> Option<u16> {
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(found, _)| *found == name)?.1.trim().parse().ok()
    };
    Some(Layout {
        port: value("port")?,
        replicas: value("replicas")?,
        sentinel_port: value("sentinel-port")?,
        sentinels: value("sentinels")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::up::layout::tests::args;

    fn layout(replicas: u16) -> Layout {
        Layout::new(&args(6379, replicas, 3)).expect("a good layout")
    }

    fn error(path: &Path, layout: Layout) -> String {
        format!("{:#}", Directory::open(path, layout).expect_err("no use"))
    }

    #[test]
    fn markers_survive() {
        assert_eq!(read_marker(&marker_text(layout(2))), Some(layout(2)));
        assert_eq!(read_marker("port 6379\n"), None);
    }

    #[test]
    fn the_same_cluster_finds_its_files_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a \"b\"");
        let directory = Directory::open(&path, layout(1)).expect("a new cluster");
        let members: Vec<Member> = layout(1).members().collect();
        let replica = fs::read_to_string(directory.config(members[1])).expect("a file");
        assert!(replica.ends_with("a \\\"b\\\"/server-6380\"\nreplicaof 127.0.0.1 6379\n"), "{replica}");
        let sentinel = fs::read_to_string(directory.config(members[2])).expect("a file");
        assert!(sentinel.contains("sentinel monitor mymaster 127.0.0.1 6379 2\n"), "{sentinel}");

        fs::write(directory.config(members[1]), "rewritten").expect("written");
        fs::remove_file(directory.config(members[0])).expect("removed");
        Directory::open(&path, layout(1)).expect("the same cluster");
        assert_eq!(fs::read(directory.config(members[1])).expect("a file"), b"rewritten");
        assert!(directory.config(members[0]).exists());
    }

    #[test]
    fn what_belongs_to_others_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("cluster");
        Directory::open(&path, layout(1)).expect("a new cluster");
        let message = error(&path, layout(2));
        assert!(message.contains("another cluster, of 2 servers from port 6379"), "{message}");
        assert!(error(dir.path(), layout(1)).contains("not empty"));
        fs::write(path.join(MARKER), "port x").expect("written");
        assert!(error(&path, layout(1)).contains("damaged"));
    }

    #[test]
    fn a_directory_that_cannot_be_made() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("file");
        fs::write(&file, "").expect("written");
        assert!(error(&file.join("cluster"), layout(1)).contains("cannot create the directory"));
    }
}
