"""Commands about keys of any type."""

import time

import redis
from harness import Case, later

FAR_S = 4_102_444_800


class Keys(Case):
    def one_of_each(self):
        """A key of each type, and a fingerprint of what they hold."""
        self.r.set("string", "v")
        self.r.rpush("list", *range(300))
        self.r.sadd("set", "a", "b", "c")
        self.r.zadd("zset", {"a": 0.1, "b": 2})
        self.r.hset("hash", mapping={"f": "v", "g": "w"})
        self.r.xadd("stream", {"f": "v"}, id="5-1")
        self.r.xgroup_create("stream", "g", "0")
        return ["string", "list", "set", "zset", "hash", "stream"]

    def digest(self, *keys):
        return self.r.execute_command("DEBUG", "DIGEST-VALUE", *keys)

    def test_presence_and_removal(self):
        keys = self.one_of_each()
        self.assertEqual(
            [self.r.type(key) for key in keys], ["string", "list", "set", "zset", "hash", "stream"]
        )
        self.assertEqual(self.r.type("none"), "none")
        self.assertEqual(self.r.exists(*keys, "string", "none"), 7)
        self.assertEqual(self.r.touch("list", "none", "set"), 2)
        self.assertEqual(self.r.dbsize(), 6)
        self.assertEqual(set(self.r.keys()), set(keys))
        self.assertEqual(set(self.r.keys("?s[e]t")), {"zset"})
        self.assertIn(self.r.randomkey(), keys)
        self.assertEqual(self.r.delete("string", "none", "list"), 2)
        self.assertEqual(self.r.unlink("set", "none", "zset"), 2)
        self.assertTrue(self.r.flushdb())
        self.assertIsNone(self.r.randomkey())
        self.assertEqual(self.r.keys(), [])

    def test_scan_sees_all_while_the_table_grows(self):
        there = {f"k{i}" for i in range(2000)}
        self.r.mset(dict.fromkeys(there, "v"))
        seen = set()
        for number, key in enumerate(self.r.scan_iter(count=20)):
            seen.add(key)
            if number < 2000:
                self.r.set(f"more{number}", "v")
        self.assertLessEqual(there, seen)

    def test_scan_by_pattern_and_type(self):
        self.one_of_each()
        self.r.mset({f"k{i}": "v" for i in range(500)})
        self.assertEqual(set(self.r.scan_iter(match="k49?")), {f"k49{i}" for i in range(10)})
        self.assertEqual(set(self.r.scan_iter(_type="zset")), {"zset"})
        self.assertEqual(set(self.r.scan_iter(_type="stream", match="*")), {"stream"})
        cursor, part = self.r.scan(count=5)
        self.assertNotEqual(cursor, 0)
        self.assertTrue(part)
        with self.refused("invalid cursor"):
            self.r.execute_command("SCAN", "x")

    def test_renaming(self):
        keys = self.one_of_each()
        self.r.expireat("hash", FAR_S)
        before = self.digest(*keys)
        for key in keys:
            self.assertTrue(self.r.rename(key, "new:" + key))
        self.assertEqual(self.digest(*("new:" + key for key in keys)), before)
        self.assertEqual(self.r.expiretime("new:hash"), FAR_S)
        self.assertFalse(self.r.renamenx("new:list", "new:set"))
        self.assertTrue(self.r.renamenx("new:list", "free"))
        self.assertTrue(self.r.rename("free", "new:set"))
        self.assertEqual(self.r.type("new:set"), "list")
        with self.refused("no such key"):
            self.r.rename("none", "x")

    def test_copies(self):
        keys = self.one_of_each()
        for key in keys:
            self.assertTrue(self.r.copy(key, "copy:" + key))
        self.assertEqual(self.digest(*("copy:" + key for key in keys)), self.digest(*keys))
        self.r.rpush("list", "more")
        self.assertEqual(self.r.llen("copy:list"), 300)
        self.assertFalse(self.r.copy("list", "copy:list"))
        self.assertTrue(self.r.copy("list", "copy:list", replace=True))
        self.assertEqual(self.r.llen("copy:list"), 301)
        self.assertTrue(self.r.copy("list", "list", destination_db=3))
        self.assertEqual(self.client(db=3).llen("list"), 301)
        self.assertFalse(self.r.copy("none", "x"))

    def test_databases(self):
        other = self.client(db=5)
        self.r.set("k", "here")
        self.assertTrue(self.r.move("k", 5))
        self.assertFalse(self.r.move("none", 5))
        self.assertEqual((self.r.get("k"), other.get("k")), (None, "here"))
        self.r.set("k", "zero")
        self.assertFalse(self.r.move("k", 5))
        self.assertTrue(self.r.swapdb(0, 5))
        self.assertEqual((self.r.get("k"), other.get("k")), ("here", "zero"))
        with self.refused("DB index is out of range"):
            self.r.swapdb(0, 99)
        self.assertTrue(other.flushdb(asynchronous=True))
        self.assertEqual((self.r.dbsize(), other.dbsize()), (1, 0))
        self.assertTrue(self.r.flushall(asynchronous=True))
        self.assertEqual(self.r.dbsize(), 0)

    def test_dump_and_restore(self):
        raw = self.client(decode_responses=False)
        keys = self.one_of_each()
        before = self.digest(*keys)
        payloads = {key: raw.dump(key) for key in keys}
        self.assertIsNone(raw.dump("none"))
        self.r.flushall()
        for key, payload in payloads.items():
            self.assertEqual(self.r.restore(key, 0, payload), "OK")
        self.assertEqual(self.digest(*keys), before)
        with self.refused("BUSYKEY Target key name already exists"):
            self.r.restore("list", 0, payloads["list"])
        self.assertEqual(self.r.restore("list", 100_000, payloads["set"], replace=True), "OK")
        self.assertEqual(self.r.type("list"), "set")
        self.assertIn(self.r.ttl("list"), (99, 100))
        self.r.restore("until", FAR_S * 1000 + 5, payloads["string"], absttl=True, idletime=1000)
        self.assertEqual(self.r.pexpiretime("until"), FAR_S * 1000 + 5)
        self.assertIn(self.r.object("IDLETIME", "until"), range(1000, 1010))
        with self.refused("DUMP payload version or checksum are wrong"):
            self.r.restore("bad", 0, payloads["list"][:-1] + b"\x00")

    def test_sort(self):
        self.r.rpush("l", 3, 10, 1, 2)
        self.assertEqual(self.r.sort("l"), ["1", "2", "3", "10"])
        self.assertEqual(self.r.sort("l", desc=True, start=1, num=2), ["3", "2"])
        self.assertEqual(self.r.sort("l", alpha=True), ["1", "10", "2", "3"])
        self.r.mset({"w1": 30, "w2": 20, "w3": 10, "w10": 0, "name1": "one", "name2": "two"})
        self.assertEqual(self.r.sort("l", by="w*"), ["10", "3", "2", "1"])
        self.assertEqual(
            self.r.sort("l", get=["#", "name*"], groups=True),
            [("1", "one"), ("2", "two"), ("3", None), ("10", None)],
        )
        self.r.hset("h2", "f", "field of 2")
        self.assertEqual(self.r.sort("l", get="h*->f"), [None, "field of 2", None, None])
        self.assertEqual(self.r.sort("l", by="nosort"), ["3", "10", "1", "2"])
        self.assertEqual(self.r.sort("l", store="dest"), 4)
        self.assertEqual(self.r.lrange("dest", 0, -1), ["1", "2", "3", "10"])
        self.r.sadd("s", "b", "a", "c")
        self.assertEqual(self.r.sort_ro("s", alpha=True), ["a", "b", "c"])
        # The library's method sends SORT.
        self.assertEqual(self.r.execute_command("SORT_RO", "l", "LIMIT", 0, 2), ["1", "2"])
        with self.refused("syntax error"):
            self.r.execute_command("SORT_RO", "l", "STORE", "dest")
        with self.refused("One or more scores can't be converted into double"):
            self.r.sort("s")

    def test_object(self):
        self.r.set("k", "v" * 100)
        self.assertEqual(self.r.object("REFCOUNT", "k"), 1)
        self.assertIn(self.r.object("IDLETIME", "k"), (0, 1))
        self.assertIsNone(self.r.object("ENCODING", "none"))
        with self.refused("An LFU maxmemory policy is not selected"):
            self.r.object("FREQ", "k")
        self.configured(maxmemory_policy="allkeys-lfu")
        self.r.set("counted", "v")
        self.assertEqual(self.r.object("FREQ", "counted"), 5)
        self.assertTrue(self.r.execute_command("OBJECT", "HELP")[0].startswith("OBJECT <subcommand>"))

    def test_wait_without_replicas(self):
        self.r.set("k", "v")
        self.assertEqual(self.r.wait(0, 10), 0)
        self.assertEqual(self.r.wait(1, 10), 0)

    @later("WAITAOF")
    def test_waitaof_without_a_log(self):
        self.r.set("k", "v")
        self.assertEqual(self.r.execute_command("WAITAOF", 0, 0, 10), [0, 0])
        self.assertEqual(self.r.execute_command("WAITAOF", 0, 1, 10), [0, 0])
        with self.assertRaisesRegex(redis.ResponseError, "appendonly is disabled"):
            self.r.execute_command("WAITAOF", 1, 0, 10)


class Expiry(Case):
    def test_every_way_to_set_and_read_it(self):
        self.r.set("k", "v")
        self.assertEqual((self.r.ttl("k"), self.r.pttl("k"), self.r.expiretime("k")), (-1, -1, -1))
        self.assertTrue(self.r.expire("k", 100))
        self.assertIn(self.r.ttl("k"), (99, 100))
        self.assertTrue(self.r.pexpire("k", 70_000))
        self.assertIn(self.r.pttl("k"), range(60_000, 70_001))
        self.assertTrue(self.r.expireat("k", FAR_S))
        self.assertEqual((self.r.expiretime("k"), self.r.pexpiretime("k")), (FAR_S, FAR_S * 1000))
        self.assertTrue(self.r.pexpireat("k", FAR_S * 1000 + 9))
        self.assertEqual(self.r.pexpiretime("k"), FAR_S * 1000 + 9)
        self.assertTrue(self.r.persist("k"))
        self.assertFalse(self.r.persist("k"))
        self.assertEqual((self.r.ttl("none"), self.r.pttl("none"), self.r.pexpiretime("none")), (-2, -2, -2))
        self.assertFalse(self.r.expire("none", 10))

    def test_conditions(self):
        self.r.set("k", "v")
        self.assertFalse(self.r.expire("k", 100, xx=True))
        self.assertFalse(self.r.expire("k", 100, gt=True))
        self.assertTrue(self.r.expire("k", 100, nx=True))
        self.assertFalse(self.r.pexpire("k", 200_000, nx=True))
        self.assertTrue(self.r.pexpire("k", 200_000, gt=True))
        self.assertFalse(self.r.expireat("k", FAR_S, lt=True))
        self.assertTrue(self.r.pexpireat("k", FAR_S * 1000, xx=True))
        self.assertEqual(self.r.expiretime("k"), FAR_S)
        with self.refused("GT and LT options at the same time are not compatible"):
            self.r.expire("k", 1, gt=True, lt=True)

    def test_keys_go_when_asked_for(self):
        self.r.set("k", "v", px=20)
        self.r.rpush("l", "x")
        self.r.pexpire("l", 20)
        time.sleep(0.04)
        self.assertIsNone(self.r.get("k"))
        self.assertEqual(self.r.exists("k", "l"), 0)
        self.assertEqual(self.r.rpush("l", "y"), 1)
        self.assertEqual(self.r.ttl("l"), -1)

    def test_keys_go_without_being_asked_for(self):
        pipe = self.r.pipeline(transaction=False)
        for i in range(2000):
            pipe.set(f"k{i}", "v", px=20)
        pipe.set("stays", "v")
        pipe.execute()
        self.eventually(lambda: self.r.dbsize() == 1, "2000 keys have expired")
        self.assertEqual(self.r.keys(), ["stays"])

    def test_a_moment_in_the_past_deletes(self):
        self.r.mset({"a": 1, "b": 2})
        self.assertTrue(self.r.expire("a", -1))
        self.assertTrue(self.r.expireat("b", 1))
        self.assertEqual(self.r.dbsize(), 0)
