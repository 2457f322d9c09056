"""Gets the suite: the upstream part of Debian's source package of redis, kept under target/.

apt checks the signature of the list and the sums of the files; the sum of the upstream part is pinned here too, so
that the recorded results stay those of the same tests whatever Debian patches in its server.
"""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

VERSION = "7.0.15"
ARCHIVE = f"redis_{VERSION}.orig.tar.gz"
SHA256 = "4b1dc4ee6d622a09fff9c6777191209750fb5e5a725ef78ea012d6eef4c22982"
REFERENCE = "/usr/bin/redis-server"


class Unavailable(Exception):
    """The suite could not be fetched; the text says why."""


def tree(cache):
    """The folder of the unpacked suite, fetched on the first call."""
    unpacked = cache / f"redis-{VERSION}"
    if (unpacked / "runtest").exists():
        return unpacked
    cache.mkdir(parents=True, exist_ok=True)
    archive = cache / ARCHIVE
    if not archive.exists():
        download(archive)
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256:
        raise Unavailable(f"{archive} has SHA-256 {found}, expected {SHA256}")
    # Unpacked beside its place and renamed, so that a run that is cut short leaves nothing half done.
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        subprocess.run(["tar", "-xzf", archive, "-C", scratch], check=True)
        try:
            os.rename(pathlib.Path(scratch, unpacked.name), unpacked)
        except OSError:
            if not (unpacked / "runtest").exists():
                raise
    return unpacked


def download(archive):
    """Has apt fetch the source package, with lists of sources of its own: nothing of the system is changed."""
    with tempfile.TemporaryDirectory(prefix="conformance-apt-") as scratch:
        scratch = pathlib.Path(scratch)
        # apt downloads as a user of its own where it can.
        scratch.chmod(0o755)
        for folder in ("lists/partial", "cache/archives/partial", "parts"):
            (scratch / folder).mkdir(parents=True)
        copy_sources(scratch / "parts")
        options = [
            "-q",
            "-o", "Dir::Etc::sourcelist=/dev/null",
            "-o", f"Dir::Etc::sourceparts={scratch}/parts",
            "-o", f"Dir::State::lists={scratch}/lists",
            "-o", f"Dir::Cache={scratch}/cache",
            "-o", "APT::Sandbox::User=root",
            "-o", "Acquire::Retries=3",
        ]
        apt(["apt-get", *options, "update"], scratch)
        apt(["apt-get", *options, "source", "--download-only", "--only-source", f"redis={candidate(options)}"], scratch)
        shutil.move(scratch / ARCHIVE, archive)


def copy_sources(parts):
    """Copies the machine's lists of sources with `deb-src` beside each `deb`."""
    files = [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]
    for file in files:
        if not file.exists() or "debian" not in file.read_text():
            continue
        text = file.read_text()
        if file.suffix == ".sources":
            text = re.sub(r"(?m)^Types:.*$", "Types: deb-src", text)
        else:
            text = re.sub(r"(?m)^deb\s", "deb-src ", text)
        name = file.name if file.suffix in (".sources", ".list") else file.name + ".list"
        (parts / name).write_text(text)


def candidate(options):
    """The newest version of the source package that has this upstream part."""
    listed = subprocess.run(
        ["apt-cache", *options[1:], "showsrc", "--only-source", "redis"], capture_output=True, text=True, check=True
    )
    versions = re.findall(rf"(?m)^Version: (\S+:{re.escape(VERSION)}-\S+)$", listed.stdout)
    if not versions:
        raise Unavailable(f"apt's sources have no source package of redis {VERSION} (Debian 12 has it)")
    return versions[-1]


def apt(command, folder):
    """Runs apt and shows what it said only when it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
