"""Policies as clients see them: shares, spares, affinity, families, tiers."""

import collections
import ipaddress

from support import parts
from support.server import Windrose
from support.world import Story, report, wait_until

ZONE = "gslb.example.com"
SITES = {name: f"127.0.16.{number}" for number, name in enumerate(("fra", "iad", "nrt", "syd"), 1)}
SHARE_SLACK = 0.01

CONFIG = f"""
[server]
listen = ["127.0.0.1:53"]
identity = "steering-1"
workers = 2

[zone."{ZONE}"]
nameservers = ["ns1.example.com"]
hostmaster = "hostmaster@example.com"

""" + "".join(f'[datacenter.{name}]\nvip = "{address}"\n' for name, address in SITES.items()) + f"""
[datacenter.six]
vip = "2001:db8::16"

[health_check.web]
type = "http"
host = "app.example.com"
interval = "1s"
timeout = "500ms"
confirm_interval = "200ms"

[wip_defaults]
members = ["fra", "iad", "nrt", "syd"]
ttl = "10s"

[wip."turns.{ZONE}"]
policy = "round-robin"

[wip."pairs.{ZONE}"]
policy = "round-robin"
max_answers = 2

[wip."shares.{ZONE}"]
policy = "weighted"
members = [{{ datacenter = "fra", weight = 1 }}, {{ datacenter = "iad", weight = 3 }},
           {{ datacenter = "nrt", weight = 6 }}, {{ datacenter = "syd", weight = 0 }}]
health_check = "web"

[wip."sticky.{ZONE}"]
policy = "hash"
health_check = "web"

[wip."mixed.{ZONE}"]
policy = "failover"
members = ["fra", "six"]

[wip."apart.{ZONE}"]
policy = "failover"
members = ["fra", "six"]
families = "independent"

[pool.first]
policy = "failover"
members = ["fra", "iad"]
min_available = 2

[pool.second]
members = ["nrt"]

[wip."tiers.{ZONE}"]
policy = "failover"
pools = ["first", "second"]
health_check = "web"
"""


class Steering(Story):
    REQUIRES = ("dig",)

    def setUp(self):
        super().setUp()
        self.back_ends = {name: parts.BackEnd(self, address) for name, address in SITES.items()}
        self.server = Windrose(self, CONFIG).start()

    def ask(self, name, rtype="A", **options):
        return self.server.ask(f"{name}.{ZONE}", rtype, **options)

    def site(self, name, **options):
        (address,) = self.ask(name, **options).addresses()
        return next(site for site, vip in SITES.items() if vip == address)

    def shares(self, name, queries):
        """Each site's share of so many answers."""
        counted = collections.Counter(self.site(name) for _ in range(queries))
        return {site: counted[site] / queries for site in SITES}

    def assert_shares(self, seen, expected):
        for site, share in expected.items():
            self.assertLessEqual(abs(seen[site] - share), SHARE_SLACK, seen)

    def test_round_robin_gives_even_shares(self):
        seen = self.shares("turns", 10_000)
        report("round-robin over 10,000: " + ", ".join(f"{100 * s:.2f} %" for s in seen.values()))
        self.assert_shares(seen, dict.fromkeys(SITES, 0.25))
        counted = collections.Counter(
            address for _ in range(2_000) for address in self.ask("pairs").addresses())
        self.assertEqual(set(counted), set(SITES.values()))
        for _ in range(50):
            self.assertEqual(len(set(self.ask("pairs").addresses())), 2)
        for address, count in counted.items():
            self.assertLessEqual(abs(count / 2_000 - 0.5), 2 * SHARE_SLACK, (address, counted))

    def test_weights_are_shares_of_answers_and_spares_stay_spare(self):
        seen = self.shares("shares", 30_000)
        report("weights 1, 3, 6, 0 over 30,000: "
               + ", ".join(f"{100 * share:.2f} %" for share in seen.values()))
        self.assert_shares(seen, {"fra": 0.1, "iad": 0.3, "nrt": 0.6, "syd": 0})
        for name in ("fra", "iad", "nrt"):
            self.back_ends[name].stop()
        wait_until("the spare is all that is left", lambda: self.site("shares") == "syd"
                   and self.shares("shares", 50)["syd"] == 1, 6)

    def test_hash_moves_the_lost_sites_clients_alone(self):
        networks = [str(ipaddress.ip_network((1 << 24 | n << 12, 24))) for n in range(400)]
        before = {network: self.site("sticky", ecs=network) for network in networks}
        self.assertEqual(set(before.values()), set(SITES), "all sites are used")
        again = {network: self.site("sticky", ecs=network) for network in networks}
        self.assertEqual(before, again)
        self.back_ends["nrt"].stop()
        name = f"sticky.{ZONE}"
        wait_until("nrt is out", lambda: self.server.member_state(name, "nrt") == 2, 6)
        after = {network: self.site("sticky", ecs=network) for network in networks}
        moved = {network for network in networks if before[network] != after[network]}
        self.assertEqual(moved, {network for network in networks if before[network] == "nrt"})
        report(f"hash: of 400 client networks the lost site's {len(moved)} moved, no other")

    def test_families_name_one_site_unless_independent(self):
        self.assertEqual(self.ask("mixed").addresses(), [SITES["fra"]])
        none = self.ask("mixed", "AAAA")
        self.assertEqual((none.rcode, none.answer, none.authority[0].type), ("NOERROR", [], "SOA"))
        self.assertEqual(self.ask("apart").addresses(), [SITES["fra"]])
        self.assertEqual(self.ask("apart", "AAAA").addresses(), ["2001:db8::16"])

    def test_a_pool_below_its_minimum_gives_way(self):
        self.assertEqual(self.site("tiers"), "fra")
        self.back_ends["iad"].stop()
        wait_until("one of two is too few", lambda: self.site("tiers") == "nrt", 6)
        self.back_ends["nrt"].stop()
        wait_until("the minimum gives way before the service", lambda: self.site("tiers") == "fra", 6)

    def test_who_answered(self):
        dig = self.tool("dig", "@127.0.0.1", f"turns.{ZONE}", "+nsid")
        self.assertIn('("steering-1")', dig)
        dig = self.tool("dig", "@127.0.0.1", "id.server", "TXT", "CH", "+short")
        self.assertEqual(dig.strip(), '"steering-1"')
        dig = self.tool("dig", "@127.0.0.1", "version.bind", "TXT", "CH")
        self.assertIn("status: REFUSED", dig)
