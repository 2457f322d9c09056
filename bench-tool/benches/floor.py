"""What bench-tool itself spends for a request, beside redis-benchmark and beside a loop that only sends and reads.

    floor.py BENCH-TOOL PORT [--rounds N] [--open]

A redis-server of its own listens on PORT. `floor.c` is compiled with the machine's C compiler. Rounds alternate; each figure is the median over the rounds of processor time,
user and system together, and ratios are those within a round. No generator can spend less than the floor on the machine on which it is measured.
"""

import argparse
import json
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).with_name("floor.c")
COMMANDS = {"set": "SET key:{rand:100000} {data:64}", "get": "GET key:{rand:100000}"}
# Requests by pipeline: some seconds each.
COUNTS = {1: 100_000, 16: 600_000, 64: 2_000_000}
CLIENTS = 50
RATE, SECONDS = 1000, 10


def spent(words):
    """Processor time of a program, user and system, in seconds; and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime, done.stdout


def closed(tool, floor, port, rounds):
    print("command pipeline program: us a request (user, system), ratio to redis-benchmark (least to most)")
    for name, command in COMMANDS.items():
        for pipeline, count in COUNTS.items():
            load = ["-p", port, "-n", count, "-P", pipeline, "-c", CLIENTS]
            programs = {
                "redis-benchmark": ["redis-benchmark", *load, "-t", name, "-r", 100_000, "-d", 64, "-q"],
                "bench-tool": [tool, "run", *load, "--command", command],
                "floor": [floor, "closed", port, count, pipeline, name],
            }
            found = {program: [] for program in programs}
            for _ in range(rounds):
                for program, words in programs.items():
                    user, system, _ = spent(words)
                    found[program].append((user / count * 1e6, system / count * 1e6))
            theirs = [sum(one) for one in found["redis-benchmark"]]
            for program, ours in found.items():
                ratios = [sum(one) / their for one, their in zip(ours, theirs)]
                user, system = (statistics.median(part) for part in zip(*ours))
                whole = statistics.median(map(sum, ours))
                print(
                    f"{name} {pipeline:2} {program:15} {whole:7.3f} ({user:.3f}, {system:.3f})"
                    f" {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                    flush=True,
                )


def open_loop(tool, floor, port, rounds):
    print(f"open loop at {RATE} a second: percent of a core, how late requests were sent (median, 99th percentile, us)")
    for number in range(rounds):
        user, system, text = spent([tool, "run", "-p", port, "--rate", RATE, "--duration", SECONDS, "--command", COMMANDS["get"], "--json", "-"])
        late = json.loads(text)["own_lateness_us"]
        print(f"round {number + 1} bench-tool {(user + system) / SECONDS * 100:.1f} ({late['p50']:.0f}, {late['p99']:.0f})", flush=True)
        user, system, text = spent([floor, "open", port, RATE * SECONDS, RATE])
        median, _, most = text.split()
        print(f"round {number + 1} floor      {(user + system) / SECONDS * 100:.1f} ({median}, {most})", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool")
    parser.add_argument("port", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--open", action="store_true", help="only the open loop")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cairn-bench-") as folder:
        floor = Path(folder) / "floor"
        subprocess.run(["cc", "-O2", "-o", floor, SOURCE], check=True)
        words = ["redis-server", "--port", str(asked.port), "--save", "", "--appendonly", "no", "--dir", folder]
        server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        try:
            time.sleep(1)
            load = ["-p", asked.port, "-n", 100_000, "-P", 64]
            spent([asked.tool, "run", *load, "--command", "SET key:{int:seq:100000} {data:64}"])
            if not asked.open:
                closed(asked.tool, floor, asked.port, asked.rounds)
            open_loop(asked.tool, floor, asked.port, asked.rounds)
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
