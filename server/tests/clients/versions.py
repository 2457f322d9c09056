"""What the servers and the library have of each other: the one place for differences of version."""

# What the reference, 7.0.15, does not have. Names of commands in capitals; `run.py` sees that it really lacks them.
# A test marked with `@later(NAME)` runs against ours only.
LATER = {
    "HEXPIRE": "7.4: expiry of hash fields",
    "HPEXPIRE": "7.4",
    "HEXPIREAT": "7.4",
    "HPEXPIREAT": "7.4",
    "HTTL": "7.4",
    "HPTTL": "7.4",
    "HEXPIRETIME": "7.4",
    "HPEXPIRETIME": "7.4",
    "HPERSIST": "7.4",
    "HGETEX": "8.0",
    "HSETEX": "8.0",
    "HGETDEL": "8.0",
    "DELEX": "8.4",
    "DIGEST": "8.4",
    "MSETEX": "8.4",
    "INCREX": "8.8",
    "SUNIONCARD": "8.10",
    "SDIFFCARD": "8.10",
    "XDELEX": "8.2",
    "XACKDEL": "8.2",
    "WAITAOF": "7.2",
    "CLIENT|SETINFO": "7.2",
    "CLIENT|NO-TOUCH": "7.2",
    "novalues": "7.4: HSCAN without values",
    "withscore": "7.2: ZRANK and ZREVRANK with the score",
    "active-time": "7.2: XINFO tells when a consumer was last successful apart from when it last tried",
    "first-named-key": "7.2: a client that is woken takes from its first key that has something; 7.0: from the one that came first",
    "short-list": "7.2: the encoding of a short list is listpack",
    "metrics": "no version of it: the port for Prometheus",
    "new-event": "7.2: keyspace event of a key that came to be",
}

# Methods of the library for commands that came after 7.2 and are not promised: no server of these tests has them.
BEYOND = {
    "BasicKeyCommands": "digest_local lmovem blmovem",
    "StreamCommands": "xcfgset xnack",
    "HashCommands": "himport_prepare_internal himport_set himport_discard_internal himport_discard_all_internal",
}

# Methods that send nothing any server knows: STRALGO was taken out in 7.0; these two only warn that they belong to a pipeline.
EMPTY = {"BasicKeyCommands": "stralgo watch unwatch"}

# Data commands that no program of a user sends, with what they are for.
NOT_FOR_USERS = {
    "restore-asking": "slot migration",
    "pfdebug": "looks inside HyperLogLog, for tests of the server",
    "pfselftest": "test of the server itself",
    "migrate": "asks for a second server",
}
