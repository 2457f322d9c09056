"""Sorted sets, without their blocking commands."""

import math

import redis

from harness import Case, later


class SortedSets(Case):
    def fill(self, key="z", count=5):
        self.r.zadd(key, {f"m{i}": i for i in range(count)})

    def test_zadd_and_its_conditions(self):
        self.assertEqual(self.r.zadd("z", {"a": 1, "b": 2}), 2)
        self.assertEqual(self.r.zadd("z", {"a": 5, "c": 3}, nx=True), 1)
        self.assertEqual(self.r.zadd("z", {"a": 6, "d": 4}, xx=True, ch=True), 1)
        self.assertEqual(self.r.zadd("z", {"a": 5}, gt=True, ch=True), 0)
        self.assertEqual(self.r.zadd("z", {"a": 5}, lt=True, ch=True), 1)
        self.assertEqual(self.r.zadd("z", {"a": 1.25}, incr=True), 6.25)
        self.assertIsNone(self.r.zadd("z", {"a": 1}, incr=True, nx=True))
        self.assertEqual(self.r.zscore("z", "a"), 6.25)
        self.assertEqual(self.r.zcard("z"), 3)
        self.assertIsNone(self.r.zscore("z", "none"))
        self.assertEqual(self.r.zmscore("z", ["a", "none", "b"]), [6.25, None, 2.0])

    def test_scores_are_doubles(self):
        scores = {
            "low": -math.inf,
            "tiny": 5e-324,
            "third": 1 / 3,
            "big": 2.0**53,
            "large": 1e300,
            "high": math.inf,
        }
        self.r.zadd("z", scores)
        self.assertEqual(self.r.zrange("z", 0, -1, withscores=True), [list(pair) for pair in scores.items()])
        self.assertEqual({m: self.r.zscore("z", m) for m in scores}, scores)
        with self.refused("not a valid float"):
            self.r.zadd("z", {"x": math.nan})
        with self.refused(r"resulting score is not a number \(NaN\)"):
            self.r.zincrby("z", -math.inf, "high")

    def test_increment(self):
        self.assertEqual(self.r.zincrby("z", 2.5, "m"), 2.5)
        self.assertEqual(self.r.zincrby("z", -4, "m"), -1.5)

    def test_ranges_by_rank(self):
        self.fill()
        self.assertEqual(self.r.zrange("z", 0, 1), ["m0", "m1"])
        self.assertEqual(self.r.zrange("z", 0, 1, desc=True, withscores=True), [["m4", 4.0], ["m3", 3.0]])
        self.assertEqual(self.r.zrevrange("z", 0, 1), ["m4", "m3"])
        self.assertEqual(self.r.zrevrange("z", -1, -1, withscores=True), [["m0", 0.0]])
        self.assertEqual(self.r.zrange("z", 5, 9), [])

    def test_ranges_by_score(self):
        self.fill()
        self.assertEqual(self.r.zrangebyscore("z", 1, "(3"), ["m1", "m2"])
        self.assertEqual(
            self.r.zrangebyscore("z", "-inf", "+inf", start=1, num=2, withscores=True),
            [["m1", 1.0], ["m2", 2.0]],
        )
        self.assertEqual(self.r.zrevrangebyscore("z", 3, 2), ["m3", "m2"])
        self.assertEqual(self.r.zrange("z", 1, 3, byscore=True, offset=1, num=5), ["m2", "m3"])
        self.assertEqual(self.r.zrange("z", "(3", 1, byscore=True, desc=True), ["m2", "m1"])
        self.assertEqual(self.r.zcount("z", "(0", 3), 3)
        with self.refused("min or max is not a float"):
            self.r.zcount("z", "x", 3)

    def test_ranges_by_name(self):
        self.r.zadd("z", dict.fromkeys("abcdefg", 0))
        self.assertEqual(self.r.zrangebylex("z", "-", "[c"), ["a", "b", "c"])
        self.assertEqual(self.r.zrangebylex("z", "(a", "+", start=1, num=2), ["c", "d"])
        self.assertEqual(self.r.zrevrangebylex("z", "+", "(e"), ["g", "f"])
        self.assertEqual(self.r.zrange("z", "[b", "(d", bylex=True), ["b", "c"])
        self.assertEqual(self.r.zlexcount("z", "[b", "[f"), 5)
        self.assertEqual(self.r.zremrangebylex("z", "[b", "[f"), 5)
        self.assertEqual(self.r.zrange("z", 0, -1), ["a", "g"])
        with self.refused("min or max not valid string range item"):
            self.r.zrangebylex("z", "a", "[b")

    def test_ranks(self):
        self.fill(count=200)
        self.assertEqual([self.r.zrank("z", f"m{i}") for i in (0, 137, 199)], [0, 137, 199])
        self.assertEqual(self.r.zrevrank("z", "m0"), 199)
        self.assertIsNone(self.r.zrank("z", "none"))

    @later("withscore")
    def test_ranks_with_scores(self):
        self.r.zadd("z", {"a": 1.5, "b": 2.5})
        self.assertEqual(self.r.zrank("z", "b", withscore=True), [1, 2.5])
        self.assertEqual(self.r.zrevrank("z", "b", withscore=True), [0, 2.5])
        self.assertIsNone(self.r.zrank("z", "none", withscore=True))

    def test_removal(self):
        self.fill(count=10)
        self.assertEqual(self.r.zrem("z", "m0", "none"), 1)
        self.assertEqual(self.r.zremrangebyrank("z", 0, 1), 2)
        self.assertEqual(self.r.zremrangebyscore("z", "(3", 5), 2)
        self.assertEqual(self.r.zrange("z", 0, -1), ["m3", "m6", "m7", "m8", "m9"])

    def test_pops(self):
        self.fill()
        self.assertEqual(self.r.zpopmin("z"), [["m0", 0.0]])
        self.assertEqual(self.r.zpopmax("z", 2), [["m4", 4.0], ["m3", 3.0]])
        self.assertEqual(self.r.zpopmin("none"), [])
        self.assertEqual(self.r.zmpop(2, ["none", "z"], min=True, count=5), ["z", [["m1", 1.0], ["m2", 2.0]]])
        self.assertIsNone(self.r.zmpop(1, ["z"], max=True))
        self.assertEqual(self.r.exists("z"), 0)

    def test_combinations(self):
        self.r.zadd("a", {"x": 1, "y": 2, "z": 3})
        self.r.zadd("b", {"y": 10, "z": 20, "w": 30})
        self.assertEqual(self.r.zinter(["a", "b"], withscores=True), [["y", 12.0], ["z", 23.0]])
        self.assertEqual(
            self.r.zinter({"a": 2, "b": 1}, aggregate="MAX", withscores=True), [["y", 10.0], ["z", 20.0]]
        )
        self.assertEqual(self.r.zunion(["a", "b"], aggregate="MIN"), ["x", "y", "z", "w"])
        self.assertEqual(
            self.r.zunion(["a", "b"], withscores=True), [["x", 1.0], ["y", 12.0], ["z", 23.0], ["w", 30.0]]
        )
        self.assertEqual(self.r.zdiff(["a", "b"]), ["x"])
        self.assertEqual(self.r.zdiff(["a", "b"], withscores=True), [["x", 1.0]])
        self.assertEqual(self.r.zintercard(2, ["a", "b"], limit=1), 1)
        self.assertEqual(self.r.zinterstore("i", {"a": 1, "b": 0.5}), 2)
        self.assertEqual(self.r.zrange("i", 0, -1, withscores=True), [["y", 7.0], ["z", 13.0]])
        self.assertEqual(self.r.zunionstore("u", ["a", "b"], aggregate="SUM"), 4)
        self.assertEqual(self.r.zscore("u", "w"), 30.0)
        self.assertEqual(self.r.zdiffstore("d", ["b", "a"]), 1)
        self.assertEqual(self.r.zrange("d", 0, -1), ["w"])
        self.r.sadd("s", "x", "y")
        self.assertEqual(self.r.zinter(["a", "s"], withscores=True), [["x", 2.0], ["y", 3.0]])

    def test_range_into_a_key(self):
        self.fill(count=10)
        self.assertEqual(self.r.zrangestore("d", "z", 2, 4), 3)
        self.assertEqual(self.r.zrange("d", 0, -1), ["m2", "m3", "m4"])
        self.assertEqual(self.r.zrangestore("d", "z", "(7", "+inf", byscore=True, offset=1, num=1), 1)
        self.assertEqual(self.r.zrange("d", 0, -1, withscores=True), [["m9", 9.0]])
        self.assertEqual(self.r.zrangestore("d", "none", 0, -1), 0)
        self.assertEqual(self.r.exists("d"), 0)

    def test_random_members(self):
        self.fill(count=50)
        everybody = {f"m{i}": float(i) for i in range(50)}
        self.assertIn(self.r.zrandmember("z"), everybody)
        some = self.r.zrandmember("z", 10)
        self.assertEqual(len(set(some)), 10)
        pairs = self.r.zrandmember("z", -80, withscores=True)
        self.assertEqual(len(pairs), 80)
        self.assertTrue(all(everybody[m] == s for m, s in pairs))

    def test_scan_sees_all(self):
        everybody = {f"m{i}": float(i) for i in range(2000)}
        self.r.zadd("z", everybody)
        self.assertEqual(dict(self.r.zscan_iter("z", count=100)), everybody)
        self.assertEqual(
            dict(self.r.zscan_iter("z", match="m199?")), {f"m199{i}": 1990.0 + i for i in range(10)}
        )
        cursor, part = self.r.zscan("z", count=10)
        self.assertNotEqual(cursor, 0)
        self.assertTrue(part)

    def test_encodings_follow_the_limits(self):
        self.fill(count=128)
        self.assertEqual(self.r.object("ENCODING", "z"), "listpack")
        self.r.zadd("z", {"one more": 1})
        self.assertEqual(self.r.object("ENCODING", "z"), "skiplist")
        self.assertEqual(self.r.zrange("z", 0, 2), ["m0", "m1", "one more"])

    def test_wrong_requests_are_refused(self):
        self.r.set("k", "v")
        for call in (
            lambda: self.r.zadd("k", {"a": 1}),
            lambda: self.r.zrange("k", 0, 1),
            lambda: self.r.zinter(["z", "k"]),
        ):
            with self.refused("WRONGTYPE"):
                call()
        with self.assertRaises(redis.DataError):
            self.r.zadd("z", {"a": 1}, nx=True, xx=True)
        with self.refused("GT, LT, and/or NX options at the same time are not compatible"):
            self.r.execute_command("ZADD", "z", "NX", "GT", 1, "a")
