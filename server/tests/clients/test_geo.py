"""Places. Distances and positions are those that Redis's documentation and the reference give."""

from harness import Case

PALERMO = (13.361389, 38.115556)
CATANIA = (15.087269, 37.502669)


class Places(Case):
    def setUp(self):
        super().setUp()
        self.assertEqual(self.r.geoadd("g", (*PALERMO, "Palermo", *CATANIA, "Catania")), 2)

    def test_adding(self):
        self.assertEqual(self.r.geoadd("g", (*PALERMO, "Catania"), nx=True), 0)
        self.assertEqual(self.r.geoadd("g", (13.5, 38.5, "Palermo"), xx=True, ch=True), 1)
        self.assertEqual(self.r.type("g"), "zset")
        with self.refused("invalid longitude,latitude pair"):
            self.r.geoadd("g", (200, 10, "nowhere"))

    def test_positions(self):
        found = self.r.geopos("g", "Palermo", "none")
        self.assertAlmostEqual(found[0][0], PALERMO[0], places=5)
        self.assertAlmostEqual(found[0][1], PALERMO[1], places=5)
        self.assertIsNone(found[1])
        self.assertEqual(
            self.r.geohash("g", "Palermo", "Catania", "none"), ["sqc8b49rny0", "sqdtr74hyu0", None]
        )
        self.assertEqual(self.r.zscore("g", "Palermo"), 3479099956230698.0)

    def test_distances(self):
        self.assertEqual(self.r.geodist("g", "Palermo", "Catania"), 166274.1516)
        self.assertEqual(self.r.geodist("g", "Palermo", "Catania", unit="km"), 166.2742)
        self.assertEqual(self.r.geodist("g", "Palermo", "Catania", unit="mi"), 103.3182)
        self.assertIsNone(self.r.geodist("g", "Palermo", "none"))

    def test_searching(self):
        self.assertEqual(self.r.geosearch("g", longitude=15, latitude=37, radius=100, unit="km"), ["Catania"])
        self.assertEqual(
            self.r.geosearch("g", member="Palermo", width=400, height=400, unit="km", sort="DESC"),
            ["Catania", "Palermo"],
        )
        self.assertEqual(
            self.r.geosearch("g", member="Palermo", radius=200, unit="km", count=1, sort="ASC"), ["Palermo"]
        )
        self.assertEqual(
            len(self.r.geosearch("g", member="Palermo", radius=200, unit="km", count=1, any=True)), 1
        )
        found = self.r.geosearch(
            "g",
            longitude=15,
            latitude=37,
            radius=200,
            unit="km",
            sort="ASC",
            withdist=True,
            withhash=True,
            withcoord=True,
        )
        self.assertEqual(
            [row[:3] for row in found],
            [["Catania", 56.4413, 3479447370796909], ["Palermo", 190.4424, 3479099956230698]],
        )
        self.assertAlmostEqual(found[0][3][0], CATANIA[0], places=5)

    def test_searching_into_a_key(self):
        self.assertEqual(self.r.geosearchstore("d", "g", longitude=15, latitude=37, radius=100, unit="km"), 1)
        self.assertEqual(self.r.zrange("d", 0, -1), ["Catania"])
        self.assertEqual(
            self.r.geosearchstore("d", "g", longitude=15, latitude=37, radius=200, unit="km", storedist=True),
            2,
        )
        found = self.r.zrange("d", 0, -1, withscores=True)
        self.assertEqual([member for member, _ in found], ["Catania", "Palermo"])
        self.assertAlmostEqual(found[0][1], 56.4413, places=3)

    def test_older_ways_to_search(self):
        self.assertEqual(
            self.r.georadius("g", 15, 37, 200, unit="km", withdist=True, sort="ASC"),
            [["Catania", 56.4413], ["Palermo", 190.4424]],
        )
        self.assertEqual(
            self.r.georadiusbymember("g", "Palermo", 200, unit="km", count=1, sort="DESC"), ["Catania"]
        )
        self.assertEqual(self.r.georadius("g", 15, 37, 200, unit="km", store="d"), 2)
        self.assertEqual(self.r.zcard("d"), 2)
        self.assertEqual(self.r.georadiusbymember("g", "Palermo", 1, unit="km", store_dist="d"), 1)
        self.assertEqual(self.r.zrange("d", 0, -1, withscores=True), [["Palermo", 0.0]])
        self.assertEqual(self.r.execute_command("GEORADIUS_RO", "g", 15, 37, 100, "km"), ["Catania"])
        self.assertEqual(self.r.execute_command("GEORADIUSBYMEMBER_RO", "g", "Palermo", 1, "km"), ["Palermo"])
