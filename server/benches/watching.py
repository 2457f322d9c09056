"""What it costs to be watched.

MONITOR: processor time of the server per operation while somebody reads it, beside the reference. The server sends the lines; what reads
them has the other processor. Watching itself: instructions per request with histograms and logs of commands as they are by
default, and without them, ours beside ours.
"""

import subprocess

import instructions
import limits
import servers

PIPELINES = (1, 16)
REQUESTS = 200_000
CLIENTS = 20
SET = "SET key:00000000{rand:10000} {data:64}"
# Nobody is cut off: a monitor that is gone costs nothing.
UNLIMITED = ("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0 pubsub 0 0 0")
OFF = [
    *("--latency-tracking", "no"),
    *("--slowlog-log-slower-than", "-1"),
    *("--commandlog-request-larger-than", "-1"),
    *("--commandlog-reply-larger-than", "-1"),
]


def monitored_ns(setup, name, pipeline):
    with servers.Server(name, setup.programs[name], pinned=True) as server:
        server.call(*UNLIMITED)
        reader = subprocess.Popen(
            ["redis-cli", "-p", str(server.port), "monitor"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while b" flags=O " not in server.call("CLIENT", "LIST"):
                pass
            before = server.cpu_ns()
            setup.load.run(server, [SET], REQUESTS, CLIENTS, pipeline, pinned=True)
            spent = server.cpu_ns() - before
            if b" flags=O " not in server.call("CLIENT", "LIST"):
                raise RuntimeError("the monitor was cut off")
            return spent / REQUESTS
        finally:
            reader.kill()
            reader.wait()


def row(what, ours, other, limit):
    return {
        "what": what,
        "ours": ours,
        "beside": other,
        "ratio": ours / other,
        "limit": limit,
        "within": round(ours / other, 3) <= limit,
    }


def measure(setup):
    """Rows of the table."""
    for pipeline in PIPELINES:
        what = f"SET under MONITOR, pipeline {pipeline}, ns"
        if setup.wants(what):
            ours, reference = (monitored_ns(setup, name, pipeline) for name in ("ours", "reference"))
            yield row(what, ours, reference, limits.MONITOR)
    for operation in ("GET", "SET"):
        for pipeline in (1, 64):
            what = f"{operation} watched and not, pipeline {pipeline}, instructions"
            if setup.wants(what):
                on, off = (
                    instructions.per_request(setup, "ours", operation, pipeline, options) for options in ([], OFF)
                )
                yield row(what, on, off, limits.WATCHED)
