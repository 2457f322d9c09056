"""How the cost of a command grows with the size of what it works on, and that of whole files with the number of keys.

For each size a fresh server of each kind is filled by bench-tool. Processor time (all threads, system calls included) is of the server per
command at pipeline 16, median of the rounds; instructions are counted by callgrind, which is switched on when the data is there, so that they are
the same from run to run. Of what is done with whole files both are per key.

A command that states O(1) or O(log N) is held to that in instructions from the least to the largest size, a file to the same for each key; times are shown beside the reference's, as more
data than the caches hold costs everybody more.
"""

import math
import re
import statistics
import subprocess
import time
from functools import partial
from pathlib import Path

import limits
from runs import once
from servers import PATIENCE_S, Server

CLIENTS, PIPELINE = 50, 16
REQUESTS, COUNTED = 100_000, 10_000
SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
# Valgrind runs a program some ten times slower while nothing is counted.
COUNTED_MAX = 1_000_000
CALLGRIND = ["valgrind", "--tool=callgrind", "--callgrind-out-file=counted.%p", "--quiet"]
FILE_SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
# Places of templates: `@` is the size.
FILLS = {
    "keys": "SET key:{int:seq:@} {data:64}",
    "list": "RPUSH list {data:16}",
    "set": "SADD set m:{int:seq:@}",
    "zset": "ZADD zset {int:seq:@} m:{int:seq:@}",
    "hash": "HSET hash f:{int:seq:@} {data:16}",
    "stream": "XADD stream * f {data:16}",
}
# Operation: what it works on, its request, commands in one, and what it states ("1", "log" or what its reply has).
OPERATIONS = {
    "GET": ("keys", "GET key:{rand:@}", 1, "1"),
    "SET": ("keys", "SET key:{rand:@} {data:64}", 1, "1"),
    "SCAN": ("keys", "SCAN {rand:@} COUNT 10", 1, "1"),
    "DEL and SET": ("keys", "DEL key:{=k:rand:@} ; SET key:{=k} {data:64}", 2, "1"),
    "LPUSH and RPOP": ("list", "LPUSH list {data:16} ; RPOP list", 2, "1"),
    "LRANGE 100": ("list", "LRANGE list 0 99", 1, "1"),
    "SREM and SADD": ("set", "SREM set m:{=k:rand:@} ; SADD set m:{=k}", 2, "1"),
    "SINTER with 10": ("set", "SINTER few set", 1, "1"),
    "ZADD": ("zset", "ZADD zset {rand:@} m:{rand:@}", 1, "log"),
    "ZRANK": ("zset", "ZRANK zset m:{rand:@}", 1, "log"),
    "ZRANGE 10": ("zset", "ZRANGE zset 100 109", 1, "log"),
    "HSET": ("hash", "HSET hash f:{rand:@} {data:16}", 1, "1"),
    "XADD": ("stream", "XADD stream MAXLEN ~ @ * f {data:16}", 1, "1"),
}
FILES = ("SAVE", "load", "rewrite", "verify", "diff")


def fill(setup, server, kind, size):
    """`size` elements."""
    setup.load.run(server, [FILLS[kind].replace("@", str(size))], size, 8, 64)
    if kind == "set":
        server.call("SADD", "few", *(b"m:%d" % i for i in range(10)))


def nanoseconds(setup, server, operation, size):
    _, request, commands, _ = OPERATIONS[operation]
    found = []
    for _ in range(setup.rounds):
        before = server.cpu_ns()
        setup.load.run(server, [request.replace("@", str(size))], REQUESTS // commands, CLIENTS, PIPELINE)
        found.append((server.cpu_ns() - before) / REQUESTS)
    return statistics.median(found)


def count(setup, server, operation, size):
    """Instructions of one command in a server under callgrind."""
    _, request, commands, _ = OPERATIONS[operation]
    run = partial(setup.load.run, server, [request.replace("@", str(size))], COUNTED // commands, CLIENTS, PIPELINE)
    return counted(server, run) / COUNTED


def counted(server, run):
    """Instructions while `run` runs, of a server under callgrind or of its child, whichever has more."""

    def control(*words):
        subprocess.run(["vgdb", f"--pid={server.process.pid}", *words], check=True, capture_output=True)

    control("instrumentation", "on")
    run()
    control("dump")
    control("instrumentation", "off")
    return total(Path(server.folder.name))


def total(folder):
    """The most instructions that callgrind tells in a file there; the files go."""
    texts = []
    for path in folder.glob("counted.*"):
        texts.append(path.read_text(errors="replace"))
        path.unlink()
    totals = [int(number) for text in texts for number in re.findall(r"^totals: (\d+)", text, re.MULTILINE)]
    if not totals:
        raise RuntimeError("callgrind wrote no total")
    return max(totals)


def of_kind(setup, name, kind, size, wanted, measured):
    """Figures of all operations on one kind of data, in one server."""
    program = setup.programs[name]
    with Server(name, program) as server:
        fill(setup, server, kind, size)
        for operation in wanted:
            measured[operation, name, size] = [nanoseconds(setup, server, operation, size), None]
    if size > COUNTED_MAX:
        return
    with Server(name, program, wrapper=[*CALLGRIND, "--instr-atstart=no"]) as server:
        fill(setup, server, kind, size)
        for operation in wanted:
            measured[operation, name, size][1] = count(setup, server, operation, size)


def may_grow(states, least, most):
    """What instructions may grow by, at most."""
    return limits.GROWTH * (math.log(most) / math.log(least) if states == "log" else 1)


def column(name, size):
    """What the figures of a server at a size are called."""
    return f"{name} {size:.0e}".replace("e+0", "e")


def figures(what, sizes, of):
    """Of each size what is found of either server."""
    return {"what": what} | {column(name, size): of(name, size) for size in sizes for name in ("ours", "reference")}


def row(operation, measured, sizes):
    """Nanoseconds at each size, ours and the reference's, and how much more instructions the largest takes than the least."""
    found = figures(operation, sizes, lambda name, size: measured[operation, name, size][0])
    counted = [size for size in sizes if size <= COUNTED_MAX]
    first, last = counted[0], counted[-1]
    for name in ("ours", "reference"):
        found[f"{name}_instructions"] = measured[operation, name, last][1]
        found[f"{name}_grows"] = measured[operation, name, last][1] / measured[operation, name, first][1]
    found["limit"] = may_grow(OPERATIONS[operation][3], first, last)
    found["within"] = round(found["ours_grows"], 2) <= found["limit"]
    return found


def file_costs(setup, size):
    """Processor nanoseconds per key of what is done with whole files; of who has a peer both."""
    costs = {}
    snapshots = {}
    for name, program in setup.programs.items():
        with Server(name, program) as server:
            fill(setup, server, "keys", size)
            before = server.cpu_ns()
            server.call("SAVE")
            costs["SAVE", name] = (server.cpu_ns() - before) / size
            costs["rewrite", name] = rewrite(server) / size
            before = server.cpu_ns()
            server.call("DEBUG", "RELOAD", "NOSAVE")
            costs["load", name] = (server.cpu_ns() - before) / size
            snapshots[name] = Path(server.folder.name) / "dump.rdb"
            if name == "reference":
                costs["verify", name] = once(["redis-check-rdb", snapshots[name]])[1] * 1e9 / size
                costs["verify", "ours"] = once([setup.tool, "verify", snapshots[name]])[1] * 1e9 / size
                costs["diff", "ours"] = once([setup.tool, "diff", snapshots[name], snapshots[name]])[1] * 1e9 / size
    return costs


def file_counts(setup, size):
    """Our instructions per key of the same."""
    # A child's title is written over where valgrind has its words, and the child would not find them at its end.
    untitled = ["--set-proc-title", "no"]
    with Server("ours", setup.programs["ours"], wrapper=[*CALLGRIND, "--instr-atstart=no"], options=untitled) as server:
        fill(setup, server, "keys", size)
        counts = {
            "SAVE": counted(server, partial(server.call, "SAVE")),
            "load": counted(server, partial(server.call, "DEBUG", "RELOAD", "NOSAVE")),
            "rewrite": counted(server, partial(rewrite, server)),
        }
        folder = Path(server.folder.name)
        for what, files in (("verify", 1), ("diff", 2)):
            once([*CALLGRIND, setup.tool, what, *[folder / "dump.rdb"] * files], folder)
            counts[what] = total(folder)
    return {what: instructions / size for what, instructions in counts.items()}


def rewrite(server):
    """Processor nanoseconds of the child that writes a log anew."""

    def children():
        info = server.call("INFO", "cpu").decode().splitlines()
        fields = dict(line.split(":", 1) for line in info if ":" in line)
        return float(fields["used_cpu_sys_children"]) + float(fields["used_cpu_user_children"])

    before = children()
    server.call("BGREWRITEAOF")
    deadline = time.monotonic() + PATIENCE_S
    while b"aof_rewrite_in_progress:0" not in server.call("INFO", "persistence") or children() == before:
        if time.monotonic() > deadline:
            raise RuntimeError("the rewrite does not end")
        time.sleep(0.01)
    return (children() - before) * 1e9


def row_of(what):
    """The name of the row of what is done with whole files."""
    return f"{what}, per key"


def file_row(what, costs, counts):
    found = figures(row_of(what), costs, lambda name, size: costs[size].get((what, name)))
    # The start of a program is most of it where there are few.
    ours = [counts[size][what] for size in list(counts)[min(len(counts) - 2, 1):]]
    found["ours_instructions"], found["ours_grows"], found["limit"] = ours[-1], ours[-1] / ours[0], limits.GROWTH
    found["within"] = round(found["ours_grows"], 2) <= found["limit"]
    return found


def measure(setup):
    """Rows of the table."""
    sizes = [size for size in SIZES if size <= setup.growth_max]
    measured = {}
    for kind in FILLS:
        wanted = [name for name, (of, *_) in OPERATIONS.items() if of == kind and setup.wants(name)]
        for size in sizes if wanted else ():
            for name in setup.programs:
                of_kind(setup, name, kind, size, wanted, measured)
        for operation in wanted:
            yield row(operation, measured, sizes)
    wanted = [what for what in FILES if setup.wants(row_of(what))]
    sizes = [size for size in FILE_SIZES if size <= setup.growth_max]
    if wanted:
        costs = {size: file_costs(setup, size) for size in sizes}
        counts = {size: file_counts(setup, size) for size in sizes if size <= COUNTED_MAX}
        for what in wanted:
            yield file_row(what, costs, counts)
