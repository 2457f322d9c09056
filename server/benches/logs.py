"""What aof-tool takes for a log of 300 MB, and of 1 GB for the memory: checking, mending, counting, rewriting, going back.

Time is by the clock, processor time that of all threads and children, resident memory the most of the process with mapped pages (`wait4`); medians
of the rounds. The peers are redis-check-aof and redis-server of the reference, in the same rounds: the server loads the log and runs BGREWRITEAOF.
"""

import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import limits
import servers
from runs import damaged, figures, in_turns, once

MB = 1_000_000
SIZE_MB, LARGE_MB = 300, 1000
KEYS = 200_000
# Commands between two timestamps.
SECOND = 200
BEGIN = 1_795_000_000
PIECE = 5000
# Where a log is damaged, as parts of it, and how many bytes there.
DAMAGE = ((0.13, 0.5, 0.9), 30)


def commands(draw):
    """Commands without end, in the mix of an application."""
    text = bytes(draw.choices(b"abcdefghijklmnopqrstuvwxyz0123456789 ", k=1 << 16))
    number = 0

    def value():
        begin = draw.randrange(len(text) - 200)
        return text[begin : begin + draw.randrange(20, 200)]

    while True:
        number += 1
        if number % SECOND == 1:
            yield b"#TS:%d\r\n" % (BEGIN + number // SECOND)
        i, kind = draw.randrange(KEYS), draw.randrange(20)
        if kind < 6:
            yield servers.request("SET", f"user:{i}", value())
        elif kind < 9:
            yield servers.request("HSET", f"session:{i}", "name", value(), "seen", i)
        elif kind < 11:
            yield servers.request("INCR", f"count:{i}")
        elif kind < 13:
            yield servers.request("RPUSH", f"queue:{i % 5000}", value())
        elif kind < 15:
            yield servers.request("LPOP", f"queue:{i % 5000}")
        elif kind < 17:
            yield servers.request("ZADD", f"rank:{i % 5000}", i, f"member:{draw.randrange(100)}")
        elif kind == 17:
            yield servers.request("PEXPIREAT", f"user:{i}", 4_000_000_000_000 + i)
        elif kind == 18:
            yield servers.request("DEL", f"session:{i}")
        else:
            inside = servers.request("INCR", f"count:{i}") + servers.request("SET", f"user:{i}", value())
            yield servers.request("MULTI") + inside + servers.request("EXEC")


def write(path, megabytes):
    each = commands(random.Random(1))
    with path.open("wb") as out:
        out.write(servers.request("SELECT", 0))
        while out.tell() < megabytes * MB:
            out.write(b"".join(next(each) for _ in range(PIECE)))
    return path


def load_and_rewrite(setup, log, form):
    """Seconds, processor seconds and resident megabytes of a server that loads a log and rewrites it, as commands or as a snapshot."""
    preamble = "yes" if form == "snapshot" else "no"
    with tempfile.TemporaryDirectory(prefix="cairn-bench-") as folder:
        parts = Path(folder) / "appendonlydir"
        parts.mkdir()
        os.link(log, parts / "appendonly.aof.1.incr.aof")
        (parts / "appendonly.aof.manifest").write_text("file appendonly.aof.1.incr.aof seq 1 type i\n")
        port = servers.free_port()
        options = ["--port", port, "--dir", folder, "--save", "", "--appendonly", "yes", "--auto-aof-rewrite-percentage", 0, "--aof-use-rdb-preamble", preamble]
        begin = time.perf_counter()
        server = subprocess.Popen([setup.programs["reference"], *map(str, options)], stdout=subprocess.DEVNULL)
        try:
            connection = connect(server, port)
            wait_until(connection, b"\r\nloading:0\r\n")
            connection.call("BGREWRITEAOF")
            wait_until(connection, b"aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0")
            if b"aof_last_bgrewrite_status:ok" not in connection.call("INFO", "persistence"):
                raise RuntimeError("the reference did not rewrite its log")
            seconds = time.perf_counter() - begin
        finally:
            server.kill()
            _, status, usage = os.wait4(server.pid, 0)
            server.returncode = os.waitstatus_to_exitcode(status)
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def connect(server, port):
    while server.poll() is None:
        try:
            return servers.Connection(port)
        except OSError:
            time.sleep(0.01)
    raise RuntimeError("the reference ended")


def wait_until(connection, words):
    while words not in connection.call("INFO", "persistence"):
        time.sleep(0.005)


def last_command(tool, log):
    """The number of the last command, for `restore`."""
    line = subprocess.run([tool, "check", "--json", log], capture_output=True, text=True, check=True).stdout
    return json.loads(line)["commands"]


def measure(setup):
    with tempfile.TemporaryDirectory(prefix="cairn-bench-") as folder:
        yield from measure_in(setup, Path(folder))


def measure_in(setup, folder):
    tool = setup.log_tool
    check = shutil.which("redis-check-aof", path=f"{Path(setup.programs['reference']).parent}:{os.environ.get('PATH', '')}")
    log, out, mended = folder / "log.aof", folder / "out", folder / "mended.aof"
    write(log, SIZE_MB)
    broken = damaged(log, folder / "broken.aof", *DAMAGE)
    until = f"command:{last_command(tool, log)}"
    by_peer = (lambda: once([check, log])) if check else None
    by_server = lambda: load_and_rewrite(setup, log, "commands")
    by_server_snapshot = lambda: load_and_rewrite(setup, log, "snapshot")
    rewrite = [tool, "rewrite", "--force", "-o", out, log]
    runs = [
        ("check", lambda: once([tool, "check", log]), by_peer),
        ("check, three places damaged", lambda: once([tool, "check", broken]), None),
        ("fix --dry-run", lambda: once([tool, "fix", "--dry-run", broken]), None),
        ("fix", lambda: fix(tool, broken, mended), None),
        ("stats", lambda: once([tool, "stats", log]), None),
        ("log KEY", lambda: once([tool, "log", "user:17", log]), None),
        ("rewrite", lambda: once(rewrite), by_server),
        ("rewrite --form snapshot", lambda: once([*rewrite, "--form", "snapshot"]), by_server_snapshot),
        ("restore", lambda: once([tool, "restore", "--force", "--until", until, "-o", out, log]), lambda: once(rewrite)),
    ]
    yield from rows(setup, runs, log)
    if any(setup.wants(f"{what}, 1 GB") for what in ("check", "fix --dry-run", "stats", "log KEY")):
        large = write(folder / "large.aof", LARGE_MB)
        broken = damaged(large, folder / "large-broken.aof", *DAMAGE)
        runs = [
            ("check, 1 GB", lambda: once([tool, "check", large]), None),
            ("fix --dry-run, 1 GB", lambda: once([tool, "fix", "--dry-run", broken]), None),
            ("stats, 1 GB", lambda: once([tool, "stats", large]), None),
            ("log KEY, 1 GB", lambda: once([tool, "log", "user:17", large]), None),
        ]
        yield from rows(setup, runs, large)


def fix(tool, broken, mended):
    """Mends a fresh copy."""
    backup = mended.with_name(mended.name + ".bak")
    backup.unlink(missing_ok=True)
    shutil.copyfile(broken, mended)
    os.sync()
    return once([tool, "fix", mended])


def rows(setup, runs, log):
    for what, ours, peer in runs:
        if not setup.wants(what):
            continue
        yield row(what, log.stat().st_size / MB, *in_turns(setup.rounds, ours, peer))


def row(what, size, ours, peer):
    seconds, cpu, resident = ours
    found = {"MB/s": size / seconds, "MB": resident}
    if peer:
        found["times"], found["part"] = peer[0] / seconds, seconds / peer[0]
    asked = limits.LOGS.get(what, [])
    within = all(found[kind] <= limit if kind in ("MB", "part") else found[kind] >= limit for kind, limit in asked)
    return {
        "what": what,
        **figures(size, ours, peer),
        "the_same_by_processor_time": peer[1] / cpu if peer else None,
        "limit": ", ".join(f"{limit} {kind}" for kind, limit in asked) or None,
        "within": within,
    }
