"""What an answer of the metrics port takes the loop, with every command in its statistics.

`cairn_scrape_seconds_total` is the time that the loop spent on making answers, by the clock; processor time is that of the whole process
for one scrape, with HTTP, sockets and timed work. The reference has no such port.
"""

import http.client

import limits
import servers

SCRAPES = 500
# They end the server or this connection, wait, or take the figures away.
LEFT_OUT = {"shutdown", "quit", "monitor", "config|resetstat", "reset", "wait", "waitaof", "subscribe", "psubscribe", "ssubscribe"}


def names(connection):
    return [name.decode() for name in connection.call("COMMAND", "LIST")]


def use_all(server):
    """Has every command in the statistics: most are refused for want of arguments, which counts as well."""
    connection = server.connect()
    for name in sorted(set(names(connection)) - LEFT_OUT):
        try:
            connection.call(*name.split("|"))
        except RuntimeError:
            pass
    connection.close()


def cpu_seconds(connection):
    lines = connection.call("INFO", "cpu").decode().splitlines()
    figures = dict(line.split(":") for line in lines if ":" in line)
    return float(figures["used_cpu_sys"]) + float(figures["used_cpu_user"])


def total(text):
    return float(next(line for line in text.splitlines() if line.startswith("cairn_scrape_seconds_total")).split()[1])


def measure(setup):
    with servers.Server("ours", setup.programs["ours"]) as server:
        use_all(server)
        port = servers.free_port()
        server.connection.call("CONFIG", "SET", "metrics-port", port)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=servers.PATIENCE_S)

        def scrape():
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()

        scrape()
        before, cpu_before = total(scrape()), cpu_seconds(server.connection)
        for _ in range(SCRAPES):
            text = scrape()
        cpu_ms = (cpu_seconds(server.connection) - cpu_before) * 1000 / SCRAPES
        time_ms = (total(text) - before) * 1000 / (SCRAPES - 1)
        commands = sum(line.startswith("redis_commands_total{") for line in text.splitlines())
        yield {
            "what": f"{commands} commands",
            "lines": text.count("\n"),
            "kb": len(text) / 1000,
            "cpu_ms": cpu_ms,
            "time_ms": time_ms,
            "limit_ms": limits.SCRAPE_MS,
            "within": cpu_ms <= limits.SCRAPE_MS,
        }
