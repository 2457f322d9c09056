"""Streams and their groups, without blocking reads."""

import time

from harness import Case, later


class Streams(Case):
    def fill(self, count=5, key="s"):
        """Entries 1-0, 2-0 ..."""
        pipe = self.r.pipeline(transaction=False)
        for i in range(1, count + 1):
            pipe.xadd(key, {"n": i}, id=f"{i}-0")
        return pipe.execute()

    def test_entries(self):
        self.assertEqual(self.fill(3), ["1-0", "2-0", "3-0"])
        made = self.r.xadd("s", {"a": "1", "b": "2"})
        milliseconds, number = (int(part) for part in made.split("-"))
        self.assertAlmostEqual(milliseconds, time.time() * 1000, delta=60_000)
        self.assertEqual(number, 0)
        self.assertEqual(self.r.xlen("s"), 4)
        self.assertEqual(self.r.xrange("s", "2", "3"), [("2-0", {"n": "2"}), ("3-0", {"n": "3"})])
        self.assertEqual(self.r.xrange("s", "(1-0", count=1), [("2-0", {"n": "2"})])
        self.assertEqual(
            self.r.xrevrange("s", "+", "-", count=2), [(made, {"a": "1", "b": "2"}), ("3-0", {"n": "3"})]
        )
        self.assertEqual(self.r.xdel("s", "2-0", "9-9"), 1)
        self.assertEqual([entry for entry, _ in self.r.xrange("s", "-", "3")], ["1-0", "3-0"])
        self.assertIsNone(self.r.xadd("none", {"a": 1}, nomkstream=True))
        self.assertEqual(self.r.xadd("auto", {"a": 1}, id="7-*"), "7-0")
        with self.refused("equal or smaller than the target stream top item"):
            self.r.xadd("s", {"a": 1}, id="3-0")

    def test_trimming(self):
        self.fill(1000)
        self.assertEqual(self.r.xtrim("s", maxlen=900, approximate=False), 100)
        self.assertEqual(self.r.xtrim("s", minid="201", approximate=False), 100)
        self.assertEqual(self.r.xlen("s"), 800)
        removed = self.r.xtrim("s", maxlen=750)
        self.assertEqual(self.r.xlen("s"), 800 - removed)
        self.assertLess(removed, 51)
        self.r.xadd("s", {"a": 1}, id="2000-0", maxlen=10, approximate=False)
        self.assertEqual(self.r.xlen("s"), 10)
        self.r.xadd("s", {"a": 1}, id="2001-0", minid="2000", approximate=False)
        self.assertEqual([entry for entry, _ in self.r.xrange("s")], ["2000-0", "2001-0"])
        self.fill(1000, "t")
        self.assertEqual(self.r.xtrim("t", maxlen=0, limit=150), 100)

    def test_reading(self):
        self.fill(3)
        self.fill(1, "t")
        self.assertEqual(self.r.xread({"s": "1-0"}, count=1), {"s": [("2-0", {"n": "2"})]})
        found = self.r.xread({"s": "2-0", "t": "0"})
        self.assertEqual(found, {"s": [("3-0", {"n": "3"})], "t": [("1-0", {"n": "1"})]})
        self.assertFalse(self.r.xread({"s": "3-0"}))
        self.assertFalse(self.r.xread({"s": "$"}))

    def test_information(self):
        self.fill(3)
        self.r.xdel("s", "1-0")
        self.r.xgroup_create("s", "g", "0")
        about = self.r.xinfo_stream("s")
        self.assertEqual(about["length"], 2)
        self.assertEqual(about["last-generated-id"], "3-0")
        self.assertEqual(about["max-deleted-entry-id"], "1-0")
        self.assertEqual(about["entries-added"], 3)
        self.assertEqual(about["recorded-first-entry-id"], "2-0")
        self.assertEqual(about["first-entry"], ("2-0", {"n": "2"}))
        self.assertEqual(about["groups"], 1)
        full = self.r.xinfo_stream("s", full=True)
        self.assertEqual(full["entries"], {"2-0": {"n": "2"}, "3-0": {"n": "3"}})
        self.assertEqual(full["groups"][0]["name"], "g")
        self.assertEqual(
            self.r.execute_command("XSETID", "s", "50-0", "ENTRIESADDED", 9, "MAXDELETEDID", "1-0"), "OK"
        )
        self.assertEqual(self.r.xinfo_stream("s")["last-generated-id"], "50-0")


class Groups(Case):
    def setUp(self):
        super().setUp()
        for i in range(1, 6):
            self.r.xadd("s", {"n": i}, id=f"{i}-0")
        self.assertTrue(self.r.xgroup_create("s", "g", "0"))

    def read(self, consumer, count=10, start=">", **options):
        found = self.r.xreadgroup("g", consumer, {"s": start}, count=count, **options)
        return [entry for entry, _ in found["s"]] if found else []

    def test_groups_come_and_go(self):
        with self.refused("BUSYGROUP Consumer Group name already exists"):
            self.r.xgroup_create("s", "g", "0")
        with self.refused("requires the key to exist"):
            self.r.xgroup_create("none", "g")
        self.assertTrue(self.r.xgroup_create("made", "g", mkstream=True))
        self.assertEqual(self.r.xlen("made"), 0)
        self.assertEqual(self.r.xgroup_createconsumer("s", "g", "alice"), 1)
        self.assertEqual(self.r.xgroup_createconsumer("s", "g", "alice"), 0)
        self.assertEqual(self.read("alice", 2), ["1-0", "2-0"])
        self.assertEqual(self.r.xgroup_delconsumer("s", "g", "alice"), 2)
        self.assertTrue(self.r.xgroup_setid("s", "g", "4-0", entries_read=4))
        self.assertEqual(self.read("bob"), ["5-0"])
        self.assertTrue(self.r.xgroup_destroy("s", "g"))
        self.assertFalse(self.r.xgroup_destroy("s", "g"))
        with self.refused("NOGROUP"):
            self.read("bob")

    def test_delivery_and_acknowledgement(self):
        self.assertEqual(self.read("alice", 2), ["1-0", "2-0"])
        self.assertEqual(self.read("bob", 2), ["3-0", "4-0"])
        self.assertEqual(self.read("alice", start="0"), ["1-0", "2-0"])
        self.assertEqual(self.r.xack("s", "g", "1-0", "9-9"), 1)
        self.assertEqual(self.read("alice", start="0"), ["2-0"])
        self.assertEqual(self.read("carol", noack=True), ["5-0"])
        self.assertEqual(self.read("carol"), [])
        waiting = self.r.xpending("s", "g")
        self.assertEqual((waiting["pending"], waiting["min"], waiting["max"]), (3, "2-0", "4-0"))
        self.assertEqual(
            waiting["consumers"], [{"name": "alice", "pending": 1}, {"name": "bob", "pending": 2}]
        )
        rows = self.r.xpending_range("s", "g", "-", "+", 10, consumername="bob")
        self.assertEqual(
            [(row["message_id"], row["consumer"], row["times_delivered"]) for row in rows],
            [("3-0", "bob", 1), ("4-0", "bob", 1)],
        )
        self.assertEqual(self.r.xpending_range("s", "g", "-", "+", 10, idle=100_000), [])

    def test_claiming(self):
        self.read("alice", 4)
        claimed = self.r.xclaim("s", "g", "bob", 0, ["1-0", "2-0"], retrycount=7)
        self.assertEqual(claimed, [("1-0", {"n": "1"}), ("2-0", {"n": "2"})])
        self.assertEqual(self.r.xclaim("s", "g", "bob", 100_000, ["3-0"]), [])
        self.assertEqual(self.r.xclaim("s", "g", "bob", 0, ["3-0"], justid=True), ["3-0"])
        self.assertEqual(
            self.r.xclaim("s", "g", "bob", 0, ["5-0"], idle=5000, force=True, justid=True), ["5-0"]
        )
        rows = {row["message_id"]: row for row in self.r.xpending_range("s", "g", "-", "+", 10)}
        self.assertEqual(
            {entry: row["consumer"] for entry, row in rows.items()},
            {"1-0": "bob", "2-0": "bob", "3-0": "bob", "4-0": "alice", "5-0": "bob"},
        )
        self.assertEqual(rows["1-0"]["times_delivered"], 7)
        self.assertGreaterEqual(rows["5-0"]["time_since_delivered"], 5000)

    def test_claiming_in_turn(self):
        self.read("alice", 5)
        self.r.xdel("s", "2-0")
        following, claimed, deleted = self.r.xautoclaim("s", "g", "bob", 0, count=3)
        self.assertEqual(following, "4-0")
        self.assertEqual(claimed, [("1-0", {"n": "1"}), ("3-0", {"n": "3"})])
        self.assertEqual(deleted, ["2-0"])
        self.assertEqual(
            self.r.xautoclaim("s", "g", "bob", 0, start_id=following, justid=True), ["4-0", "5-0"]
        )
        self.assertEqual(self.r.xpending("s", "g")["consumers"], [{"name": "bob", "pending": 4}])

    def test_information(self):
        self.read("alice", 2)
        group = self.r.xinfo_groups("s")[0]
        wanted = {
            "name": "g",
            "consumers": 1,
            "pending": 2,
            "last-delivered-id": "2-0",
            "entries-read": 2,
            "lag": 3,
        }
        self.assertEqual(group, wanted)
        consumer = self.r.xinfo_consumers("s", "g")[0]
        self.assertEqual((consumer["name"], consumer["pending"]), ("alice", 2))
        self.assertIn(consumer["idle"], range(0, 10_000))

    @later("active-time")
    def test_when_a_consumer_was_successful(self):
        self.read("alice", 5)
        time.sleep(0.03)
        self.assertEqual(self.read("alice"), [])
        consumer = self.r.xinfo_consumers("s", "g")[0]
        self.assertGreaterEqual(consumer["inactive"], 30)
        self.assertLess(consumer["idle"], consumer["inactive"])

    @later("XDELEX", "XACKDEL")
    def test_entries_go_with_what_groups_hold(self):
        for number in range(1, 4):
            self.r.xadd("t", {"f": "v"}, id=f"{number}-0")
        self.r.xgroup_create("t", "g", 0)
        self.r.xreadgroup("g", "c", {"t": ">"}, count=2)
        self.assertEqual(self.r.xdelex("t", "1-0", "3-0", ref_policy="ACKED"), [2, 2])
        self.assertEqual(self.r.xackdel("t", "g", "1-0", "9-9", ref_policy="ACKED"), [1, -1])
        self.assertEqual(self.r.xdelex("t", "2-0", ref_policy="DELREF"), [1])
        self.assertEqual(self.r.xpending("t", "g")["pending"], 0)
        self.assertEqual(self.r.xlen("t"), 1)
