"""redis-rs's own tests of a single server, from its package on crates.io. By hand.

    redis_rs.py PROGRAM [--reference] [--protocol N] [--type tcp|unix] [NAME ...]

PROGRAM is the built server; with --reference it is the redis-server 7.0.15 of Debian 12 instead, which is what to compare with. The tests start it by the name of
`redis-server`, each its own. What is built goes to target/clients-suite. NAME is a part of the name of a test. Each test runs in a process of its own, as those of
two runtimes do not go together in one. Which failed is told with what they printed; docs/testing.md has figures.
Left out are the tests of modules, of Sentinel and of clusters (docs/cluster.md), and those of TLS.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = "/usr/bin/redis-server"
RELEASE, HELPER = "0.32.7", "0.12.0"
FEATURES = "tokio-comp,async-std-comp,connection-manager,cache-aio,r2d2,cluster-async,bytes,vector-sets"
TESTS = "parser test_acl test_async test_basic test_bignum test_cache test_geospatial test_script test_streams test_types".split()
PATIENCE_S = 120
# Asks for both packages, so that cargo fetches and checks them.
FETCH = f"""[package]
name = "fetch"
version = "0.0.0"
edition = "2021"
[lib]
path = "lib.rs"
[dependencies]
redis = "={RELEASE}"
redis-test = "={HELPER}"
[workspace]
"""


def package(folder):
    """A copy of the published package that cargo can test."""
    tests = folder / "redis"
    if tests.exists():
        return tests
    asked = folder / "fetch"
    asked.mkdir(parents=True, exist_ok=True)
    (asked / "Cargo.toml").write_text(FETCH)
    (asked / "lib.rs").write_text("")
    told = subprocess.run(["cargo", "metadata", "--format-version", "1"], cwd=asked, check=True, stdout=subprocess.PIPE).stdout
    found = [entry["manifest_path"] for entry in json.loads(told)["packages"] if entry["name"] == "redis"]
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(Path(found[0]).parent, copy)
    manifest = copy / "Cargo.toml"
    text = manifest.read_text()
    # The published manifest does not name the package that starts servers, and holds back one that it wants newer. Benches are not built.
    text, bound = re.subn(r'(\[dev-dependencies\.tempfile\]\nversion = )"[^"]*"', r'\1"3"', text)
    text, benches = re.subn(r"\[\[bench\]\]\n(?:.+\n)+", "", text)
    if not bound or not benches:
        sys.exit("redis_rs.py: the manifest of the package is another one than it was")
    text += f'\n[dev-dependencies.redis-test]\nversion = "={HELPER}"\n\n[patch.crates-io]\nredis = {{ path = "." }}\n\n[workspace]\n\n[profile.dev]\ndebug = 0\n'
    manifest.write_text(text)
    copy.rename(tests)
    return tests


def programs(tests, folder):
    """The built tests."""
    words = ["cargo", "test", "--no-run", "--message-format", "json", "--features", FEATURES]
    for name in TESTS:
        words += ["--test", name]
    environment = os.environ | {"CARGO_TARGET_DIR": str(folder / "target")}
    told = subprocess.run(words, cwd=tests, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    built = (json.loads(line) for line in told.splitlines() if line.startswith("{"))
    return {entry["target"]["name"]: entry["executable"] for entry in built if entry.get("executable") and entry["target"]["name"] in TESTS}


def run(program, name, tests, environment):
    """What became of a test, and what it printed."""
    try:
        done = subprocess.run([program, "--exact", name, "--test-threads=1"], cwd=tests, env=environment, timeout=PATIENCE_S, text=True, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired:
        return "failed", f"it took more than {PATIENCE_S} s"
    if "1 ignored" in done.stdout:
        return "ignored", ""
    return ("passed" if done.returncode == 0 and "1 passed" in done.stdout else "failed"), done.stdout


def run_all(built, asked, tests, environment):
    counts = {"passed": 0, "failed": 0, "ignored": 0}
    for file, program in sorted(built.items()):
        listed = subprocess.run([program, "--list"], cwd=tests, check=True, stdout=subprocess.PIPE, text=True).stdout
        names = [line.removesuffix(": test") for line in listed.splitlines() if line.endswith(": test")]
        for name in names:
            whole = f"{file}::{name}"
            if asked and not any(part in whole for part in asked):
                continue
            state, printed = run(program, name, tests, environment)
            counts[state] += 1
            if state == "failed":
                print(f"{printed}\nfailed: {whole}", flush=True)
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--reference", action="store_true")
    parser.add_argument("--protocol", choices=["2", "3"], default="2")
    parser.add_argument("--type", choices=["tcp", "unix"], default="tcp")
    parser.add_argument("name", nargs="*")
    asked = parser.parse_args()
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "clients-suite" / f"redis-rs-{RELEASE}"
    tests = package(folder)
    built = programs(tests, folder)
    with tempfile.TemporaryDirectory(prefix="cairn-suite-") as path:
        program = REFERENCE if asked.reference else str(Path(asked.program).resolve())
        # By this name the server tells the version that it is compatible with.
        (Path(path) / "redis-server").symlink_to(program)
        environment = os.environ | {"PATH": f"{path}:{os.environ['PATH']}", "REDISRS_SERVER_TYPE": asked.type, "PROTOCOL": f"RESP{asked.protocol}"}
        counts = run_all(built, asked.name, tests, environment)
    print(", ".join(f"{count} {state}" for state, count in counts.items()))
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
