"""redis-py's own tests, from its package on PyPI, against a single server and a replica, or against a cluster of six. By hand.

    suite.py PROGRAM [--cluster] [--reference] [--protocol N] [--release VERSION] [PYTEST ...]

PROGRAM is the built server; with --reference it is the redis-server 7.0.15 of Debian 12 instead, which is what to compare with. The library, its tests and pytest
go to target/clients-suite. The tests name ports (6379, 6380, 16379 to 16384), which have to be free. What follows goes to pytest: files of the tests, `-k NAME`.
Left out are tests of modules, of Sentinel, of TLS and tokens, and those that want no server of ours; docs/cluster.md has figures.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = "/usr/bin/redis-server"
OPTIONS = ["--save", "", "--enable-debug-command", "yes"]
SINGLE, CLUSTER = (6379, 6380), tuple(range(16379, 16385))
PACKAGES = {
    "6.4.0": "pytest==9.0.2 pytest-asyncio pytest-timeout mock packaging numpy redis-entraid hiredis".split(),
    "8.1.0": "pytest==9.0.2 pytest-asyncio pytest-timeout pytest-forked mock packaging numpy redis-entraid hiredis pybreaker aiohttp xxhash opentelemetry-sdk".split(),
}
MARKS = "not redismod and not ssl and not cp_integration and not experimental and not fixed_client"
LEFT_OUT = "bloom json search timeseries sentinel sentinel_managed_connection ssl credentials multidb observability scenario http maint_notifications".split()
PATIENCE_S = 30


def library(release):
    """The environment's python and the folder of the package's tests."""
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "clients-suite" / release
    python, tests = folder / "venv/bin/python", folder / f"redis-{release}"
    if not tests.exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        pip = [python, "-m", "pip", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", f"redis=={release}", *PACKAGES[release]], check=True)
        wanted = [f"redis=={release}", "--no-binary", ":all:", "--no-deps", "-d", folder]
        subprocess.run([*pip, "download", *wanted], check=True)
        with tarfile.open(folder / f"redis-{release}.tar.gz") as package:
            package.extractall(folder, filter="data")
        # The package that is tested is the one that was installed.
        shutil.rmtree(tests / "redis")
    return python, tests


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start(program, port, *options):
    """A server in a folder of its own."""
    if answers(port):
        sys.exit(f"suite.py: somebody listens on port {port}, which the tests name")
    folder = tempfile.mkdtemp(prefix="cairn-suite-")
    process = subprocess.Popen(
        [program, "--port", str(port), "--dir", folder, *OPTIONS, *options], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + PATIENCE_S
    while not answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"suite.py: {program} does not answer on port {port}")
        time.sleep(0.05)
    return process, folder


def start_all(program, is_cluster):
    """The server and its replica, and the nodes if they are asked for."""
    servers = [start(program, SINGLE[0]), start(program, SINGLE[1], "--replicaof", f"127.0.0.1 {SINGLE[0]}")]
    if is_cluster:
        options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000"]
        servers += [start(program, port, *options) for port in CLUSTER]
        nodes = [f"127.0.0.1:{port}" for port in CLUSTER]
        subprocess.run(["redis-cli", "--cluster", "create", *nodes, "--cluster-replicas", "1", "--cluster-yes"], check=True, stdout=subprocess.DEVNULL)
        # All nodes hear of all slots and replicas.
        time.sleep(6)
    return servers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--reference", action="store_true")
    parser.add_argument("--protocol", choices=["2", "3"], default="2")
    parser.add_argument("--release", choices=sorted(PACKAGES), default="6.4.0")
    asked, rest = parser.parse_known_args()
    python, tests = library(asked.release)
    program = REFERENCE if asked.reference else str(Path(asked.program).resolve())
    port, other = (CLUSTER[0], "onlynoncluster") if asked.cluster else (SINGLE[0], "onlycluster")
    servers = start_all(program, asked.cluster)
    ignored = [f"--ignore-glob=*/test_{name}*" for name in LEFT_OUT]
    words = ["--redis-url", f"redis://localhost:{port}/0", "--protocol", asked.protocol, "-m", f"not {other} and {MARKS}", "--timeout=60", *ignored]
    try:
        named = any(not word.startswith("-") for word in rest)
        done = subprocess.run([python, "-m", "pytest", "-p", "no:cacheprovider", "-q", *words, *rest, *([] if named else ["tests"])], cwd=tests)
    finally:
        for process, folder in servers:
            process.kill()
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
