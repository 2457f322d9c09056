"""What a connection costs that does nothing: resident bytes of the server for each, beyond those of the kernel.

Connections ask one PING and one GET, then rest until the server has taken its buffers back. Three addresses of this machine are used, as one has
too few ports for some tens of thousands. The limit of descriptors must allow both ends.
"""

import resource
import socket
import time

import limits
import servers

CONNECTIONS = 10_000
# Buffers are given back after two seconds without a byte, by timed work that sees each client once a second.
REST_S = 5


def allow_files(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
    return min(count, max(soft, hard))


def resident(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return int(next(line.split()[1] for line in status if line.startswith("VmRSS"))) * 1024


def connect(server, number):
    client = socket.create_connection((f"127.0.0.{1 + number % 3}", server.port), timeout=servers.PATIENCE_S)
    client.sendall(b"PING\r\n" + servers.request("GET", "nothing"))
    wanted = len(b"+PONG\r\n$-1\r\n")
    while wanted > 0:
        wanted -= len(client.recv(wanted))
    return client


def cost(name, program):
    count = min(CONNECTIONS, allow_files(2 * CONNECTIONS + 200) - 200)
    with servers.Server(name, program) as server:
        server.connection.call("CONFIG", "SET", "maxclients", count + 100)
        # What is made once, for the first connections.
        first = [connect(server, number) for number in range(50)]
        time.sleep(REST_S)
        before = resident(server)
        clients = [connect(server, number) for number in range(count - len(first))]
        time.sleep(REST_S)
        bytes_each = (resident(server) - before) / len(clients)
        for client in first + clients:
            client.close()
        return count, bytes_each


def measure(setup):
    count, ours = cost("ours", setup.programs["ours"])
    _, reference = cost("reference", setup.programs["reference"])
    yield {
        "what": f"{count:,} idle connections",
        "ours_bytes": ours,
        "reference_bytes": reference,
        "limit_bytes": limits.IDLE_BYTES,
        "within": ours <= limits.IDLE_BYTES,
    }
