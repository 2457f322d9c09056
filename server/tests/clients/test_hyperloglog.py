"""Counting distinct elements."""

import hashlib

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

    def test_the_bytes_before_and_after_the_step_to_dense(self):
        """Up to `hll-sparse-max-bytes` long, then 12,304 bytes for good; the bytes are those of the reference."""
        raw = self.client(decode_responses=False)
        wanted = {
            300: (110, "136dcc04a2fb5d43", "ac6fa764420f0e78"),
            3000: (1707, "58622b8c6d78a55c", "5f0e7286fe57b993"),
        }
        for limit, expected in wanted.items():
            with self.subTest(limit):
                self.configured(hll_sparse_max_bytes=limit)
                raw.delete("h")
                added, before = 0, b""
                while len(now := raw.get("h") or b"") < 12_304:
                    before = now
                    raw.pfadd("h", f"e:{added}")
                    added += 1
                prints = [hashlib.sha256(value).hexdigest()[:16] for value in (before, now)]
                self.assertEqual((added, *prints), expected)

    def test_other_strings_are_refused(self):
        self.r.set("k", "no counter")
        with self.refused("not a valid HyperLogLog string value"):
            self.r.pfadd("k", "a")
        self.r.rpush("l", "x")
        with self.refused("WRONGTYPE"):
            self.r.pfcount("l")
