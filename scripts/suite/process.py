"""Runs a command in a session of its own, where possible in a network of its own, and leaves nothing of it behind."""
import functools
import os
import pathlib
import signal
import subprocess
import time

# A second address on the loopback device of the private network: for tests of connections "from elsewhere".
OUTER_ADDRESS = "10.255.0.1"
UP = f'ip link set lo up && ip addr add {OUTER_ADDRESS}/32 dev lo && exec "$@"'


@functools.cache
def private_network():
    """The words before a command that give it a network with nothing but a loopback device; none where not allowed."""
    for words in (["unshare", "-n"], ["unshare", "-r", "-n"]):
        prefix = [*words, "sh", "-c", UP, "sh"]
        try:
            if subprocess.run([*prefix, "true"], capture_output=True, stdin=subprocess.DEVNULL).returncode == 0:
                return prefix
        except OSError:
            pass
    return []


def run(command, folder, log, limit):
    """Runs it until its end or `limit` seconds, its output in `log`; whether it ended in time, and its seconds."""
    env = dict(os.environ, TERM="dumb", LC_ALL="C.UTF-8")
    if private_network():
        env["PATH"] = f"{folder}/shim:{env['PATH']}"
    began = time.monotonic()
    with open(log, "ab") as out:
        child = subprocess.Popen(
            [*private_network(), *command], cwd=folder, stdin=subprocess.DEVNULL, stdout=out,
            stderr=subprocess.STDOUT, env=env, start_new_session=True,
        )
        try:
            child.wait(limit)
            return True, time.monotonic() - began
        except subprocess.TimeoutExpired:
            return False, time.monotonic() - began
        finally:
            end_session(child.pid)
            child.wait()


def end_session(session):
    """Ends every process of a session, asking first."""
    for sign, patience in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 5.0)):
        end = time.monotonic() + patience
        members = session_members(session)
        for pid in members:
            for one in (signal.SIGCONT, sign):
                try:
                    os.kill(pid, one)
                except ProcessLookupError:
                    pass
        while members and time.monotonic() < end:
            time.sleep(0.05)
            members = session_members(session)
        if not members:
            return


def session_members(session):
    """Process ids of a session, but for those that ended and wait to be asked after."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, _, of_session = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:4]
            except (OSError, ValueError):
                continue
            if int(of_session) == session and state != "Z":
                found.append(int(entry.name))
    return found
