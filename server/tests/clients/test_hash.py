"""Hashes, and the expiry of their fields."""

import time

from redis.commands.core import HashDataPersistOptions

from harness import Case, later

FAR_S = 4_102_444_800


class Hashes(Case):
    def test_fields(self):
        self.assertEqual(self.r.hset("h", "a", "1"), 1)
        self.assertEqual(self.r.hset("h", mapping={"a": "2", "b": "3", "c": "4"}), 2)
        self.assertEqual(self.r.hset("h", items=["d", "5"]), 1)
        self.assertEqual(self.r.hgetall("h"), {"a": "2", "b": "3", "c": "4", "d": "5"})
        self.assertEqual(self.r.hget("h", "a"), "2")
        self.assertIsNone(self.r.hget("h", "none"))
        self.assertEqual(self.r.hmget("h", ["a", "none", "c"]), ["2", None, "4"])
        self.assertEqual(self.r.hlen("h"), 4)
        self.assertEqual(sorted(self.r.hkeys("h")), ["a", "b", "c", "d"])
        self.assertEqual(sorted(self.r.hvals("h")), ["2", "3", "4", "5"])
        self.assertTrue(self.r.hexists("h", "a"))
        self.assertFalse(self.r.hexists("h", "none"))
        self.assertEqual(self.r.hstrlen("h", "a"), 1)
        self.assertEqual(self.r.hsetnx("h", "a", "x"), 0)
        self.assertEqual(self.r.hsetnx("h", "e", "x"), 1)
        self.assertEqual(self.r.hdel("h", "a", "b", "none"), 2)
        self.assertEqual(self.r.hdel("h", "c", "d", "e"), 3)
        self.assertEqual(self.r.exists("h"), 0)
        self.assertEqual(self.r.hgetall("h"), {})

    def test_the_older_way_to_set_many(self):
        with self.assertWarns(DeprecationWarning):
            self.assertTrue(self.r.hmset("h", {"a": 1, "b": 2}))
        self.assertEqual(self.r.hgetall("h"), {"a": "1", "b": "2"})

    def test_numbers(self):
        self.assertEqual(self.r.hincrby("h", "n"), 1)
        self.assertEqual(self.r.hincrby("h", "n", -11), -10)
        self.assertEqual(self.r.hincrbyfloat("h", "n", 0.25), -9.75)
        self.assertEqual(self.r.hget("h", "n"), "-9.75")
        with self.refused("hash value is not an integer"):
            self.r.hincrby("h", "n")
        self.r.hset("h", "s", "text")
        with self.refused("hash value is not a float"):
            self.r.hincrbyfloat("h", "s")

    def test_random_fields(self):
        all_fields = {f"f{i}": f"v{i}" for i in range(30)}
        self.r.hset("h", mapping=all_fields)
        self.assertIn(self.r.hrandfield("h"), all_fields)
        some = self.r.hrandfield("h", 7)
        self.assertEqual(len(set(some)), 7)
        pairs = self.r.hrandfield("h", -50, withvalues=True)
        self.assertEqual(len(pairs), 50)
        self.assertTrue(all(all_fields[field] == value for field, value in pairs))
        self.assertIsNone(self.r.hrandfield("none"))

    def test_scan_sees_all(self):
        all_fields = {f"f{i}": f"v{i}" for i in range(2000)}
        self.r.hset("h", mapping=all_fields)
        self.assertEqual(dict(self.r.hscan_iter("h", count=100)), all_fields)
        self.assertEqual(
            dict(self.r.hscan_iter("h", match="f199?")), {f"f199{i}": f"v199{i}" for i in range(10)}
        )
        cursor, part = self.r.hscan("h", count=10)
        self.assertNotEqual(cursor, 0)
        self.assertTrue(all(all_fields[field] == value for field, value in part.items()))

    @later("novalues")
    def test_scan_without_values(self):
        self.r.hset("h", mapping={f"f{i}": "v" for i in range(600)})
        self.assertEqual(set(self.r.hscan_iter("h", no_values=True)), {f"f{i}" for i in range(600)})
        cursor, fields = self.r.hscan("h", no_values=True, count=5)
        self.assertNotEqual(cursor, 0)
        self.assertTrue(all(field.startswith("f") for field in fields))

    def test_encodings_follow_the_limits(self):
        self.r.hset("h", mapping={f"f{i}": i for i in range(512)})
        self.assertEqual(self.r.object("ENCODING", "h"), "listpack")
        self.r.hset("h", "f512", 1)
        self.assertEqual(self.r.object("ENCODING", "h"), "hashtable")
        self.r.hset("long", "f", "x" * 65)
        self.assertEqual(self.r.object("ENCODING", "long"), "hashtable")

    def test_other_types_are_refused(self):
        self.r.set("k", "v")
        for call in (
            lambda: self.r.hset("k", "a", 1),
            lambda: self.r.hgetall("k"),
            lambda: self.r.hincrby("k", "a"),
        ):
            with self.refused("WRONGTYPE"):
                call()


class FieldExpiry(Case):
    """Replies per field: 1 set, 0 condition not met, 2 deleted at once, -1 no expiry, -2 no such field."""

    def setUp(self):
        super().setUp()
        self.r.hset("h", mapping={"a": "1", "b": "2", "c": "3"})

    @later("HEXPIRE", "HTTL", "HPTTL", "HPERSIST")
    def test_times_from_now(self):
        self.assertEqual(self.r.hexpire("h", 100, "a", "none"), [1, -2])
        self.assertEqual(self.r.httl("h", "a", "b", "none"), [100, -1, -2])
        self.assertEqual(self.r.hpexpire("h", 50_000, "b"), [1])
        left = self.r.hpttl("h", "b")[0]
        self.assertIn(left, range(40_000, 50_001))
        self.assertEqual(self.r.hpersist("h", "a", "c", "none"), [1, -1, -2])
        self.assertEqual(self.r.httl("h", "a"), [-1])
        self.assertEqual(self.r.hgetall("h"), {"a": "1", "b": "2", "c": "3"})

    @later("HEXPIREAT", "HPEXPIREAT", "HEXPIRETIME", "HPEXPIRETIME")
    def test_moments(self):
        self.assertEqual(self.r.hexpireat("h", FAR_S, "a"), [1])
        self.assertEqual(self.r.hpexpireat("h", FAR_S * 1000 + 7, "b"), [1])
        self.assertEqual(self.r.hexpiretime("h", "a", "c", "none"), [FAR_S, -1, -2])
        self.assertEqual(self.r.hpexpiretime("h", "a", "b"), [FAR_S * 1000, FAR_S * 1000 + 7])

    @later("HEXPIRE")
    def test_conditions(self):
        self.assertEqual(self.r.hexpire("h", 100, "a", xx=True), [0])
        self.assertEqual(self.r.hexpire("h", 100, "a", nx=True), [1])
        self.assertEqual(self.r.hexpire("h", 200, "a", nx=True), [0])
        self.assertEqual(self.r.hexpire("h", 50, "a", gt=True), [0])
        self.assertEqual(self.r.hexpire("h", 200, "a", gt=True), [1])
        self.assertEqual(self.r.hexpire("h", 300, "a", lt=True), [0])
        self.assertEqual(self.r.httl("h", "a"), [200])

    @later("HEXPIREAT")
    def test_a_moment_in_the_past_deletes(self):
        self.assertEqual(self.r.hexpireat("h", 1, "a", "b"), [2, 2])
        self.assertEqual(self.r.hgetall("h"), {"c": "3"})
        self.assertEqual(self.r.hexpireat("h", 1, "c"), [2])
        self.assertEqual(self.r.exists("h"), 0)

    @later("HPEXPIRE")
    def test_fields_go_and_the_key_with_the_last(self):
        self.r.hpexpire("h", 30, "a", "b")
        time.sleep(0.05)
        self.assertEqual(self.r.hmget("h", "a", "b", "c"), [None, None, "3"])
        self.assertFalse(self.r.hexists("h", "a"))
        self.assertEqual(self.r.hkeys("h"), ["c"])
        self.r.hpexpire("h", 30, "c")
        self.eventually(lambda: self.r.exists("h") == 0, "the key is gone with its last field")
        self.assertEqual(self.r.dbsize(), 0)

    @later("HPEXPIRE")
    def test_many_fields_are_removed_without_being_asked_for(self):
        self.r.hset("big", mapping={f"f{i}": i for i in range(2000)})
        self.r.hpexpire("big", 20, *[f"f{i}" for i in range(1990)])
        self.eventually(lambda: self.r.hlen("big") == 10, "1990 fields are gone")
        self.assertEqual(sorted(self.r.hkeys("big")), [f"f{i}" for i in range(1990, 2000)])

    @later("HEXPIRE")
    def test_what_clears_an_expiry_and_what_keeps_it(self):
        self.r.hexpire("h", 100, "a", "b", "c")
        self.r.hset("h", "a", "new")
        self.r.hincrby("h", "b", 5)
        self.assertEqual(self.r.httl("h", "a", "b", "c"), [-1, 100, 100])
        self.assertTrue(self.r.copy("h", "copy"))
        self.assertEqual(self.r.httl("copy", "a", "b", "c"), [-1, 100, 100])
        payload = self.client(decode_responses=False).dump("h")
        self.assertTrue(self.r.restore("restored", 0, payload))
        self.assertEqual(self.r.httl("restored", "a", "b", "c"), [-1, 100, 100])

    @later("HGETEX")
    def test_hgetex(self):
        self.assertEqual(self.r.hgetex("h", "a", "none", ex=100), ["1", None])
        self.assertEqual(self.r.httl("h", "a", "b"), [100, -1])
        self.assertEqual(self.r.hgetex("h", "a", persist=True), ["1"])
        self.assertEqual(self.r.httl("h", "a"), [-1])
        self.assertEqual(self.r.hgetex("h", "b", pxat=FAR_S * 1000 + 1), ["2"])
        self.assertEqual(self.r.hpexpiretime("h", "b"), [FAR_S * 1000 + 1])
        self.assertEqual(self.r.hgetex("h", "b"), ["2"])
        self.assertEqual(self.r.hpexpiretime("h", "b"), [FAR_S * 1000 + 1])
        self.assertEqual(self.r.hgetex("none", "a", "b"), [None, None])

    @later("HSETEX")
    def test_hsetex(self):
        self.assertEqual(self.r.hsetex("h", mapping={"a": "x", "d": "y"}, ex=100), 1)
        self.assertEqual(self.r.httl("h", "a", "b", "d"), [100, -1, 100])
        self.assertEqual(self.r.hsetex("h", "a", "z", data_persist_option=HashDataPersistOptions.FNX), 0)
        self.assertEqual(
            self.r.hsetex("h", "a", "z", data_persist_option=HashDataPersistOptions.FXX, keepttl=True), 1
        )
        self.assertEqual((self.r.hget("h", "a"), self.r.httl("h", "a")), ("z", [100]))
        self.assertEqual(self.r.hsetex("h", "a", "w"), 1)
        self.assertEqual(self.r.httl("h", "a"), [-1])
        self.assertEqual(self.r.hsetex("fresh", "f", "v", pxat=FAR_S * 1000), 1)
        self.assertEqual(self.r.hexpiretime("fresh", "f"), [FAR_S])

    @later("HGETDEL")
    def test_hgetdel(self):
        self.assertEqual(self.r.hgetdel("h", "a", "none"), ["1", None])
        self.assertEqual(self.r.hgetall("h"), {"b": "2", "c": "3"})
        self.assertEqual(self.r.hgetdel("h", "b", "c"), ["2", "3"])
        self.assertEqual(self.r.exists("h"), 0)

    @later("HEXPIRE")
    def test_wrong_requests_are_refused(self):
        self.r.set("k", "v")
        with self.refused("WRONGTYPE"):
            self.r.hexpire("k", 10, "a")
        with self.refused("wrong number of arguments"):
            self.r.execute_command("HEXPIRE", "h", 10, "FIELDS", 2, "a")
        with self.refused("invalid expire time"):
            self.r.hexpire("h", -1, "a")
        self.assertEqual(self.r.hexpire("none", 10, "a"), [-2])
