"""Servers in temporary folders, and the class that all tests here stand on.

Every class of tests becomes four: ours and the reference, RESP2 and RESP3. `server` and `protocol` are set by `run.py`.
The library is asked for its unified replies (`legacy_responses=False`), so one expected value holds for both protocols
although the bytes on the wire differ.
"""

import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import warnings
from pathlib import Path

import redis
from redis.retry import Retry
from redis.backoff import NoBackoff

from versions import LATER

# Calls that the library may still change are tested as it has them now.
warnings.filterwarnings("ignore", message=".*experimental.*")

PATIENCE_S = 20
LOG_TAIL_LINES = 40
OPTIONS = ["--save", "", "--appendonly", "no", "--enable-debug-command", "yes"]


def free_port():
    """A port that nobody listens on now; a server that finds it taken nevertheless does not answer and is reported."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One running server. `name` is `ours` or `reference`."""

    def __init__(self, name, program, options=()):
        self.name, self.program = name, program
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="cairn-clients-"))
        self.log = self.folder / "log.txt"
        arguments = [program, "--port", str(self.port), "--dir", str(self.folder), *OPTIONS, *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=self.folder)
        self.wait_until_it_answers()

    def wait_until_it_answers(self):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                    probe.sendall(b"PING\r\n")
                    # With a password the answer is an error, which also shows that it is up.
                    if probe.recv(64):
                        return
            except OSError:
                time.sleep(0.02)
        tail = self.log_tail()
        self.stop()
        raise RuntimeError(f"{self.program} does not answer on port {self.port}\n{tail}")

    def alive(self):
        return self.process.poll() is None

    def log_tail(self):
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])

    def stop(self):
        if self.alive():
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Client(redis.Redis):
    """The library's client, which notes the methods that the tests used."""

    used = set()

    def __getattribute__(self, name):
        Client.used.add(name)
        return super().__getattribute__(name)


def later(*names):
    """Marks a test of what the reference does not have yet."""
    unknown = [name for name in names if name not in LATER]
    assert not unknown, f"not in versions.LATER: {unknown}"

    def mark(test):
        test.later = names
        return test

    return mark


class Case(unittest.TestCase):
    """A test with `self.r`, a client with text replies on an empty server."""

    server: Server
    protocol: int

    def setUp(self):
        self.r = self.client()
        self.r.flushall()

    def client(self, **options):
        """One more client; closed after the test. No retries: an error is to be seen."""
        options = {"decode_responses": True, "socket_timeout": PATIENCE_S, **options}
        client = Client(
            port=options.pop("port", self.server.port),
            protocol=self.protocol,
            legacy_responses=False,
            retry=Retry(NoBackoff(), 0),
            **options,
        )
        self.addCleanup(client.close)
        return client

    def refused(self, pattern, kind=redis.ResponseError):
        """`with self.refused("WRONGTYPE"):` holds a call that the server answers with such an error."""
        return self.assertRaisesRegex(kind, pattern)

    def eventually(self, holds, what):
        """Waits for what another connection or the server's own work brings about."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            self.assertLess(time.monotonic(), deadline, f"never: {what}")
            time.sleep(0.005)

    def blocked(self, count):
        """Waits until so many clients are blocked."""
        self.eventually(
            lambda: self.r.info("clients")["blocked_clients"] == count, f"{count} blocked clients"
        )

    def configured(self, **parameters):
        """Sets parameters (`_` stands for `-`) and puts them back after the test."""
        for name, value in parameters.items():
            name = name.replace("_", "-")
            before = self.r.config_get(name)[name]
            self.addCleanup(self.r.config_set, name, before)
            self.assertTrue(self.r.config_set(name, value))


class Waiting:
    """A blocking call in a thread of its own, with its own connection."""

    def __init__(self, case, call):
        self.client = case.client()
        self.answer, self.error = None, None
        self.thread = threading.Thread(target=self.work, args=(call,), daemon=True)
        self.thread.start()

    def work(self, call):
        try:
            self.answer = call(self.client)
        except redis.RedisError as error:
            self.error = error

    def result(self):
        """The reply, or the error that came instead."""
        self.thread.join(PATIENCE_S)
        if self.thread.is_alive():
            raise AssertionError("still blocked")
        return self.error if self.error is not None else self.answer
