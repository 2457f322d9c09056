"""Strings as rows of bits."""

from harness import Case


class Bits(Case):
    def test_single_bits(self):
        self.assertEqual(self.r.setbit("b", 7, 1), 0)
        self.assertEqual(self.r.setbit("b", 7, 1), 1)
        self.assertEqual([self.r.getbit("b", i) for i in (6, 7, 1000)], [0, 1, 0])
        self.assertEqual(self.r.setbit("b", 100, 1), 0)
        self.assertEqual(self.r.strlen("b"), 13)
        with self.refused("bit offset is not an integer or out of range"):
            self.r.setbit("b", 2**32 * 8, 1)

    def test_counts_and_positions(self):
        self.r.set("b", "foobar")
        self.assertEqual(self.r.bitcount("b"), 26)
        self.assertEqual(self.r.bitcount("b", 1, 1), 6)
        self.assertEqual(self.r.bitcount("b", 5, 30, mode="BIT"), 17)
        self.client(decode_responses=False).set("p", b"\xff\xf0\x00")
        self.assertEqual(self.r.bitpos("p", 0), 12)
        self.assertEqual(self.r.bitpos("p", 1, 1), 8)
        self.assertEqual(self.r.bitpos("p", 1, 2), -1)
        self.assertEqual(self.r.bitpos("p", 1, 7, 15, mode="BIT"), 7)
        self.assertEqual(self.r.bitpos("none", 1), -1)

    def test_operations(self):
        raw = self.client(decode_responses=False)
        raw.set("a", b"\xf0\x0f")
        raw.set("b", b"\xff")
        self.assertEqual(raw.bitop("AND", "d", "a", "b"), 2)
        self.assertEqual(raw.get("d"), b"\xf0\x00")
        raw.bitop("OR", "d", "a", "b")
        self.assertEqual(raw.get("d"), b"\xff\x0f")
        raw.bitop("XOR", "d", "a", "b")
        self.assertEqual(raw.get("d"), b"\x0f\x0f")
        raw.bitop("NOT", "d", "a")
        self.assertEqual(raw.get("d"), b"\x0f\xf0")

    def test_fields(self):
        field = self.r.bitfield("f", default_overflow="WRAP")
        self.assertEqual(field.set("u8", 0, 250).incrby("u8", 0, 10).get("u8", 0).execute(), [0, 4, 4])
        sat = self.r.bitfield("f", default_overflow="SAT").incrby("i8", "#1", 200)
        self.assertEqual(sat.execute(), [127])
        fail = self.r.bitfield("f").incrby("u2", 100, 3).overflow("FAIL").incrby("u2", 100, 1)
        self.assertEqual(fail.execute(), [3, None])
        self.assertEqual(self.r.bitfield_ro("f", "u8", 0, items=[("i8", 8), ("u4", 100)]), [4, 127, 12])
