"""Servers under measurement, and a connection to them. Linux only: figures come from /proc."""

import ctypes
import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PATIENCE_S = 120
OPTIONS = ["--save", "", "--appendonly", "no", "--enable-debug-command", "yes"]
SERVER_CPU, LOAD_CPU = 0, 1
PR_SET_THP_DISABLE = 41


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def request(*words):
    """One command as bytes."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


class Connection:
    """A connection that reads whole replies; errors become exceptions."""

    def __init__(self, port, timeout=PATIENCE_S):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.replies = self.socket.makefile("rb", buffering=1 << 16)

    def call(self, *words):
        self.socket.sendall(request(*words))
        return self.read()

    def read(self):
        line = self.replies.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server hung up")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.replies.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
        return rest

    def send_all(self, batches):
        """Sends batches, each the bytes of some commands and how many they are; neither side's buffer fills up."""
        for data, count in batches:
            self.socket.sendall(data)
            for _ in range(count):
                self.read()

    def close(self):
        self.replies.close()
        self.socket.close()


class Server:
    """A fresh server in a temporary folder. `pinned`: on a processor of its own. `wrapper` stands before its command line, `options` behind it."""

    def __init__(self, name, program, pinned=False, huge_pages=True, wrapper=(), options=()):
        self.name = name
        self.port = free_port()
        self.folder = tempfile.TemporaryDirectory(prefix="cairn-bench-")
        self.log = Path(self.folder.name) / "log.txt"
        command = [*wrapper, program, "--port", str(self.port), "--dir", self.folder.name, *OPTIONS, *options]

        def prepare():
            if pinned and os.cpu_count() > 1:
                os.sched_setaffinity(0, {SERVER_CPU})
            if not huge_pages:
                ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)

        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder.name, preexec_fn=prepare)
        self.connection = self.connect()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.connection.close()
        self.folder.cleanup()

    def connect(self):
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                connection = Connection(self.port)
                connection.call("PING")
                return connection
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"{self.name} does not answer:\n{self.log.read_text(errors='replace')[-2000:]}")

    def call(self, *words):
        return self.connection.call(*words)

    def resident_bytes(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no VmRSS")

    def thread_ns(self):
        """CPU time of each thread so far by its number, system calls included; that of the main one is the number of the process."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return {int(thread.parent.name): int(thread.read_text().split()[0]) for thread in threads}

    def cpu_ns(self):
        """CPU time of all threads so far, system calls included."""
        return sum(self.thread_ns().values())


class Load:
    """`bench-tool run` against a server."""

    def __init__(self, program):
        self.program = program

    def run(self, server, commands, requests, clients, pipeline, pinned=False):
        arguments = [self.program, "run", "--port", server.port, "--requests", requests, "--clients", clients]
        arguments += ["--pipeline", pipeline, "--timeout", PATIENCE_S]
        for command in commands:
            arguments += ["--command", command]

        def prepare():
            if pinned and os.cpu_count() > 1:
                os.sched_setaffinity(0, {LOAD_CPU})

        done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, preexec_fn=prepare)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}")
