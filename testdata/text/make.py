"""Asks a running redis-server 7.0.15 (x86-64) how it adds, prints and matches, and writes what it answered.

    redis-server --port 7999 --save "" & python3 make.py 7999

Seeded, so a second run gives the same files.
"""
import json
import random
import socket
import struct
import sys

random.seed(5)
server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
answers = server.makefile("rb")


def answer():
    line = answers.readline()
    if line[:1] == b"$":
        return answers.read(int(line[1:]) + 2)[:-2].decode()
    if line[:1] == b"*":
        return [answer() for _ in range(int(line[1:]))]
    return line.strip().decode()


def ask(*words):
    words = [word.encode("latin-1") for word in words]
    server.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
    return answer()


def digits(most):
    return "".join(random.choice("0123456789") for _ in range(random.randrange(1, most)))


def number():
    return random.choice([
        lambda: str(random.randint(-10**6, 10**6)),
        lambda: "%.*f" % (random.randrange(1, 19), random.uniform(-1000, 1000)),
        lambda: "%.17g" % random.uniform(-1e5, 1e5),
        lambda: "%de%d" % (random.randint(-10**9, 10**9), random.randint(-30, 30)),
        lambda: str(random.randint(-2**70, 2**70)),
        lambda: "0." + digits(40),
        lambda: "%d.%s" % (random.randint(0, 2**63), digits(30)),
        lambda: random.choice(["0x10", "0x1.8p3", "1e-4000", "3e-4950", "inf", "1e4932", "-0", "1e-20", ".5", "5.", "abc", "5e-18"]),
    ])()


def score():
    while True:
        value = struct.unpack("d", struct.pack("Q", random.getrandbits(64)))[0]
        if random.random() < 0.5:
            value = round(random.uniform(-1e6, 1e6), random.randrange(0, 8))
        if abs(value) < float("inf"):
            return random.choice([repr(value), value.hex()])


def sums():
    for _ in range(500):
        a, b = number(), number()
        ask("SET", "k", a)
        yield [a, b, ask("INCRBYFLOAT", "k", b)]


def patterns():
    for _ in range(600):
        key = "".join(random.choice("abAB-]^[") for _ in range(random.randrange(0, 6)))
        pattern = "".join(random.choice("ab*?[]^-\\AB") for _ in range(random.randrange(0, 7)))
        ask("FLUSHALL")
        ask("SET", key, "1")
        yield [pattern, key, ask("SCAN", "0", "MATCH", pattern)[1] != []]


def scores():
    for _ in range(300):
        text = score()
        ask("ZADD", "z", text, "m")
        yield [text, ask("ZSCORE", "z", "m")]


for name, rows, what in [
    ("sums", sums, "INCRBYFLOAT: value, increment, answer (an error begins with -)"),
    ("patterns", patterns, "SCAN MATCH: pattern, key, found"),
    ("scores-7.0", scores, "ZADD and ZSCORE over RESP2: score as given, as answered"),
]:
    with open(name + ".jsonl", "w") as out:
        out.write(json.dumps({"origin": "redis-server 7.0.15, x86-64, made by testdata/text/make.py", "what": what}) + "\n")
        out.writelines(json.dumps(row) + "\n" for row in rows() if len(json.dumps(row)) < 400)
