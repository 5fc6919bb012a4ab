//! SENTINEL: the table of its subcommands.

use super::{Call, CommandSpec, Flag, Outcome, group, help, monitor, query, set};

pub(super) const COMMANDS: &[CommandSpec] = &[CommandSpec {
    flags: ADMIN,
    ..CommandSpec::container("sentinel", "A container for Sentinel commands", SUBCOMMANDS)
}];

const ADMIN: &[Flag] = &[Flag::Admin];

const SUBCOMMANDS: &[CommandSpec] = &[
    CommandSpec::new("myid", 2, ADMIN, "Return the id of this sentinel", query::my_id),
    CommandSpec::new("masters", 2, ADMIN, "List the monitored masters", query::masters),
    CommandSpec::new("primaries", 2, ADMIN, "List the monitored masters", query::masters),
    CommandSpec::new("master", 3, ADMIN, "Describe a master", query::master),
    CommandSpec::new("primary", 3, ADMIN, "Describe a master", query::master),
    CommandSpec::new("replicas", 3, ADMIN, "List the replicas of a master", query::replicas),
    CommandSpec::new("slaves", 3, ADMIN, "List the replicas of a master", query::replicas),
    CommandSpec::new("sentinels", 3, ADMIN, "List the other sentinels of a master", query::sentinels),
    CommandSpec::new("get-master-addr-by-name", 3, ADMIN, "Return the address of a master", query::address),
    CommandSpec::new("get-primary-addr-by-name", 3, ADMIN, "Return the address of a master", query::address),
    CommandSpec::new("is-master-down-by-addr", 6, ADMIN, "Say whether we see a master down", query::is_down),
    CommandSpec::new("is-primary-down-by-addr", 6, ADMIN, "Say whether we see a master down", query::is_down),
    CommandSpec::new("ckquorum", 3, ADMIN, "Check whether a failover is possible", query::check_quorum),
    CommandSpec::new("info-cache", -3, ADMIN, "Return the last INFO of instances", query::info_cache),
    CommandSpec::new(
        "pending-scripts",
        2,
        ADMIN,
        "List the scripts that run or wait",
        query::pending_scripts,
    ),
    CommandSpec::new("monitor", 6, ADMIN, "Start monitoring a master", monitor::monitor),
    CommandSpec::new("remove", 3, ADMIN, "Stop monitoring a master", monitor::remove),
    CommandSpec::new("reset", 3, ADMIN, "Forget what was found out about masters", monitor::reset),
    CommandSpec::new("failover", 3, ADMIN, "Replace a master by one of its replicas", monitor::failover),
    CommandSpec::new(
        "flushconfig",
        2,
        ADMIN,
        "Understood; the state is on disk at every change",
        monitor::flush,
    ),
    CommandSpec::new(
        "forget",
        -3,
        ADMIN,
        "Forget a replica or sentinel that is gone for good",
        monitor::forget,
    ),
    CommandSpec::new(
        "takeover",
        4,
        ADMIN,
        "Decide over a master that foreign sentinels watch",
        monitor::take_over,
    ),
    CommandSpec::new("set", -5, ADMIN, "Change the settings of a master", set::set),
    CommandSpec::new("config", -3, ADMIN, "Get or set what this sentinel has of its own", set::config),
    CommandSpec::new("debug", -2, ADMIN, "List or change periods and patience", set::debug),
    CommandSpec::new(
        "simulate-failure",
        -3,
        ADMIN,
        "Stop at a critical moment, as a crash would",
        set::simulate_failure,
    ),
    CommandSpec::new("group", 2, ADMIN, "Say which group this sentinel belongs to", group::group),
    CommandSpec::new("raft", 3, ADMIN, "Deliver a message of another member of the group", group::raft),
    CommandSpec::new("report", -3, ADMIN, "Deliver another sentinel's view of the masters", group::report),
    CommandSpec::new("help", 2, &[], "Show help", help_text),
];

fn help_text(call: &mut Call<'_, '_>) -> Outcome {
    help::write(
        call,
        "SENTINEL",
        &[
            ("CKQUORUM <master-name>", &["Check that quorum and majority of the sentinels can be reached."]),
            ("CONFIG SET <param> <value>", &["Set a global Sentinel configuration parameter."]),
            ("CONFIG GET <param>", &["Get global Sentinel configuration parameter."]),
            ("DEBUG [<param> <value> ...]", &["Show the periods (milliseconds), or set some of them."]),
            ("FAILOVER <master-name>", &["Replace a master by one of its replicas, though it may be well."]),
            ("FLUSHCONFIG", &["Understood; the state is on disk at every change."]),
            ("FORGET <master-name> <ip> <port>", &["Forget a replica that will not come back."]),
            ("FORGET <sentinel-id>", &["Remove a sentinel that will not come back from the group."]),
            ("GET-MASTER-ADDR-BY-NAME <master-name>", &["Return the ip and port number of the master."]),
            ("GROUP", &["Return the id of the group, and this sentinel's part in it."]),
            (
                "INFO-CACHE <master-name> [...]",
                &["Return last cached INFO output from masters and replicas."],
            ),
            (
                "IS-MASTER-DOWN-BY-ADDR <ip> <port> <epoch> <runid>",
                &["Say whether this sentinel sees it down."],
            ),
            ("MASTER <master-name>", &["Show the state and info of the specified master."]),
            ("MASTERS", &["Show a list of monitored masters and their state."]),
            ("MONITOR <name> <ip> <port> <quorum>", &["Start monitoring a new master."]),
            ("MYID", &["Return the ID of the Sentinel instance."]),
            ("PENDING-SCRIPTS", &["Get pending scripts information."]),
            ("REMOVE <master-name>", &["Remove master from Sentinel's monitor list."]),
            ("REPLICAS <master-name>", &["Show a list of replicas for this master and their state."]),
            ("RESET <pattern>", &["Forget replicas and failovers of the masters that match."]),
            ("SENTINELS <master-name>", &["Show a list of Sentinel instances for this master."]),
            ("SET <master-name> <option> <value> [<option> <value> ...]", &["Change settings of a master."]),
            (
                "SIMULATE-FAILURE [CRASH-AFTER-ELECTION] [CRASH-AFTER-PROMOTION] [HELP]",
                &["Stop at that moment."],
            ),
            ("TAKEOVER <master-name> (ON|OFF)", &["Decide, or not, although foreign sentinels watch it."]),
        ],
    )
}
