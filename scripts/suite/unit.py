"""Runs one unit of the suite and reads from its output which tests passed."""
import collections
import dataclasses
import re

from suite import process, record

# Units that are no tests of the server: one needs a build with TLS, one prints, one is for a human.
LEFT_OUT = {"unit/tls", "unit/printver"}

# A unit has run too long after four times its recorded time, and hangs when it said nothing for four times the
# longest of its tests; both have a floor, because machines that run tests are busy with other things.
SLACK = 4
LEAST_LIMIT = 180
LEAST_SILENCE = 45
# Where nothing is recorded yet.
FIRST_LIMIT = 1800
FIRST_SILENCE = 300

# What a failure outside of any test is called.
OUTSIDE = "(outside of the tests)"

VERDICT = re.compile(r"^\[(ok|err|exception)\]: (.*)$")
TOOK = re.compile(r"^(.*) \((\d+) ms\)$")
IN_FILE = re.compile(r" in tests/\S+\.tcl$")
IN_PROGRESS = re.compile(r"\(IN PROGRESS\) (.*)$")
# So much is told of why a test failed.
LONGEST_REASON = 200
DAY = 24 * 3600
STAMP = re.compile(r"(?m)^\d\d:\d\d:\d\d> ")


@dataclasses.dataclass
class Outcome:
    """What one or more runs of a unit showed."""

    passed: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    # Seconds of the last pass of each test.
    seconds: dict = dataclasses.field(default_factory=dict)
    # What each failed test said, its first line.
    failed: dict = dataclasses.field(default_factory=dict)
    # The test that never ended, "" when it is not known which; None when all ended.
    hung: str | None = None
    took: float = 0.0

    def add(self, other):
        """Joins a further run of the same unit: of each test, the better of both."""
        self.passed |= other.passed
        self.seconds.update(other.seconds)
        self.failed.update(other.failed)
        self.took += other.took
        self.hung = other.hung


def suite_of(unit):
    """The suite that a unit belongs to: main, cluster or sentinel."""
    first = unit.split("/")[0]
    return first if first in ("cluster", "sentinel") else "main"


def names(tree, suite):
    """The units of a suite, in the order in which it runs them."""
    if suite == "main":
        text = (tree / "tests/test_helper.tcl").read_text(encoding="latin-1")
        listed = re.search(r"set ::all_tests \{(.*?)\}", text, re.DOTALL).group(1).split()
        return [unit for unit in listed if unit not in LEFT_OUT]
    return [f"{suite}/{file.stem}" for file in sorted((tree / "tests" / suite / "tests").glob("*.tcl"))]


def run(unit, place, recorded, without, log):
    """Runs a unit once in its workplace, leaving out the tests named by `without`."""
    limit, silence = FIRST_LIMIT, FIRST_SILENCE
    if recorded:
        limit = max(LEAST_LIMIT, SLACK * sum(recorded.values()))
        silence = max(LEAST_SILENCE, SLACK * max(recorded.values()))
    if suite_of(unit) == "main":
        skip = place.folder / "skip"
        skip.write_text("".join(name + "\n" for name in without))
        command = [
            "./runtest", "--single", unit, "--clients", "1", "--durable", "--baseport", str(place.port),
            "--portcount", "600", "--timeout", str(int(silence)), "--skipfile", str(skip),
        ]
        if place.keep:
            command.append("--dont-clean")
    else:
        suite, name = unit.split("/", 1)
        command = [f"./runtest-{suite}", "--single", f"{name}.tcl", "--config", "bind", "127.0.0.1"]
    began = log.stat().st_size if log.exists() else 0
    in_time, took = process.run(command, place.folder, log, limit)
    text = log.read_bytes()[began:].decode(errors="replace")
    outcome = read_main(text) if suite_of(unit) == "main" else read_instances(text)
    outcome.took = took
    if not in_time and outcome.hung is None:
        outcome.hung = ""
    return outcome


def read_main(text):
    """Reads what runtest prints: a verdict a line, what went wrong below it."""
    outcome = Outcome()
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if line.startswith("[TIMEOUT]"):
            outcome.hung = ""
        if (running := IN_PROGRESS.search(line)) and outcome.hung == "":
            outcome.hung = running.group(1)
        found = VERDICT.match(line)
        if not found:
            continue
        verdict, rest = found.groups()
        if verdict == "ok":
            name, milliseconds = TOOK.match(rest).groups()
            name = record.canonical(name.replace("\t", " "))
            outcome.passed[name] += 1
            outcome.seconds[name] = int(milliseconds) / 1000
        else:
            why = lines[at + 1] if at + 1 < len(lines) else ""
            if verdict == "exception" or not IN_FILE.search(rest):
                rest, why = OUTSIDE, rest
            outcome.failed[IN_FILE.sub("", rest).replace("\t", " ")] = why
    return outcome


def clock(text, at):
    """The second of the day that a line begins with."""
    hours, minutes, seconds = text[at : at + 8].split(":")
    return float(hours) * 3600 + float(minutes) * 60 + float(seconds)


def read_instances(text):
    """Reads what runtest-cluster and runtest-sentinel print: a time and a name, the verdict behind or below it."""
    outcome = Outcome()
    marks = [found.start() for found in STAMP.finditer(text)] + [len(text)]
    for begin, end in zip(marks, marks[1:]):
        # "hh:mm:ss> " has ten characters.
        piece = text[begin + 10 : end]
        first = piece.split("\n", 1)[0]
        name = first.rsplit(": ", 1)[0]
        # Numbers of nodes and ports differ from run to run.
        name = re.sub(r":\d{5}\b", ":PORT", re.sub(r"#\d+", "#N", name)).replace("\t", " ")
        name = record.canonical(name)
        verdict = piece.split("Testing unit:")[0]
        if "FAILED: " not in verdict and re.search(r"(?m)OK *$", verdict):
            outcome.passed[name] += 1
            outcome.seconds[name] = (clock(text, end) - clock(text, begin)) % DAY if end < len(text) else 0.0
        else:
            outcome.failed[name] = verdict.split("FAILED: ")[-1].split("\n")[0][:LONGEST_REASON]
    return outcome
