"""A zone delegated by its parent: resolvers find Windrose by themselves, and
follow it when a site's back end dies and when it comes back.
"""

from support import parts, wire
from support.server import Windrose
from support.world import Story, report, wait_until

ROOT, RESOLVER = "192.0.2.53", "192.0.2.99"
SERVERS = {"ns1": "192.0.2.1", "ns2": "192.0.2.2"}
FRA, IAD = "203.0.113.10", "198.51.100.10"
NAME = "shop.gslb.example.com"

ZONES = {
    ".": f"""
@ 60 IN SOA ns.root. hostmaster.ns.root. 1 3600 600 86400 60
@ 60 IN NS ns.root.
ns.root. 60 IN A {ROOT}
example.com. 60 IN NS ns.example.com.
ns.example.com. 60 IN A {ROOT}
""",
    # The parent's side, as the README has it: two servers and their glue.
    "example.com": f"""
$TTL 60
@ IN SOA ns hostmaster 1 3600 600 86400 60
@ IN NS ns
ns IN A {ROOT}
gslb IN NS ns1.gslb
gslb IN NS ns2.gslb
ns1.gslb IN A {SERVERS["ns1"]}
ns2.gslb IN A {SERVERS["ns2"]}
www IN CNAME {NAME}.
""",
}

INTERVAL_S, CONFIRM_S, FALL, RISE, TTL_S = 2.0, 0.5, 3, 2, 4
# The longest until a back end that refuses is out (docs/HEALTH.md, "How fast"),
# and until one that is back is in.
DOWN_WITHIN_S = INTERVAL_S * 1.1 + (FALL - 1) * CONFIRM_S * 1.1
UP_WITHIN_S = INTERVAL_S * 1.1 + (RISE - 1) * CONFIRM_S * 1.1
# Two cores that run other stories too are sometimes late.
SLACK_S = 1.0


def config(name):
    return f"""
[server]
listen = ["{SERVERS[name]}:53"]
identity = "{name}"

[admin]
listen = "{SERVERS[name]}:8053"
token_file = "../token"

[zone."gslb.example.com"]
nameservers = ["ns1.gslb.example.com", "ns2.gslb.example.com"]
hostmaster = "hostmaster@example.com"
records = ["ns1 IN A {SERVERS["ns1"]}", "ns2 IN A {SERVERS["ns2"]}", "@ IN TXT \\"here\\""]
negative_ttl = "2s"

[datacenter.fra]
vip = "{FRA}"

[datacenter.iad]
vip = "{IAD}"

[health_check.ready]
type = "http"
path = "/healthz"
interval = "2s"
confirm_interval = "500ms"
timeout = "1s"
fall = {FALL}
rise = {RISE}

[wip."{NAME}"]
policy = "failover"
members = ["fra", "iad"]
health_check = "ready"
ttl = "{TTL_S}s"
ttl_min = "1s"
"""


class Delegation(Story):
    REQUIRES = ("named", "nsd", "unbound", "nginx", "dig")

    def setUp(self):
        super().setUp()
        self.address(ROOT, RESOLVER, FRA, IAD, *SERVERS.values())
        self.write("token", "a-token-for-this-story\n")
        site = "    server {{ listen {}:80; location / {{ return 200; }} }}"
        self.fra = parts.Nginx(self, "fra", site.format(FRA)).start()
        self.iad = parts.Nginx(self, "iad", site.format(IAD)).start()
        self.servers = [
            Windrose(self, config(name), name, f"{address}:8053", address)
            for name, address in SERVERS.items()
        ]
        for server in self.servers:
            server.start(ready=False)
        for server in self.servers:
            wait_until("ready", lambda server=server: server.get("/readyz"), 20)

    def resolved(self, name=NAME):
        return wire.ask(RESOLVER, name, timeout_s=5).addresses()

    def follow(self, address, within_s, what):
        """Waits until the servers answer an address, then the resolver."""
        def all_say():
            said = [server.ask(NAME).addresses() for server in self.servers]
            return said == [[address]] * len(said), said

        servers_s = wait_until(f"the servers answer {address}", all_say, within_s + SLACK_S)
        resolver_s = servers_s + wait_until(
            f"the resolver answers {address}",
            lambda: (self.resolved() == [address], self.resolved()),
            within_s + TTL_S + SLACK_S - servers_s,
        )
        report(f"{what}: servers after {servers_s:.2f} s (formula: at most {within_s:.2f} s), "
               f"the resolver after {resolver_s:.2f} s (plus TTL: {within_s + TTL_S:.2f} s)")

    def test_unbound_behind_a_parent_on_bind_follows(self):
        parts.bind(self, ROOT, ZONES)
        parts.unbound(self, RESOLVER, ROOT)
        self.assertEqual(self.resolved(), [FRA])
        self.assertEqual(self.resolved("www.example.com"), [FRA], "a CNAME from outside")
        missing = wire.ask(RESOLVER, "nothing.gslb.example.com")
        self.assertEqual((missing.rcode, missing.answer), ("NXDOMAIN", []))
        self.assertEqual(wire.ask(RESOLVER, NAME, "AAAA").answer, [])
        self.assertEqual(wire.ask(RESOLVER, NAME, "TXT").rcode, "NOERROR")
        self.assertEqual(wire.ask(RESOLVER, "gslb.example.com", "TXT").answer[0].data, "here")
        self.use_resolver(RESOLVER)
        trace = self.tool("dig", "+trace", "+nodnssec", NAME)
        self.assertIn(FRA, trace)
        self.assertRegex(trace, r"from 192\.0\.2\.[12]#53")

        self.fra.kill()
        self.follow(IAD, DOWN_WITHIN_S, "site killed")
        self.fra.start()
        self.follow(FRA, UP_WITHIN_S, "site back")

        # One of two servers dies: the resolver goes on with the other.
        self.servers[0].process.kill()
        for _ in range(3):
            wait_until("the TTL is over", lambda: wire.ask(RESOLVER, NAME).ttl == TTL_S, 15)
            self.assertEqual(self.resolved(), [FRA])

    def test_bind_behind_a_parent_on_nsd_follows(self):
        parts.nsd(self, ROOT, ZONES)
        parts.bind_resolver(self, RESOLVER, ROOT)
        wait_until("resolved", lambda: self.resolved() == [FRA], 10)
        self.fra.kill()
        self.follow(IAD, DOWN_WITHIN_S, "site killed")
        self.fra.start()
        self.follow(FRA, UP_WITHIN_S, "site back")
