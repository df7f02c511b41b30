"""Clients that others wrote over HTTPS and QUIC: over each way the answer is the one that
the client itself gets.
"""

from support import wire
from support.server import Windrose
from support.world import Story

ZONE = "gslb.example.com"
NAME = f"shop.{ZONE}"
OUTSIDE, INSIDE = "203.0.113.10", "10.1.2.3"
CLIENTS = {"192.0.2.10": OUTSIDE, "10.20.30.40": INSIDE}
SERVER = "127.0.0.1"

CONFIG = f"""
[server]
listen = ["{SERVER}:53"]

[tls]
certificate = "dns.crt"
key = "dns.key"
doh = ["{SERVER}:443"]
doq = ["{SERVER}:853"]
doh3 = ["{SERVER}:443"]

[zone."{ZONE}"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"

[datacenter.fra]
vip = ["{OUTSIDE}", {{ address = "{INSIDE}", for = ["10.0.0.0/8"] }}]

[wip."{NAME}"]
members = ["fra"]
"""


class Https(Story):
    REQUIRES = ("curl", "kdig", "openssl")

    def setUp(self):
        super().setUp()
        self.ca = self.write("windrose/dns.crt", "")
        self.tool("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                  "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                  "-subj", "/CN=dns.example", "-addext", "subjectAltName=DNS:dns.example",
                  "-keyout", self.ca.with_name("dns.key"), "-out", self.ca)
        self.address(*CLIENTS)
        self.server = Windrose(self, CONFIG).start()

    def test_kdig_speaks_https_and_quic_with_it(self):
        for way in ("+https", "+https-get", "+quic"):
            for client, expected in CLIENTS.items():
                with self.subTest(f"{way} {client}"):
                    answer = self.tool("kdig", f"@{SERVER}", NAME, f"+tls-ca={self.ca}",
                                       "+tls-hostname=dns.example", way, "-b", client, "+short")
                    self.assertEqual(answer.strip(), expected)
        for transport in ("doh", "doq"):
            self.assertGreaterEqual(self.server.metric(
                "windrose_connections_admitted_total", transport=transport), len(CLIENTS))

    def test_curl_sees_status_type_and_freshness(self):
        query = self.directory / "query"
        query.write_bytes(wire.encode(NAME))
        url = "https://dns.example/dns-query"

        def curl(*arguments):
            return self.tool("curl", "--silent", "--cacert", self.ca, "--resolve",
                             f"dns.example:443:{SERVER}", "--include", "--output", "-",
                             *arguments).lower()
        for version in ("--http1.1", "--http2"):
            said = self.tool(
                "curl", "--silent", "--cacert", self.ca, "--resolve",
                f"dns.example:443:{SERVER}", "--dump-header", "-", "--output", "/dev/null",
                version, "-H", "content-type: application/dns-message",
                "--data-binary", f"@{query}", url).lower()
            self.assertRegex(said, r"^http/(1\.1|2) 200")
            self.assertIn("content-type: application/dns-message", said)
            self.assertIn("cache-control: max-age=30", said)
            self.assertIn('alt-svc: h3=":443"', said)
            self.assertRegex(curl(version, "https://dns.example/"), r"^http/(1\.1|2) 404")
