"""The figures that this server is held to, side by side with redis-server in one run.

    run.py FOLDER [memory] [churn] [cpu] [peers] [floor] [threads] [instructions] [users] [turns] [scrape] [watching] [idle] [replication] [scripts] [snapshots] [logs] [cluster] [growth] [options]

FOLDER holds built programs (cairn-server, bench-tool, rdb-tool, aof-tool), such as target/release. Without a name all are measured, which takes about
an hour; nothing else should run on the machine. What each measures stands at the top of its file beside this one, what
it is held to in limits.py. docs/benchmarks.md shows a run.

Exit status 0: all within their limits; 1: not all, they are marked; 2: it could not be measured.
"""

import argparse
import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import churn
import cluster
import cpu
import floor
import growth
import idle
import instructions
import logs
import memory
import peers
import replication
import scrape
import scripts
import servers
import snapshots
import threads
import turns
import users
import watching

MEASURES = {"memory": memory, "churn": churn, "cpu": cpu, "peers": peers, "floor": floor, "threads": threads, "instructions": instructions, "users": users, "turns": turns, "scrape": scrape, "watching": watching, "idle": idle, "replication": replication, "scripts": scripts, "snapshots": snapshots, "logs": logs, "cluster": cluster, "growth": growth}
UNITS = {
    "memory": "resident bytes per item",
    "churn": "what the data takes in the end, beside Redis 8.2.3, whose allocator can be defragmented, too; processor time of all of it",
    "cpu": "processor time of the server per operation, ns; median of the rounds, ratio with its spread",
    "peers": "processor time of the server per operation, ns, beside the better of two and beside constant answers; medians of the rounds",
    "floor": "processor time of a request without pipelining, ns, beside constant answers; median of the rounds, ratio with its spread",
    "threads": "processor time of a request without pipelining with io-threads 3, ns: of the thread of the data and of all; medians of the rounds",
    "instructions": f"instructions per request at pipeline {instructions.INSTRUCTIONS_PIPELINE}",
    "users": f"instructions at pipeline {instructions.INSTRUCTIONS_PIPELINE}, ours with rules of users beside ours without",
    "idle": "resident bytes per connection that does nothing",
    "replication": "a primary and its replicas, ours among ours and the reference among its like; median of the rounds, ratio with its spread",
    "scripts": "processor time of the server per script at pipeline 16, ns; medians of the rounds",
    "scrape": f"an answer of the metrics port; mean of {scrape.SCRAPES}",
    "watching": "processor time or instructions, beside the reference under MONITOR or ours without watching",
    "cluster": "nodes of ours among ours and of the reference among its like; median of the rounds, ratio with its spread",
    "growth": "processor time of the server per command at pipeline 16 by the number of elements, ns; instructions at the largest counted size, and to those at the least; of files processor time per key",
    "snapshots": "rdb-tool beside redis-check-rdb; medians of the rounds",
    "logs": "aof-tool beside redis-check-aof and redis-server; medians of the rounds",
    "turns": "longest turn of the event loop, ms; least of the rounds",
}


class Setup:
    """What the measures need: programs, load, sizes."""

    def __init__(self, options):
        folder = Path(options.folder).resolve()
        self.programs = {"ours": str(folder / "cairn-server"), "reference": options.reference}
        self.load = servers.Load(str(folder / "bench-tool"))
        self.items, self.turn_items, self.rounds = options.items, options.turn_items, options.rounds
        self.only, self.growth_max = options.only, options.growth_max
        self.tool, self.log_tool = str(folder / "rdb-tool"), str(folder / "aof-tool")
        for program in (*self.programs.values(), self.load.program, self.tool, self.log_tool):
            if shutil.which(program) is None:
                sys.exit(f"scripts/bench: no program {program}")

    def wants(self, what):
        return not self.only or any(part.lower() in what.lower() for part in self.only)


def text(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
    return str(value)


def show(rows):
    """A table as Markdown, a row as soon as it is there; rows with other columns begin another table."""
    seen = []
    for row in rows:
        if not seen or seen[-1].keys() != row.keys():
            print("\n" if seen else "", end="")
            print("| " + " | ".join(name.replace("_", " ") for name in row) + " |")
            print("|---" * len(row) + "|")
        print("| " + " | ".join(text(value) for value in row.values()) + " |", flush=True)
        seen.append(row)
    print()
    return seen


def machine(setup):
    reference = subprocess.run([setup.programs["reference"], "--version"], capture_output=True, text=True).stdout
    model = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return {
        "cpu": model[0] if model else platform.machine(),
        "cpus": len(model),
        "reference": reference.split(" sha")[0],
    }


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="FOLDER")
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=", ".join(MEASURES))
    parser.add_argument("--items", type=int, default=1_000_000, help="items for memory (%(default)s)")
    parser.add_argument("--turn-items", type=int, default=10_000_000, help="keys and fields for turns (%(default)s)")
    parser.add_argument("--growth-max", type=int, default=10_000_000, help="largest size for growth (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of cpu and turns (%(default)s)")
    parser.add_argument("--only", action="append", metavar="PART", help="only rows whose name holds PART (not turns)")
    parser.add_argument("--reference", default="/usr/bin/redis-server", help="the other server (%(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write the rows to FILE as well")
    options = parser.parse_args()
    unknown = set(options.measures) - set(MEASURES)
    if unknown:
        parser.error(f"no measure {', '.join(sorted(unknown))}: there are {', '.join(MEASURES)}")
    return options


def main():
    options = parse()
    setup = Setup(options)
    found = {"machine": machine(setup)}
    print(", ".join(str(value) for value in found["machine"].values()) + "\n")
    for name in options.measures or MEASURES:
        print(f"**{name}**: {UNITS[name]}\n")
        found[name] = show(MEASURES[name].measure(setup))
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1) + "\n")
    above = [f"{name}: {row['what']}" for name in MEASURES for row in found.get(name, []) if not row["within"]]
    print("\n".join(["above the limit:", *above]) if above else "all within their limits")
    return 1 if above else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, OSError) as error:
        print(f"scripts/bench: {error}", file=sys.stderr)
        sys.exit(2)
