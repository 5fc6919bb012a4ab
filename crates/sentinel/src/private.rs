//! Keeping what one sentinel does not share with its group: small files in the state directory.
//!
//! `local.conf` holds what clients set. It is written in the words of `sentinel.conf` and read after it, so that what an operator set at run time wins. It
//! holds passwords, so nobody else may read it. `votes` holds the votes that foreign sentinels got. What is told to
//! anybody is on disk before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use redkeep_resp::inline::{push_quoted, split_words};

use crate::config::{ConfigError, SentinelConfig};
use crate::core::ids::{Epoch, SentinelId};
use crate::core::vote::{Vote, Votes};
use crate::local::{Local, LocalMaster};

/// What clients set.
const SETTINGS: &str = "local.conf";
/// The votes that foreign sentinels got.
const VOTES: &str = "votes";

/// The files of one sentinel.
pub(crate) struct PrivateFiles {
    dir: PathBuf,
    votes: Mutex<Votes>,
}

impl PrivateFiles {
    /// # Errors
    /// When the votes that were given cannot be read: who forgets them gives them twice.
    pub(crate) fn open(dir: PathBuf) -> io::Result<Self> {
        let text = read_if_there(&dir.join(VOTES))?.unwrap_or_default();
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the file of votes is damaged");
        let mut votes = Votes::default();
        for line in text.lines() {
            let (name, vote) = parse_vote(line).ok_or_else(damaged)?;
            votes.last.insert(name, vote);
        }
        Ok(Self { dir, votes: Mutex::new(votes) })
    }

    /// Votes for `candidate`, unless the vote is given already, and gives the vote that holds. It waits for the disk, so
    /// it is not for the threads that serve clients.
    pub(crate) fn vote(
        &self,
        name: &str,
        epoch: Epoch,
        candidate: SentinelId,
        current: Epoch,
    ) -> io::Result<Option<Vote>> {
        let mut votes = self.votes.lock();
        let mut new = votes.clone();
        if new.ask(name, epoch, candidate, current) {
            let lines = new
                .last
                .iter()
                .map(|(name, vote)| format!("{} {} {}\n", quoted(name), vote.epoch, vote.leader));
            self.replace(VOTES, &lines.collect::<String>())?;
            *votes = new;
        }
        Ok(votes.last.get(name).copied())
    }

    /// Lays what was kept over the configuration file. Lines about a master that the configuration does not name are
    /// taken, too: the group may know it.
    pub(crate) fn read(&self, config: &mut SentinelConfig) -> Result<(), io::Error> {
        let Some(text) = read_if_there(&self.dir.join(SETTINGS))? else { return Ok(()) };
        let damaged = |error: ConfigError| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
        let mut kept = SentinelConfig { masters: config.masters.clone(), ..SentinelConfig::default() };
        // What concerns a master needs one of that name.
        for name in text.lines().filter_map(|line| line.strip_prefix("# master ")) {
            let line = format!("sentinel monitor {name} 127.0.0.1 1 1\n");
            if kept.masters.keys().all(|known| quoted(known) != name) {
                kept.apply(&line).map_err(damaged)?;
            }
        }
        kept.apply(&text).map_err(damaged)?;
        // Once written, the file has everything; what it does not say was unset.
        let requirepass = config.local.requirepass.take();
        config.local = Local { requirepass, ..kept.local };
        Ok(())
    }

    /// Keeps `local` from now on.
    pub(crate) fn write(&self, local: &Local) -> io::Result<()> {
        self.replace(SETTINGS, &render(local))
    }

    fn replace(&self, name: &str, text: &str) -> io::Result<()> {
        let (path, new) = (self.dir.join(name), self.dir.join(format!("{name}.new")));
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(new, path)?;
        File::open(&self.dir)?.sync_all()
    }
}

fn read_if_there(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse_vote(line: &str) -> Option<(String, Vote)> {
    let words = split_words(line.as_bytes()).ok()?;
    let [name, epoch, leader] =
        words.iter().map(|word| std::str::from_utf8(word)).collect::<Result<Vec<_>, _>>().ok()?[..]
    else {
        return None;
    };
    Some((name.to_owned(), Vote { epoch: Epoch(epoch.parse().ok()?), leader: leader.parse().ok()? }))
}

fn quoted(text: &str) -> String {
    let mut line = Vec::new();
    push_quoted(&mut line, text.as_bytes());
    String::from_utf8_lossy(&line).into_owned()
}

fn render(local: &Local) -> String {
    let yes_no = |yes| if yes { "yes" } else { "no" };
    let mut lines = vec![
        "# What was set at run time. Read after the configuration file.".to_owned(),
        format!("sentinel resolve-hostnames {}", yes_no(local.resolve_hostnames)),
        format!("sentinel announce-hostnames {}", yes_no(local.announce_hostnames)),
        format!("sentinel deny-scripts-reconfig {}", yes_no(local.deny_scripts_reconfig)),
        format!("sentinel announce-port {}", local.announce_port.unwrap_or(0)),
    ];
    for (directive, value) in [
        ("announce-ip", &local.announce_ip),
        ("sentinel-user", &local.sentinel_user),
        ("sentinel-pass", &local.sentinel_pass),
    ] {
        lines.extend(value.as_ref().map(|value| format!("sentinel {directive} {}", quoted(value))));
    }
    for (name, master) in &local.masters {
        render_master(&quoted(name), master, &mut lines);
    }
    lines.join("\n") + "\n"
}

fn render_master(name: &str, master: &LocalMaster, lines: &mut Vec<String>) {
    lines.push(format!("# master {name}"));
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    for (directive, value) in [
        ("auth-user", master.auth_user.clone()),
        ("auth-pass", master.auth_pass.clone()),
        ("notification-script", path(&master.notification_script)),
        ("client-reconfig-script", path(&master.client_reconfig_script)),
    ] {
        lines.extend(value.map(|value| format!("sentinel {directive} {name} {}", quoted(&value))));
    }
    for (command, renamed) in &master.renamed {
        lines.push(format!("sentinel rename-command {name} {} {}", quoted(command), quoted(renamed)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = PrivateFiles::open(dir.path().to_owned()).unwrap();
        let mut config = SentinelConfig::parse("sentinel monitor m 127.0.0.1 1 1\nrequirepass x\n").unwrap();
        file.read(&mut config).unwrap();
        let mut local = config.local.clone();
        local.announce_ip = Some("10.0.0.1".to_owned());
        local.sentinel_pass = Some("p \"q\"\n".to_owned());
        local.masters.entry("m".to_owned()).or_default().auth_pass = Some("a'b".to_owned());
        let renamed = &mut local.masters.entry("from the group".to_owned()).or_default().renamed;
        renamed.insert("config".to_owned(), String::new());
        file.write(&local).unwrap();
        file.read(&mut config).unwrap();
        assert_eq!(config.local, local);
        assert_eq!(config.masters.len(), 1, "the file monitors nothing");
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(SETTINGS), "sentinel what\n").unwrap();
        let error = PrivateFiles::open(dir.path().to_owned())
            .unwrap()
            .read(&mut SentinelConfig::default())
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_vote_is_given_once_over_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let open = || PrivateFiles::open(dir.path().to_owned());
        let id = |n| SentinelId::from_bytes([n; 20]);
        let first = open().unwrap().vote("a b", Epoch(3), id(1), Epoch(0)).unwrap();
        assert_eq!(first, Some(Vote { epoch: Epoch(3), leader: id(1) }));
        assert_eq!(open().unwrap().vote("a b", Epoch(3), id(2), Epoch(0)).unwrap(), first);
        std::fs::write(dir.path().join(VOTES), "a b c d\n").unwrap();
        assert!(open().is_err());
    }
}
