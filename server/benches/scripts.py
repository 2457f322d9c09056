"""Processor time of the server per script: pipelines of EVAL and FCALL, both servers with the same data, rounds alternating; medians.

A script of three commands is what a rate limiter does. The others have no limit: a script of nothing, JSON there and back, a hash as a table.
"""

import statistics

import limits
from servers import Server, request

PIPELINE = 16
CALLS = 20_000
KEYS = 1_000
LIMITER = "redis.call('SET', KEYS[1], ARGV[1]) local c = redis.call('INCRBY', KEYS[1], 1) local t = redis.call('PEXPIRE', KEYS[1], 100000) return {c, t}"
LIBRARY = f"#!lua name=bench\nredis.register_function('limiter', function(KEYS, ARGV) {LIMITER} end)"
JSON = "local t = cjson.decode(ARGV[1]) t.n = t.n + 1 redis.call('SET', KEYS[1], cjson.encode(t)) return t.n"
JOB = '{"id":"job-123","n":5,"tags":["a","b","c"],"opts":{"delay":100,"prio":2.5,"x":null}}'

CASES = {
    "EVAL of 3 commands": (lambda n: ("EVAL", LIMITER, 1, f"key:{n % KEYS}", 5), limits.SCRIPT),
    "FCALL of 3 commands": (lambda n: ("FCALL", "limiter", 1, f"key:{n % KEYS}", 5), limits.SCRIPT),
    "EVAL of nothing": (lambda n: ("EVAL", "return 1", 0), None),
    "EVAL with JSON": (lambda n: ("EVAL", JSON, 1, f"key:{n % KEYS}", JOB), None),
    "EVAL of HGETALL": (lambda n: ("EVAL", "return redis.call('HGETALL', KEYS[1])", 1, "hash"), None),
}


def round_ns(server, words):
    batches = [
        (b"".join(request(*words(at + n)) for n in range(PIPELINE)), PIPELINE) for at in range(0, CALLS, PIPELINE)
    ]
    before = server.cpu_ns()
    server.connection.send_all(batches)
    return (server.cpu_ns() - before) / CALLS


def measure(setup):
    """Rows of the table."""
    servers = [Server(name, program, pinned=True) for name, program in setup.programs.items()]
    try:
        for server in servers:
            server.call("FUNCTION", "LOAD", LIBRARY)
            server.call("HSET", "hash", *(word for n in range(20) for word in (f"field:{n}", f"value:{n}")))
        for what, (words, limit) in CASES.items():
            if setup.wants(what):
                yield row(setup, servers, what, words, limit)
    finally:
        for server in servers:
            server.__exit__()


def row(setup, servers, what, words, limit):
    figures = {server.name: [] for server in servers}
    for _ in range(setup.rounds):
        for server in servers:
            figures[server.name].append(round_ns(server, words))
    ours, reference = (statistics.median(figures[name]) for name in ("ours", "reference"))
    return {
        "what": what,
        "ours": ours,
        "beside": reference,
        "ratio": ours / reference,
        "limit": limit,
        "within": limit is None or round(ours / reference, 3) <= limit,
    }
