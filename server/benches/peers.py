"""Processor time of the server per operation at pipelines of 16 and 64, beside the better of redis-server and Valkey 9.1.2, and beside what sockets alone cost.

Load, data and rounds are those of cpu.py. Valkey is the program that `scripts/setup` puts into `peers` beside what is built; without it redis-server is the only
peer. The floor is `constant.c`, which answers constants without parsing and data: where it is above the limit already, no server that reads and writes sockets from one
thread is within it.
"""

import contextlib
import statistics
import tempfile
from pathlib import Path

from cpu import fill, round_ns
from floor import ANSWERS, compiled
from limits import PEERS
from servers import Server
from threads import valkey_beside


def measure(setup):
    with tempfile.TemporaryDirectory(prefix="cairn-bench-") as folder, contextlib.ExitStack() as stack:
        constant = compiled(folder)
        programs = dict(setup.programs)
        valkey = valkey_beside(programs["ours"])
        programs |= {"valkey": str(valkey)} if valkey.exists() else {}
        servers = [stack.enter_context(Server(name, program, pinned=True)) for name, program in programs.items()]
        for server in servers:
            fill(server)
        for operation, limits in PEERS.items():
            if setup.wants(operation):
                # Without an entry the answer is as short as the shortest.
                length = str(ANSWERS.get(operation, 0))
                with Server("floor", constant, pinned=True, options=[length]) as floor:
                    for pipeline, limit in limits.items():
                        yield row(setup, [*servers, floor], operation, pipeline, limit)


def row(setup, servers, operation, pipeline, limit):
    found = {server.name: [] for server in servers}
    for number in range(setup.rounds):
        for server in servers if number % 2 == 0 else reversed(servers):
            found[server.name].append(round_ns(server, setup.load, operation, pipeline))
    medians = {name: statistics.median(rounds) for name, rounds in found.items()}
    best = min(medians["reference"], medians.get("valkey", medians["reference"]))
    return {
        "what": f"{operation}, pipeline {pipeline}",
        "ours_ns": medians["ours"],
        "reference_ns": medians["reference"],
        "valkey_ns": medians.get("valkey"),
        "floor_ns": medians["floor"],
        "floor_to_best": medians["floor"] / best,
        "ratio": medians["ours"] / best,
        "limit": limit,
        "within": round(medians["ours"] / best, 2) <= limit,
    }
