"""Resident bytes per item, for the shapes that data usually has.

Each shape is loaded into a fresh server of each kind; the figure is what the resident set grew by, divided by the number of items.
Items are elements where the value is a collection, so a hash of 10 counts as ten.
"""

import time

from limits import MEMORY
from servers import Server, request

BATCH = 500
PER_CALL = 100
SETTLE_S = 1.5


def key(i):
    return b"key:%012d" % i


def text_of_64(i):
    return b"%012d" % i * 5 + b"abcd"


def strings(value, *options):
    return lambda n: (("SET", key(i), value(i), *options) for i in range(n))


def tens(command, prefix, words):
    """A key for each ten items, all ten in one command."""
    return lambda n: (
        [command, b"%s:%010d" % (prefix, i), *(word for j in range(10) for word in words(i, j))] for i in range(n // 10)
    )


def one(command, name, words):
    """One key with all items, a hundred in a command."""
    return lambda n: (
        [command, name, *(word for i in range(at, at + PER_CALL) for word in words(i))] for at in range(0, n, PER_CALL)
    )


def stream(n):
    return (("XADD", b"st:%d" % (i % 100), "*", "field", b"%016d" % i, "other", "v") for i in range(n))


SHAPES = {
    "key 16 B, value 8 B": strings(lambda i: b"%08d" % i),
    "key 16 B, value 64 B": strings(text_of_64),
    "key 16 B, value 64 B, TTL": strings(text_of_64, "EX", "100000"),
    "key 16 B, integer": strings(lambda i: b"%d" % i),
    "big hash": one("HSET", "hash", lambda i: (b"field:%09d" % i, b"%016d" % (i % PER_CALL))),
    "big set": one("SADD", "set", lambda i: (b"member:%09d" % i,)),
    "big sorted set": one("ZADD", "zset", lambda i: (b"%d" % (i * 7919 % 1000003), b"member:%09d" % i)),
    "hash of 10": tens("HSET", b"h", lambda i, j: (b"field%d" % j, b"%016d" % (i + j))),
    "set of 10": tens("SADD", b"s", lambda i, j: (b"member:%06d" % (i + j),)),
    "sorted set of 10": tens("ZADD", b"z", lambda i, j: (b"%g" % (j * 1.5), b"member:%06d" % (i + j))),
    "list of 10": tens("RPUSH", b"l", lambda i, j: (b"item:%010d" % (i + j),)),
    "stream": stream,
}


def batches(commands):
    """Commands in portions of bytes, each with its number of replies."""
    waiting = []
    for words in commands:
        waiting.append(request(*words))
        if len(waiting) == BATCH:
            yield b"".join(waiting), BATCH
            waiting = []
    if waiting:
        yield b"".join(waiting), len(waiting)


def grown_by(name, program, shape, items):
    """Bytes per item in a fresh server."""
    with Server(name, program) as server:
        before = server.resident_bytes()
        server.connection.send_all(batches(shape(items)))
        time.sleep(SETTLE_S)
        return (server.resident_bytes() - before) / items


def measure(setup):
    """Rows of the table."""
    for what, shape in SHAPES.items():
        if not setup.wants(what):
            continue
        found = {name: grown_by(name, program, shape, setup.items) for name, program in setup.programs.items()}
        ratio = found["ours"] / found["reference"]
        yield {
            "what": what,
            "ours_bytes": found["ours"],
            "reference_bytes": found["reference"],
            "ratio": ratio,
            "limit": MEMORY[what],
            "within": round(ratio, 2) <= MEMORY[what],
        }
