"""Processor time of the server per operation, at three pipeline depths.

Requests per second depend on what else the machine does and on the client; the server's own processor time (all its threads, system
calls included) does so much less. Both servers run side by side with the same data; server and load have a processor each, rounds
alternate between the servers, and the figure is the median of the rounds with its spread.
"""

import statistics

from limits import CPU, CPU_PIPELINE
from servers import Server, request

PIPELINES = (1, 16, 64)
CLIENTS = 50
KEYS = 200_000
LIST_LENGTH = 20_000
# Requests of one round at each depth; a slow operation gets a part of it.
REQUESTS = {1: 50_000, 16: 200_000, 64: 400_000}

# Names are near 16 bytes long: a word and some twelve digits.
OPERATIONS = {
    "GET": "GET key:000000{rand:1000000}",
    "SET": "SET key:000000{rand:1000000} {data:64}",
    "INCR": "INCR ctr:000000{rand:1000000}",
    "HSET": "HSET hash f:000000{rand:1000000} {data:16}",
    "SADD": "SADD set m:000000{rand:1000000}",
    "ZADD": "ZADD zset {rand:1000000} m:000000{rand:1000000}",
    "LPUSH": "LPUSH pushed {data:16}",
    "LPOP": "LPOP popped",
    "ZRANGE 10": "ZRANGE zset 0 9",
    "LRANGE 100": "LRANGE list 0 99",
    "MSET 10": "MSET " + " ".join("k%d:000000{rand:1000000} {data:16}" % i for i in range(10)),
}
SLOW = {"LRANGE 100": 8, "MSET 10": 4, "ZRANGE 10": 2}


def fill(server):
    """The same data in each server: every fifth key, a list to read, a sorted set."""
    portions = []
    for at in range(0, KEYS, 500):
        portions.append(
            (b"".join(request("SET", b"key:000000%d" % (i * 5), b"v" * 64) for i in range(at, at + 500)), 500)
        )
    for at in range(0, LIST_LENGTH, 500):
        portions.append((request("RPUSH", "list", *[b"v" * 16] * 500), 1))
        portions.append(
            (request("ZADD", "zset", *(w for i in range(at, at + 500) for w in (i, b"m:000000%d" % (i * 50)))), 1)
        )
    server.connection.send_all(portions)


def refill(server, operation, requests):
    """What an operation uses up."""
    if operation == "LPOP":
        server.call("DEL", "popped")
        full, rest = divmod(requests, 1000)
        portion = request("RPUSH", "popped", *[b"v" * 16] * 1000)
        server.connection.send_all([(portion, 1)] * (full + (rest > 0)))
    elif operation == "LPUSH":
        server.call("DEL", "pushed")


def round_ns(server, load, operation, pipeline):
    requests = REQUESTS[pipeline] // SLOW.get(operation, 1)
    refill(server, operation, requests)
    before = server.cpu_ns()
    load.run(server, [OPERATIONS[operation]], requests, CLIENTS, pipeline, pinned=True)
    return (server.cpu_ns() - before) / requests


def measure(setup):
    """Rows of the table."""
    servers = [Server(name, program, pinned=True) for name, program in setup.programs.items()]
    try:
        for server in servers:
            fill(server)
        for operation in OPERATIONS:
            if setup.wants(operation):
                for pipeline in PIPELINES:
                    yield row(setup, servers, operation, pipeline)
    finally:
        for server in servers:
            server.__exit__()


def row(setup, servers, operation, pipeline):
    found = {server.name: [] for server in servers}
    for number in range(setup.rounds):
        for server in servers if number % 2 == 0 else reversed(servers):
            found[server.name].append(round_ns(server, setup.load, operation, pipeline))
    ours, reference = (statistics.median(found[name]) for name in ("ours", "reference"))
    ratios = [a / b for a, b in zip(found["ours"], found["reference"])]
    limit = CPU[operation] if pipeline == CPU_PIPELINE else None
    return {
        "what": operation,
        "pipeline": pipeline,
        "ours_ns": ours,
        "reference_ns": reference,
        "ratio": ours / reference,
        "ratio_least": min(ratios),
        "ratio_most": max(ratios),
        "limit": limit,
        "within": limit is None or round(ours / reference, 2) <= limit,
    }
