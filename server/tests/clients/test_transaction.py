"""Pipelines, MULTI and WATCH."""

import redis

from harness import Case


class Pipelines(Case):
    def test_replies_come_in_order(self):
        pipe = self.r.pipeline(transaction=False)
        for i in range(2000):
            pipe.set(f"k{i}", i).get(f"k{i}").rpush("l", i)
        replies = pipe.execute()
        self.assertEqual(replies[:6], [True, "0", 1, True, "1", 2])
        self.assertEqual(replies[-3:], [True, "1999", 2000])

    def test_an_error_stands_where_it_happened(self):
        pipe = self.r.pipeline(transaction=False)
        pipe.set("k", "text").incr("k").get("k")
        replies = pipe.execute(raise_on_error=False)
        self.assertEqual((replies[0], replies[2]), (True, "text"))
        self.assertIsInstance(replies[1], redis.ResponseError)
        self.assertIn("not an integer", str(replies[1]))


class Transactions(Case):
    def test_all_commands_run_together(self):
        other = self.client()
        with self.r.pipeline() as pipe:
            pipe.set("a", 1).incr("a").hset("h", "f", "v").zadd("z", {"m": 1.5}).zrange(
                "z", 0, -1, withscores=True
            ).hgetall("h")
            self.assertIsNone(other.get("a"))
            self.assertEqual(pipe.execute(), [True, 2, 1, 1, [["m", 1.5]], {"f": "v"}])
        self.assertEqual(other.get("a"), "2")

    def test_an_error_inside_does_not_undo_the_rest(self):
        pipe = self.r.pipeline()
        pipe.set("k", "text").lpush("k", "x").set("after", "yes")
        with self.refused("WRONGTYPE"):
            pipe.execute()
        self.assertEqual(self.r.mget("k", "after"), ["text", "yes"])

    def test_a_command_that_cannot_be_queued_ends_it_all(self):
        pipe = self.r.pipeline()
        pipe.set("k", "v").execute_command("NOSUCHCOMMAND")
        with self.refused("unknown command", redis.ResponseError):
            pipe.execute()
        self.assertIsNone(self.r.get("k"))

    def test_a_watched_key_that_changed(self):
        other = self.client()
        self.r.set("k", 1)
        with self.r.pipeline() as pipe:
            pipe.watch("k")
            self.assertEqual(pipe.get("k"), "1")
            other.set("k", 10)
            pipe.multi()
            pipe.set("k", 2)
            with self.assertRaises(redis.WatchError):
                pipe.execute()
        self.assertEqual(self.r.get("k"), "10")

    def test_a_watched_key_that_did_not(self):
        self.r.set("k", 1)
        with self.r.pipeline() as pipe:
            pipe.watch("k", "none")
            pipe.multi()
            pipe.incr("k")
            self.assertEqual(pipe.execute(), [2])
            pipe.watch("k")
            self.client().set("k", 5)
            self.assertTrue(pipe.unwatch())
            pipe.multi()
            pipe.incr("k")
            self.assertEqual(pipe.execute(), [6])

    def test_expiry_and_removal_are_changes_too(self):
        for change in (
            lambda other: other.delete("k"),
            lambda other: other.expire("k", 100),
            lambda other: other.flushall(),
            lambda other: other.rename("k", "new"),
        ):
            self.r.set("k", 1)
            with self.r.pipeline() as pipe:
                pipe.watch("k")
                change(self.client())
                pipe.multi()
                pipe.set("k", 2)
                with self.assertRaises(redis.WatchError):
                    pipe.execute()

    def test_the_helper_tries_again(self):
        self.r.set("n", 0)
        interfering = [self.client(), None]

        def add_ten(pipe):
            now = int(pipe.get("n"))
            if other := interfering.pop(0) if interfering else None:
                other.set("n", 5)
            pipe.multi()
            pipe.set("n", now + 10)

        self.assertEqual(self.r.transaction(add_ten, "n"), [True])
        self.assertEqual(self.r.get("n"), "15")

    def test_discard_by_hand(self):
        one = self.client(single_connection_client=True)
        self.assertEqual(one.execute_command("MULTI"), "OK")
        self.assertEqual(one.execute_command("APPEND", "k", "v"), "QUEUED")
        self.assertEqual(one.execute_command("DISCARD"), "OK")
        self.assertIsNone(one.get("k"))
        with self.refused("DISCARD without MULTI"):
            one.execute_command("DISCARD")
        with self.refused("EXEC without MULTI"):
            one.execute_command("EXEC")

    def test_watch_by_hand(self):
        one = self.client(single_connection_client=True)
        for change, wanted in ((lambda: self.r.set("k", "new"), None), (lambda: self.r.get("k"), ["v"])):
            one.set("k", "v")
            self.assertTrue(one.execute_command("WATCH", "k"))
            change()
            one.execute_command("MULTI")
            self.assertEqual(one.execute_command("GETRANGE", "k", 0, -1), "QUEUED")
            self.assertEqual(one.execute_command("EXEC"), wanted)
        one.execute_command("WATCH", "k")
        self.r.set("k", "new")
        self.assertTrue(one.execute_command("UNWATCH"))
        one.execute_command("MULTI")
        self.assertEqual(one.execute_command("EXEC"), [])

    def test_blocking_commands_inside_do_not_wait(self):
        pipe = self.r.pipeline()
        pipe.blpop("none", timeout=0).bzpopmin("none", timeout=0).set("k", "v")
        self.assertEqual(pipe.execute(), [None, None, True])
