"""nginx as the load balancers of two sites, with several applications behind
each address, probed over TLS by the application's own name.
"""

from support import parts
from support.server import Windrose
from support.world import Story, report, wait_until

FRA, IAD = "203.0.113.10", "198.51.100.10"
ZONE = "gslb.example.com"
APPLICATIONS = ("shop", "ledger", "search")

CONFIG = f"""
[server]
listen = ["127.0.0.1:53"]

[zone."{ZONE}"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"

[datacenter.fra]
vip = "{FRA}"

[datacenter.iad]
vip = "{IAD}"

[health_check.tls]
type = "https"
path = "/healthz"
ca_file = "../ca.pem"
interval = "1s"
confirm_interval = "200ms"
timeout = "900ms"

[health_check.tls_unverified]
type = "https"
path = "/healthz"
verify = false
interval = "1s"
confirm_interval = "200ms"
timeout = "900ms"

[health_check.tls_public_roots]
type = "https"
path = "/healthz"
interval = "1s"
confirm_interval = "200ms"
timeout = "900ms"

[wip_defaults]
policy = "failover"
members = ["fra", "iad"]
health_check = "tls"

[wip."shop.{ZONE}"]
[wip."ledger.{ZONE}"]
[wip."search.{ZONE}"]
check_host = "www.search.example"

# At fra its virtual host shows a certificate for another name.
[wip."misnamed.{ZONE}"]

[wip."lenient.{ZONE}"]
check_host = "misnamed.{ZONE}"
health_check = "tls_unverified"

# A private authority is none of the system's roots.
[wip."private.{ZONE}"]
check_host = "shop.{ZONE}"
health_check = "tls_public_roots"
"""


class LtmTls(Story):
    REQUIRES = ("nginx", "openssl")

    def certificate(self, file, name):
        """Makes FILE.pem and FILE.key for a name, signed by the story's authority."""
        path = self.directory / file
        self.write(f"{file}.ext", f"subjectAltName = DNS:{name}\n")
        self.tool("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                  "-nodes", "-keyout", f"{path}.key", "-out", f"{path}.csr", "-subj", f"/CN={name}")
        self.tool("openssl", "x509", "-req", "-in", f"{path}.csr", "-days", "2", "-CAcreateserial",
                  "-CA", self.directory / "ca.pem", "-CAkey", self.directory / "ca.key",
                  "-extfile", f"{path}.ext", "-out", f"{path}.pem")

    def site(self, name, address, misnamed):
        """A load balancer; an application is down while a file says so."""
        hosts = {f"{application}.{ZONE}": application for application in ("shop", "ledger")}
        hosts["www.search.example"] = "search"
        hosts[f"misnamed.{ZONE}"] = "other" if misnamed else "misnamed"
        servers = "".join(f"""
    server {{
        listen {address}:443 ssl;
        server_name {host};
        ssl_certificate {self.directory}/{file}.pem;
        ssl_certificate_key {self.directory}/{file}.key;
        location / {{
            if (-f {self.directory}/{name}-down-{file}) {{ return 503; }}
            return 200;
        }}
    }}""" for host, file in hosts.items())
        # Without SNI, or with a strange one, no handshake: the address alone says nothing.
        refuse = f"    server {{ listen {address}:443 ssl default_server; ssl_reject_handshake on; }}"
        return parts.Nginx(self, name, servers + refuse).start()

    def setUp(self):
        super().setUp()
        self.address(FRA, IAD)
        self.tool("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                  "-nodes", "-days", "2", "-keyout", self.directory / "ca.key", "-out",
                  self.directory / "ca.pem", "-subj", "/CN=A company's own authority")
        names = {"shop": f"shop.{ZONE}", "ledger": f"ledger.{ZONE}", "search": "www.search.example",
                 "misnamed": f"misnamed.{ZONE}", "other": "somebody-else.example"}
        for file, name in names.items():
            self.certificate(file, name)
        self.fra = self.site("fra", FRA, misnamed=True)
        self.iad = self.site("iad", IAD, misnamed=False)
        self.server = Windrose(self, CONFIG).start()

    def answer(self, application):
        return self.server.ask(f"{application}.{ZONE}").addresses()

    def failure(self, application, member):
        """How the last probe of a member that is down failed."""
        found = [entry["failure"] for entry in self.server.status()["members_not_up"]
                 if entry["wip"] == f"{application}.{ZONE}" and entry["member"] == member]
        return found[0] if found else None

    def test_one_application_down_in_one_site_and_its_neighbours_stay(self):
        up = {name: [FRA] for name in APPLICATIONS}
        wait_until("all applications at fra", lambda: self.all_answers() == up, 10)
        (self.directory / "fra-down-ledger").touch()
        seconds = wait_until("ledger moves", lambda: self.answer("ledger") == [IAD], 4)
        report(f"one application's 503 at one site moved its answers after {seconds:.2f} s")
        self.assertIn("503", str(self.failure("ledger", "fra")))
        self.assertEqual(self.all_answers(), {**up, "ledger": [IAD]})
        self.assertEqual(self.server.member_state(f"ledger.{ZONE}", "iad"), 1)
        (down,) = self.server.logged("check is down", wip=f"ledger.{ZONE}", member="fra")
        self.assertEqual(down["reason"], "status", down)
        (self.directory / "fra-down-ledger").unlink()
        seconds = wait_until("ledger returns", lambda: self.answer("ledger") == [FRA], 4)
        report(f"and back after {seconds:.2f} s")
        downs = {(line["wip"], line["member"]) for line in self.server.logged("check is down")}
        self.assertFalse({(f"{name}.{ZONE}", "fra") for name in ("shop", "search")} & downs)
        # Each probe asked for its application by name, in TLS and in HTTP.
        wanted = {f"shop.{ZONE}", f"ledger.{ZONE}", "www.search.example"}
        seen = {(host, sni) for _, host, sni, path, _ in self.fra.access() if path == "/healthz"}
        self.assertLessEqual({(name, name) for name in wanted}, seen)
        self.assertTrue(all(host == sni for host, sni in seen), seen)

    def all_answers(self):
        return {name: self.answer(name) for name in APPLICATIONS}

    def test_certificates_are_verified_unless_a_check_says_not_to(self):
        name = f"misnamed.{ZONE}"
        wait_until("misnamed is down at fra", lambda: self.answer("misnamed") == [IAD], 10)
        self.assertIn("tls", str(self.failure("misnamed", "fra")))
        (down,) = self.server.logged("check is down", wip=name, member="fra")
        self.assertEqual(down["reason"], "tls", down)
        self.assertEqual(self.answer("lenient"), [FRA])
        self.assertEqual(self.server.member_state(f"lenient.{ZONE}", "fra"), 1)
        private = f"private.{ZONE}"
        wait_until("an unknown authority is refused everywhere",
                   lambda: [self.server.member_state(private, m) for m in ("fra", "iad")] == [2, 2],
                   10)
        self.assertIn("tls", str(self.failure("private", "iad")))
        failed = self.server.metric("windrose_probe_results_total", check="tls", result="tls")
        self.assertGreaterEqual(failed, 3)
        self.assertEqual(
            self.server.metric("windrose_probe_results_total", check="tls_unverified", result="tls"), 0)
