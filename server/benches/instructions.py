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
# What others than this measure.
OTHERS = {
    "GET of a field": "GET key:{rand:%d}:name" % KEYS,
}


def count(setup, name, operation, requests, pipeline, options):
    """Instructions of a whole life: start, some data, so many requests, end."""
    wrapper = ["valgrind", "--tool=callgrind", "--callgrind-out-file=counted.%p", "--quiet"]
    is_node = "--cluster-enabled" in options
    # That of the bus would be 10,000 above a port that may be too high for it.
    bus = ("--cluster-port", str(free_port())) if is_node else ()
    with Server(name, setup.programs[name], wrapper=wrapper, options=(*options, *bus)) as server:
        if is_node:
            own_all_slots(server)
        for at in range(0, KEYS, 500):
            portion = b"".join(request("SET", b"key:00000000%d" % i, b"v" * 64) for i in range(at, at + 500))
            server.connection.send_all([(portion, 500)])
        setup.load.run(server, [(OPERATIONS | OTHERS)[operation]], requests, CLIENTS, pipeline)
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
