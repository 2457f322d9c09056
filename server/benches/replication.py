"""What replication costs: ours following ours beside the reference following the reference, rounds alternating; medians.

- Processor time of the primary for each SET while two replicas follow, and of a replica for each SET that it applies (the mean of both). The primary
  has a processor of its own; load and replicas share the other.
- A full synchronization over the loopback, from REPLICAOF until the replica has all keys and its link is up, the longest PING that a client of the
  primary waits for meanwhile, and the processor time of both servers and their children, which says more on a machine that does other things; with the
  snapshot loaded from a file (`repl-diskless-load disabled`, the default), and straight from the socket.
- Memory of the primary (`used_memory`) for each replica in step beyond the first, whose backlog it has anyhow.
"""

import contextlib
import os
import statistics
import threading
import time
from pathlib import Path

import limits
import servers

SETS = 1_000_000
CLIENTS, PIPELINE = 8, 16
COMMAND = "SET key:{rand:100000} {data:64}"
KEYS = 1_000_000
REPLICAS = 10
OPTIONS = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "3600")
PING_PAUSE_S = 0.002
# A snapshot from the socket into an empty server, without a file in between.
DISKLESS = ("--repl-diskless-load", "on-empty-db")


def info(server, section):
    lines = server.call("INFO", section).decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def start(name, program, stack, *options, pinned=False):
    return stack.enter_context(servers.Server(name, program, pinned=pinned, options=(*OPTIONS, *options)))


def follow(primary, replicas):
    for replica in replicas:
        replica.call("REPLICAOF", "127.0.0.1", primary.port)
    for replica in replicas:
        wait_in_step(primary, replica)


def wait_in_step(primary, replica):
    deadline = time.monotonic() + servers.PATIENCE_S
    while time.monotonic() < deadline:
        here, there = info(primary, "replication"), info(replica, "replication")
        if there.get("master_link_status") == "up" and here["master_repl_offset"] == there["master_repl_offset"]:
            return
        time.sleep(0.01)
    raise RuntimeError(f"{replica.name}: a replica that is never in step")


def writes(setup, name, program):
    """Nanoseconds of the primary and of a replica for each SET."""
    with contextlib.ExitStack() as stack:
        primary = start(name, program, stack, pinned=True)
        replicas = [start(name, program, stack) for _ in range(2)]
        follow(primary, replicas)
        all_of_them = [primary, *replicas]
        before = [server.cpu_ns() for server in all_of_them]
        setup.load.run(primary, [COMMAND], SETS, CLIENTS, PIPELINE, pinned=True)
        for replica in replicas:
            wait_in_step(primary, replica)
        spent = [server.cpu_ns() - start for server, start in zip(all_of_them, before)]
        return spent[0] / SETS, sum(spent[1:]) / 2 / SETS


class Pinger(threading.Thread):
    """Asks PING again and again; notes the longest wait."""

    def __init__(self, port):
        super().__init__()
        self.connection, self.ended, self.longest_s = servers.Connection(port), threading.Event(), 0

    def run(self):
        while not self.ended.wait(PING_PAUSE_S):
            asked = time.monotonic()
            self.connection.call("PING")
            self.longest_s = max(self.longest_s, time.monotonic() - asked)

    def end(self):
        self.ended.set()
        self.join()
        self.connection.close()
        return self.longest_s


def spent_s(server):
    """Processor time of a server and of those of its children that have ended."""
    words = Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(word) for word in words[11:15]) / os.sysconf("SC_CLK_TCK")


def synchronization(name, program, *options):
    """Seconds that it takes, milliseconds of the longest PING, seconds of processor time."""
    with contextlib.ExitStack() as stack:
        primary, replica = start(name, program, stack), start(name, program, stack, *options)
        primary.call("DEBUG", "POPULATE", KEYS, "key", 64)
        pinger = Pinger(primary.port)
        pinger.start()
        began, before = time.monotonic(), spent_s(primary) + spent_s(replica)
        follow(primary, [replica])
        took = time.monotonic() - began
        longest, spent = pinger.end(), spent_s(primary) + spent_s(replica) - before
        if replica.call("DBSIZE") != KEYS:
            raise RuntimeError(f"{name}: a replica without all keys")
        return took, longest * 1000, spent


def memory(setup, name, program):
    """Kilobytes of the primary for each replica beyond the first."""
    with contextlib.ExitStack() as stack:
        primary = start(name, program, stack)
        replicas = [start(name, program, stack) for _ in range(REPLICAS)]

        def used(following):
            follow(primary, following)
            setup.load.run(primary, ["SET key:{rand:100} {data:64}"], 100_000, CLIENTS, PIPELINE)
            for replica in following:
                wait_in_step(primary, replica)
            return int(info(primary, "memory")["used_memory"])

        one = used(replicas[:1])
        return ((used(replicas) - one) / (REPLICAS - 1) / 1024,)


MEASURES = [
    (
        memory,
        [("memory for a replica in step, KB", limits.REPLICA_KB)],
    ),
    (
        writes,
        [
            (f"SET at pipeline {PIPELINE}, two replicas: primary, ns", limits.REPLICATED_SET),
            (f"SET at pipeline {PIPELINE}: a replica, ns", limits.APPLIED_SET),
        ],
    ),
    (
        lambda _, name, program: synchronization(name, program),
        [
            (f"full synchronization, {KEYS:,} keys, s", limits.SYNCHRONIZATION),
            ("longest PING meanwhile, ms", limits.PING_MEANWHILE),
            ("processor time of both for it, s", None),
        ],
    ),
    (
        lambda _, name, program: synchronization(name, program, *DISKLESS),
        [
            (f"the same from the socket, {KEYS:,} keys, s", limits.SYNCHRONIZATION),
            ("longest PING meanwhile, from the socket, ms", limits.PING_MEANWHILE),
            ("processor time of both, from the socket, s", None),
        ],
    ),
]


def measure(setup):
    for take, rows in MEASURES:
        if not any(setup.wants(what) for what, _ in rows):
            continue
        found = {name: [] for name in setup.programs}
        for number in range(setup.rounds):
            programs = list(setup.programs.items())
            for name, program in programs if number % 2 == 0 else reversed(programs):
                found[name].append(take(setup, name, program))
        for at, (what, limit) in enumerate(rows):
            yield row(what, limit, *([values[at] for values in found[name]] for name in ("ours", "reference")))


def row(what, limit, ours, reference):
    """`limit`: of the ratio, or of our own figure where it is written as such, or none."""
    own, other = statistics.median(ours), statistics.median(reference)
    ratios = [a / b for a, b in zip(ours, reference)]
    held = own if isinstance(limit, limits.Own) else own / other
    return {
        "what": what,
        "ours": own,
        "reference": other,
        "ratio": own / other,
        "ratio_least": min(ratios),
        "ratio_most": max(ratios),
        "limit": limit if limit is None else float(limit),
        "within": limit is None or round(held, 2) <= limit,
    }
