"""Prints all that a server holds, a line for each key, in an order that depends on nothing else.

What expires within moments is left out: it could be gone from one server and not yet from the other.
"""

import argparse
import hashlib
import time

import redis

LONGEST_SHOWN = 200
MOMENTS_MS = 3000

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
args = parser.parse_args()


def ask_for_value(pipeline, key, kind):
    match kind:
        case b"string":
            pipeline.get(key)
        case b"list":
            pipeline.lrange(key, 0, -1)
        case b"set":
            pipeline.smembers(key)
        case b"hash":
            pipeline.hgetall(key)
        case b"zset":
            pipeline.zrange(key, 0, -1, withscores=True)
        case other:
            raise SystemExit(f"{key} is a {other}")


def in_order(value):
    match value:
        case set():
            return sorted(value)
        case dict():
            return sorted(value.items())
    return value


def shown(value):
    text = repr(in_order(value))
    if len(text) <= LONGEST_SHOWN:
        return text
    return f"{text[:60]}… {len(text)} {hashlib.sha1(text.encode()).hexdigest()}"


def read(client, keys):
    """Key, kind, time of expiry and value of each key that is there."""
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.type(key).execute_command("PEXPIRETIME", key)
    facts = pipeline.execute()
    there = [(key, kind, expire) for key, kind, expire in zip(keys, facts[::2], facts[1::2]) if kind != b"none"]
    for key, kind, _ in there:
        ask_for_value(pipeline, key, kind)
    return [(*fact, value) for fact, value in zip(there, pipeline.execute())]


begun_ms = time.time() * 1000
for db in range(16):
    client = redis.Redis(port=args.port, db=db)
    keys = sorted(client.scan_iter(count=1000))
    for start in range(0, len(keys), 500):
        for key, kind, expire, value in read(client, keys[start : start + 500]):
            moments_left = begun_ms < expire < time.time() * 1000 + MOMENTS_MS
            # A key may expire between the two looks: its value is nothing, or empty.
            if value and not moments_left:
                print(db, key, kind.decode(), expire, shown(value))
