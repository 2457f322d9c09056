"""What the reference passes, what tests expect of a 7.2 instead, and which ours need not pass: testdata/conformance."""
import collections
import dataclasses
import pathlib
import re

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "testdata" / "conformance"
REVIEWED = FOLDER / "reviewed.tsv"
ANSWERS = FOLDER / "answers-7.2.tsv"

# Units that do the same again until their time is over, or as chance has it (whether a node that is killed was a primary).
AS_TIME_ALLOWS = ("integration/psync2", "integration/psync2-reg", "cluster/03-failover-loop")

# How a reviewed test is treated.
SKIP = "skip"  # not run: it would hang, or leave the server unfit for the tests behind it
FAIL = "fail"  # run, and expected to fail; a pass is told
MAYBE = "maybe"  # run, and either outcome is good: it fails now and then with the reference too
MODES = (SKIP, FAIL, MAYBE)


def canonical(name):
    """A test's name without what chance and time put into it: which of several servers, how often so far."""
    name = re.sub(r"\bSet #\d+ as\b", "Set #N as", name)
    name = re.sub(r"\bSet #\d+ to replicate from #\d+", "Set #N to replicate from #N", name)
    return re.sub(r"\b(x =|CYCLE|old epoch) \d+", r"\1 N", name)


def rows(path, columns):
    """The lines of a table, comments left out."""
    if not path.exists():
        return
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line and not line.startswith("#"):
            cells = line.split("\t")
            if len(cells) != columns:
                raise ValueError(f"{path}:{number}: {len(cells)} columns, expected {columns}")
            yield cells


class Recorded:
    """What 7.0.15 passes: for each unit the tests with their seconds; a name may stand there more than once."""

    def __init__(self, suite):
        self.path = FOLDER / f"{suite}.tsv"
        self.units = collections.defaultdict(list)
        for unit, test, seconds in rows(self.path, 3):
            self.units[unit].append((canonical(test), float(seconds)))

    def passes(self, unit):
        """How often each test passes; once at least, where a unit goes on for as long as its time allows."""
        tests = (test for test, _ in self.units[unit])
        return collections.Counter(set(tests) if unit in AS_TIME_ALLOWS else tests)

    def times(self, unit):
        """The longest time of each test."""
        longest = {}
        for test, seconds in self.units[unit]:
            longest[test] = max(seconds, longest.get(test, 0.0))
        return longest

    def replace(self, unit, outcome):
        """Takes over what a run of the reference showed."""
        self.units[unit] = [
            (test, outcome.seconds[test]) for test, times in outcome.passed.items() for _ in range(times)
        ]

    def write(self, order):
        """Writes the table, its units in the order given."""
        lines = [f"{unit}\t{test}\t{seconds:.1f}\n" for unit in order for test, seconds in self.units[unit]]
        FOLDER.mkdir(parents=True, exist_ok=True)
        self.path.write_text("# unit, test, seconds: what 7.0.15 passes. Written by scripts/conformance --record.\n" + "".join(lines))


@dataclasses.dataclass(frozen=True)
class Exemption:
    """A line of the reviewed table. `*` at the end of unit or test stands for any rest."""

    unit: str
    test: str
    mode: str
    reason: str

    def covers(self, unit, test):
        """Whether it is about this test."""
        return matches(self.unit, unit) and matches(self.test, test)


def matches(pattern, name):
    """Equality, or equal beginnings where the pattern ends in `*`."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


class Reviewed:
    """The reviewed table."""

    def __init__(self):
        self.lines = [Exemption(*cells) for cells in rows(REVIEWED, 4)]
        for line in self.lines:
            if line.mode not in MODES or not line.reason:
                raise ValueError(f"{REVIEWED}: {line}: the third column is one of {', '.join(MODES)}, the fourth says why")

    def find(self, unit, test):
        """The line about a test, the first if there are several."""
        return next((line for line in self.lines if line.covers(unit, test)), None)

    def skipped(self, unit, tests):
        """The tests that are not run."""
        return [test for test in tests if (line := self.find(unit, test)) and line.mode == SKIP]


@dataclasses.dataclass(frozen=True)
class Answer:
    """A place where 7.2 answers otherwise than 7.0, and what the test reads then. `*` at the end of test stands for any rest."""

    unit: str
    test: str
    before: str
    after: str
    reason: str


class Answers:
    """What 7.2 answers otherwise."""

    def __init__(self):
        self.lines = [Answer(*(cell.replace("\\n", "\n") for cell in cells)) for cells in rows(ANSWERS, 5)]

    def edits(self):
        """What is changed, each once and in order: the unit's file, what it reads, what it reads instead."""
        return list(dict.fromkeys((f"tests/{line.unit}.tcl", line.before, line.after) for line in self.lines))

    def concern(self, unit, test):
        """Whether a test expects an answer of 7.2."""
        return any(line.unit == unit and matches(line.test, test) for line in self.lines)
