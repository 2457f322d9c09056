"""Instructions per request, counted by valgrind's callgrind: the same from run to run whatever else the machine does.

System calls count as their instructions in the program only. A figure is the difference of two runs, of n and 3n requests, by 2n: start
and loading cancel out. Valgrind runs a program some fifty times slower.
"""

import re
import signal
import time
from pathlib import Path

from limits import INSTRUCTIONS, INSTRUCTIONS_PIPELINE
from servers import Server, free_port, request

CLIENTS = 8
REQUESTS = 20_000
KEYS = 2000

OPERATIONS = {
    "GET": "GET key:00000000{rand:%d}" % KEYS,
    "SET": "SET key:00000000{rand:%d} {data:64}" % KEYS,
    "INCR": "INCR ctr:00000000{rand:%d}" % KEYS,
    "HSET": "HSET hash f:00000000{rand:%d} {data:16}" % KEYS,
    "ZADD": "ZADD zset {rand:%d} m:00000000{rand:%d}" % (KEYS, KEYS),
    "LPUSH": "LPUSH pushed {data:16}",
}
# What others than this measure; of several commands now one is sent and now another.
OTHERS = {
    "GET of nothing": "GET none:{rand:%d}:name" % KEYS,
    "GET of a field": "GET key:{rand:%d}:name" % KEYS,
    "GET of a part": "GET key:{rand:%d}:parts:1" % KEYS,
    "GET of a tail": "GET key:{rand:%d}:emailaddress" % KEYS,
    "GET of 25 bytes": "GET company:service:sessions:{rand:%d}" % KEYS,
    "GET of 40 bytes": "GET company:department:service:sessions:all:{rand:%d}" % KEYS,
    "GET of two": ["GET app:{rand:%d}" % KEYS, "GET cache:{rand:%d}" % KEYS],
    "GET of four": ["GET %s:{rand:%d}" % (name, KEYS) for name in ("app", "cache", "session", "company:service:sessions")],
    "GET and SET": ["GET key:00000000{rand:%d}" % KEYS, "SET key:00000000{rand:%d} {data:64}" % KEYS],
}


def commands_of(operation):
    commands = (OPERATIONS | OTHERS)[operation]
    return [commands] if isinstance(commands, str) else commands


def keys_of(operation):
    """Those that are there: what INCR and the like find is their own, and what is named so is nowhere."""
    wanted = [OPERATIONS["GET"], *(command for command in commands_of(operation) if command.startswith("GET ") and operation != "GET of nothing")]
    names = (command.split()[1] for command in wanted)
    return sorted({re.sub(r"\{rand:\d+\}", str(i), name).encode() for name in names for i in range(KEYS)})


def count(setup, name, operation, requests, pipeline, options):
    """Instructions of a whole life: start, some data, so many requests, end."""
    wrapper = ["valgrind", "--tool=callgrind", "--callgrind-out-file=counted.%p", "--quiet"]
    is_node = "--cluster-enabled" in options
    # That of the bus would be 10,000 above a port that may be too high for it.
    bus = ("--cluster-port", str(free_port())) if is_node else ()
    with Server(name, setup.programs[name], wrapper=wrapper, options=(*options, *bus)) as server:
        if is_node:
            own_all_slots(server)
        keys = keys_of(operation)
        for at in range(0, len(keys), 500):
            portion = [request("SET", key, b"v" * 64) for key in keys[at : at + 500]]
            server.connection.send_all([(b"".join(portion), len(portion))])
        setup.load.run(server, commands_of(operation), requests, CLIENTS, pipeline)
        server.process.send_signal(signal.SIGTERM)
        server.process.wait()
        texts = [path.read_text(errors="replace") for path in Path(server.folder.name).glob("counted.*")]
    totals = [int(number) for text in texts for number in re.findall(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)]
    if not totals:
        raise RuntimeError("callgrind wrote no total")
    return max(totals)


def own_all_slots(server):
    """A node of a cluster serves a while after it has all slots."""
    server.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    while b"cluster_state:ok" not in server.call("CLUSTER", "INFO"):
        time.sleep(0.05)


def per_request(setup, name, operation, pipeline=INSTRUCTIONS_PIPELINE, options=()):
    more, few = (count(setup, name, operation, times * REQUESTS, pipeline, options) for times in (3, 1))
    return (more - few) / (2 * REQUESTS)


def measure(setup):
    """Rows of the table."""
    for operation in OPERATIONS:
        if not setup.wants(operation):
            continue
        ours, reference = (per_request(setup, name, operation) for name in ("ours", "reference"))
        yield {
            "what": operation,
            "ours": ours,
            "reference": reference,
            "ratio": ours / reference,
            "limit": INSTRUCTIONS[operation],
            "within": round(ours / reference, 2) <= INSTRUCTIONS[operation],
        }
