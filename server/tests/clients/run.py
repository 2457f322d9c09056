"""Drives every family of commands through redis-py: ours and the reference, RESP2 and RESP3.

    run.py PROGRAM [-k PART ...] [-v]

PROGRAM is the built server. The reference is the redis-server 7.0.15 of Debian 12: what the tests expect of ours, they
expect of it too, so the tests themselves are known to be right. What came after 7.0 stands in versions.py.
`-k` runs only the tests whose name holds PART, and leaves out the check below.

At the end it is checked that no data command of testdata/commands-7.2.json and no method that the library has for them was
left out. Exit status 0: all passed; 1: not, with the end of the logs of the servers.
"""

import argparse
import importlib
import json
import subprocess
import sys
import unittest
from pathlib import Path

import redis
from redis.commands import core

import harness
import versions

HERE = Path(__file__).resolve().parent
REFERENCE = "/usr/bin/redis-server"
REFERENCE_VERSION = "7.0.15"
COMMANDS = HERE.parents[2] / "testdata" / "commands-7.2.json"
# Categories of the groups of data, and the methods that the library has for them.
CATEGORIES = "string bitmap list hash set sortedset stream geo hyperloglog keyspace transaction blocking pubsub".split()
FAMILIES = "BasicKey List Scan Set SortedSet Hash Stream Geo Hyperlog PubSub".split()


def modules():
    return [importlib.import_module(path.stem) for path in sorted(HERE.glob("test_*.py"))]


def classes():
    for module in modules():
        for value in vars(module).values():
            if (
                isinstance(value, type)
                and issubclass(value, harness.Case)
                and value.__module__ == module.__name__
            ):
                yield value


def is_later(case, name):
    """Whether a test is of what the reference does not have."""
    return bool(getattr(getattr(case, name), "later", ()))


def variants(case, server):
    """The tests of a class for one server and both protocols, without those of what the server does not have."""
    for protocol in (2, 3):
        made = type(
            case.__name__,
            (case,),
            {
                "server": server,
                "protocol": protocol,
                "__module__": f"{case.__module__}.{server.name}.resp{protocol}",
            },
        )
        for name in unittest.defaultTestLoader.getTestCaseNames(made):
            if name not in vars(case):
                continue
            if server.name != "reference" or not is_later(case, name):
                yield made(name)


def check_reference(server):
    """The reference is the version that the tests know, and really lacks what `versions.LATER` says."""
    with redis.Redis(port=server.port, decode_responses=True, protocol=2) as client:
        found = client.info("server")["redis_version"]
        if found != REFERENCE_VERSION:
            return [f"{REFERENCE} is {found}, the tests know {REFERENCE_VERSION}"]
        names = [name for name in versions.LATER if name.isupper()]
        there = client.command_list()
        return [
            f"{name}: the reference has it, so it does not belong into versions.LATER"
            for name in names
            if name.lower() in there
        ]


def data_commands():
    """Names of all data commands of 7.2, subcommands as `xgroup|create`, and those of later versions that are promised."""
    names = set()
    for command in json.loads(COMMANDS.read_text()):
        for entry in (command, *command.get("subcommands", [])):
            if {f"@{category}" for category in CATEGORIES} & set(entry["acl"]) and not entry["name"].endswith(
                "|help"
            ):
                names.add(entry["name"])
        # The container alone is no command.
        if command.get("subcommands"):
            names.discard(command["name"])
    names |= {name.lower() for name in versions.LATER if name.isupper()}
    return names - set(versions.NOT_FOR_USERS)


def never_sent(server):
    """Data commands that the server under test was never asked for, by its own statistics."""
    with redis.Redis(port=server.port, decode_responses=True, protocol=2) as client:
        sent = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}
    return sorted(data_commands() - sent)


def never_called():
    """Methods of the library for data commands that no test used."""
    missing = []
    for family in FAMILIES:
        name = family + "Commands"
        excused = (versions.BEYOND.get(name, "") + " " + versions.EMPTY.get(name, "")).split()
        for method, value in vars(getattr(core, name)).items():
            if (
                callable(value)
                and not method.startswith("_")
                and method not in excused
                and method not in harness.Client.used
            ):
                missing.append(f"{name}.{method}")
    return missing


def run(servers, options):
    suite = unittest.TestSuite()
    after_reference = 0
    for case in classes():
        after_reference += 2 * sum(is_later(case, name) for name in vars(case) if name.startswith("test_"))
        for server in servers:
            for test in variants(case, server):
                if not options.k or any(part in test.id() for part in options.k):
                    suite.addTest(test)
    result = unittest.TextTestRunner(verbosity=2 if options.v else 1, stream=sys.stdout).run(suite)
    print(f"{after_reference} tests are of what came after {REFERENCE_VERSION} and ran against ours only")
    problems = [] if result.wasSuccessful() else ["tests failed"]
    if result.testsRun == 0:
        problems.append("no test has such a name")
    problems += [f"the server {s.name} has ended" for s in servers if not s.alive()]
    return problems


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("program")
    parser.add_argument("-k", action="append", default=[])
    parser.add_argument("-v", action="store_true")
    options = parser.parse_args()
    servers = []
    try:
        servers.append(harness.Server("ours", str(Path(options.program).resolve())))
        servers.append(harness.Server("reference", REFERENCE))
        problems = check_reference(servers[1]) + run(servers, options)
        if not options.k and servers[0].alive():
            problems += [f"never sent: {name}" for name in never_sent(servers[0])]
            problems += [f"never called: {name}" for name in never_called()]
        if problems:
            for server in servers:
                print(f"---- end of the log of {server.name}\n{server.log_tail()}")
            print("\n".join(problems))
        return 1 if problems else 0
    finally:
        for server in servers:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
