"""What rdb-tool takes for a snapshot that the reference has written: small strings, small packed collections, and both.

Time is by the clock, processor time that of all threads, resident memory the most of the process with mapped pages (`wait4`); medians of the
rounds. The peer is redis-check-rdb of the reference, in the same rounds. `large` is the file with both six times, in six databases.
"""

import os
import random
import shutil
import tempfile
from pathlib import Path

import limits
import servers
from runs import damaged, figures, in_turns, once

BATCH = 2_000
COPIES = 6
# Where a file is damaged, as parts of it, and how many bytes there.
DAMAGE = ((1 / 3, 2 / 3, 0.98), 300)
# This process must stay small: what it starts is told to have had as much resident as it has itself.
PIECE = 1 << 20


def strings(count):
    draw = random.Random(1)
    for i in range(count):
        words = ["SET", f"user:{i % 1000}:{i}", f"{draw.getrandbits(160):040x}"]
        yield words + ["EX", 10_000_000 + i % 1000] if i % 4 == 0 else words


def collections(count):
    draw = random.Random(2)
    for i in range(count):
        form = i % 5
        if form == 0:
            yield ["HSET", f"h:{i}", *(word for f in range(10) for word in (f"field{f}", f"{draw.getrandbits(128):032x}"))]
        elif form == 1:
            yield ["RPUSH", f"l:{i}", *(f"{draw.getrandbits(96):024x}" for _ in range(15))]
        elif form == 2:
            yield ["SADD", f"s:{i}", *(draw.randrange(1 << 30) for _ in range(20))]
        elif form == 3:
            yield ["ZADD", f"z:{i}", *(word for f in range(12) for word in (draw.random() * 1000 if f % 2 else f, f"member{f}{i}"))]
        else:
            yield ["SADD", f"t:{i}", *(f"tag{draw.randrange(1000)}" for _ in range(12))]


def batches(commands):
    batch = []
    for words in commands:
        batch.append(servers.request(*words))
        if len(batch) == BATCH:
            yield b"".join(batch), len(batch)
            batch = []
    yield b"".join(batch), len(batch)


def write(setup, folder, name, *kinds):
    """A snapshot of the reference with these commands."""
    options = ["--dir", str(folder), "--dbfilename", name]
    with servers.Server("reference", setup.programs["reference"], options=options) as server:
        for commands, count in kinds:
            server.connection.send_all(batches(commands(count)))
        server.connection.call("SAVE")
    return folder / name


def copies(path, target):
    """The same keys in several databases, without a checksum."""
    size = path.stat().st_size
    with path.open("rb") as whole, target.open("wb") as out:
        head = whole.read(PIECE)
        select = head.index(b"\xfe\x00\xfb")
        out.write(head[:select])
        for db in range(COPIES):
            out.write(bytes([0xFE, db]))
            whole.seek(select + 2)
            left = size - 9 - whole.tell()
            while left:
                piece = whole.read(min(PIECE, left))
                out.write(piece)
                left -= len(piece)
        out.write(b"\xff" + bytes(8))
    return target


def measure(setup):
    with tempfile.TemporaryDirectory() as folder:
        yield from measure_in(setup, Path(folder))


def measure_in(setup, folder):
    tool = setup.tool
    check = shutil.which("redis-check-rdb", path=f"{Path(setup.programs['reference']).parent}:{os.environ.get('PATH', '')}")
    small, packed = (strings, 2 * setup.items), (collections, setup.items // 5)
    files = {
        "small": write(setup, folder, "small.rdb", small),
        "packed": write(setup, folder, "packed.rdb", packed),
        "both": write(setup, folder, "both.rdb", small, packed),
    }
    # A server has its keys in an order of its own.
    files["other"] = write(setup, folder, "other.rdb", small, packed)
    files["damaged"] = damaged(files["both"], folder / "damaged.rdb", *DAMAGE)
    files["large"] = copies(files["both"], folder / "large.rdb")
    once([tool, "index", files["both"]])
    out = folder / "out"
    runs = [
        ("verify", "small", ["verify"]),
        ("verify", "packed", ["verify"]),
        ("verify", "both", ["verify"]),
        ("inspect", "both", ["inspect"]),
        ("inspect --prefix --slots", "both", ["inspect", "--prefix", ":", "--slots"]),
        ("dump", "both", ["dump"]),
        ("dump", "packed", ["dump"]),
        ("convert --to redis-6.2", "both", ["convert", "--to", "redis-6.2", "--force", "-o", out]),
        ("salvage", "damaged", ["salvage", "--force", "-o", out]),
        ("diff", "both", ["diff", files["other"]]),
        ("get with an index", "both", ["get"]),
        ("verify", "large", ["verify"]),
        ("inspect", "large", ["inspect"]),
        ("dump", "large", ["dump"]),
        ("convert --to redis-6.2", "large", ["convert", "--to", "redis-6.2", "--force", "-o", out]),
        ("filter --type hash", "large", ["filter", "--type", "hash", "--force", "-o", out]),
    ]
    for what, name, words in runs:
        if not setup.wants(f"{what} {name}"):
            continue
        path = files[name]
        line = [tool, "get", path, "user:17:17"] if words[0] == "get" else [tool, *words, path]
        peer = (lambda: once([check, path])) if what == "verify" and check else None
        yield row(what, name, path.stat().st_size / 1e6, *in_turns(setup.rounds, lambda: once(line), peer))


def row(what, name, size, ours, peer):
    seconds, _, resident = ours
    ratio = peer[0] / seconds if peer else None
    kind, limit = limits.SNAPSHOTS.get((what, name), (None, None))
    figure = {"times": ratio, "MB/s": size / seconds, "s": seconds, "MB": resident}.get(kind)
    within = True
    if figure is not None:
        within = figure <= limit if kind in ("s", "MB") else figure >= limit
    return {
        "what": f"{what}, {name}",
        "mb": size,
        **figures(size, ours, peer),
        "limit": f"{limit} {kind}" if kind else None,
        "within": within,
    }
