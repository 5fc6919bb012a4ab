"""Writes through the sentinels, through a failover, and says how it went.

Prints `writing` once it works, and goes on until writes have failed and work again for a while.
"""

import argparse
import time

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

parser = argparse.ArgumentParser()
parser.add_argument("--sentinels", required=True, help="ports, separated by commas")
args = parser.parse_args()

# The client's own retries would ask a sentinel that is gone for seconds before it asks the next.
options = {"socket_timeout": 0.5, "retry": Retry(NoBackoff(), 0)}
addresses = [("127.0.0.1", int(port)) for port in args.sentinels.split(",")]
sentinel = Sentinel(addresses, sentinel_kwargs=options, **options)
primary = sentinel.master_for("mymaster")

AFTERWARDS = 100
written, failures = [], []
last_success, longest_gap, since_failure = None, 0.0, 0
number = 0
while since_failure < AFTERWARDS:
    try:
        primary.set(f"write:{number}", number)
    except redis.RedisError as error:
        failures.append(f"{type(error).__name__}: {error}")
    else:
        now = time.monotonic()
        longest_gap = max(longest_gap, now - (last_success or now))
        last_success = now
        written.append(number)
        since_failure += bool(failures)
        if number == 50:
            print("writing")
    number += 1
    time.sleep(0.005)

kept = sum(value is not None for value in primary.mget([f"write:{n}" for n in written]))
print(f"longest gap {longest_gap:.2f} s")
print(f"failures {len(failures)}: {sorted(set(failures))}")
print(f"kept {kept} of {len(written)}")
last = f"write:{written[-1]}"
assert primary.get(last) == str(written[-1]).encode(), last
