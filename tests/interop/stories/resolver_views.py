"""Names of every kind, through Unbound: aliases, a site's own names, CNAMEs into a
WIP, split horizon, and answers cached by client subnet exactly as far as they hold.
"""

from support import parts, wire
from support.server import Windrose
from support.world import Story, report

ROOT, SERVER, RESOLVER, SUBNET_RESOLVER = "192.0.2.53", "192.0.2.1", "192.0.2.99", "192.0.2.98"
ZONE = "gslb.example.com"
IAD, FRA, INSIDE, OFFICE = "198.51.100.10", "203.0.113.10", "10.1.2.3", "10.77.0.5"
GERMAN, GERMAN_NEIGHBOUR, AMERICAN = "91.0.0.5", "91.0.0.77", "6.0.0.5"

ROOT_ZONE = f"""
@ 60 IN SOA ns.root. hostmaster.root. 1 3600 600 86400 60
@ 60 IN NS ns.root.
ns.root. 60 IN A {ROOT}
{ZONE}. 60 IN NS ns1.{ZONE}.
ns1.{ZONE}. 60 IN A {SERVER}
shop.example.com. 60 IN NS ns1.{ZONE}.
"""

CONFIG = f"""
[server]
listen = ["{SERVER}:53"]

[zone."{ZONE}"]
nameservers = ["ns1.{ZONE}"]
hostmaster = "hostmaster@example.com"
file = "gslb.zone"

[zone."shop.example.com"]
nameservers = ["ns1.{ZONE}"]
hostmaster = "hostmaster@example.com"
records = ["@ IN MX 10 mail.example.net.", "old IN CNAME shop.{ZONE}."]

[datacenter.iad]
vip = "{IAD}"
location = {{ country = "US" }}

[datacenter.fra]
vip = ["{FRA}", {{ address = "{INSIDE}", for = ["10.0.0.0/8"] }}]
location = {{ country = "DE" }}
wildcard = "apps.fra.{ZONE}"

[wip_defaults]
members = ["iad", "fra"]

[wip."shop.{ZONE}"]
aliases = ["shop.example.com", "www.shop.example.com"]

[wip."site.{ZONE}"]
members = ["fra"]

[wip."*.tenants.{ZONE}"]
members = ["fra"]
check_host = "tenants.example.com"
"""

MASTER_FILE = """
$TTL 300
ns1 IN A 192.0.2.1
www IN CNAME shop
chain IN CNAME www
*.wild IN TXT "from the wildcard"
below.deep IN TXT "an empty non-terminal is above"
exact.apps.fra IN A 192.0.2.200
old IN DNAME tenants
"""


class ResolverViews(Story):
    REQUIRES = ("named", "unbound", "dig", "kdig")

    def setUp(self):
        super().setUp()
        self.address(ROOT, SERVER, RESOLVER, SUBNET_RESOLVER,
                     GERMAN, GERMAN_NEIGHBOUR, AMERICAN, OFFICE)
        parts.bind(self, ROOT, {".": ROOT_ZONE})
        self.server = Windrose(self, CONFIG, address=SERVER)
        (self.server.path.parent / "gslb.zone").write_text(MASTER_FILE)
        self.server.start()

    def test_every_kind_of_name_resolves(self):
        parts.unbound(self, RESOLVER, ROOT)
        for name, expected in {
            f"shop.{ZONE}": [IAD], "shop.example.com": [IAD], "www.shop.example.com": [IAD],
            f"www.{ZONE}": [IAD], f"chain.{ZONE}": [IAD], "old.shop.example.com": [IAD],
            f"acme.tenants.{ZONE}": [FRA], f"a.b.tenants.{ZONE}": [FRA],
            f"acme.old.{ZONE}": [FRA],
            f"wiki.apps.fra.{ZONE}": [FRA], f"a.b.apps.fra.{ZONE}": [FRA],
            f"exact.apps.fra.{ZONE}": ["192.0.2.200"], f"apps.fra.{ZONE}": [],
        }.items():
            with self.subTest(name):
                reply = wire.ask(RESOLVER, name, timeout_s=5)
                self.assertEqual((reply.rcode, reply.addresses()), ("NOERROR", expected))
        for name, rtype, rcode, data in [
            (f"x.wild.{ZONE}", "TXT", "NOERROR", ["from the wildcard"]),
            (f"deep.{ZONE}", "TXT", "NOERROR", []),
            (f"no.such.{ZONE}", "A", "NXDOMAIN", []),
            ("shop.example.com", "MX", "NOERROR", ["10 mail.example.net"]),
            (f"shop.{ZONE}", "AAAA", "NOERROR", []),
            (f"shop.{ZONE}", "MX", "NOERROR", []),
        ]:
            with self.subTest(f"{name} {rtype}"):
                reply = wire.ask(RESOLVER, name, rtype, timeout_s=5)
                self.assertEqual((reply.rcode, [r.data for r in reply.answer]), (rcode, data))

    def test_split_horizon_by_source_and_by_subnet(self):
        name = f"site.{ZONE}"
        self.assertEqual(self.server.ask(name).addresses(), [FRA])
        self.assertEqual(self.server.ask(name, source=OFFICE).addresses(), [INSIDE])
        inside = self.server.ask(name, ecs="10.200.0.0/16")
        self.assertEqual((inside.addresses(), inside.ecs_scope), ([INSIDE], 8))
        outside = self.server.ask(name, ecs=f"{GERMAN}/32")
        self.assertEqual(outside.addresses(), [FRA])
        # 64/3 holds 91.0.0.5; 64/2 would hold 100.64/10 too, whose subnets, shared
        # by many networks, are not believed.
        self.assertEqual(outside.ecs_scope, 3)
        dig = self.tool("dig", f"@{SERVER}", "-b", OFFICE, name, "+short")
        self.assertEqual(dig.strip(), INSIDE)

    def test_a_resolver_caches_by_subnet_as_far_as_the_scope_says(self):
        extra = f"""module-config: "subnetcache iterator"
  send-client-subnet: {SERVER}
  max-client-subnet-ipv4: 24"""
        parts.unbound(self, SUBNET_RESOLVER, ROOT, extra)

        def ask(source):
            return wire.ask(SUBNET_RESOLVER, f"shop.{ZONE}", source=source, timeout_s=5).addresses()

        self.assertEqual(ask(GERMAN), [FRA])
        self.assertEqual(ask(AMERICAN), [IAD])
        queries = self.server.metric("windrose_dns_queries_total")
        # Inside the scopes given: answered from the cache, each with its own.
        for _ in range(3):
            self.assertEqual(ask(GERMAN), [FRA])
            self.assertEqual(ask(GERMAN_NEIGHBOUR), [FRA])
            self.assertEqual(ask(AMERICAN), [IAD])
        asked = self.server.metric("windrose_dns_queries_total") - queries
        self.assertEqual(asked, 0, "the scopes let the resolver's cache work")
        report("a resolver that sends client subnets kept two answers apart and cached both")
