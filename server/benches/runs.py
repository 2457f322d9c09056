"""What the measures of the tools share: a program run once, and a file that is damaged."""

import os
import shutil
import statistics
import subprocess
import time


def damaged(path, target, places, length):
    """A copy with so many bytes overwritten at each of these places, parts of the whole."""
    shutil.copyfile(path, target)
    size = path.stat().st_size
    with target.open("r+b") as out:
        for part in places:
            out.seek(int(size * part))
            out.write(b"\xfd" * length)
    return target


def once(words, folder=None):
    """Seconds, processor seconds and resident megabytes of a program, run in a folder."""
    begin = time.perf_counter()
    child = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):
        raise RuntimeError(f"exit {child.returncode}: {' '.join(str(word) for word in words)}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def medians(runs):
    return [statistics.median(column) for column in zip(*runs)]


def in_turns(rounds, ours, peer=None):
    """The medians of both, and none of a peer that is not there."""
    mine, theirs = [], []
    for _ in range(rounds):
        mine.append(ours())
        if peer:
            theirs.append(peer())
    return medians(mine), medians(theirs) if peer else None


def figures(size, ours, peer):
    """The columns of a run over so many megabytes."""
    seconds, cpu, resident = ours
    return {
        "s": seconds,
        "cpu_s": cpu,
        "mb_per_s": size / seconds,
        "resident_mb": resident,
        "peer_s": peer[0] if peer else None,
        "peer_cpu_s": peer[1] if peer else None,
        "times_as_fast": peer[0] / seconds if peer else None,
    }
