"""Sets."""

from harness import Case, later


class Sets(Case):
    def test_members(self):
        self.assertEqual(self.r.sadd("s", "a", "b", "c", "a"), 3)
        self.assertEqual(self.r.sadd("s", "a", "d"), 1)
        self.assertEqual(self.r.smembers("s"), {"a", "b", "c", "d"})
        self.assertEqual(self.r.scard("s"), 4)
        self.assertEqual(self.r.sismember("s", "a"), 1)
        self.assertEqual(self.r.sismember("s", "z"), 0)
        self.assertEqual(self.r.smismember("s", ["a", "z", "b"]), [1, 0, 1])
        self.assertEqual(self.r.srem("s", "a", "z"), 1)
        self.assertEqual(self.r.smembers("none"), set())

    def test_moves(self):
        self.r.sadd("a", "x", "y")
        self.assertTrue(self.r.smove("a", "b", "x"))
        self.assertFalse(self.r.smove("a", "b", "none"))
        self.assertEqual((self.r.smembers("a"), self.r.smembers("b")), ({"y"}, {"x"}))

    def test_combinations(self):
        self.r.sadd("a", *"abcd")
        self.r.sadd("b", *"cdef")
        self.r.sadd("c", *"dx")
        self.assertEqual(self.r.sinter("a", "b"), {"c", "d"})
        self.assertEqual(self.r.sinter("a", "none"), set())
        self.assertEqual(self.r.sunion("a", "b", "c"), set("abcdefx"))
        self.assertEqual(self.r.sdiff("a", "b"), {"a", "b"})
        self.assertEqual(self.r.sintercard(2, ["a", "b"]), 2)
        self.assertEqual(self.r.sintercard(2, ["a", "b"], limit=1), 1)
        self.assertEqual(self.r.sinterstore("i", ["a", "b", "c"]), 1)
        self.assertEqual(self.r.smembers("i"), {"d"})
        self.assertEqual(self.r.sunionstore("u", "a", "b"), 6)
        self.assertEqual(self.r.scard("u"), 6)
        self.assertEqual(self.r.sdiffstore("d", "a", "b", "c"), 2)
        self.assertEqual(self.r.smembers("d"), {"a", "b"})
        self.assertEqual(self.r.sinterstore("i", "a", "none"), 0)
        self.assertEqual(self.r.exists("i"), 0)

    def test_random_members(self):
        everybody = {f"m{i}" for i in range(50)}
        self.r.sadd("s", *everybody)
        self.assertIn(self.r.srandmember("s"), everybody)
        some = self.r.srandmember("s", 10)
        self.assertEqual((len(some), len(set(some))), (10, 10))
        self.assertLessEqual(set(some), everybody)
        self.assertEqual(set(self.r.srandmember("s", 100)), everybody)
        self.assertEqual(len(self.r.srandmember("s", -100)), 100)
        one = self.r.spop("s")
        self.assertIn(one, everybody)
        more = set(self.r.spop("s", 9))
        self.assertEqual((len(more), self.r.scard("s")), (9, 40))
        self.assertEqual(self.r.smembers("s"), everybody - more - {one})
        self.assertIsNone(self.r.spop("none"))
        self.assertIsNone(self.r.srandmember("none"))

    def test_scan_sees_all(self):
        everybody = {f"m{i:04}" for i in range(3000)}
        self.r.sadd("s", *everybody)
        self.assertEqual(set(self.r.sscan_iter("s", count=50)), everybody)
        self.assertEqual(set(self.r.sscan_iter("s", match="m00?1")), {f"m00{i}1" for i in range(10)})
        cursor, part = self.r.sscan("s", 0, count=10)
        self.assertNotEqual(cursor, 0)
        self.assertLess(len(part), 3000)

    def test_encodings_follow_the_limits(self):
        self.r.sadd("ints", *range(512))
        self.assertEqual(self.r.object("ENCODING", "ints"), "intset")
        self.r.sadd("ints", 512)
        self.assertEqual(self.r.object("ENCODING", "ints"), "hashtable")
        self.assertEqual(self.r.smembers("ints"), {str(i) for i in range(513)})

    def test_other_types_are_refused(self):
        self.r.set("k", "v")
        self.r.sadd("s", "x")
        for call in (
            lambda: self.r.sadd("k", "x"),
            lambda: self.r.sinter("s", "k"),
            lambda: self.r.smove("s", "k", "x"),
        ):
            with self.refused("WRONGTYPE"):
                call()

    @later("SUNIONCARD", "SDIFFCARD")
    def test_unions_and_differences_are_counted(self):
        self.r.sadd("a", "1", "2", "x")
        self.r.sadd("b", "2", "y")
        self.assertEqual(self.r.sunioncard(2, ["a", "b"]), 4)
        self.assertEqual(self.r.sunioncard(2, ["a", "b"], limit=3), 3)
        self.assertEqual(self.r.sunioncard(2, ["a", "b"], approx=True), 4)
        self.assertEqual(self.r.sdiffcard(2, ["a", "b"]), 2)
