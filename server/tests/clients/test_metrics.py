"""What the metrics port says, read by the parser of Prometheus' own client library, against INFO of the same moment."""

import http.client
import json
import subprocess
import threading
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families as parse

from harness import PATIENCE_S, Case, free_port, later


class Metrics(Case):
    def setUp(self):
        super().setUp()
        self.port = free_port()

    def ask(self, path, method="GET", connection=None):
        connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.request(method, path)
        response = connection.getresponse()
        return response, response.read().decode()

    def scrape(self):
        response, text = self.ask("/metrics")
        self.assertEqual(response.status, 200)
        self.assertEqual(response.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        return list(parse(text))

    def samples(self):
        return {(s.name, tuple(s.labels.values())): s.value for family in self.scrape() for s in family.samples}

    @later("metrics")
    def test_the_text_is_what_the_parser_of_prometheus_reads(self):
        self.configured(metrics_port=self.port)
        self.r.set("a", 1)
        with self.refused("WRONGTYPE"):
            self.r.lpush("a", 1)
        with self.refused("unknown command"):
            self.r.execute_command('say "hello\\')
        self.r.set("b", 1, ex=100)
        families = self.scrape()
        names = [family.name for family in families]
        self.assertEqual(len(names), len(set(names)))
        for family in families:
            self.assertTrue(family.documentation, family.name)
            self.assertIn(family.type, ("counter", "gauge", "histogram"))
            # The parser takes `_total` off the names of counters, and gives samples that it cannot place names of their own.
            self.assertTrue(all(s.name.startswith(family.name) for s in family.samples), family.name)
        self.assertGreater(len(names), 90)

    @later("metrics")
    def test_figures_are_those_of_info(self):
        self.configured(metrics_port=self.port, appendonly="no")
        self.r.set("a", 1)
        self.r.set("b", 1, ex=100)
        self.r.get("a")
        self.r.get("nothing")
        info, commands = self.r.info("everything"), self.r.info("commandstats")
        samples = self.samples()
        for name, field in {
            "redis_connected_clients": "connected_clients",
            "redis_max_clients": "maxclients",
            "redis_keyspace_hits_total": "keyspace_hits",
            "redis_keyspace_misses_total": "keyspace_misses",
            "redis_expired_keys_total": "expired_keys",
            "redis_evicted_keys_total": "evicted_keys",
            "redis_connections_received_total": "total_connections_received",
            "redis_rdb_changes_since_last_save": "rdb_changes_since_last_save",
            "redis_process_id": "process_id",
            "redis_memory_max_bytes": "maxmemory",
            # The parser gives a counter without `_total` that end; Prometheus itself does not.
            "redis_total_error_replies_total": "total_error_replies",
        }.items():
            self.assertEqual(samples[name, ()], info[field], name)
        self.assertEqual(samples["redis_rdb_last_bgsave_status", ()], 1)
        self.assertEqual(samples["redis_up", ()], 1)
        self.assertEqual(samples["redis_db_keys", ("db0",)], info["db0"]["keys"])
        self.assertEqual(samples["redis_db_keys_expiring", ("db0",)], 1)
        for command in ("set", "get", "config|set"):
            before = commands["cmdstat_" + command]
            self.assertEqual(samples["redis_commands_total", (command,)], before["calls"], command)
            seconds = samples["redis_commands_duration_seconds_total", (command,)]
            self.assertAlmostEqual(seconds, before["usec"] / 1e6, msg=command)
        for prefix, error in ((k, v) for k, v in info.items() if k.startswith("errorstat_")):
            count = samples["redis_errors_total", (prefix.removeprefix("errorstat_"),)]
            self.assertEqual(count, error["count"])
        names = {s for s, _ in samples}
        self.assertNotIn("redis_aof_current_size_bytes", names)
        self.configured(appendonly="yes")
        self.eventually(lambda: self.r.info("persistence")["aof_rewrite_in_progress"] == 0, "a first log")
        size = self.samples()["redis_aof_current_size_bytes", ()]
        self.assertEqual(size, self.r.info("persistence")["aof_current_size"])

    @later("metrics")
    def test_histograms_hold_the_percentiles_of_info(self):
        self.configured(metrics_port=self.port)
        for number in range(200):
            self.r.set(f"k{number}", "x" * (number * 100))
            self.r.lrange("nothing", 0, -1)
        family = next(f for f in self.scrape() if f.name == "redis_commands_latencies_usec")
        latencies = self.r.info("latencystats")
        for command in ("set", "lrange"):
            steps = [
                (float(s.labels["le"]), s.value)
                for s in family.samples
                if s.name.endswith("_bucket") and s.labels["cmd"] == command
            ]
            limits, counts = zip(*steps)
            self.assertEqual(list(limits), sorted(limits))
            self.assertEqual(list(counts), sorted(counts))
            total = next(s.value for s in family.samples if s.name.endswith("_count") and s.labels["cmd"] == command)
            self.assertEqual((limits[-1], counts[-1]), (float("inf"), total))
            for percent, micros in latencies[f"latency_percentiles_usec_{command}"].items():
                rank = total * float(percent.removeprefix("p")) / 100
                place = next(at for at, count in enumerate(counts) if count >= rank - 0.5)
                below = limits[place - 1] if place else 0
                # The text of INFO is the greatest value of a bucket that is told to two digits.
                self.assertTrue(below <= micros and micros <= limits[place] + 1, (command, percent, micros, steps))
        self.configured(latency_tracking="no")
        self.assertNotIn("redis_commands_latencies_usec_count", {name for name, _ in self.samples()})

    @later("metrics")
    def test_times_are_those_that_a_load_test_sees(self):
        """A command that takes long has the same time for the server, for the metrics and for who waits for it: within a step of
        the metrics, which double."""
        self.configured(metrics_port=self.port, latency_tracking_info_percentiles="50 99")
        bench_tool = Path(self.server.program).with_name("bench-tool")
        words = ["run", "-p", self.server.port, "-c", 1, "-n", 40, "--command", "DEBUG SLEEP 0.05", "--json", "-"]
        done = subprocess.run([str(word) for word in (bench_tool, *words)], capture_output=True, check=True, text=True)
        seen = json.loads(done.stdout)["latency_us"]
        told = self.r.info("latencystats")["latency_percentiles_usec_debug"]
        steps = [
            (float(s.labels["le"]), s.value)
            for family in self.scrape()
            for s in family.samples
            if s.name == "redis_commands_latencies_usec_bucket" and s.labels["cmd"] == "debug"
        ]
        for percentile, rank in (("p50", 20), ("p99", 40)):
            self.assertGreaterEqual(told[percentile], 50_000)
            # The text of INFO is the greatest value of a bucket that is told to two digits.
            self.assertLessEqual(told[percentile], seen[percentile] * 1.01)
            self.assertLessEqual(seen[percentile], told[percentile] * 2, (seen, told))
            limit = next(limit for limit, count in steps if count >= rank)
            self.assertLessEqual(told[percentile], limit + 1)
            self.assertLess(limit, seen[percentile] * 2)

    @later("metrics")
    def test_a_connection_stays_for_many_scrapes(self):
        self.configured(metrics_port=self.port)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        self.addCleanup(connection.close)
        for _ in range(5):
            response, text = self.ask("/metrics", connection=connection)
            self.assertEqual((response.status, response.version), (200, 11))
            self.assertIn("cairn_metrics_connections 1\n", text)
        response, text = self.ask("/metrics", method="HEAD", connection=connection)
        self.assertEqual(text, "")
        self.assertGreater(int(response.headers["Content-Length"]), 1000)
        response, _ = self.ask("/metrics", method="POST", connection=connection)
        self.assertEqual((response.status, response.headers["Allow"]), (405, "GET, HEAD"))

    @later("metrics")
    def test_scrapes_under_load_and_load_under_scrapes(self):
        self.configured(metrics_port=self.port)
        stop, failures = threading.Event(), []

        def load():
            client = self.client()
            try:
                while not stop.is_set():
                    pipe = client.pipeline(transaction=False)
                    for number in range(100):
                        pipe.execute_command("INCR", f"n{number % 7}")
                    pipe.execute()
            except Exception as error:  # a thread has nobody else to tell
                failures.append(error)

        threads = [threading.Thread(target=load, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        def calls():
            return self.samples().get(("redis_commands_total", ("incr",)), 0)

        before = 0
        for _ in range(30):
            now = calls()
            self.assertGreaterEqual(now, before)
            before = now
        self.eventually(lambda: calls() > before or failures, "commands beside scrapes")
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_S)
        self.assertEqual(failures, [])

    def save(self):
        """So that later tests may write again."""
        self.r.bgsave()
        self.eventually(lambda: self.r.info("persistence")["rdb_last_bgsave_status"] == "ok", "a save")

    @later("metrics")
    def test_an_instance_that_cannot_write_is_not_ready(self):
        self.configured(metrics_port=self.port)
        self.assertEqual(self.ask("/readyz")[0].status, 200)
        self.assertEqual(self.ask("/healthz")[1], "ok\n")
        self.configured(save="3600 1")
        path = self.server.folder / self.r.config_get("dbfilename")["dbfilename"]
        path.unlink(missing_ok=True)
        self.addCleanup(self.save)
        path.mkdir()
        self.addCleanup(path.rmdir)
        self.r.set("a", 1)
        self.r.bgsave()
        self.eventually(lambda: self.ask("/readyz")[0].status == 503, "not ready after a failed save")
        self.assertIn("MISCONF", self.ask("/readyz")[1])
        self.assertEqual(self.ask("/healthz")[0].status, 200)
        self.assertEqual(self.samples()["redis_rdb_last_bgsave_status", ()], 0)
