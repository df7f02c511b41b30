"""Records beside addresses, through Unbound: a member that is a name is followed to
somebody else's zone, and browsers' HTTPS question has the addresses of A and AAAA.
"""

from support import parts, wire
from support.server import Windrose
from support.world import Story, wait_until

ROOT, SERVER, RESOLVER = "192.0.2.53", "192.0.2.1", "192.0.2.99"
ZONE = "gslb.example.com"
CDN, SPARE, FRA, FRA6 = "198.51.100.20", "198.51.100.30", "203.0.113.10", "2001:db8::10"

ZONES = {
    ".": f"""
@ 60 IN SOA ns.root. hostmaster.root. 1 3600 600 86400 60
@ 60 IN NS ns.root.
ns.root. 60 IN A {ROOT}
{ZONE}. 60 IN NS ns1.{ZONE}.
ns1.{ZONE}. 60 IN A {SERVER}
example.net. 60 IN NS ns.example.net.
ns.example.net. 60 IN A {ROOT}
""",
    "example.net": f"""
$TTL 2
@ IN SOA ns hostmaster 1 3600 600 86400 60
@ IN NS ns
ns IN A {ROOT}
shop.cdn IN A {CDN}
shop.cdn IN MX 10 mail.example.net.
shop.spare IN A {SPARE}
""",
}

CONFIG = f"""
[server]
listen = ["{SERVER}:53"]

[zone."{ZONE}"]
nameservers = ["ns1.{ZONE}"]
hostmaster = "hostmaster@example.com"
records = ["ns1 IN A {SERVER}"]

[datacenter.fra]
vip = ["{FRA}", "{FRA6}"]

[health_check.ready]
type = "http"
path = "/"
interval = "1s"
confirm_interval = "500ms"
timeout = "500ms"

[wip_defaults]
policy = "failover"
ttl = "2s"
ttl_min = "1s"

[wip."shop.{ZONE}"]
health_check = "ready"
members = [
  {{ name = "cdn", cname = "shop.cdn.example.net" }},
  {{ name = "spare", cname = "shop.spare.example.net" }},
]

[wip."app.{ZONE}"]
members = ["fra"]
https = {{ alpn = ["h2", "h3"], port = 8443 }}
srv = {{ "_https._tcp" = {{ port = 8443 }} }}
"""


class Records(Story):
    REQUIRES = ("named", "unbound", "nginx", "dig", "kdig")

    def setUp(self):
        super().setUp()
        self.address(ROOT, SERVER, RESOLVER, CDN, SPARE)
        parts.bind(self, ROOT, ZONES)
        parts.unbound(self, RESOLVER, ROOT)
        # Checks of names go where this host's resolver sends them.
        self.use_resolver(RESOLVER)
        site = "    server {{ listen {}:80; location / {{ return 200; }} }}"
        self.cdn = parts.Nginx(self, "cdn", site.format(CDN)).start()
        self.spare = parts.Nginx(self, "spare", site.format(SPARE)).start()
        self.server = Windrose(self, CONFIG, address=SERVER)
        self.server.start()

    def resolved(self):
        return wire.ask(RESOLVER, f"shop.{ZONE}", timeout_s=5).addresses()

    def test_a_member_that_is_a_name_is_followed_and_left_when_it_is_down(self):
        wait_until("at the first name", lambda: (self.resolved() == [CDN], self.resolved()), 15)
        mail = self.tool("dig", "+short", f"@{RESOLVER}", f"shop.{ZONE}", "MX")
        self.assertIn("mail.example.net.", mail, "every type goes through the CNAME")
        self.cdn.kill()
        wait_until("at the second name", lambda: (self.resolved() == [SPARE], self.resolved()), 30)
        self.cdn.start()
        wait_until("at the first again", lambda: (self.resolved() == [CDN], self.resolved()), 30)

    def test_https_through_a_resolver_has_the_addresses_of_a_and_aaaa(self):
        for tool in ("dig", "kdig"):
            said = self.tool(tool, "+short", f"@{RESOLVER}", f"app.{ZONE}", "HTTPS").replace('"', "")
            self.assertIn("alpn=h2,h3 port=8443", said)
            self.assertIn(f"ipv4hint={FRA}", said)
            self.assertIn(f"ipv6hint={FRA6}", said)
        self.assertEqual(wire.ask(RESOLVER, f"app.{ZONE}").addresses(), [FRA])
        self.assertEqual(wire.ask(RESOLVER, f"app.{ZONE}", "AAAA").addresses(), [FRA6])
        said = self.tool("dig", "+short", f"@{RESOLVER}", f"_https._tcp.app.{ZONE}", "SRV")
        self.assertEqual(said.strip(), f"0 0 8443 app.{ZONE}.")
