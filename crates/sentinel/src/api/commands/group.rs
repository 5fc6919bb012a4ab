//! SENTINEL subcommands that sentinels say to each other.

use bytes::Bytes;

use super::{Call, Outcome};
use crate::api::pending::Work;
use crate::core::ids::Addr;
use crate::core::node::Input;
use crate::raft::{Role, Standing};

/// `[group id or nothing, sentinel id, part]`. Sentinels that are not ours do not know the question, and that is how we
/// know them.
pub(super) fn group(call: &mut Call<'_, '_>) -> Outcome {
    let group = &call.api.shared.group;
    let id = group.group_id().map_or_else(String::new, |id| id.to_string());
    let me = call.api.shared.node.lock().identity().id.to_string();
    let leadership = group.leadership();
    let part = match leadership.standing {
        Standing::Searching => "searching",
        Standing::Promised(_) => "promised",
        Standing::Joining(_) => "joining",
        Standing::Forgotten(_) => "forgotten",
        Standing::Member(_) => role_word(leadership.role),
    };
    call.reply.array(3);
    [id.as_str(), &me, part].iter().for_each(|text| call.reply.bulk_str(text));
    Outcome::Done
}

/// A member's part in Raft.
pub(super) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Learner => "learner",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
    }
}

pub(super) fn raft(call: &mut Call<'_, '_>) -> Outcome {
    Outcome::later(Work::Raft(Bytes::copy_from_slice(call.args[2])))
}

/// `REPORT id [name ip port]…`
pub(super) fn report(call: &mut Call<'_, '_>) -> Outcome {
    let Ok(from) = call.text(2).parse() else { return call.error("ERR Invalid sentinel id") };
    if !(call.args.len() - 3).is_multiple_of(3) {
        return call.wrong_arity("sentinel|report");
    }
    let mut down = Vec::new();
    for index in (3..call.args.len()).step_by(3) {
        let Ok(port) = call.text(index + 2).parse() else { return call.error("ERR Invalid port") };
        down.push((call.text(index).into_owned(), Addr::new(call.text(index + 1), port)));
    }
    // When the main loop is behind, the view is lost; it is told again every second.
    drop(call.api.shared.inputs.try_send(Input::Report { from, down }));
    call.ok()
}
