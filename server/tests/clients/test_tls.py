"""Encrypted connections through the library's own TLS, which is OpenSSL's. Both servers open a port for it at run time."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import redis

from harness import Case, free_port


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def certificate(folder, name, sign=None):
    """`NAME.crt` and `NAME.key`, signed by the pair of `sign`, or by itself."""
    key, cert = folder / f"{name}.key", folder / f"{name}.crt"
    by = ["-CA", f"{folder / sign}.crt", "-CAkey", f"{folder / sign}.key"] if sign else []
    names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"] if sign else []
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl(
        "req", "-x509", *curve, *by, *names, "-days", "2", "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(cert)
    )


class Tls(Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="cairn-tls-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        certificate(cls.folder, "ca")
        certificate(cls.folder, "server", sign="ca")
        certificate(cls.folder, "client", sign="ca")

    def setUp(self):
        super().setUp()
        self.port = free_port()
        path = lambda name: str(self.folder / name)
        # In one command: none of it works without the rest.
        self.r.execute_command(
            "CONFIG", "SET", "tls-cert-file", path("server.crt"), "tls-key-file", path("server.key"),
            "tls-ca-cert-file", path("ca.crt"), "tls-auth-clients", "yes", "tls-port", self.port,
        )
        self.addCleanup(self.r.config_set, "tls-port", 0)

    def tls(self, certificate="client", **options):
        if certificate is not None:
            pair = self.folder / certificate
            options.update(ssl_certfile=f"{pair}.crt", ssl_keyfile=f"{pair}.key")
        return self.client(port=self.port, ssl=True, ssl_ca_certs=str(self.folder / "ca.crt"), **options)

    def test_commands_and_pipelines_are_answered(self):
        client = self.tls()
        self.assertTrue(client.set("a", "1"))
        self.assertEqual(self.r.get("a"), "1")
        with client.pipeline(transaction=False) as pipe:
            for number in range(5000):
                pipe.set(f"key:{number}", "x" * (number % 300))
            self.assertEqual(pipe.execute(), [True] * 5000)
        large = "y" * 3_000_000
        client.set("large", large)
        self.assertEqual(client.get("large"), large)

    def test_messages_arrive(self):
        listener = self.tls().pubsub()
        self.addCleanup(listener.close)
        listener.subscribe("news")
        self.assertEqual(listener.get_message(timeout=20)["type"], "subscribe")
        self.r.publish("news", "today")
        self.assertEqual(listener.get_message(timeout=20)["data"], "today")

    def test_a_certificate_is_needed_unless_it_is_not_asked_for(self):
        with self.assertRaises(redis.ConnectionError):
            self.tls(certificate=None).ping()
        self.configured(tls_auth_clients="optional")
        self.assertTrue(self.tls(certificate=None).ping())

    def test_the_server_is_known_by_its_certificate(self):
        client = self.client(port=self.port, ssl=True, ssl_ca_certs=str(self.folder / "client.crt"))
        with self.assertRaises(redis.ConnectionError):
            client.ping()

    def test_versions_are_those_configured(self):
        self.configured(tls_protocols="TLSv1.2")
        client = self.tls()
        client.ping()
        connection = client.connection_pool.get_connection()
        self.addCleanup(connection.disconnect)
        self.assertEqual(connection._sock.version(), "TLSv1.2")
