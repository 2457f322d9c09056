"""How near the server is to what sockets alone cost: its processor time for a request without pipelining, beside a program that answers constants.

`constant.c` is compiled with the machine's C compiler. Both have a processor of their own and the load the other; rounds alternate, and the figure is the
median of the rounds with its spread.
"""

import contextlib
import statistics
import subprocess
import tempfile
from pathlib import Path

from cpu import fill, round_ns
from limits import FLOOR
from servers import Server

SOURCE = Path(__file__).with_name("constant.c")
# Bytes of the answer; none is +OK.
ANSWERS = {"GET": 64, "SET": 0}


def compiled(folder):
    """The program, built in a folder."""
    program = Path(folder) / "constant"
    subprocess.run(["cc", "-O3", "-o", program, SOURCE], check=True)
    return str(program)


def measure(setup):
    with tempfile.TemporaryDirectory(prefix="cairn-bench-") as folder, contextlib.ExitStack() as stack:
        constant = compiled(folder)
        ours = stack.enter_context(Server("ours", setup.programs["ours"], pinned=True))
        fill(ours)
        for operation, length in ANSWERS.items():
            if setup.wants(operation):
                with Server("constant", constant, pinned=True, options=[str(length)]) as floor:
                    yield row(setup, operation, ours, floor)


def row(setup, operation, ours, floor):
    found = {server: [] for server in (ours, floor)}
    for number in range(setup.rounds):
        for server in found if number % 2 == 0 else reversed(found):
            found[server].append(round_ns(server, setup.load, operation, 1))
    own, least = (statistics.median(found[server]) for server in found)
    ratios = [a / b for a, b in zip(*found.values())]
    return {
        "what": f"{operation}, pipeline 1",
        "ours_ns": own,
        "constant_ns": least,
        "ratio": own / least,
        "ratio_least": min(ratios),
        "ratio_most": max(ratios),
        "limit": FLOOR,
        "within": round(own / least, 2) <= FLOOR,
    }
