"""Counting distinct elements."""

from harness import Case


class Counting(Case):
    def test_counts(self):
        self.assertEqual(self.r.pfadd("h", "a", "b", "c"), 1)
        self.assertEqual(self.r.pfadd("h", "a", "b"), 0)
        self.assertEqual(self.r.pfcount("h"), 3)
        self.assertEqual(self.r.pfadd("g", "c", "d"), 1)
        self.assertEqual(self.r.pfcount("h", "g", "none"), 4)
        self.assertTrue(self.r.pfmerge("m", "h", "g"))
        self.assertEqual(self.r.pfcount("m"), 4)
        self.assertEqual(self.r.pfcount("none"), 0)
        self.assertEqual(self.r.type("h"), "string")

    def test_many_elements(self):
        for start in range(0, 50_000, 1000):
            self.r.pfadd("h", *range(start, start + 1000))
        # Three standard errors of 0.81 %.
        self.assertAlmostEqual(self.r.pfcount("h"), 50_000, delta=50_000 * 0.0243)
        self.r.pfadd("low", *range(1000))
        self.assertTrue(self.r.pfmerge("h", "low"))
        self.assertAlmostEqual(self.r.pfcount("h", "low"), 50_000, delta=50_000 * 0.0243)

    def test_other_strings_are_refused(self):
        self.r.set("k", "no counter")
        with self.refused("not a valid HyperLogLog string value"):
            self.r.pfadd("k", "a")
        self.r.rpush("l", "x")
        with self.refused("WRONGTYPE"):
            self.r.pfcount("l")
