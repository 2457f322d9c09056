"""What a cluster costs, nodes of ours among ours beside the reference among its like; medians of the rounds, which alternate.

- Instructions of GET and SET at pipeline 64 on a node of a cluster, beside the same of a server without slots (both ours).
- A slot with many keys moved by MIGRATE, a hundred keys at a time, as redis-cli does.
- Many slots moved at once: CLUSTER MIGRATESLOTS of ours beside `redis-cli --cluster reshard` among nodes of the reference.
- From the kill of a primary until its replica serves, as a client sees it that asks again and again.
"""

import contextlib
import signal
import subprocess
import time

import instructions
import limits
import servers
from replication import row

SLOTS = 16384
OPTIONS = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--repl-diskless-sync-delay", "0")
VALUE = b"v" * 64
BATCH = 5000
# One slot: that of the tag.
SLOT_KEYS, TAG, TAG_SLOT = 100_000, b"{foo}", 12182
PORTION = 100
# Many slots.
MOVED_SLOTS, MOVED_KEYS = 1000, 1_000_000
PATIENCE_S = 300


def wait_until(what, holds):
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"never: {what}")
        time.sleep(0.005)


def info(node):
    text = node.call("CLUSTER", "INFO").decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def node(name, program, stack):
    server = stack.enter_context(servers.Server(name, program, options=(*OPTIONS, "--cluster-port", str(servers.free_port()))))
    server.bus = int(server.call("CONFIG", "GET", "cluster-port")[1])
    server.id = server.call("CLUSTER", "MYID").decode()
    return server


def cluster(name, program, stack, shares, replicas=0):
    """Primaries with these ranges of slots, and replicas of the first ones."""
    nodes = [node(name, program, stack) for _ in range(len(shares) + replicas)]
    for at, one in enumerate(nodes):
        one.call("CLUSTER", "SET-CONFIG-EPOCH", at + 1)
        if at < len(shares):
            one.call("CLUSTER", "ADDSLOTSRANGE", *shares[at])
        if at > 0:
            one.call("CLUSTER", "MEET", "127.0.0.1", nodes[0].port, nodes[0].bus)
    wait_until(
        "all know all",
        lambda: all(one.call("CLUSTER", "NODES").count(b" connected") == len(nodes) for one in nodes),
    )
    for at, replica in enumerate(nodes[len(shares) :]):
        primary = nodes[at % len(shares)].id
        wait_until("a primary is known", lambda: primary.encode() in replica.call("CLUSTER", "NODES"))
        replica.call("CLUSTER", "REPLICATE", primary)
    wait_until("the cluster serves", lambda: all(info(one)["cluster_state"] == "ok" for one in nodes))
    wait_until(
        "replicas are in step",
        lambda: all(one.call("ROLE")[3] == b"connected" for one in nodes[len(shares) :]),
    )
    return nodes


def fill(one, keys):
    """`keys`: an iterable of keys of this node."""
    batch = []
    for key in keys:
        batch.append(servers.request("SET", key, VALUE))
        if len(batch) == BATCH:
            one.connection.send_all([(b"".join(batch), len(batch))])
            batch.clear()
    one.connection.send_all([(b"".join(batch), len(batch))])


def migrate(_, name, program):
    """Seconds until a slot has moved."""
    with contextlib.ExitStack() as stack:
        source, target = cluster(name, program, stack, [(0, SLOTS - 1)]) + [node(name, program, stack)]
        target.call("CLUSTER", "MEET", "127.0.0.1", source.port, source.bus)
        wait_until("both serve", lambda: info(target)["cluster_state"] == "ok" and info(source)["cluster_known_nodes"] == "2")
        fill(source, (TAG + b"%d" % i for i in range(SLOT_KEYS)))
        target.call("CLUSTER", "SETSLOT", TAG_SLOT, "IMPORTING", source.id)
        source.call("CLUSTER", "SETSLOT", TAG_SLOT, "MIGRATING", target.id)
        begun = time.monotonic()
        while keys := source.call("CLUSTER", "GETKEYSINSLOT", TAG_SLOT, PORTION):
            source.call("MIGRATE", "127.0.0.1", target.port, "", 0, 60_000, "KEYS", *keys)
        took = time.monotonic() - begun
        if target.call("CLUSTER", "COUNTKEYSINSLOT", TAG_SLOT) != SLOT_KEYS:
            raise RuntimeError(f"{name}: keys were lost")
        return (took,)


def crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def moved_keys():
    """Keys of the first slots: their tags have all of these slots."""
    tags = {}
    number = 0
    while len(tags) < MOVED_SLOTS:
        tag = b"%d" % number
        slot = crc16(tag) % SLOTS
        if slot < MOVED_SLOTS:
            tags.setdefault(slot, tag)
        number += 1
    each = MOVED_KEYS // MOVED_SLOTS
    return (b"{%s}%d" % (tag, i) for tag in tags.values() for i in range(each))


def move_many(_, name, program):
    """Seconds until a thousand slots have moved."""
    with contextlib.ExitStack() as stack:
        source, target = cluster(name, program, stack, [(0, SLOTS - 2), (SLOTS - 1, SLOTS - 1)])
        fill(source, moved_keys())
        begun = time.monotonic()
        if name == "ours":
            source.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", 0, MOVED_SLOTS - 1, "NODE", target.id)

            def is_over():
                reply = source.call("CLUSTER", "GETSLOTMIGRATIONS")[0]
                state = dict(zip(reply[::2], reply[1::2]))
                if state[b"state"] in (b"failed", b"cancelled"):
                    raise RuntimeError(f"the move has failed: {state}")
                return state[b"state"] == b"success"

            wait_until("the slots have moved", is_over)
        else:
            words = ["redis-cli", "--cluster", "reshard", f"127.0.0.1:{source.port}", "--cluster-from", source.id]
            words += ["--cluster-to", target.id, "--cluster-slots", str(MOVED_SLOTS), "--cluster-yes"]
            words += ["--cluster-pipeline", "100"]
            done = subprocess.run(words, capture_output=True, text=True)
            if done.returncode != 0:
                raise RuntimeError(f"redis-cli reshard: {done.stdout[-500:]}{done.stderr}")
        took = time.monotonic() - begun
        if target.call("DBSIZE") != MOVED_KEYS:
            raise RuntimeError(f"{name}: {target.call('DBSIZE')} keys have come")
        return (took,)


def failover(_, name, program):
    """Seconds from the kill of a primary until its replica takes a write."""
    with contextlib.ExitStack() as stack:
        third = SLOTS // 3
        shares = [(0, third), (third + 1, 2 * third), (2 * third + 1, SLOTS - 1)]
        nodes = cluster(name, program, stack, shares, replicas=3)
        # Of the last third, as the tag's slot is.
        nodes[2].process.send_signal(signal.SIGKILL)
        begun = time.monotonic()

        def serves():
            try:
                return nodes[5].call("SET", TAG, VALUE) == b"OK"
            except RuntimeError:
                return False

        wait_until("the replica serves", serves)
        return (time.monotonic() - begun,)


MEASURES = [
    (migrate, f"a slot of {SLOT_KEYS:,} keys by MIGRATE, s", limits.MIGRATED_SLOT),
    (move_many, f"{MOVED_SLOTS:,} slots with {MOVED_KEYS:,} keys, s", limits.MIGRATED_SLOTS),
    (failover, "a killed primary is replaced, s", limits.REPLACED_PRIMARY),
]


def measure(setup):
    for operation in ("GET", "SET"):
        what = f"{operation}, instructions on a node and without slots"
        if setup.wants(what):
            with_slots, without = (instructions.per_request(setup, "ours", operation, options=o) for o in (OPTIONS, ()))
            yield row(what, limits.NODE_INSTRUCTIONS, [with_slots], [without])
    for take, what, limit in MEASURES:
        if not setup.wants(what):
            continue
        found = {name: [] for name in setup.programs}
        for number in range(setup.rounds):
            programs = list(setup.programs.items())
            for name, program in programs if number % 2 == 0 else reversed(programs):
                found[name] += take(setup, name, program)
        yield row(what, limit, found["ours"], found["reference"])
