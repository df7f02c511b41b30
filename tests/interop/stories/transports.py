"""Clients that others wrote over TLS, and the client behind dnsdist: over each way the
answer is the one that the client itself would get.
"""

import re

from support import wire
from support.server import Windrose
from support.world import Story, report, wait_until

ZONE = "gslb.example.com"
NAME = f"shop.{ZONE}"
OUTSIDE, INSIDE = "203.0.113.10", "10.1.2.3"
CLIENTS = {"192.0.2.10": OUTSIDE, "10.20.30.40": INSIDE}
SERVER, DNSDIST = "127.0.0.1", "127.0.0.2"

CONFIG = f"""
[server]
listen = ["{SERVER}:53"]
tcp_idle_timeout = "3s"

[tls]
certificate = "dns.crt"
key = "dns.key"
dot = ["{SERVER}:853"]

[zone."{ZONE}"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"

[datacenter.fra]
vip = ["{OUTSIDE}", {{ address = "{INSIDE}", for = ["10.0.0.0/8"] }}]

[wip."{NAME}"]
members = ["fra"]
"""

PROXIED = CONFIG + f"""
[proxy]
from = ["{DNSDIST}"]
"""


def dnsdist(server):
    return f"""
setLocal("{DNSDIST}:53")
setACL({{"0.0.0.0/0"}})
newServer({{{server}, useProxyProtocol = true, source = "{DNSDIST}"}})
"""


class Encrypted(Story):
    REQUIRES = ("dig", "kdig", "openssl", "unbound", "dnsdist")

    def setUp(self):
        super().setUp()
        self.certificate("windrose")
        self.address(*CLIENTS)

    def certificate(self, folder):
        path = self.write(f"{folder}/dns.crt", "")
        self.tool("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                  "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                  "-subj", "/CN=dns.example", "-addext", "subjectAltName=DNS:dns.example",
                  "-keyout", path.with_name("dns.key"), "-out", path)
        return path

    def test_kdig_and_openssl_speak_tls_with_it(self):
        server = Windrose(self, CONFIG).start()
        ca = self.directory / "windrose/dns.crt"
        for client, expected in CLIENTS.items():
            answer = self.tool("kdig", f"@{SERVER}", NAME, "+tls", f"+tls-ca={ca}",
                               "+tls-hostname=dns.example", "-b", client, "+short")
            self.assertEqual(answer.strip(), expected)
        query = wire.encode(NAME)
        # Its standard input is text: what it says of the session is enough.
        said = self.tool("openssl", "s_client", "-connect", f"{SERVER}:853", "-alpn", "dot",
                         "-CAfile", ca, "-verify_return_error", "-brief", check=False)
        self.assertNotIn("error", said.lower())
        said = self.tool("openssl", "s_client", "-connect", f"{SERVER}:853", "-alpn", "dot",
                         "-CAfile", ca, check=False)
        self.assertIn("ALPN protocol: dot", said)
        self.assertIn("Verify return code: 0", said)
        refused = self.tool("openssl", "s_client", "-connect", f"{SERVER}:853", "-alpn", "h2",
                            check=False)
        self.assertIn("no peer certificate available", refused)
        self.assertGreater(len(query), 12)
        wait_until("connections are counted", lambda: server.metric(
            "windrose_connections_admitted_total", transport="dot") >= len(CLIENTS) + 1, 5)

    def test_a_renewed_certificate_is_shown_while_queries_go_on(self):
        server = Windrose(self, CONFIG).start()

        def serial():
            said = self.tool("openssl", "s_client", "-connect", f"{SERVER}:853", "-alpn", "dot",
                             "-showcerts", check=False)
            return re.search(r"-----BEGIN CERTIFICATE-----(.*?)-----END", said, re.S)[1]

        before = serial()
        self.certificate("windrose")
        took_s = wait_until("the new one is shown", lambda: serial() != before, 10)
        report(f"a renewed certificate was shown after {took_s:.1f} s")
        self.assertEqual(server.metric(
            "windrose_tls_certificate_changes_total", result="taken"), 1)
        self.assertEqual(server.ask(NAME).addresses(), [OUTSIDE])

    def test_unbound_forwards_over_tls(self):
        Windrose(self, CONFIG).start()
        path = self.write("unbound.conf", f"""
server:
    interface: 127.0.0.3
    directory: "{self.directory}"
    pidfile: ""
    username: ""
    chroot: ""
    use-syslog: no
    do-not-query-localhost: no
    module-config: "iterator"
    tls-cert-bundle: "{self.directory}/windrose/dns.crt"
stub-zone:
    name: "{ZONE}"
    stub-addr: {SERVER}@853#dns.example
    stub-tls-upstream: yes
""")
        self.start("unbound", "unbound", "-d", "-c", path)
        wait_until("unbound answers", lambda: wire.ask(
            "127.0.0.3", NAME).addresses() == [OUTSIDE], 10)

    def test_the_client_behind_dnsdist_is_the_one_steered(self):
        server = Windrose(self, PROXIED).start()
        path = self.write("dnsdist.conf", dnsdist(f'address = "{SERVER}:53"'))
        self.start("dnsdist", "dnsdist", "--supervised", "-C", path)
        # Its health checks begin with a LOCAL header, and must pass first.
        wait_until("dnsdist answers", lambda: wire.ask(
            DNSDIST, NAME, source="192.0.2.10").addresses() == [OUTSIDE], 20)
        for client, expected in CLIENTS.items():
            for tcp in (False, True):
                with self.subTest(f"{client} {'TCP' if tcp else 'UDP'}"):
                    reply = wire.ask(DNSDIST, NAME, tcp=tcp, source=client)
                    self.assertEqual(reply.addresses(), [expected])
                    # And the same clients without a proxy.
                    direct = wire.ask(SERVER, NAME, tcp=tcp, source=client)
                    self.assertEqual(direct.addresses(), [expected])
        # Without a header dnsdist's address gets nothing.
        with self.assertRaises(OSError):
            wire.ask(SERVER, NAME, source=DNSDIST, timeout_s=0.5)
        self.assertEqual(server.metric("windrose_dns_dropped_total", reason="proxy_header"), 1)

    def test_the_client_behind_dnsdist_over_tls_too(self):
        Windrose(self, PROXIED).start()
        ca = self.directory / "windrose/dns.crt"
        upstream = (f'address = "{SERVER}:853", tls = "openssl", subjectName = "dns.example", '
                    f'caStore = "{ca}", validateCertificates = true')
        path = self.write("dnsdist.conf", dnsdist(upstream))
        self.start("dnsdist", "dnsdist", "--supervised", "-C", path)
        wait_until("dnsdist answers", lambda: wire.ask(
            DNSDIST, NAME, source="192.0.2.10").addresses() == [OUTSIDE], 20)
        for client, expected in CLIENTS.items():
            for tcp in (False, True):
                reply = wire.ask(DNSDIST, NAME, tcp=tcp, source=client)
                self.assertEqual(reply.addresses(), [expected])
