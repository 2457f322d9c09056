"""Connections: names, lists, sign-in, pools, the other client of the library (asyncio)."""

import asyncio
import threading

import redis
import redis.asyncio
import redis.asyncio.retry

from harness import Case, Server, later


class Connections(Case):
    def test_names_and_lists(self):
        one = self.client(client_name="first", single_connection_client=True)
        self.assertEqual(one.client_getname(), "first")
        self.assertTrue(one.client_setname("second"))
        self.assertEqual(one.client_getname(), "second")
        row = [row for row in self.r.client_list() if row["name"] == "second"][0]
        self.assertEqual(int(row["id"]), one.client_id())
        about = one.client_info()
        self.assertEqual((about["name"], about["db"], about["cmd"]), ("second", 0, "client|info"))
        self.assertEqual(len(self.r.client_list(client_id=[row["id"]])), 1)
        self.assertEqual(self.r.client_list(_type="pubsub"), [])
        with self.refused("cannot contain spaces"):
            one.client_setname("two words")

    def test_the_protocol_is_the_one_asked_for(self):
        one = self.client(single_connection_client=True)
        hello = one.execute_command("HELLO")
        pairs = hello if isinstance(hello, dict) else dict(zip(hello[::2], hello[1::2]))
        self.assertEqual((pairs["server"], pairs["proto"], pairs["role"]), ("redis", self.protocol, "master"))
        with self.refused("NOPROTO unsupported protocol version"):
            one.execute_command("HELLO", 9)

    @later("CLIENT|SETINFO")
    def test_the_library_tells_its_name(self):
        row = self.r.client_info()
        self.assertEqual(
            (row["lib-name"], row["lib-ver"], row["resp"]),
            ("redis-py", redis.__version__, str(self.protocol)),
        )

    def test_kill(self):
        one, two = (self.client(client_name=name, single_connection_client=True) for name in ("one", "two"))
        self.assertEqual((one.ping(), two.ping()), (True, True))
        self.assertEqual(self.r.client_kill_filter(_id=one.client_id()), 1)
        with self.assertRaises(redis.ConnectionError):
            one.ping()
        address = [row["addr"] for row in self.r.client_list() if row["name"] == "two"][0]
        self.assertTrue(self.r.client_kill(address))
        with self.assertRaises(redis.ConnectionError):
            two.ping()
        with self.refused("No such client"):
            self.r.client_kill("127.0.0.1:1")
        self.assertTrue(self.r.ping())

    def test_switches(self):
        one = self.client(single_connection_client=True)
        self.assertEqual(one.client_no_evict("ON"), "OK")
        row = one.client_info()
        self.assertIn("e", row["flags"])
        self.assertEqual(one.client_no_evict("OFF"), "OK")
        self.assertNotIn("e", one.client_info()["flags"])

    @later("CLIENT|NO-TOUCH")
    def test_reading_without_touching(self):
        one = self.client(single_connection_client=True)
        self.assertEqual(one.client_no_touch("ON"), "OK")
        self.assertIn("T", one.client_info()["flags"])

    def test_silence(self):
        connection = self.r.connection_pool.get_connection()
        self.addCleanup(self.r.connection_pool.release, connection)
        for command in (["CLIENT", "REPLY", "OFF"], ["SET", "k", "v"], ["CLIENT", "REPLY", "ON"]):
            connection.send_command(*command)
        self.assertEqual(connection.read_response(), "OK")
        connection.send_command("GET", "k")
        self.assertEqual(connection.read_response(), "v")

    def test_select_reset_and_quit(self):
        one = self.client(single_connection_client=True)
        self.assertTrue(one.select(3))
        one.set("k", "v")
        self.assertEqual(self.client(db=3).get("k"), "v")
        self.assertIsNone(self.r.get("k"))
        self.assertEqual(one.echo("text"), "text")
        self.assertEqual(one.reset(), "RESET")
        self.assertIsNone(self.client(db=0).get("k"))
        self.assertTrue(self.client(single_connection_client=True).quit())
        with self.refused("DB index is out of range"):
            self.client(db=99).ping()

    def test_what_the_server_tells_of_itself(self):
        self.assertEqual(self.r.config_get("databases"), {"databases": "16"})
        self.assertEqual(self.r.info("server")["tcp_port"], self.server.port)
        self.r.set("k", "v", ex=100)
        space = self.r.info("keyspace")["db0"]
        self.assertEqual((space["keys"], space["expires"]), (1, 1))
        seconds, microseconds = self.r.time()
        self.assertGreater(seconds, 1_600_000_000)
        self.assertIn(microseconds, range(1_000_000))
        self.assertGreater(self.r.memory_usage("k"), 0)
        self.assertIsNone(self.r.memory_usage("none"))
        self.assertEqual(self.r.command_getkeys("MSET", "a", 1, "b", 2), ["a", "b"])
        self.assertEqual(self.r.command_count(), sum("|" not in name for name in self.r.command_list()))
        self.assertEqual(self.r.role()[0], "master")

    def test_commands_that_are_none(self):
        with self.refused("unknown command 'nosuchcommand', with args beginning with: 'a'"):
            self.r.execute_command("nosuchcommand", "a")
        with self.refused("wrong number of arguments for 'get' command"):
            self.r.execute_command("GET")
        self.assertTrue(self.r.ping())


class SignIn(Case):
    """A server with a password, one for each of these tests."""

    def locked(self):
        server = Server(self.server.name, self.server.program, ["--requirepass", "s3cret pass"])
        self.addCleanup(server.stop)
        return server

    def test_passwords(self):
        port = self.locked().port
        with self.refused("NOAUTH|Authentication required|already authenticated", redis.AuthenticationError):
            self.client(port=port).ping()
        with self.assertRaises(redis.AuthenticationError):
            self.client(port=port, password="wrong").ping()
        self.assertTrue(self.client(port=port, password="s3cret pass").ping())
        self.assertTrue(self.client(port=port, username="default", password="s3cret pass").set("k", "v"))
        later = self.client(port=port, password="s3cret pass")
        self.assertEqual(later.config_set("requirepass", "other"), True)
        self.assertTrue(self.client(port=port, password="other").ping())
        with self.assertRaises(redis.AuthenticationError):
            self.client(port=port, password="s3cret pass").ping()

    def test_a_password_where_none_is_set(self):
        with self.assertRaises(redis.AuthenticationError):
            self.client(single_connection_client=False).auth("x")


class Pools(Case):
    def test_threads_share_a_pool(self):
        pool = redis.BlockingConnectionPool(
            port=self.server.port, protocol=self.protocol, max_connections=4, timeout=20, client_name="pooled"
        )
        self.addCleanup(pool.disconnect)

        def work(number):
            with redis.Redis(connection_pool=pool) as client:
                for _ in range(50):
                    client.incr("n")
                    client.rpush(f"l{number}", "x")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.r.get("n"), "600")
        self.assertEqual([self.r.llen(f"l{number}") for number in range(12)], [50] * 12)
        pooled = [row for row in self.r.client_list() if row["name"] == "pooled"]
        self.assertLessEqual(len(pooled), 4)

    def test_a_pool_connects_again_after_a_kill(self):
        client = self.client(single_connection_client=False, client_name="victim")
        client.ping()
        victim = [row["id"] for row in self.r.client_list() if row["name"] == "victim"]
        self.assertEqual(self.r.client_kill_filter(_id=victim[0]), 1)
        self.eventually(
            lambda: all(row["name"] != "victim" for row in self.r.client_list()), "the victim is gone"
        )
        # The pool sees that the idle connection was closed and opens another.
        self.assertTrue(client.set("k", "v"))

    def test_text_and_bytes(self):
        self.r.hset("h", mapping={"schlüssel": "größe", "n": 5})
        self.assertEqual(
            self.client(decode_responses=False).hgetall("h"),
            {"schlüssel".encode(): "größe".encode(), b"n": b"5"},
        )
        self.assertEqual(self.r.hgetall("h"), {"schlüssel": "größe", "n": "5"})
        latin = self.client(encoding="latin-1")
        latin.set("k", "größe")
        self.assertEqual(self.client(decode_responses=False).get("k"), "größe".encode("latin-1"))


class Defaults(Case):
    """A client as most programs make it: address and nothing else, or an address as a URL."""

    def test_a_client_with_no_options(self):
        with redis.Redis(port=self.server.port) as client:
            self.assertTrue(client.set("k", "v"))
            self.assertEqual(client.get("k"), b"v")
            self.assertEqual(client.zadd("z", {"a": 1, "b": 2.5}), 2)
            self.assertEqual(client.zrange("z", 0, -1, withscores=True), [(b"a", 1.0), (b"b", 2.5)])
            self.assertEqual(client.hset("h", mapping={"f": 1}), 1)
            self.assertEqual(client.hgetall("h"), {b"f": b"1"})
            self.assertEqual(client.xadd("s", {"f": "v"}, id="1-1"), b"1-1")
            self.assertEqual(client.xread({"s": "0"}), [[b"s", [(b"1-1", {b"f": b"v"})]]])
            self.assertEqual(client.config_get("databases"), {"databases": "16"})

    def test_a_client_made_from_a_url(self):
        url = f"redis://127.0.0.1:{self.server.port}/2?protocol={self.protocol}&decode_responses=True"
        with redis.Redis.from_url(url) as client:
            self.assertTrue(client.set("k", "v"))
            self.assertEqual(client.client_info()["db"], 2)
        self.assertEqual(self.client(db=2).get("k"), "v")


class Asyncio(Case):
    def run_with_client(self, work):
        async def main():
            client = redis.asyncio.Redis(
                port=self.server.port, protocol=self.protocol, decode_responses=True, legacy_responses=False
            )
            async with client:
                return await work(client)

        return asyncio.run(main())

    def test_every_family(self):
        async def work(c):
            return [
                await c.set("k", "v", ex=100),
                await c.get("k"),
                await c.rpush("l", 1, 2, 3),
                await c.lrange("l", 0, -1),
                await c.hset("h", mapping={"a": 1}),
                await c.hgetall("h"),
                await c.sadd("s", "x"),
                await c.smembers("s"),
                await c.zadd("z", {"m": 1.5}),
                await c.zrange("z", 0, -1, withscores=True),
                await c.xadd("x", {"f": "v"}, id="1-1"),
                await c.xrange("x"),
                sorted([key async for key in c.scan_iter()]),
            ]

        wanted = [
            True,
            "v",
            3,
            ["1", "2", "3"],
            1,
            {"a": "1"},
            1,
            {"x"},
            1,
            [["m", 1.5]],
            "1-1",
            [("1-1", {"f": "v"})],
            ["h", "k", "l", "s", "x", "z"],
        ]
        self.assertEqual(self.run_with_client(work), wanted)

    def test_many_at_once(self):
        async def work(c):
            await asyncio.gather(*(c.incrby("n", i) for i in range(50)))
            return await c.get("n")

        self.assertEqual(self.run_with_client(work), str(sum(range(50))))

    def test_transactions(self):
        async def work(c):
            async with c.pipeline() as pipe:
                replies = await pipe.set("k", 1).incr("k").execute()
            async with c.pipeline() as pipe:
                await pipe.watch("k")
                await c.set("k", 9)
                pipe.multi()
                pipe.set("k", 2)
                try:
                    await pipe.execute()
                except redis.WatchError:
                    replies.append("watched")
            return replies

        self.assertEqual(self.run_with_client(work), [True, 2, "watched"])

    def test_waiting_and_channels(self):
        async def work(c):
            popped = asyncio.create_task(c.blpop("l", 0))
            pubsub = c.pubsub()
            await pubsub.subscribe("news")
            await pubsub.get_message(timeout=20)
            while (await c.info("clients"))["blocked_clients"] != 1:
                await asyncio.sleep(0.005)
            await c.rpush("l", "x")
            count = await c.publish("news", "hello")
            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=20)
            await pubsub.aclose()
            return await popped, count, message["data"]

        self.assertEqual(self.run_with_client(work), (["l", "x"], 1, "hello"))
