//! What is private to one sentinel and never told to the group: credentials, scripts, what it announces of itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;

/// The settings of one sentinel that its group does not share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// What concerns one master, by its name.
    pub masters: BTreeMap<String, LocalMaster>,
    /// `sentinel sentinel-user`: who we are to other sentinels.
    pub sentinel_user: Option<String>,
    /// `sentinel sentinel-pass`
    pub sentinel_pass: Option<String>,
    /// `requirepass`: what clients have to say, and, without `sentinel-pass`, what we say to other sentinels.
    pub requirepass: Option<String>,
    /// `sentinel announce-ip`
    pub announce_ip: Option<String>,
    /// `sentinel announce-port`
    pub announce_port: Option<u16>,
    /// `sentinel resolve-hostnames`
    pub resolve_hostnames: bool,
    /// `sentinel announce-hostnames`
    pub announce_hostnames: bool,
    /// `sentinel deny-scripts-reconfig`
    pub deny_scripts_reconfig: bool,
}

impl Default for Local {
    fn default() -> Self {
        Self {
            masters: BTreeMap::new(),
            sentinel_user: None,
            sentinel_pass: None,
            requirepass: None,
            announce_ip: None,
            announce_port: None,
            resolve_hostnames: false,
            announce_hostnames: false,
            deny_scripts_reconfig: true,
        }
    }
}

/// What one sentinel keeps to itself about one master.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalMaster {
    /// `auth-user`
    pub auth_user: Option<String>,
    /// `auth-pass`
    pub auth_pass: Option<String>,
    /// `rename-command`: the instance's name of a command, by Redis's name in lower case.
    pub renamed: BTreeMap<String, String>,
    /// `notification-script`
    pub notification_script: Option<PathBuf>,
    /// `client-reconfig-script`
    pub client_reconfig_script: Option<PathBuf>,
}

impl LocalMaster {
    /// The name under which an instance knows `command`.
    pub(crate) fn command<'a>(&'a self, command: &'a str) -> &'a str {
        self.renamed.get(&command.to_ascii_lowercase()).map_or(command, String::as_str)
    }
}

/// The private settings of a running sentinel. Nobody holds the lock while waiting.
pub(crate) type SharedLocal = Arc<RwLock<Local>>;
