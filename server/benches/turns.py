"""The longest turn of the event loop while much happens at once: what every other client waits for at worst.

Three figures. Ours says what its longest turn took, from the end of its poll to its last reply (DEBUG LOOP-TURN): processor time
and time. Time is what a client feels, but it also holds what other programs took of the machine, and where they are busy that is
several milliseconds at any moment; so the limit is on processor time, and the row shows both. Any server can be seen from outside:
a second connection sends PING again and again and keeps the longest answer, which holds the waits of the observer as well.

Processor time is not free of the machine either: the system does what is due for others in whatever thread is running, and a
hypervisor may be busy elsewhere. So the first row is the same load with PING, which touches no data: what that row shows is the machine's.

The server runs on any processor, without transparent huge pages.
"""

import multiprocessing
import time

from limits import TURN_MS
from servers import Connection, Server

# One client with few requests at a time, so that a turn has little to do but what is measured.
CLIENTS, PIPELINE = 1, 50
PROBE_PAUSE_S = 0.0002
SETTLE_S = 0.3


def watch(port, stop, worst_s):
    """Another process: the longest PING."""
    connection = Connection(port)
    while not stop.is_set():
        began = time.perf_counter()
        connection.call("PING")
        worst_s.value = max(worst_s.value, time.perf_counter() - began)
        time.sleep(PROBE_PAUSE_S)


class Watched:
    """`with Watched(server) as seen:` measures what happens inside; then `seen.cpu_ms`, `seen.time_ms` (ours only) and `seen.outside_ms`."""

    def __init__(self, server):
        self.server = server
        self.cpu_ms = self.time_ms = None

    def __enter__(self):
        self.stop = multiprocessing.Event()
        self.worst_s = multiprocessing.Value("d", 0.0)
        self.probe = multiprocessing.Process(target=watch, args=(self.server.port, self.stop, self.worst_s))
        self.probe.start()
        time.sleep(SETTLE_S)
        self.worst_s.value = 0.0
        if self.server.name == "ours":
            self.server.call("DEBUG", "LOOP-TURN", "RESET")
        return self

    def __exit__(self, *_):
        time.sleep(SETTLE_S)
        if self.server.name == "ours":
            self.time_ms, self.cpu_ms = (us / 1000 for us in self.server.call("DEBUG", "LOOP-TURN"))
        self.stop.set()
        self.probe.join()
        self.outside_ms = self.worst_s.value * 1000


def until_freed(server, floor_bytes):
    """Waits until the memory in use is near what it was before, or does not shrink any more."""
    last = None
    while True:
        info = server.call("INFO", "memory").decode()
        used = int(next(line for line in info.splitlines() if line.startswith("used_memory:")).split(":")[1])
        if used <= floor_bytes or used == last:
            return
        last = used
        time.sleep(0.5)


def expire(server):
    server.call("PEXPIRE", "victim", 1)
    time.sleep(1)


def overwrite(server):
    server.call("SET", "victim", "v")


def rename_over(server):
    server.call("SET", "other", "v")
    server.call("RENAME", "other", "victim")


# Touches no data, so it has no limit: its longest turn is what the machine adds at worst.
BASELINE = "{:,} times PING"
# What is done to a hash of so many fields. FLUSHALL comes last, because it takes the original as well.
ENDS = {
    "DEL": lambda server: server.call("DEL", "victim"),
    "UNLINK": lambda server: server.call("UNLINK", "victim"),
    "expiry": expire,
    "SET over it": overwrite,
    "RENAME over it": rename_over,
    "FLUSHALL": lambda server: server.call("FLUSHALL"),
}


def measure_one(server, load, items):
    """What happened, and what was seen of it."""
    found = {}
    with Watched(server) as seen:
        load.run(server, ["PING"], items, CLIENTS, PIPELINE)
    found[BASELINE.format(items)] = seen
    with Watched(server) as seen:
        load.run(server, ["SET key:{seq} 12345678"], items, CLIENTS, PIPELINE)
    found[f"inserting {items:,} keys"] = seen
    if server.call("DBSIZE") != items:
        raise RuntimeError("not all keys are there")
    with Watched(server) as seen:
        server.call("FLUSHALL")
        until_freed(server, 0)
    found[f"FLUSHALL of {items:,} keys"] = seen
    with Watched(server) as seen:
        load.run(server, ["HSET whole field:{seq} 12345678"], items, CLIENTS, PIPELINE)
    found[f"inserting {items:,} fields"] = seen
    for name, end in ENDS.items():
        server.call("COPY", "whole", "victim")
        with Watched(server) as seen:
            end(server)
            until_freed(server, 0)
        server.call("DEL", "victim")
        until_freed(server, 0)
        found[f"{name}, {items:,} fields"] = seen
    return found


def measure(setup):
    """Rows of the table. The least of several rounds: a turn cannot be shorter than its work, but it can be interrupted."""
    rounds = {}
    for _ in range(setup.rounds):
        for name, program in setup.programs.items():
            with Server(name, program, huge_pages=False) as server:
                for what, seen in measure_one(server, setup.load, setup.turn_items).items():
                    rounds.setdefault(what, {}).setdefault(name, []).append(seen)
    rows = []
    for what, seen in rounds.items():
        cpu_ms = [s.cpu_ms for s in seen["ours"]]
        limit_ms = None if what == BASELINE.format(setup.turn_items) else TURN_MS
        rows.append(
            {
                "what": what,
                "cpu_ms": min(cpu_ms),
                "cpu_ms_max": max(cpu_ms),
                "time_ms": min(s.time_ms for s in seen["ours"]),
                "outside_ms": min(s.outside_ms for s in seen["ours"]),
                "reference_outside_ms": min(s.outside_ms for s in seen["reference"]),
                "limit_ms": limit_ms,
                "within": limit_ms is None or min(cpu_ms) <= limit_ms,
            }
        )
    return rows
