"""Writes every kind of value, in transactions and without, until told to stop. Prints how many commands that were.

The same name writes the same, apart from how far it comes.
"""

import argparse
import random
import time

import redis

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--name", required=True, help="begins every key")
parser.add_argument("--rounds", type=int, help="stop after so many rounds")
parser.add_argument("--seconds", type=float, help="stop after so many seconds")
parser.add_argument("--keys", type=int, default=60, help="how many keys of each kind")
args = parser.parse_args()

rng = random.Random(args.name)
clients = [redis.Redis(port=args.port, db=db) for db in (0, 1)]


def key(kind):
    return f"{args.name}:{kind}:{rng.randrange(args.keys)}"


def value():
    return rng.choice([
        str(rng.randrange(-10**12, 10**12)),
        rng.randbytes(rng.randrange(1, 200)),
        b"long " * rng.randrange(1, 2000),
        "\r\n\x00 \N{SNOWMAN}",
    ])


def member():
    return rng.choice([str(rng.randrange(1000)), f"member {rng.randrange(300)}"])


def write_once(to):
    """One command of each family. `to` is a pipeline."""
    to.set(key("string"), value())
    to.append(key("string"), value())
    to.incrby(key("counter"), rng.randrange(100))
    to.setrange(key("range"), rng.randrange(500), "middle")
    to.mset({key("string"): value(), key("other"): value()})
    to.hset(key("hash"), mapping={member(): value() for _ in range(rng.randrange(1, 30))})
    to.hincrby(key("counts"), member(), 7)
    to.hdel(key("hash"), member(), member())
    to.rpush(key("list"), *[value() for _ in range(rng.randrange(1, 20))])
    to.lpush(key("list"), member())
    to.lpop(key("list"), rng.randrange(1, 5))
    to.linsert(key("list"), "before", member(), value())
    to.ltrim(key("list"), 0, 400)
    to.lmove(key("list"), key("moved"), "LEFT", "RIGHT")
    to.sadd(key("set"), *[member() for _ in range(rng.randrange(1, 30))])
    to.sadd(key("numbers"), rng.randrange(-10**6, 10**6))
    to.srem(key("set"), member())
    to.spop(key("set"))
    to.sunionstore(key("union"), key("set"), key("numbers"))
    to.zadd(key("zset"), {member(): rng.uniform(-1000, 1000) for _ in range(rng.randrange(1, 30))})
    to.zincrby(key("zset"), 0.1, member())
    to.zpopmin(key("zset"))
    to.zremrangebyrank(key("zset"), 300, -1)
    to.set(key("short"), value(), px=rng.randrange(1, 400))
    to.set(key("kept"), value(), ex=rng.randrange(1000, 5000))
    to.expire(key("hash"), rng.randrange(1000, 5000))
    to.persist(key("hash"))
    to.getdel(key("other"))
    to.rename(key_of_now(to), key("renamed"))
    to.delete(key("union"), key("renamed"))


def key_of_now(to):
    name = key("string")
    to.set(name, "to be renamed")
    return name


commands, rounds, end = 0, 0, time.monotonic() + (args.seconds or 1e9)
while rounds != args.rounds and time.monotonic() < end:
    pipeline = rng.choice(clients).pipeline(transaction=rng.random() < 0.5)
    write_once(pipeline)
    commands += len(pipeline.execute())
    rounds += 1
print(commands)
