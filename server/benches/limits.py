"""What the figures are held to. Ratios are ours to redis-server 7.0.15 in the same run; times are ours alone.

A figure above its limit is marked in the table and makes the exit status 1.
"""

# Shape: resident bytes per item, ratio at most.
MEMORY = {
    "key 16 B, value 8 B": 0.45,
    "key 16 B, value 64 B": 0.62,
    "key 16 B, value 64 B, TTL": 0.56,
    "key 16 B, integer": 0.50,
    "big hash": 0.50,
    "big set": 0.50,
    "big sorted set": 0.52,
    "hash of 10": 0.88,
    "set of 10": 0.30,
    "sorted set of 10": 0.85,
    "list of 10": 0.65,
    "stream": 1.00,
}

# Resident to used bytes after keys of all sizes came and went, to those of Redis 8.2.3, ratio at most.
CHURN = 1.0

# Operation: CPU time of the server at pipeline 64, ratio at most. At 1 and 16 there is no limit.
CPU_PIPELINE = 64
CPU = {
    "GET": 0.55,
    "SET": 0.55,
    "INCR": 0.55,
    "HSET": 0.55,
    "SADD": 0.55,
    "ZADD": 0.55,
    "LPUSH": 0.55,
    "LPOP": 0.55,
    "ZRANGE 10": 0.55,
    "LRANGE 100": 0.55,
    "MSET 10": 0.65,
}

# Operation: pipeline: processor time of the server, to the better of redis-server 7.0.15 and Valkey 9.1.2, ratio at most.
PEERS = {
    "GET": {16: 0.5, 64: 0.35},
    "SET": {16: 0.5, 64: 0.35},
    "INCR": {16: 0.5, 64: 0.35},
    "HSET": {16: 0.5, 64: 0.4},
    "SADD": {16: 0.5, 64: 0.4},
    "ZADD": {16: 0.5, 64: 0.4},
    "LPUSH": {16: 0.5, 64: 0.4},
    "MSET 10": {16: 0.4, 64: 0.4},
    "LRANGE 100": {16: 0.4, 64: 0.4},
}

# Processor time of a request without pipelining, to that of a program that answers constants, ratio at most.
FLOOR = 1.15

# With three threads and without pipelining: processor time of the thread of the data and of all threads, to one thread, and of the first to Valkey's main
# thread, ratios at most.
THREADS_DATA = 0.15
THREADS_ALL = 1.25
THREADS_VALKEY = 0.50

# Operation: instructions per request at pipeline 64, ratio at most.
INSTRUCTIONS_PIPELINE = 64
INSTRUCTIONS = dict.fromkeys(["GET", "SET", "INCR", "HSET", "ZADD", "LPUSH"], 0.40)

# Longest turn of the event loop, milliseconds at most.
TURN_MS = 1.0

# Processor time of a script of three commands, ratio at most.
SCRIPT = 0.9
# Processor time of the server under MONITOR, ratio at most; and instructions of a watched request to one that is not.
MONITOR = 1.0
WATCHED = 1.03

# Instructions of a GET that rules of users allow, to one of a user who may do everything.
RULES = 1.02

# Milliseconds of processor time for one answer of the metrics port.
SCRAPE_MS = 1.0

# Resident bytes of a connection that does nothing.
IDLE_BYTES = 1024


class Own(float):
    """A limit of our own figure in a table whose other limits are ratios."""


# Instructions of a command at the largest size that is counted, to those at the least, where it states O(1); with O(log N) so many times the logarithms. Of
# files the instructions of a key.
GROWTH = 1.25

# Replication: processor time of the primary and of a replica for a SET at pipeline 16, time of a full synchronization, the longest PING meanwhile: ratios at
# most. Kilobytes of the primary for each replica in step.
REPLICATED_SET = 0.60
APPLIED_SET = 0.60
SYNCHRONIZATION = 0.50
PING_MEANWHILE = 1.00
REPLICA_KB = Own(64)

# Cluster: instructions of a call on a node to those without slots; time of a slot moved by MIGRATE, of many slots moved as one, and until a killed primary is
# replaced: ratios at most.
NODE_INSTRUCTIONS = 1.05
MIGRATED_SLOT = 0.60
MIGRATED_SLOTS = 0.20
REPLACED_PRIMARY = 1.00

# rdb-tool: what, and how much at least ("times" as fast as redis-check-rdb, "MB/s") or at most ("s", resident "MB").
SNAPSHOTS = {
    ("verify", "small"): ("times", 10),
    ("verify", "packed"): ("times", 5),
    ("inspect", "both"): ("MB/s", 500),
    ("convert --to redis-6.2", "both"): ("MB/s", 150),
    ("salvage", "damaged"): ("MB/s", 100),
    ("diff", "both"): ("s", 4),
    ("get with an index", "both"): ("s", 0.010),
    ("inspect", "large"): ("MB", 64),
    ("dump", "large"): ("MB", 64),
}

# aof-tool: what, and how much at least ("MB/s", "times" as fast as the peer) or at most (resident "MB", "part" of the peer's time).
LOGS = {
    "check": [("MB/s", 1000), ("MB", 64)],
    "fix": [("MB/s", 300), ("MB", 64)],
    "stats": [("MB/s", 500), ("MB", 64)],
    "log KEY": [("MB/s", 500), ("MB", 64)],
    "rewrite": [("times", 3)],
    "rewrite --form snapshot": [("times", 3)],
    "restore": [("part", 1.1)],
    "check, 1 GB": [("MB", 64)],
    "fix --dry-run, 1 GB": [("MB", 64)],
    "stats, 1 GB": [("MB", 64)],
    "log KEY, 1 GB": [("MB", 64)],
}
