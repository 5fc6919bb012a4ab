//! Sorted sets. The families within the family are:
//!
//! | module | commands |
//! |---|---|
//! | [`members`] | ZADD, ZREM, ZSCORE, ZRANK: single members |
//! | [`range`] | ZRANGE in all its forms, what counts, removes or stores such ranges |
//! | [`pop`] | ZPOPMIN, ZMPOP |
//! | [`combine`] | unions, intersections and differences |
//! | [`pick`] | ZRANDMEMBER, ZSCAN |

mod combine;
mod members;
mod pick;
mod pop;
mod range;

use redkeep_store::value::End;

use super::{Args, CommandSpec, Group, KeyUse, at, command, first, flag};
use combine::Operation;
use range::{Form, Kind};

const READ: u32 = flag::READONLY;
const READ_FAST: u32 = flag::READONLY | flag::FAST;
const WRITE: u32 = flag::WRITE | flag::DENYOOM;
const TAKE_FAST: u32 = flag::WRITE | flag::FAST;

pub(super) const COMMANDS: &[CommandSpec] = &[
    zset("zadd", -4, WRITE | flag::FAST)
        .keys(&[first(KeyUse::ReadWriteUpdate)])
        .doc("1.2.0", "Adds members to a sorted set, or changes their scores.")
        .keyed(members::add),
    zset("zincrby", 4, WRITE | flag::FAST)
        .keys(&[first(KeyUse::ReadWriteAccessUpdate)])
        .doc("1.2.0", "Adds to the score of a member of a sorted set.")
        .keyed(members::increment),
    zset("zrem", -3, TAKE_FAST)
        .keys(&[first(KeyUse::ReadWriteDelete)])
        .doc("1.2.0", "Removes members from a sorted set.")
        .keyed(members::remove),
    zset("zcard", 2, READ_FAST)
        .keys(&[first(KeyUse::ReadOnly)])
        .doc("1.2.0", "Returns the number of members of a sorted set.")
        .keyed(members::length),
    zset("zscore", 3, READ_FAST)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("1.2.0", "Returns the score of a member of a sorted set.")
        .keyed(members::score),
    zset("zmscore", -3, READ_FAST)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("6.2.0", "Returns the scores of several members of a sorted set.")
        .keyed(members::scores),
    zset("zrank", -3, READ_FAST)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("2.0.0", "Returns the rank of a member of a sorted set, counted from the lowest score.")
        .keyed(|cx, args| members::rank(cx, args, End::Front)),
    zset("zrevrank", -3, READ_FAST)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("2.0.0", "Returns the rank of a member of a sorted set, counted from the highest score.")
        .keyed(|cx, args| members::rank(cx, args, End::Back)),
    zset("zcount", 4, READ_FAST)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("2.0.0", "Returns the number of members of a sorted set with scores in a range.")
        .keyed(|cx, args| range::count(cx, args, Kind::Score)),
    zset("zlexcount", 4, READ_FAST)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("2.8.9", "Returns the number of members of a sorted set in a range of strings.")
        .keyed(|cx, args| range::count(cx, args, Kind::Lex)),
    zset("zrange", -4, READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("1.2.0", "Returns a range of members of a sorted set, by rank, score or string.")
        .keyed(|cx, args| range::range(cx, args, Form::ANY)),
    zset("zrevrange", -4, READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("1.2.0", "Returns a range of members of a sorted set by rank, highest score first.")
        .keyed(|cx, args| range::range(cx, args, Form::of(Kind::Rank, End::Back))),
    zset("zrangebyscore", -4, READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("1.0.5", "Returns the members of a sorted set with scores in a range.")
        .keyed(|cx, args| range::range(cx, args, Form::of(Kind::Score, End::Front))),
    zset("zrevrangebyscore", -4, READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("2.2.0", "Returns the members of a sorted set with scores in a range, highest first.")
        .keyed(|cx, args| range::range(cx, args, Form::of(Kind::Score, End::Back))),
    zset("zrangebylex", -4, READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("2.8.9", "Returns the members of a sorted set in a range of strings.")
        .keyed(|cx, args| range::range(cx, args, Form::of(Kind::Lex, End::Front))),
    zset("zrevrangebylex", -4, READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("2.8.9", "Returns the members of a sorted set in a range of strings, highest first.")
        .keyed(|cx, args| range::range(cx, args, Form::of(Kind::Lex, End::Back))),
    zset("zrangestore", -5, WRITE)
        .keys(&[first(KeyUse::OverwriteUpdate), at(2, KeyUse::ReadAccess)])
        .doc("6.2.0", "Stores a range of members of a sorted set.")
        .keyed(range::store_range),
    zset("zremrangebyrank", 4, flag::WRITE)
        .keys(&[first(KeyUse::ReadWriteDelete)])
        .doc("2.0.0", "Removes the members of a sorted set with ranks in a range.")
        .keyed(|cx, args| range::remove(cx, args, Kind::Rank, "zremrangebyrank")),
    zset("zremrangebyscore", 4, flag::WRITE)
        .keys(&[first(KeyUse::ReadWriteDelete)])
        .doc("1.2.0", "Removes the members of a sorted set with scores in a range.")
        .keyed(|cx, args| range::remove(cx, args, Kind::Score, "zremrangebyscore")),
    zset("zremrangebylex", 4, flag::WRITE)
        .keys(&[first(KeyUse::ReadWriteDelete)])
        .doc("2.8.9", "Removes the members of a sorted set in a range of strings.")
        .keyed(|cx, args| range::remove(cx, args, Kind::Lex, "zremrangebylex")),
    zset("zpopmin", -2, TAKE_FAST)
        .keys(&[first(KeyUse::ReadWriteAccessDelete)])
        .doc("5.0.0", "Removes and returns the members of a sorted set with the lowest scores.")
        .keyed(|cx, args| pop::pop(cx, args, End::Front)),
    zset("zpopmax", -2, TAKE_FAST)
        .keys(&[first(KeyUse::ReadWriteAccessDelete)])
        .doc("5.0.0", "Removes and returns the members of a sorted set with the highest scores.")
        .keyed(|cx, args| pop::pop(cx, args, End::Back)),
    zset("zmpop", -4, flag::WRITE)
        .counted_keys(0, 1, KeyUse::ReadWriteAccessDelete)
        .doc("7.0.0", "Removes and returns members of the first of several sorted sets that has any.")
        .keyed(pop::pop_first),
    zset("zunion", -3, READ)
        .counted_keys(0, 1, KeyUse::ReadAccess)
        .doc("6.2.0", "Returns the members that any of several sorted sets has.")
        .keyed(|cx, args| combine::combine(cx, args, Operation::Union)),
    zset("zinter", -3, READ)
        .counted_keys(0, 1, KeyUse::ReadAccess)
        .doc("6.2.0", "Returns the members that all of several sorted sets have.")
        .keyed(|cx, args| combine::combine(cx, args, Operation::Intersection)),
    zset("zdiff", -3, READ)
        .counted_keys(0, 1, KeyUse::ReadAccess)
        .doc("6.2.0", "Returns the members of a sorted set that no other of several sorted sets has.")
        .keyed(|cx, args| combine::combine(cx, args, Operation::Difference)),
    zset("zunionstore", -4, WRITE)
        .counted_keys(1, 2, KeyUse::ReadAccess)
        .doc("2.0.0", "Stores the members that any of several sorted sets has.")
        .keyed(|cx, args| combine::combine_and_store(cx, args, Operation::Union)),
    zset("zinterstore", -4, WRITE)
        .counted_keys(1, 2, KeyUse::ReadAccess)
        .doc("2.0.0", "Stores the members that all of several sorted sets have.")
        .keyed(|cx, args| combine::combine_and_store(cx, args, Operation::Intersection)),
    zset("zdiffstore", -4, WRITE)
        .counted_keys(1, 2, KeyUse::ReadAccess)
        .doc("6.2.0", "Stores the members of a sorted set that no other of several sorted sets has.")
        .keyed(|cx, args| combine::combine_and_store(cx, args, Operation::Difference)),
    zset("zintercard", -3, READ)
        .counted_keys(0, 1, KeyUse::ReadAccess)
        .doc("7.0.0", "Returns how many members all of several sorted sets have.")
        .keyed(combine::cardinality),
    zset("zrandmember", -2, READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("6.2.0", "Returns random members of a sorted set.")
        .keyed(pick::random_members),
    zset("zscan", -3, READ)
        .keys(&[first(KeyUse::ReadAccess)])
        .doc("2.8.0", "Goes over the members and scores of a sorted set in steps.")
        .keyed(pick::scan),
];

const fn zset(name: &'static str, arity: i16, flags: u32) -> CommandSpec {
    command(name, arity, Group::SortedSet).flags(flags)
}
