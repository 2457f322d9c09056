"""Lists, without their blocking commands."""

from harness import Case, later


class Lists(Case):
    def fill(self, key="l", count=5):
        self.r.rpush(key, *[f"e{i}" for i in range(count)])

    def test_both_ends(self):
        self.assertEqual(self.r.rpush("l", "b", "c"), 2)
        self.assertEqual(self.r.lpush("l", "a", "z"), 4)
        self.assertEqual(self.r.lrange("l", 0, -1), ["z", "a", "b", "c"])
        self.assertEqual(self.r.lpop("l"), "z")
        self.assertEqual(self.r.rpop("l"), "c")
        self.assertEqual(self.r.lpop("l", 5), ["a", "b"])
        self.assertIsNone(self.r.lpop("l"))
        self.assertIsNone(self.r.rpop("l", 2))
        self.assertEqual(self.r.exists("l"), 0)

    def test_pops_with_a_count(self):
        self.fill()
        self.assertEqual(self.r.rpop("l", 2), ["e4", "e3"])
        self.assertEqual(self.r.lpop("l", 0), [])
        self.assertEqual(self.r.llen("l"), 3)
        with self.refused("value is out of range, must be positive"):
            self.r.lpop("l", -1)

    def test_pushes_onto_what_is_there(self):
        self.assertEqual(self.r.lpushx("l", "x"), 0)
        self.assertEqual(self.r.rpushx("l", "x"), 0)
        self.fill()
        self.assertEqual(self.r.lpushx("l", "x", "y"), 7)
        self.assertEqual(self.r.rpushx("l", "z"), 8)
        self.assertEqual([self.r.lindex("l", i) for i in (0, 1, -1, 99)], ["y", "x", "z", None])

    def test_ranges(self):
        self.fill(count=300)
        self.assertEqual(self.r.lrange("l", 100, 102), ["e100", "e101", "e102"])
        self.assertEqual(self.r.lrange("l", -2, -1), ["e298", "e299"])
        self.assertEqual(self.r.lrange("l", 300, 400), [])
        self.assertTrue(self.r.ltrim("l", 10, -11))
        self.assertEqual(self.r.llen("l"), 280)
        self.assertEqual((self.r.lindex("l", 0), self.r.lindex("l", -1)), ("e10", "e289"))

    def test_the_middle(self):
        self.fill()
        self.assertEqual(self.r.linsert("l", "BEFORE", "e2", "x"), 6)
        self.assertEqual(self.r.linsert("l", "after", "e2", "y"), 7)
        self.assertEqual(self.r.linsert("l", "AFTER", "none", "y"), -1)
        self.assertEqual(self.r.linsert("none", "AFTER", "e2", "y"), 0)
        self.assertTrue(self.r.lset("l", -1, "last"))
        self.assertEqual(self.r.lrange("l", 0, -1), ["e0", "e1", "x", "e2", "y", "e3", "last"])
        with self.refused("index out of range"):
            self.r.lset("l", 99, "x")
        with self.refused("no such key"):
            self.r.lset("none", 0, "x")

    def test_removal_by_value(self):
        self.r.rpush("l", *"abacadaea")
        self.assertEqual(self.r.lrem("l", 2, "a"), 2)
        self.assertEqual("".join(self.r.lrange("l", 0, -1)), "bcadaea")
        self.assertEqual(self.r.lrem("l", -2, "a"), 2)
        self.assertEqual("".join(self.r.lrange("l", 0, -1)), "bcade")
        self.assertEqual(self.r.lrem("l", 0, "a"), 1)
        self.assertEqual(self.r.lrem("l", 0, "none"), 0)

    def test_positions(self):
        self.r.rpush("l", *"abcabcabc")
        self.assertEqual(self.r.lpos("l", "b"), 1)
        self.assertEqual(self.r.lpos("l", "b", rank=-1), 7)
        self.assertEqual(self.r.lpos("l", "b", count=0), [1, 4, 7])
        self.assertEqual(self.r.lpos("l", "b", rank=2, count=5), [4, 7])
        self.assertEqual(self.r.lpos("l", "b", count=0, maxlen=5), [1, 4])
        self.assertIsNone(self.r.lpos("l", "z"))
        with self.refused("RANK can't be zero"):
            self.r.lpos("l", "b", rank=0)

    def test_moves(self):
        self.fill("a", 3)
        self.assertEqual(self.r.rpoplpush("a", "b"), "e2")
        self.assertEqual(self.r.lmove("a", "b", "LEFT", "RIGHT"), "e0")
        self.assertEqual(self.r.lmove("b", "b", "LEFT", "RIGHT"), "e2")
        self.assertEqual(self.r.lrange("b", 0, -1), ["e0", "e2"])
        self.assertIsNone(self.r.lmove("none", "b"))
        self.assertEqual(self.r.lrange("a", 0, -1), ["e1"])

    def test_pop_from_the_first_list_that_has_something(self):
        self.fill("second", 3)
        self.assertEqual(
            self.r.lmpop(2, "first", "second", direction="LEFT", count=2), ["second", ["e0", "e1"]]
        )
        self.assertEqual(self.r.lmpop(2, "first", "second", direction="RIGHT"), ["second", ["e2"]])
        self.assertIsNone(self.r.lmpop(2, "first", "second", direction="LEFT"))

    def test_a_long_list_is_many_nodes(self):
        self.configured(list_max_listpack_size=4)
        self.fill(count=100)
        self.assertEqual(self.r.object("ENCODING", "l"), "quicklist")
        self.assertEqual(self.r.lrange("l", 40, 60), [f"e{i}" for i in range(40, 61)])

    @later("short-list")
    def test_a_short_list_is_one_node(self):
        self.configured(list_max_listpack_size=4)
        self.fill(count=4)
        self.assertEqual(self.r.object("ENCODING", "l"), "listpack")
        self.r.rpush("l", "one more")
        self.assertEqual(self.r.object("ENCODING", "l"), "quicklist")

    def test_other_types_are_refused(self):
        self.r.set("s", "v")
        for call in (
            lambda: self.r.lpush("s", "x"),
            lambda: self.r.lrange("s", 0, 1),
            lambda: self.r.lmove("s", "t"),
        ):
            with self.refused("WRONGTYPE"):
                call()
